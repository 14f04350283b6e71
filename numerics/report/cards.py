"""What the page shows, as plain data: runs, their cards, and the checks on a card.

A card is one thing with a verdict: a claim of the ledger, an optimizer of a checked model, an
audited model, a pair of scheme and optimizer of a sweep, a training run, an experiment. Everything
is text here. The template escapes it, except for the figures, which are `markupsafe.Markup`.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

GOOD, QUALIFIED, OPEN, BAD = "good", "qualified", "open", "bad"
TONES: Mapping[str, str] = {
    "holds": GOOD,
    "holds-with": QUALIFIED,
    "reproduced at this scale": GOOD,
    "not seen at this scale": OPEN,
    "fails": BAD,
    "undecided": OPEN,
    "bounded": GOOD,
    "not decided": OPEN,
    "grows": BAD,
    "clean": GOOD,
    "findings": BAD,
    "flat over depth": GOOD,
    "grows with depth": QUALIFIED,
    "shrinks with depth": QUALIFIED,
    "no exponent": OPEN,
    "trained": GOOD,
    "stuck": QUALIFIED,
    "diverged": QUALIFIED,
    "reproduced": GOOD,
    "not reproduced": OPEN,
}
"""Every verdict in the order of the page, and whether it is good news.

A scheme that grows and a run that diverged are what an experiment found, and no fault.
"""
MARKS: Mapping[str, str] = {GOOD: "✓", QUALIFIED: "◐", OPEN: "?", BAD: "✗"}
KINDS = ("derivation", "proof", "measurement", "training")


@dataclass(frozen=True)
class Fact:
    """A labelled line."""

    label: str
    text: str


@dataclass(frozen=True)
class TextTable:
    """Rows of text under a caption."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: int = 0
    """How many of the last columns hold numbers, which stand to the right."""


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption."""

    caption: str
    drawing: Markup


@dataclass(frozen=True)
class EvidenceCard:
    """One piece of evidence."""

    kind: str
    passed: bool | None
    summary: str
    facts: tuple[Fact, ...]
    control: str
    rejected: bool
    figure: Markup | None = None
    """The value with its interval over what is asked."""
    recorded: Figure | None = None
    """The figure of the recorded runs that the check reads."""
    details: tuple[Fact, ...] = ()

    @property
    def word(self) -> str:
        """The outcome in a word."""
        return {True: "passed", False: "failed", None: "undecided"}[self.passed]

    @property
    def tone(self) -> str:
        """The outcome's tone."""
        return {True: GOOD, False: BAD, None: OPEN}[self.passed]


@dataclass(frozen=True)
class Card:
    """One thing with a verdict."""

    key: str
    """What tells the card from every other of its kind; it is the same in another report."""
    title: str
    group: str
    """The paper, or the kind of run."""
    verdict: str
    statement: str
    where: str = ""
    kinds: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    checks: tuple[EvidenceCard, ...] = ()
    tables: tuple[TextTable, ...] = ()
    commands: tuple[str, ...] = ()
    """The commands that repeat what the card shows."""
    why: str = ""
    """What was found that speaks against the statement; empty where the verdict is good news."""
    instead: str = ""
    """What holds instead, or under which hypothesis."""
    warning: str = ""
    """What makes the verdict doubtful, such as a control that was not rejected."""

    @property
    def tone(self) -> str:
        """The verdict's tone."""
        return TONES.get(self.verdict, OPEN)

    @property
    def sound(self) -> bool:
        """Whether every negative control was rejected."""
        return all(check.rejected for check in self.checks)


@dataclass(frozen=True)
class ReadRun:
    """Everything that was read from one path."""

    kind: str
    """verify, check, audit, sweep, train or reproduce."""
    source: str
    title: str
    cards: tuple[Card, ...]
    facts: tuple[Fact, ...] = ()
    figures: tuple[Figure, ...] = ()


def number(value: object) -> str:
    """A value as the page prints it: four digits of a number, text as it is.

    Examples
    --------
    >>> number(-0.00684), number(3), number("inf"), number(None), number(True)
    ('−0.00684', '3', 'inf', '—', 'yes')
    """
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    return str(value)


def span(low: object, high: object) -> str:
    """An interval as the page prints it, with four digits of each end.

    Examples
    --------
    >>> span(-0.01, 0.02)
    '[−0.01, 0.02]'
    """
    return f"[{number(low)}, {number(high)}]"


def plain(value: object) -> str:
    """Any JSON value in one line.

    Examples
    --------
    >>> plain([1, 2.5, "a"]), plain({"file": "A.v"}), plain({"a": [1]})
    ('1, 2.5, a', 'file: A.v', '{"a": [1]}')
    """
    if isinstance(value, list) and all(_scalar(item) for item in value):
        return ", ".join(number(item) for item in value)
    if isinstance(value, dict) and all(_scalar(item) for item in value.values()):
        return ", ".join(f"{name}: {number(item)}" for name, item in value.items())
    return number(value) if _scalar(value) else json.dumps(value, ensure_ascii=False)


def facts(pairs: Iterable[tuple[str, object]]) -> tuple[Fact, ...]:
    """Labelled lines, those without content left out.

    Examples
    --------
    >>> facts([("depth", 6), ("note", ""), ("rate", None)])
    (Fact(label='depth', text='6'),)
    """
    return tuple(Fact(name, plain(value)) for name, value in pairs if value not in ("", None, []))


def finite(value: object) -> float | None:
    """The number that a JSON value stands for, where it is a finite one.

    Examples
    --------
    >>> finite(2), finite("inf"), finite("2"), finite(None), finite(True)
    (2.0, None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _scalar(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))
