"""Mean-field theory of a stack whose layers read weighted sums of all layers below: DLCL.

Wang et al. (ACL 2019): with y_0 the embedded input, y_k the output of layer k and W a lower
triangular matrix whose rows are averages at initialisation, layer l + 1 reads

    Pre-LN    Σ_k W_k LN(y_k)          Post-LN    LN(Σ_k W_k y_k),

and the stack's output is one more such sum. Streams of different layers are no longer independent,
but every one is a sum of independent *sources*, the input and every block's branch, with a factor a
token: on paths without blocks only sums and layer norms lie, and a layer norm multiplies a token by
1/√K_ii. ``history_cotangents.py`` has the way back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from theory.mean_field.norm_moments import Stream
from theory.mean_field.residual_block import Block, BlockKind, Norm, Setting
from theory.mean_field.signal_propagation import Passed, forward
from theory.moments.token_gram import Gram, Number, diagonal, entrywise, square_root


class History(StrEnum):
    """Where the history has its layer norms; the values are the wirings' names."""

    PRE = "dlcl-pre"
    POST = "dlcl-post"


Factors = tuple[Number, ...]
"""A factor a token."""
Mix = Mapping[int, Factors]
"""Factors of the independent sources whose sum a stream or a cotangent is."""


@dataclass(frozen=True)
class Summed:
    """The mean of earlier places."""

    places: tuple[int, ...]


@dataclass(frozen=True)
class Normed:
    """A layer norm on one earlier place."""

    place: int
    stream: Stream
    """What enters it."""
    part: str
    """Whose energy its parameters count towards."""


@dataclass(frozen=True)
class Branched:
    """An earlier place and a block's branch on it, behind Post-LN's layer norm if it has one."""

    place: int
    passed: Passed


Operation = Summed | Normed | Branched


@dataclass(frozen=True)
class HistoryTape:
    """A stack passed: place 0 is the input, place p the outcome of operation p − 1."""

    operations: tuple[Operation, ...]
    mixes: tuple[Mix, ...]
    """By place, the stream as a sum of independent sources."""
    sources: tuple[Gram, ...]
    output: Stream

    def product(self, one: int, other: int) -> Gram:
        """E x_i·y_j/d of the streams at two places."""
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
    blocks: Sequence[Block],
    history: History,
    stack: str,
    memory: Stream | None,
    setting: Setting,
) -> HistoryTape:
    """Second moments through the stack; layers end with their MLP.

    Examples
    --------
    >>> from theory.mean_field.attention_moments import Fluctuations
    >>> from theory.moments.softmax_moments import uniform
    >>> setting = Setting(64, 128, lambda n, *_: uniform(n), Fluctuations())
    >>> mlp = Block("decoder.mlp", BlockKind.MLP, {"w1": 2 / 192, "w2": 2 / 192}, Norm.PRE)
    >>> tape = run_history(((4.0,),), (mlp,), History.PRE, "decoder", None, setting)
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
        if history is History.PRE:
            shares.append(forwards.norm(place, own))
            place = forwards.sum(shares)
        else:
            shares.append(place)
            place = forwards.norm(forwards.sum(shares), own)
        for block in layer:
            place = forwards.branch(place, block, memory)
    if history is History.PRE:
        place = forwards.norm(place, f"{stack}.norm")
    return HistoryTape(
        tuple(forwards.operations),
        tuple(forwards.mixes),
        tuple(forwards.sources),
        forwards.stream(place),
    )


def _normalises(operation: Operation) -> bool:
    """Whether an operation ends with a layer norm."""
    if isinstance(operation, Branched):
        return operation.passed.block.norm is Norm.POST
    return isinstance(operation, Normed)


def _layers(blocks: Sequence[Block]) -> list[tuple[Block, ...]]:
    layers: list[tuple[Block, ...]] = []
    start = 0
    for end, block in enumerate(blocks, 1):
        if block.kind is BlockKind.MLP:
            layers.append(tuple(blocks[start:end]))
            start = end
    return layers


def mixed_gram(mix: Mix, sources: Sequence[Gram]) -> Gram:
    """Σ_s c_si c_sj of the sources' Grams."""
    size = len(sources[0])
    return tuple(
        tuple(sum(c[i] * c[j] * sources[s][i][j] for s, c in mix.items()) for j in range(size))
        for i in range(size)
    )


def _over_lengths(mix: Mix, gram: Gram) -> Mix:
    """Every token divided by its length, √K_ii."""
    roots = [square_root(own) for own in diagonal(gram)]
    return {
        source: tuple(c / root for c, root in zip(own, roots, strict=True))
        for source, own in mix.items()
    }


@dataclass(frozen=True)
class _Forwards:
    """The forward pass as it grows."""

    operations: list[Operation]
    sources: list[Gram]
    mixes: list[Mix]
    setting: Setting

    def stream(self, place: int) -> Stream:
        """Gram and spread: independent parts have 4/d for each pair of them and their own."""
        mix, epsilon = self.mixes[place], self.setting.fluctuations
        gram = mixed_gram(mix, self.sources)
        if place and _normalises(self.operations[place - 1]):
            return Stream(gram, (0,) * len(gram), 0)
        spread = []
        for i, whole in enumerate(diagonal(gram)):
            parts = [c[i] ** 2 * self.sources[s][i][i] for s, c in mix.items()]
            pairs = sum(parts) ** 2 - sum(part**2 for part in parts)
            spread.append(2 * epsilon.width * (pairs + sum(p**2 for p in parts[1:])) / whole**2)
        if place == 0:
            return Stream(gram, (2 * epsilon.width,) * len(gram), epsilon.width)
        return Stream(gram, tuple(spread), 0)

    def _append(self, operation: Operation, mix: Mix) -> int:
        self.operations.append(operation)
        self.mixes.append(mix)
        return len(self.mixes) - 1

    def sum(self, places: Sequence[int]) -> int:
        """The mean of several places."""
        weight, mix = 1 / len(places), {}
        for place in places:
            for source, factors in self.mixes[place].items():
                before = mix.get(source, (0,) * len(factors))
                mix[source] = tuple(b + weight * f for b, f in zip(before, factors, strict=True))
        return self._append(Summed(tuple(places)), mix)

    def norm(self, place: int, part: str) -> int:
        """A layer norm: every token's second moment becomes 1."""
        stream = self.stream(place)
        mix = _over_lengths(self.mixes[place], stream.gram)
        return self._append(Normed(place, stream, part), mix)

    def branch(self, place: int, block: Block, memory: Stream | None) -> int:
        """A block: its branch is a new source, the sum with the skip path a matter of factors."""
        alone = replace(block, shortcut=0) if block.norm is Norm.PRE else block
        passed = forward(alone, self.stream(place), memory, self.setting)
        self.sources.append(entrywise(lambda entry: block.branch**2 * entry, passed.output_gram))
        size = len(passed.output_gram)
        mix = dict(self.mixes[place]) | {len(self.sources) - 1: (1,) * size}
        if block.norm is Norm.POST:
            mix = _over_lengths(mix, mixed_gram(mix, self.sources))
        return self._append(Branched(place, passed), mix)
