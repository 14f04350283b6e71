"""A network as the exponents see it: residual streams, the branches that add to them, their roles.

A *role* is a set of weights that one initialisation and one learning rate serve: the embedding, the
matrices that read a stream (``in``), those that write to it (``out``), query and key (``score``),
the gain of a norm, the bias of an output, the head. A *branch* is a product of roles with the
stream that it reads; norms inside it make everything before them a direction without a size. A
*stream* starts at an embedding and gets Θ(N) branches of each kind added. Three wirings occur:

    none      y + G(y)                       T-Fixup, R-Fixup
    pre-norm  y + G(norm y), a norm after    GPT-2, Llama; with a norm inside also Peri-LN, OLMo 2
    post-norm norm(α y + G(y))               the original Transformer, DeepNorm
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from theory.errors import InputError, nearest

KINDS = ("input", "hidden", "output", "vector", "constant")
"""Input: few to wide. Hidden: wide to wide. Output: wide to few. Vector: by entry. Constant: a
multiplier that no step moves."""
WIRINGS = ("none", "pre-norm", "post-norm")


@dataclass(frozen=True)
class RoleProduct:
    """A product of roles on what it reads, added to a stream."""

    name: str
    roles: tuple[str, ...]
    """In forward order; a role that enters twice stands twice."""
    reads: str | None
    """Name of the stream; None for a branch without input, such as a bias."""
    scores: str | None = None
    """Role of the matrices that choose what attention reads."""
    normed: int = 0
    """How many of ``roles`` precede the last norm inside the branch."""
    degree: int = 1
    """How often the branch multiplies by what it reads: 2 for a gated MLP."""
    offsets: tuple[tuple[str, str | None], ...] = ()
    """Vectors that are added, such as biases, each with the role after which it is; None for a
    vector that is added to what the branch reads. A gain on a normed stream is one such as well:
    what it multiplies has size 1."""


@dataclass(frozen=True)
class ResidualStream:
    """A residual stream and what is added to it, N times each."""

    name: str
    embedding: str
    """The role that it starts from."""
    branches: tuple[RoleProduct, ...]
    wiring: str
    shortcut: str | None = None
    """Role of the residual connection's multiplier α, post-norm only."""

    def __post_init__(self) -> None:
        if self.wiring not in WIRINGS:
            raise nearest(self.wiring, WIRINGS, "wiring")


@dataclass(frozen=True)
class StackStructure:
    """Streams in the order in which they are computed; the last one makes the output f."""

    name: str
    streams: tuple[ResidualStream, ...]
    kinds: Mapping[str, str]
    """Kind of every role."""
    head: str | None
    """Role that maps the last stream to f; None when f is the stream itself."""
    final: Mapping[str, str] = field(default_factory=dict)
    """Vectors that act on a stream behind its last block, each with the stream's name."""

    def __post_init__(self) -> None:
        for role in self.used:
            if role not in self.kinds:
                raise InputError(f"every role needs a kind, {role!r} of {self.name} has none")
        for kind in self.kinds.values():
            if kind not in KINDS:
                raise nearest(kind, KINDS, "kind of role")

    @property
    def used(self) -> tuple[str, ...]:
        """Roles that occur, in forward order."""
        found: dict[str, None] = {}
        for stream in self.streams:
            found |= dict.fromkeys(
                (stream.embedding, *([stream.shortcut] if stream.shortcut else ()))
            )
            for branch in stream.branches:
                found |= dict.fromkeys((*([branch.scores] if branch.scores else ()), *branch.roles))
                found |= dict.fromkeys(role for role, _ in branch.offsets)
        return (*found, *self.final, *([self.head] if self.head else ()))

    @property
    def trained(self) -> tuple[str, ...]:
        """Roles that a step moves."""
        return tuple(role for role in self.used if self.kinds[role] != "constant")

    def stream(self, name: str) -> ResidualStream:
        """The stream of that name."""
        return next(stream for stream in self.streams if stream.name == name)

    def readers(self, stream: ResidualStream) -> tuple[tuple[ResidualStream, RoleProduct], ...]:
        """Branches of other streams that read ``stream``, with the stream they add to."""
        return tuple(
            (other, branch)
            for other in self.streams
            for branch in other.branches
            if branch.reads == stream.name and other is not stream
        )


def _single_kinds(*constants: str) -> Mapping[str, str]:
    kinds = {
        "embedding": "input",
        "gain": "vector",
        "in": "hidden",
        "score": "hidden",
        "out": "hidden",
        "bias": "vector",
        "head": "output",
    }
    return MappingProxyType(kinds | dict.fromkeys(constants, "constant"))


def pre_norm(
    name: str = "pre-norm",
    *,
    gains: bool = True,
    biases: bool = False,
    gated: bool = False,
    normed: bool = False,
) -> StackStructure:
    """Decoder-only with a norm before each branch.

    Parameters
    ----------
    name
        Name of the structure.
    gains
        Whether the norms have a gain that is trained.
    biases
        Whether what a branch adds has a bias that is trained.
    gated
        Whether the MLP multiplies two matrices' outputs before the third.
    normed
        Whether a second norm acts on what a branch adds, as in Peri-LN.

    Examples
    --------
    >>> pre_norm(biases=True).trained
    ('embedding', 'score', 'gain', 'in', 'out', 'bias', 'head')
    """
    read = ("gain",) if gains else ()
    roles = ((*read, "in", "out"), (*read, "in", "in", "out") if gated else (*read, "in", "out"))
    if normed:
        # The norm at the output has a gain of its own; what precedes it is a direction.
        roles = tuple((*(role for role in part if role != "gain"), "gain") for part in roles)
    branches = tuple(
        RoleProduct(
            block,
            (*part, "branch"),
            "stream",
            "score" if block == "attention" else None,
            len(part) - 1 if normed else 0,
        )
        for block, part in zip(("attention", "MLP"), roles, strict=True)
    )
    added = (RoleProduct("output bias", ("bias", "branch"), None),) if biases else ()
    stream = ResidualStream("stream", "embedding", (*branches, *added), "pre-norm")
    return StackStructure(name, (stream,), _single_kinds("branch"), "head")


def post_norm(name: str = "post-norm") -> StackStructure:
    """Decoder-only with a norm after each residual connection, the shortcut multiplied by α."""
    branches = (
        RoleProduct("attention", ("in", "out"), "stream", "score"),
        RoleProduct("MLP", ("in", "out"), "stream"),
    )
    stream = ResidualStream("stream", "embedding", branches, "post-norm", "shortcut")
    return StackStructure(name, (stream,), _single_kinds("shortcut"), "head")


def norm_free(name: str = "norm-free") -> StackStructure:
    """Decoder-only without norms; f is the stream, as in the statements of T-Fixup."""
    branches = (
        RoleProduct("attention", ("in", "out", "branch"), "stream", "score"),
        RoleProduct("MLP", ("in", "out", "branch"), "stream"),
    )
    stream = ResidualStream("stream", "embedding", branches, "none")
    return StackStructure(name, (stream,), _single_kinds("branch"), None)


def encoder_decoder(name: str = "encoder-decoder", wiring: str = "none") -> StackStructure:
    """Two streams; the decoder's encoder-attention reads the encoder's last state, the memory.

    Examples
    --------
    >>> [len(stream.branches) for stream in encoder_decoder().streams]
    [2, 3]
    """

    def branch(block: str, side: str, reads: str) -> RoleProduct:
        scores = None if block == "MLP" else f"{side}.score"
        return RoleProduct(block, (f"{side}.in", f"{side}.out", f"{side}.branch"), reads, scores)

    encoder = ResidualStream(
        "encoder",
        "source",
        (branch("self-attention", "encoder", "encoder"), branch("MLP", "encoder", "encoder")),
        wiring,
    )
    decoder = ResidualStream(
        "decoder",
        "target",
        (
            branch("self-attention", "decoder", "decoder"),
            branch("encoder-attention", "decoder", "encoder"),
            branch("MLP", "decoder", "decoder"),
        ),
        wiring,
    )
    kinds = {"source": "input", "target": "input"}
    for side in ("encoder", "decoder"):
        kinds |= {f"{side}.{role}": "hidden" for role in ("in", "out", "score")}
        kinds[f"{side}.branch"] = "constant"
    return StackStructure(name, (encoder, decoder), MappingProxyType(kinds), None)


STRUCTURES: dict[str, StackStructure] = {
    item.name: item
    for item in (
        pre_norm(),
        pre_norm("pre-norm-biased", biases=True),
        pre_norm("pre-norm-plain", gains=False),
        pre_norm("pre-norm-gated", gated=True),
        pre_norm("pre-norm-normed", normed=True),
        post_norm(),
        norm_free(),
        encoder_decoder(),
        encoder_decoder("pre-norm-encoder-decoder", "pre-norm"),
    )
}
"""Structures by name."""


def structure_named(name: str) -> StackStructure:
    """Look a structure up; an unknown name is an error that offers the nearest."""
    if name not in STRUCTURES:
        raise nearest(name, STRUCTURES, "structure")
    return STRUCTURES[name]
