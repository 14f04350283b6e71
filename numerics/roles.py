"""Which role each tensor of our Transformer plays: the rows of every by-part table.

A *role* is ``stack.block.matrix`` such as ``decoder.cross_attention.v`` or ``encoder.mlp.w1``; its
first two words are the *part* (``encoder.attention``). The inputs and embedding tables form the
part ``embeddings``. Parts add up: ``encoder`` is every part that begins with it, ``total`` is all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from numerics.models.transformer import Transformer

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


@dataclass(frozen=True)
class Matrix:
    """One weight matrix of the model, seen through its role."""

    role: str
    """For example ``encoder.attention.v``."""
    layer: int
    """Layer within the stack, from 0."""
    parameter: str
    """Name of the parameter that holds it."""
    tensor: Tensor
    """A view, (fan_out, fan_in): writing to it writes to the model."""


def part_of(parameter: str) -> str:
    """Leaf part of a parameter, from its name.

    Examples
    --------
    >>> part_of("decoder.3.cross_attention.branch.in_proj")
    'decoder.cross_attention'
    >>> part_of("source_embedding"), part_of("decoder_norm.weight"), part_of("output")
    ('embeddings', 'decoder.norm', 'output')
    """
    if parameter.startswith(("source", "target")):
        return EMBEDDINGS
    if parameter.startswith(("encoder_norm", "decoder_norm")):
        return parameter.partition("_")[0] + ".norm"
    stack, *rest = parameter.split(".")
    return f"{stack}.{rest[1]}" if rest else stack


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
