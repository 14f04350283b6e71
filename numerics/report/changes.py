"""What changed between an earlier report's run and the runs of this one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from numerics.report.cards import Card, ReadRun
from theory.errors import InputError


@dataclass(frozen=True)
class ReportChange:
    """One difference between two reports."""

    key: str
    what: str
    """The rest of a sentence about the card, such as ``holds before, fails now``."""
    kind: str
    """verdict, evidence, new, or gone."""
    card: Card | None
    """The card of this report; none where it is gone."""


@dataclass(frozen=True)
class ReportChanges:
    """All differences between two reports, and how much was compared."""

    source: str
    shared: int
    """Number of cards that both reports have."""
    found: tuple[ReportChange, ...]

    def of(self, card: Card) -> tuple[ReportChange, ...]:
        """The differences of one card of this report."""
        return tuple(change for change in self.found if change.card is card)


def changes(old: ReadRun, runs: Sequence[ReadRun]) -> ReportChanges:
    """Compare the runs with an earlier one of the same kind, card by card.

    Raises
    ------
    InputError
        If no run is of the earlier one's kind.
    """
    same = [run for run in runs if run.kind == old.kind]
    if not same:
        kinds = ", ".join(dict.fromkeys(run.kind for run in runs))
        raise InputError(
            f"against must be of the kind of a run in the report ({kinds}), and {old.source} is "
            f"of kind {old.kind}"
        )
    before = {card.key: card for card in old.cards}
    now = [card for run in same for card in run.cards]
    found: list[ReportChange] = []
    for card in now:
        if card.key in before:
            found += _differences(before[card.key], card)
        else:
            found.append(ReportChange(card.key, f"new: {card.verdict}", "new", card))
    there = {card.key for card in now}
    for key in before.keys() - there:
        told = f"not in this report; {before[key].verdict} before"
        found.append(ReportChange(key, told, "gone", None))
    order = ("verdict", "evidence", "new", "gone")
    found.sort(key=lambda change: (order.index(change.kind), change.key))
    return ReportChanges(old.source, len(before.keys() & there), tuple(found))


def _differences(old: Card, new: Card) -> Iterable[ReportChange]:
    if old.verdict != new.verdict:
        yield ReportChange(new.key, f"{old.verdict} before, {new.verdict} now", "verdict", new)
    told = []
    if old.statement != new.statement:
        told.append(f"the statement was “{old.statement}”")
    if old.instead != new.instead:
        what = f"“{old.instead}”" if old.instead else "nothing"
        told.append(f"what holds instead was {what}")
    added, lost = _checks(new) - _checks(old), _checks(old) - _checks(new)
    if added:
        told.append(f"new evidence: {_listed(added)}")
    if lost:
        told.append(f"evidence that is gone: {_listed(lost)}")
    if old.sound != new.sound:
        told.append(f"a control is {'rejected' if new.sound else 'not rejected'} now")
    for what in told:
        yield ReportChange(new.key, what, "evidence", new)


def _checks(card: Card) -> Counter[str]:
    """How often each kind of check had each outcome.

    A check is named by its kind and outcome, so that a number that moved within its
    interval is no change.
    """
    return Counter(f"{check.kind} {check.word}" for check in card.checks)


def _listed(checks: Counter[str]) -> str:
    """The checks by kind and outcome.

    Examples
    --------
    >>> _listed(Counter({"proof passed": 2, "derivation failed": 1}))
    'derivation failed, 2 × proof passed'
    """
    return ", ".join(
        f"{count} × {name}" if count > 1 else name for name, count in sorted(checks.items())
    )
