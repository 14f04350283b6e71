"""The ledger's types: a claim, the evidence for it, and the verdict computed from the evidence.

Every statement of a paper is a `Claim`. A *provider* is a function that yields an `Observation` per
check; the `Provider` adds the claim, the kind and the time, which makes it `Evidence`. Each
evidence says which *reading* of the statement it tested and whether that reading passed. `verdict`
is a pure function of the evidence and nothing else: no verdict is typed.

Evidence counts only when its negative control, a deliberately false variant put through the same
check, was rejected.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from html import escape
from pathlib import Path

from theory.markup import marked, table


class Kind(StrEnum):
    """How a piece of evidence was obtained."""

    DERIVATION = "derivation"
    PROOF = "proof"
    MEASUREMENT = "measurement"
    TRAINING = "training"


class Level(StrEnum):
    """When a provider runs: ``quick`` takes seconds and trains nothing."""

    QUICK = "quick"
    FULL = "full"


class Reading(StrEnum):
    """Which form of the statement a piece of evidence tested."""

    PRINTED = "as printed"
    RESTRICTED = "with an extra hypothesis"
    REPAIRED = "repaired"


class Outcome(StrEnum):
    """What the evidence amounts to."""

    HOLDS = "holds"
    HOLDS_WITH = "holds-with"
    REPRODUCED = "reproduced at this scale"
    NOT_SEEN = "not seen at this scale"
    FAILS = "fails"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Claim:
    """One statement to be checked: a row of the ledger."""

    id: str
    """For example ``tfixup.eq7``; the word before the dot names the paper."""
    statement: str
    """The statement in one line."""
    where: str
    """Equation, theorem or section."""
    assumptions: tuple[str, ...]
    """What the statement takes for granted, each testable."""
    expected: Outcome | None
    """The forecast made before any evidence, if one was; it does not enter the verdict."""

    @property
    def paper(self) -> str:
        """The part of the ledger this row belongs to."""
        return self.id.partition(".")[0]


@dataclass(frozen=True)
class Control:
    """The negative control: a false variant that the same check must reject."""

    description: str
    """What was made false."""
    rejected: bool
    """Whether the check said *no* to it. A check that could not decide has not rejected it."""

    def __post_init__(self) -> None:
        """Refuse anything but a decision: an undecided ``None`` is not a rejection."""
        if not isinstance(self.rejected, bool):
            raise TypeError(f"rejected must be True or False, got {self.rejected!r}")

    @property
    def told(self) -> str:
        """What was made false, and whether the check said so.

        Examples
        --------
        >>> Control("every sign flipped", True).told
        'every sign flipped (as required)'
        """
        found = "as required" if self.rejected else "NOT SO: this check does not count"
        return f"{self.description} ({found})"


@dataclass(frozen=True)
class Observation:
    """What one check of one reading of a claim found, as its provider yields it."""

    passed: bool | None
    """Whether the tested reading passed; ``None`` when the check could not decide."""
    summary: str
    """One line: what was found, with its numbers."""
    control: Control
    """The outcome of the negative control."""
    reading: Reading = Reading.PRINTED
    """Which form of the statement was tested."""
    reading_text: str = ""
    """The hypothesis added, or the repaired statement; empty as printed."""
    value: float | str | None = None
    """The number or expression found."""
    expected: float | str | None = None
    """What the statement says it should be."""
    tolerance: float | None = None
    """Largest deviation that passes."""
    interval: tuple[float, float] | None = None
    """95 % confidence interval of ``value``, where it is a measurement."""
    scope: str = ""
    """The range that was tried, such as depths, widths and seeds; empty for all cases."""
    neighbourhood: str = ""
    """Training only: the rates, widths, seeds and steps over all of which the effect was absent or
    reversed by interval; empty where a negative result covers less than such a neighbourhood."""
    source: str = "computed"
    """``computed`` in this run, or the recorded result it was read from."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Whatever a reader needs to repeat the check."""
    claim: str = ""
    """Identifier of the claim; empty where its provider speaks about one claim only."""


@dataclass(frozen=True)
class Evidence:
    """The outcome of one check of one reading of one claim."""

    claim: str
    """Identifier of the claim."""
    kind: Kind
    """How it was obtained."""
    passed: bool | None
    """Whether the tested reading passed; ``None`` when the check could not decide."""
    summary: str
    """One line: what was found, with its numbers."""
    control: Control
    """The outcome of the negative control."""
    reading: Reading = Reading.PRINTED
    """Which form of the statement was tested."""
    reading_text: str = ""
    """The hypothesis added, or the repaired statement; empty as printed."""
    value: float | str | None = None
    """The number or expression found."""
    expected: float | str | None = None
    """What the statement says it should be."""
    tolerance: float | None = None
    """Largest deviation that passes."""
    interval: tuple[float, float] | None = None
    """95 % confidence interval of ``value``, where it is a measurement."""
    scope: str = ""
    """The range that was tried, such as depths, widths and seeds; empty for all cases."""
    neighbourhood: str = ""
    """Training only: the rates, widths, seeds and steps over all of which the effect was absent or
    reversed by interval; empty where a negative result covers less than such a neighbourhood."""
    source: str = "computed"
    """``computed`` in this run, or the recorded result it was read from."""
    seconds: float = 0.0
    """Wall time of the check."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Whatever a reader needs to repeat the check."""

    @property
    def admissible(self) -> bool:
        """Whether the evidence counts: decided, and its control rejected."""
        return self.passed is not None and self.control.rejected


@dataclass(frozen=True)
class Verdict:
    """What the evidence on one claim amounts to."""

    claim: Claim
    outcome: Outcome
    qualification: str
    """The extra hypothesis (holds-with), the repaired statement (fails), or what is missing."""
    evidence: tuple[Evidence, ...]

    @property
    def sound(self) -> bool:
        """Whether every negative control was rejected."""
        return all(item.control.rejected for item in self.evidence)

    def _repr_html_(self) -> str:
        """The claim, the verdict, and a row per piece of evidence.

        Examples
        --------
        >>> print(verdict(Claim("p.x", "a < b", "Eq. 1", (), None), [])._repr_html_())
        <div><p><b>p.x</b> (Eq. 1): a &lt; b<br><b>undecided</b>: no evidence yet</p></div>
        """
        claim = self.claim
        more = f": {escape(self.qualification)}" if self.qualification else ""
        head = (
            f"<p><b>{escape(claim.id)}</b> ({escape(claim.where)}): {escape(claim.statement)}<br>"
            f"<b>{escape(str(self.outcome))}</b>{more}</p>"
        )
        columns, rows = ("by", "tested", "", "found", "control"), map(_cells, self.evidence)
        return f"<div>{head}{table(columns, rows) if self.evidence else ''}</div>"


def _cells(item: Evidence) -> tuple[str, ...]:
    """A row of the table that a notebook shows, in HTML."""
    passed = {True: "passed", False: "failed", None: "undecided"}[item.passed]
    tested = f"{item.reading}: {item.reading_text}" if item.reading_text else str(item.reading)
    return (
        escape(str(item.kind)),
        escape(tested),
        marked(passed, item.passed),
        escape(item.summary),
        escape(item.control.told),
    )


class _Status(StrEnum):
    """What the admissible evidence says about one reading."""

    STANDS = "stands"
    FALLS = "falls"
    UNSEEN = "unseen"
    OPEN = "open"


def verdict(claim: Claim, evidence: Iterable[Evidence]) -> Verdict:
    """Compute the verdict on a claim from the admissible part of its evidence.

    - A reading *stands* when it has admissible evidence and all of it passed. It *falls* when a
      derivation, a proof or a measurement failed, or when training failed over a stated
      neighbourhood of rates, widths, seeds and steps. It is *unseen* when only training failed and
      covered less than that.
    - The printed reading stands → ``holds``; where training alone says so, ``reproduced at this
      scale``.
    - It does not stand: a restricted reading that stands → ``holds-with``, or by training alone
      ``reproduced at this scale`` with its hypothesis named.
    - The printed reading fell → ``fails``, with the repaired statement if that one stands.
    - It is unseen, and all evidence is training → ``not seen at this scale``.
    - Anything else, a restricted reading that falls beside one that stands among them →
      ``undecided``.

    Examples
    --------
    >>> row = Claim("p.x", "x", "Eq. 1", (), Outcome.FAILS)
    >>> no = Evidence("p.x", Kind.DERIVATION, False, "counterexample", Control("drop", True))
    >>> verdict(row, [no]).outcome
    <Outcome.FAILS: 'fails'>
    >>> run = Evidence("p.x", Kind.TRAINING, False, "one rate", Control("exchanged", True))
    >>> verdict(row, [run]).outcome
    <Outcome.NOT_SEEN: 'not seen at this scale'>
    >>> verdict(row, []).outcome
    <Outcome.UNDECIDED: 'undecided'>
    """
    items = tuple(item for item in evidence if item.claim == claim.id)
    printed = _status(items, Reading.PRINTED)
    restricted = _status(items, Reading.RESTRICTED)
    if printed is _Status.STANDS and restricted in (_Status.STANDS, _Status.OPEN):
        trained = _only_training(items, Reading.PRINTED)
        return Verdict(claim, Outcome.REPRODUCED if trained else Outcome.HOLDS, "", items)
    if printed is not _Status.STANDS and restricted is _Status.STANDS:
        trained = _only_training(items, Reading.RESTRICTED)
        outcome = Outcome.REPRODUCED if trained else Outcome.HOLDS_WITH
        return Verdict(claim, outcome, _text(items, Reading.RESTRICTED), items)
    if printed is _Status.FALLS:
        stands = _status(items, Reading.REPAIRED) is _Status.STANDS
        repair = _text(items, Reading.REPAIRED) if stands else ""
        return Verdict(claim, Outcome.FAILS, repair, items)
    if printed is _Status.UNSEEN and _only_training(items, Reading.PRINTED):
        tried = (item.scope for item in _of(items, Reading.PRINTED) if item.passed is False)
        return Verdict(claim, Outcome.NOT_SEEN, "; ".join(filter(None, tried)), items)
    return Verdict(claim, Outcome.UNDECIDED, _missing(items), items)


def _of(items: tuple[Evidence, ...], reading: Reading) -> list[Evidence]:
    return [item for item in items if item.admissible and item.reading is reading]


def _only_training(items: tuple[Evidence, ...], reading: Reading) -> bool:
    return all(item.kind is Kind.TRAINING for item in _of(items, reading))


def _status(items: tuple[Evidence, ...], reading: Reading) -> _Status:
    chosen = _of(items, reading)
    failed = [item for item in chosen if item.passed is False]
    if any(item.kind is not Kind.TRAINING or item.neighbourhood for item in failed):
        return _Status.FALLS
    if failed:
        return _Status.UNSEEN
    return _Status.STANDS if chosen else _Status.OPEN


def _text(items: tuple[Evidence, ...], reading: Reading) -> str:
    texts = [item.reading_text for item in items if item.admissible and item.reading is reading]
    return "; ".join(dict.fromkeys(text for text in texts if text))


def _missing(items: tuple[Evidence, ...]) -> str:
    if not items:
        return "no evidence yet"
    if any(not item.control.rejected for item in items):
        return "a negative control was not rejected, so its check does not count"
    undecided = [item.summary for item in items if item.passed is None]
    undecided += [
        f"training did not show it at this scale: {item.summary}"
        for item in items
        if item.passed is False and item.kind is Kind.TRAINING
    ]
    return "; ".join(undecided) or "the evidence contradicts itself"


@dataclass(frozen=True)
class Context:
    """What a provider may depend on besides its own code."""

    level: Level = Level.QUICK
    """How much work to do."""
    seed: int = 0
    """Root of every random stream."""
    results: Path = Path("results")
    """Folder of recorded runs."""
    rerun: bool = False
    """Whether recorded runs are repeated instead of read."""
    device: str = "cpu"
    """Device of the measurements."""


Yielded = Iterable[Observation] | Iterable[Evidence]


@dataclass(frozen=True)
class Provider:
    """A function that produces evidence about some claims."""

    claims: tuple[str, ...]
    kind: Kind
    level: Level
    run: Callable[[Context], Yielded]
    name: str
    """Unique name, by which a worker process finds it: module and function."""

    def __call__(self, context: Context) -> tuple[Evidence, ...]:
        """Run the check; it may only speak about the claims and the kind it declared.

        An `Observation` without a claim is about the provider's only claim. Evidence without a
        time gets the wall time since the evidence before it.
        """
        items = []
        start = time.perf_counter()
        for found in self.run(context):
            item = self._evidence(found)
            items.append(replace(item, seconds=item.seconds or time.perf_counter() - start))
            start = time.perf_counter()
        strangers = {item.claim for item in items} - set(self.claims)
        assert not strangers, f"{self.name} spoke about undeclared claims {strangers}"
        assert all(item.kind is self.kind for item in items), self.name
        return tuple(items)

    def _evidence(self, found: Observation | Evidence) -> Evidence:
        if isinstance(found, Evidence):
            return found
        values = {entry.name: getattr(found, entry.name) for entry in fields(found)}
        if not found.claim:
            (values["claim"],) = self.claims
        return Evidence(kind=self.kind, **values)


def provides(
    *claims: str, kind: Kind, level: Level = Level.QUICK
) -> Callable[[Callable[[Context], Yielded]], Provider]:
    """Turn a function of the context into a `Provider` of evidence about ``claims``."""
    return lambda run: Provider(claims, kind, level, run, f"{run.__module__}.{run.__qualname__}")
