"""Which role each tensor of our Transformer plays: the rows of every by-part table.

A *role* is ``stack.block.matrix`` such as ``decoder.cross_attention.v`` or ``encoder.mlp.w1``; its
first two words are the *part* (``encoder.attention``). The inputs and embedding tables form the
part ``embeddings``. Parts add up: ``encoder`` is every part that begins with it, ``total`` is all.

Trainable scalars and vectors of the wiring are named likewise: ``encoder.attention.omega`` (Admin),
``encoder.mlp.scale`` and ``encoder.mlp.shift`` (R-Fixup) belong to their block's part. What a layer
or a stack shares has a part of its own below the stack: ``encoder.alpha`` (ReZero),
``encoder.damping`` (GPAS),
``encoder.history`` (DLCL), ``encoder.norm`` (the final layer norm).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from numerics.models.spec import LAYER_BLOCKS
from numerics.models.transformer import Transformer
from theory.errors import nearest

EMBEDDINGS = "embeddings"
LEAF_PARTS = (
    EMBEDDINGS,
    *(f"{stack}.{block}" for stack, blocks in LAYER_BLOCKS.items() for block in blocks),
)
ALL_PARTS = ("total", EMBEDDINGS, "encoder", "decoder", *LEAF_PARTS[1:])
MATRICES = tuple(
    f"{part}.{matrix}"
    for part in LEAF_PARTS[1:]
    for matrix in (("w1", "w2", "w3") if part.endswith("mlp") else ("q", "k", "v", "out_proj"))
)
"""Roles of weight matrices."""
_MATRIX_NAMES = {
    **{f"{letter}_proj": letter for letter in "qkv"},
    **{name: name for name in ("out_proj", "w1", "w2", "w3")},
}
"""Parameters that hold one weight matrix, with the last word of its role."""
RESCALERS = ("omega", "alpha", "damping", "shift", "shift1", "shift2", "scale", "branch_scale")
"""Last words of the roles of the wiring's trainable scalars and vectors."""


@dataclass(frozen=True)
class RoleTensor:
    """One weight matrix of the model, or one scalar or vector, seen through its role."""

    role: str
    """For example ``encoder.attention.v``."""
    layer: int
    """Layer within the stack, from 0."""
    parameter: str
    """Name of the parameter that holds it."""
    tensor: Tensor
    """A view, a matrix as (fan_out, fan_in): writing to it writes to the model."""


def part_of(parameter: str) -> str:
    """Leaf part of a parameter, from its name.

    Examples
    --------
    >>> part_of("decoder.3.cross_attention.branch.in_proj")
    'decoder.cross_attention'
    >>> part_of("source_embedding"), part_of("decoder_norm.weight"), part_of("output")
    ('embeddings', 'decoder.norm', 'output')
    >>> part_of("encoder.0.mlp.omega"), part_of("encoder.0.alpha")
    ('encoder.mlp', 'encoder.alpha')
    """
    if parameter.startswith(("source", "target")):
        return EMBEDDINGS
    if parameter.startswith(("encoder_", "decoder_")):
        return parameter.partition(".")[0].replace("_", ".")
    stack, *rest = parameter.split(".")
    return f"{stack}.{rest[1]}" if rest else stack


def roles_of(parameter: str) -> tuple[tuple[str, ...], ...]:
    """The names under which a factor on a parameter may stand, the most specific first.

    ``in_proj`` holds three matrices and has three entries, others one. General names are
    ``matrices`` and ``vectors`` (norms, biases, multipliers), both ``hidden``; ``final_norm``;
    ``embeddings``; ``output``.

    Examples
    --------
    >>> roles_of("encoder.0.mlp.branch.w2"), roles_of("decoder.1.mlp.norm.bias")
    ((('encoder.mlp.w2', 'matrices', 'hidden'),), (('decoder.mlp.norm', 'vectors', 'hidden'),))
    >>> [names[0] for names in roles_of("encoder.0.attention.branch.in_proj")]
    ['encoder.attention.q', 'encoder.attention.k', 'encoder.attention.v']
    >>> roles_of("decoder_norm.weight"), roles_of("target_embedding")
    ((('decoder.norm', 'final_norm'),), (('embeddings',),))
    """
    part, words = part_of(parameter), parameter.split(".")
    if part in (EMBEDDINGS, "output"):
        return ((part,),)
    if not words[1:2] or not words[1].isdigit():
        return ((part, "final_norm" if part.endswith(".norm") else "vectors"),)
    last = words[-1]
    if last == "in_proj":
        return tuple((f"{part}.{letter}", "matrices", "hidden") for letter in "qkv")
    if last in _MATRIX_NAMES:
        return ((f"{part}.{_MATRIX_NAMES[last]}", "matrices", "hidden"),)
    own = words[-2] if last in ("weight", "bias", "slope") else last
    name = part if part.endswith(f".{own}") else f"{part}.{own}"
    return ((name, "vectors", "hidden"),)


def factors_of(parameter: str, factors: Mapping[str, float]) -> tuple[float, ...]:
    """The factor on each of a parameter's matrices, 1 where none stands.

    Examples
    --------
    >>> factors_of("encoder.0.mlp.branch.w2", {"hidden": 0.5, "matrices": 0.25})
    (0.25,)
    """
    return tuple(
        next((factors[name] for name in names if name in factors), 1.0)
        for names in roles_of(parameter)
    )


def part_named(name: str) -> str:
    """``name`` if it is a part; otherwise an error that offers the nearest.

    Examples
    --------
    >>> part_named("decoder.mlp")
    'decoder.mlp'
    """
    if name not in ALL_PARTS:
        raise nearest(name, ALL_PARTS, "part")
    return name


def role_named(name: str) -> str:
    """``name`` if it is the role of a matrix; otherwise an error that offers the nearest."""
    if name not in MATRICES:
        raise nearest(name, MATRICES, "role")
    return name


def contains(part: str, leaf: str) -> bool:
    """Whether ``leaf`` is summed into ``part``.

    Examples
    --------
    >>> contains("decoder", "decoder.mlp"), contains("total", "embeddings")
    (True, True)
    """
    return part in ("total", leaf) or leaf.startswith(part + ".")


def matrices(model: Transformer) -> Iterator[RoleTensor]:
    """Every weight matrix of the residual blocks, q, k, v taken apart, in model order."""
    d = model.spec.d_model
    for name, parameter in model.named_parameters():
        leaf, matrix = part_of(name), name.rpartition(".")[2]
        if matrix == "in_proj":
            views = {letter: parameter[i * d : (i + 1) * d] for i, letter in enumerate("qkv")}
        elif matrix in _MATRIX_NAMES:
            views = {_MATRIX_NAMES[matrix]: parameter}
        else:
            continue
        for key, view in views.items():
            yield RoleTensor(f"{leaf}.{key}", int(name.split(".")[1]), name, view)


def rescalers(model: Transformer) -> Iterator[RoleTensor]:
    """Every trainable scalar and vector of the wiring, in model order."""
    for name, parameter in model.named_parameters():
        head, _, last = name.rpartition(".")
        if last in RESCALERS:
            stack, layer, *block = head.split(".")
            role = ".".join([stack, *block[:1], last])
            yield RoleTensor(role, int(layer), name, parameter)
