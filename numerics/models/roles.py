"""Which role each tensor of our Transformer plays: the rows of every by-part table.

A *role* is ``stack.block.matrix`` such as ``decoder.cross_attention.v`` or ``encoder.mlp.w1``; its
first two words are the *part* (``encoder.attention``). The inputs and embedding tables form the
part ``embeddings``. Parts add up: ``encoder`` is every part that begins with it, ``total`` is all.

Trainable scalars and vectors of the wiring are named likewise: ``encoder.attention.omega`` (Admin),
``encoder.mlp.scale`` and ``encoder.mlp.shift`` (R-Fixup) belong to their block's part. What a layer
or a stack shares has a part of its own below the stack: ``encoder.alpha`` (ReZero),
``encoder.history`` (DLCL), ``encoder.norm`` (the final layer norm).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from numerics.models.transformer import Transformer
from theory.errors import nearest

EMBEDDINGS = "embeddings"
LEAF_PARTS = (
    EMBEDDINGS,
    "encoder.attention",
    "encoder.mlp",
    "decoder.self_attention",
    "decoder.cross_attention",
    "decoder.mlp",
)
ALL_PARTS = ("total", EMBEDDINGS, "encoder", "decoder", *LEAF_PARTS[1:])
MATRICES = tuple(
    f"{part}.{matrix}"
    for part in LEAF_PARTS[1:]
    for matrix in (("w1", "w2") if part.endswith("mlp") else ("q", "k", "v", "out_proj"))
)
"""Roles of weight matrices."""
RESCALERS = ("omega", "alpha", "shift", "shift1", "shift2", "scale")
"""Last words of the roles of the wiring's trainable scalars and vectors."""


@dataclass(frozen=True)
class Matrix:
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


def matrices(model: Transformer) -> Iterator[Matrix]:
    """Every weight matrix of the residual blocks, q, k, v taken apart, in model order."""
    d = model.spec.d_model
    for name, parameter in model.named_parameters():
        leaf, matrix = part_of(name), name.rpartition(".")[2]
        if matrix == "in_proj":
            views = {letter: parameter[i * d : (i + 1) * d] for i, letter in enumerate("qkv")}
        elif matrix in ("out_proj", "w1", "w2"):
            views = {matrix: parameter}
        else:
            continue
        for key, view in views.items():
            yield Matrix(f"{leaf}.{key}", int(name.split(".")[1]), name, view)


def rescalers(model: Transformer) -> Iterator[Matrix]:
    """Every trainable scalar and vector of the wiring, in model order."""
    for name, parameter in model.named_parameters():
        head, _, last = name.rpartition(".")
        if last in RESCALERS:
            stack, layer, *block = head.split(".")
            role = ".".join([stack, *block[:1], last])
            yield Matrix(role, int(layer), name, parameter)
