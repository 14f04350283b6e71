"""Groups of parameters: the ways to split one optimizer step and to say which share does what.

A *grouping* puts every parameter into one group, by its name. `GROUPINGS` is the table of all of
them; ``part`` is the one of the standing tables (`numerics.models.roles`). The matrices of queries,
keys and values are packed in one parameter, and their biases in another: a grouping sees them as
three, under the names ``….q``, ``….k`` and ``….v`` (``….q_bias``, …).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from numerics.linearization.types import Parameters
from numerics.models.roles import EMBEDDINGS, part_of
from theory.errors import nearest

_PACKED = {
    "in_proj": ("q", "k", "v"),
    "in_bias": ("q_bias", "k_bias", "v_bias"),
    **{f"{letter}_proj": (letter,) for letter in "qkv"},  # of grouped heads
}
_MATRICES = ("q", "k", "v", "out_proj", "w1", "w2", "w3")
MATRICES, INPUTS, OWN = "matrices", "inputs", "wiring's own"
REST, OUTPUT_BIASES, INNER_BIASES = "rest", "output biases", "inner biases"


@dataclass(frozen=True)
class Piece:
    """Some rows of one parameter; all of it where ``rows`` is ``None``."""

    parameter: str
    rows: slice | None = None

    def of(self, tensor: Tensor) -> Tensor:
        """View the piece of the parameter's value, of its gradient, or of its step."""
        return tensor if self.rows is None else tensor[self.rows]


Groups = Mapping[str, Sequence[Piece]]
"""The pieces of every group. Each number of each parameter belongs to one group."""


def total(parameter: str) -> str:
    """Put all parameters into one group."""
    del parameter
    return "total"


def stack_of(parameter: str) -> str:
    """Name the stack that a parameter or an embedded input belongs to.

    Examples
    --------
    >>> stack_of("source"), stack_of("target"), stack_of("encoder.0.mlp.branch.w1")
    ('encoder', 'decoder', 'encoder')
    """
    return "encoder" if parameter.startswith(("source", "encoder")) else "decoder"


def matrix_kind(parameter: str) -> str:
    """Name a parameter's part, and what it is within a block: the same in all layers.

    Examples
    --------
    >>> matrix_kind("decoder.3.mlp.branch.w1"), matrix_kind("encoder.0.mlp.norm.bias")
    ('decoder.mlp.w1', 'encoder.mlp.norm')
    >>> matrix_kind("source"), matrix_kind("encoder.0.alpha"), matrix_kind("decoder_norm.weight")
    ('embeddings.source', 'encoder.alpha', 'decoder.norm')
    """
    part = part_of(parameter)
    if part == EMBEDDINGS:
        return f"{EMBEDDINGS}.{parameter}"
    words = [word for word in parameter.split(".")[3:] if word != "branch"]
    return f"{part}.{words[0]}" if words else part


def block_of(parameter: str) -> str:
    """Name a parameter's residual block: its part and layer, or its part where no layer owns it.

    Examples
    --------
    >>> block_of("decoder.17.mlp.branch.w1"), block_of("encoder_norm.bias"), block_of("target")
    ('decoder.mlp.17', 'encoder.norm', 'embeddings')
    """
    part, words = part_of(parameter), parameter.split(".")
    owned = len(words) > 2 and words[0] in ("encoder", "decoder") and words[1].isdigit()
    return f"{part}.{words[1]}" if owned else part


def kind_of(parameter: str) -> str:
    """Tell weight matrices, embedded inputs, and all that a wiring adds from each other.

    The last are layer norms' gains and biases, Admin's ω, ReZero's α, R-Fixup's scalars, DLCL's W.

    Examples
    --------
    >>> kind_of("encoder.0.mlp.branch.w1"), kind_of("source"), kind_of("encoder.0.mlp.norm.bias")
    ('matrices', 'inputs', "wiring's own")
    """
    if parameter in ("source", "target"):
        return INPUTS
    return MATRICES if parameter.rpartition(".")[2] in _MATRICES else OWN


def branch_kind(parameter: str) -> str:
    """Tell the matrices of attention and of MLPs from each other, and from the rest by `kind_of`.

    Examples
    --------
    >>> branch_kind("decoder.0.cross_attention.branch.out_proj"), branch_kind("target")
    ('attention', 'inputs')
    """
    if kind_of(parameter) != MATRICES:
        return kind_of(parameter)
    return "mlp" if ".mlp." in parameter else "attention"


def bias_kind(parameter: str) -> str:
    """Tell biases that are added to the stream, biases inside a branch, and the rest apart.

    Examples
    --------
    >>> bias_kind("encoder.0.mlp.branch.bias2"), bias_kind("encoder.0.attention.branch.k_bias")
    ('output biases', 'inner biases')
    """
    last = parameter.rpartition(".")[2]
    if last in ("out_bias", "bias2"):
        return OUTPUT_BIASES
    return INNER_BIASES if last in (*_PACKED["in_bias"], "bias1", "bias3") else REST


GROUPINGS: Mapping[str, Callable[[str], str]] = {
    "total": total,
    "stack": stack_of,
    "part": part_of,
    "matrix": matrix_kind,
    "layer": block_of,
    "kind": kind_of,
    "branch": branch_kind,
    "bias": bias_kind,
}
"""Groupings by name: a parameter's name ↦ its group."""


def check_grouping(grouping: str) -> None:
    """Refuse a grouping that is not in the table.

    Raises
    ------
    InputError
        Naming the nearest known grouping.
    """
    if grouping not in GROUPINGS:
        raise nearest(grouping, GROUPINGS, "grouping")


def groups_of(parameters: Parameters, grouping: str) -> Groups:
    """Split parameters into groups, in the order in which the forward pass meets them.

    Parameters
    ----------
    parameters
        By name, as `numerics.linearization.measured_function.features_of` has them.
    grouping
        A name in `GROUPINGS`.

    Raises
    ------
    InputError
        For an unknown grouping.

    Examples
    --------
    >>> import torch
    >>> packed = {"encoder.0.attention.branch.in_proj": torch.zeros(6, 2)}
    >>> found = groups_of(packed, "matrix")
    >>> list(found), found["encoder.attention.v"][0].rows
    (['encoder.attention.q', 'encoder.attention.k', 'encoder.attention.v'], slice(4, 6, None))
    >>> groups_of(packed, "layer")
    {'encoder.attention.0': (Piece(parameter='encoder.0.attention.branch.in_proj', rows=None),)}
    """
    check_grouping(grouping)
    group_of = GROUPINGS[grouping]
    found: dict[str, list[Piece]] = {}
    for name in sorted(parameters, key=_rank):
        for group, piece in _pieces(name, parameters[name], group_of):
            found.setdefault(group, []).append(piece)
    return {group: tuple(pieces) for group, pieces in found.items()}


def _rank(parameter: str) -> int:
    """Where the forward pass meets a parameter: embedded inputs, encoder, decoder."""
    part = part_of(parameter)
    return 0 if part == EMBEDDINGS else 1 if part.startswith("encoder") else 2


def _pieces(
    name: str, value: Tensor, group_of: Callable[[str], str]
) -> Sequence[tuple[str, Piece]]:
    head, dot, last = name.rpartition(".")
    groups = [group_of(head + dot + own) for own in _PACKED.get(last, (last,))]
    if len(set(groups)) == 1:
        return [(groups[0], Piece(name))]
    height = len(value) // len(groups)
    return [
        (group, Piece(name, slice(number * height, (number + 1) * height)))
        for number, group in enumerate(groups)
    ]
