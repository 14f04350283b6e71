"""Forward pass of a stack whose layers read weighted sums of all layers below (DLCL).

Wang et al. (ACL 2019) write y_0 for the embedded input and y_k for the output of layer k. W is a
lower triangular matrix whose rows are averages at initialisation. Layer l + 1 reads

    Pre-LN    Σ_k W_k LN(y_k)          Post-LN    LN(Σ_k W_k y_k),

and the stack's output is one more such sum. Streams of different layers are not independent. Each
stream is a sum of independent *sources*, the input and every block's branch, with one factor per
token. This holds because paths outside blocks contain only sums and layer norms, and a layer norm
multiplies a token by 1/√K_ii. ``history_cotangents.py`` has the backward pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from theory.derivations.number import Number
from theory.mean_field.norm_moments import StreamMoments
from theory.mean_field.residual_block import BlockKind, MeanFieldBlock, NetworkSetting, NormPlace
from theory.mean_field.signal_propagation import Passed, forward
from theory.moments.token_gram import Gram, diagonal, entrywise, square_root


class HistoryWiring(StrEnum):
    """Position of the history's layer norms; the values are the wirings' names."""

    PRE = "dlcl-pre"
    POST = "dlcl-post"


TokenFactors = tuple[Number, ...]
"""One factor per token."""
Mix = Mapping[int, TokenFactors]
"""A stream or a cotangent as a sum of independent sources: source → its factors."""


@dataclass(frozen=True)
class Summed:
    """An operation: the mean of the streams at earlier places."""

    places: tuple[int, ...]
    """The places that are averaged."""


@dataclass(frozen=True)
class Normed:
    """An operation: a layer norm on the stream at one earlier place."""

    place: int
    """The place that is normalised."""
    stream: StreamMoments
    """Second moments of the stream that enters."""
    part: str
    """The part to which the energy of its parameters is added."""


@dataclass(frozen=True)
class Branched:
    """An operation: a residual block, with Post-LN's layer norm if it has one."""

    place: int
    """The place that the block reads."""
    passed: Passed
    """The block's own forward pass."""


Operation = Summed | Normed | Branched


@dataclass(frozen=True)
class HistoryTape:
    """The recorded forward pass through a stack.

    Place 0 is the input. Place p is the result of operation p − 1.
    """

    operations: tuple[Operation, ...]
    """The operations, in order."""
    mixes: tuple[Mix, ...]
    """For each place, the stream as a sum of independent sources."""
    sources: tuple[Gram, ...]
    """Grams of the sources; source 0 is the input."""
    output: StreamMoments
    """Second moments of the stack's output."""

    def product(self, one: int, other: int) -> Gram:
        """Inner products of the tokens of two places: E x_i·y_j/d."""
        first, second = self.mixes[one], self.mixes[other]
        shared = {s: (c, second[s]) for s, c in first.items() if s in second}
        size = range(len(self.sources[0]))
        return tuple(
            tuple(
                sum(c[i] * e[j] * self.sources[s][i][j] for s, (c, e) in shared.items())
                for j in size
            )
            for i in size
        )


def run_history(
    gram: Gram,
    blocks: Sequence[MeanFieldBlock],
    history: HistoryWiring,
    stack: str,
    memory: StreamMoments | None,
    setting: NetworkSetting,
) -> HistoryTape:
    """Carry second moments forward through a stack; the last block of a layer is its MLP.

    Examples
    --------
    >>> from theory.mean_field.attention_moments import Fluctuations
    >>> from theory.moments.softmax_moments import uniform
    >>> setting = NetworkSetting(64, 128, lambda n, *_: uniform(n), Fluctuations())
    >>> variances = {"w1": 2 / 192, "w2": 2 / 192}
    >>> mlp = MeanFieldBlock("decoder.mlp", BlockKind.MLP, variances, NormPlace.PRE)
    >>> tape = run_history(((4.0,),), (mlp,), HistoryWiring.PRE, "decoder", None, setting)
    >>> [type(one).__name__ for one in tape.operations]
    ['Normed', 'Summed', 'Branched', 'Normed', 'Summed', 'Normed']
    >>> tape.output.gram
    ((1.0,),)
    """
    forwards = _Forwards([], [gram], [{0: (1,) * len(gram)}], setting)
    own = f"{stack}.history"
    shares: list[int] = []
    place = 0
    for layer in (*_layers(blocks), ()):
        if history is HistoryWiring.PRE:
            shares.append(forwards.norm(place, own))
            place = forwards.sum(shares)
        else:
            shares.append(place)
            place = forwards.norm(forwards.sum(shares), own)
        for block in layer:
            place = forwards.branch(place, block, memory)
    if history is HistoryWiring.PRE:
        place = forwards.norm(place, f"{stack}.norm")
    return HistoryTape(
        tuple(forwards.operations),
        tuple(forwards.mixes),
        tuple(forwards.sources),
        forwards.stream(place),
    )


def _normalises(operation: Operation) -> bool:
    """Tell whether the result of an operation is normalised."""
    if isinstance(operation, Branched):
        return operation.passed.block.norm is NormPlace.POST
    return isinstance(operation, Normed)


def _layers(blocks: Sequence[MeanFieldBlock]) -> list[tuple[MeanFieldBlock, ...]]:
    layers: list[tuple[MeanFieldBlock, ...]] = []
    start = 0
    for end, block in enumerate(blocks, 1):
        if block.kind is BlockKind.MLP:
            layers.append(tuple(blocks[start:end]))
            start = end
    return layers


def mixed_gram(mix: Mix, sources: Sequence[Gram]) -> Gram:
    """Gram of a sum of independent sources, Σ_s c_si c_sj G_s,ij with G_s that of source s."""
    size = len(sources[0])
    return tuple(
        tuple(sum(c[i] * c[j] * sources[s][i][j] for s, c in mix.items()) for j in range(size))
        for i in range(size)
    )


def _over_lengths(mix: Mix, gram: Gram) -> Mix:
    """Divide every token by its length √K_ii, as a layer norm does."""
    roots = [square_root(own) for own in diagonal(gram)]
    return {
        source: tuple(c / root for c, root in zip(own, roots, strict=True))
        for source, own in mix.items()
    }


@dataclass(frozen=True)
class _Forwards:
    """The forward pass while it is being recorded."""

    operations: list[Operation]
    sources: list[Gram]
    mixes: list[Mix]
    setting: NetworkSetting

    def stream(self, place: int) -> StreamMoments:
        """Second moments at a place, with the spread of a sum of independent sources.

        A pair of sources adds 4/d and a branch alone 2/d to the relative variance of the length².
        """
        mix, epsilon = self.mixes[place], self.setting.fluctuations
        gram = mixed_gram(mix, self.sources)
        if place and _normalises(self.operations[place - 1]):
            return StreamMoments(gram, (0,) * len(gram), 0)
        spread = []
        for i, whole in enumerate(diagonal(gram)):
            parts = [c[i] ** 2 * self.sources[s][i][i] for s, c in mix.items()]
            pairs = sum(parts) ** 2 - sum(part**2 for part in parts)
            spread.append(2 * epsilon.width * (pairs + sum(p**2 for p in parts[1:])) / whole**2)
        if place == 0:
            return StreamMoments(gram, (2 * epsilon.width,) * len(gram), epsilon.width)
        return StreamMoments(gram, tuple(spread), 0)

    def _append(self, operation: Operation, mix: Mix) -> int:
        self.operations.append(operation)
        self.mixes.append(mix)
        return len(self.mixes) - 1

    def sum(self, places: Sequence[int]) -> int:
        """Record the mean of several places; return its place."""
        weight, mix = 1 / len(places), {}
        for place in places:
            for source, factors in self.mixes[place].items():
                before = mix.get(source, (0,) * len(factors))
                mix[source] = tuple(b + weight * f for b, f in zip(before, factors, strict=True))
        return self._append(Summed(tuple(places)), mix)

    def norm(self, place: int, part: str) -> int:
        """Record a layer norm, behind which every token has second moment 1; return its place."""
        stream = self.stream(place)
        mix = _over_lengths(self.mixes[place], stream.gram)
        return self._append(Normed(place, stream, part), mix)

    def branch(self, place: int, block: MeanFieldBlock, memory: StreamMoments | None) -> int:
        """Record a block, whose branch is a new source; return its place."""
        alone = replace(block, shortcut=0) if block.norm is NormPlace.PRE else block
        passed = forward(alone, self.stream(place), memory, self.setting)
        self.sources.append(entrywise(lambda entry: block.branch**2 * entry, passed.output_gram))
        size = len(passed.output_gram)
        mix = dict(self.mixes[place]) | {len(self.sources) - 1: (1,) * size}
        if block.norm is NormPlace.POST:
            mix = _over_lengths(mix, mixed_gram(mix, self.sources))
        return self._append(Branched(place, passed), mix)
