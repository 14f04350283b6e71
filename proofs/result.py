"""The result of a machine on one statement, the same for Coq, intervals and SMT.

A statement is *proved*, *not proved*, or could *not be checked*. The last two are kept distinct,
and neither counts as proved. Each result carries altered statements, with a constant, a sign or a
hypothesis changed. The same machine must reject them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from theory.arguments import ARGUMENTS
from theory.claims import Control, Evidence, Kind, Reading


class Machine(StrEnum):
    """The kind of proof."""

    COQ = "coq"
    INTERVAL = "interval"
    SMT = "smt"


@dataclass(frozen=True)
class Altered:
    """A statement made false on purpose, and whether it was rejected."""

    description: str
    rejected: bool


@dataclass(frozen=True)
class Result:
    """The outcome for one statement."""

    machine: Machine
    name: str
    """The theorem's name, unique within its kind."""
    statement: str
    """The statement in words."""
    proved: bool | None
    """``None`` when the statement could not be checked; ``problem`` then says why."""
    altered: tuple[Altered, ...]
    axioms: tuple[str, ...] = ()
    """Axioms on which the proof rests beyond the rules of its logic."""
    seconds: float = 0.0
    problem: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    """Further data of the check: certificates, points found, files."""

    @property
    def sound(self) -> bool:
        """Whether the statement was proved and each of its altered ones, at least one, rejected."""
        return bool(self.proved and self.altered and all(item.rejected for item in self.altered))


@dataclass(frozen=True)
class Support:
    """Statements that together speak about a claim, and their effect on it."""

    claim: str
    statements: tuple[str, ...]
    summary: str
    reading: Reading = Reading.PRINTED
    refutes: bool = False
    """Whether they show that the reading is false."""


def reading_text(claim: str, reading: Reading) -> str:
    """The hypothesis or the repair that the claim's derivations name for this reading.

    Examples
    --------
    >>> reading_text("tfixup.thm31-upper", Reading.RESTRICTED)
    '|q|, |k|, |y|, |m_i| bounded'
    """
    texts = (a.reading_text for a in ARGUMENTS if (a.claim, a.reading) == (claim, reading))
    return next((text for text in texts if text), "")


def evidence(support: Support, results: Sequence[Result]) -> Evidence:
    """Evidence for one claim; undecided unless every statement it names was proved."""
    named = {result.name: result for result in results}
    chosen = [named[name] for name in support.statements]
    missing = [item for item in chosen if not item.proved]
    altered = [item for result in chosen for item in result.altered]
    rejected = sum(item.rejected for item in altered)
    summary = support.summary
    if missing:
        summary = f"not proved: {missing[0].name}: {missing[0].problem or 'the check failed'}"
    shown = "; ".join(item.description for item in altered[:2]) or "none was reached"
    return Evidence(
        claim=support.claim,
        kind=Kind.PROOF,
        passed=None if missing else not support.refutes,
        summary=f"{chosen[0].machine}: {summary}",
        control=Control(
            f"{rejected} of {len(altered)} altered statements rejected: {shown}",
            bool(altered) and rejected == len(altered),
        ),
        reading=support.reading,
        reading_text=reading_text(support.claim, support.reading),
        value=", ".join(result.name for result in chosen),
        seconds=sum(result.seconds for result in chosen),
        details={
            "axioms": sorted({axiom for result in chosen for axiom in result.axioms}),
            **{result.name: dict(result.details) for result in chosen if result.details},
        },
    )
