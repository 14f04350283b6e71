"""Renders runs as one HTML page that loads nothing: style, script and drawings stand in it.

The page forbids itself everything that it does not hold, by a content security policy with the
checksum of its only script.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from numerics.report.cards import BAD, KINDS, MARKS, OPEN, TONES, Card, ReadRun
from numerics.report.changes import ReportChange, ReportChanges

FAMILIES = {
    "verify": "Claims of the papers",
    "check": "Checked models",
    "audit": "Audited models",
    "sweep": "Sweeps: scheme and optimizer",
    "train": "Training runs",
    "reproduce": "Experiments of the papers",
}
"""Titles of the parts of the summary, by the kind of run."""
TEMPLATE = Path(__file__).parent / "template"
"""Folder of the page, its style and its script."""


@dataclass(frozen=True)
class Count:
    """How many cards of a group have each verdict."""

    group: str
    by_verdict: dict[str, int]

    @property
    def total(self) -> int:
        """Cards of the group."""
        return sum(self.by_verdict.values())


@dataclass(frozen=True)
class RunFamily:
    """Runs of one command, whose verdicts are words of one kind."""

    title: str
    verdicts: dict[str, int]
    counts: list[Count]


@dataclass(frozen=True)
class Shown:
    """A card with its place on the page."""

    card: Card
    anchor: str
    changes: tuple[ReportChange, ...]


def render(runs: Sequence[ReadRun], changed: ReportChanges | None = None, *, made: str = "") -> str:
    """The page as one HTML document.

    Parameters
    ----------
    runs
        What to show, in order.
    changed
        Differences from an earlier report.
    made
        Version and date, for the last line.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = [
        [_placed(card, place, number, changed) for number, card in enumerate(run.cards)]
        for place, run in enumerate(runs)
    ]
    flat = [item for items in shown for item in items]
    script = (TEMPLATE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.jinja").render(
        runs=list(zip(runs, shown, strict=True)),
        cards=flat,
        families=families(runs),
        groups=list(dict.fromkeys(item.card.group for item in flat)),
        verdicts=verdicts([item.card for item in flat]),
        kinds=[kind for kind in KINDS if any(kind in item.card.kinds for item in flat)],
        checks=[check for item in flat for check in item.card.checks],
        fails=[item for item in flat if item.card.tone == BAD],
        unseen=[item for item in flat if item.card.tone == OPEN],
        doubtful=[item for item in flat if item.card.warning],
        anchors={id(item.card): item.anchor for item in flat},
        place=id,
        changed=changed,
        tones=TONES,
        marks=MARKS,
        style=Markup((TEMPLATE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        digest=digest,
        made=made,
    )


def families(runs: Sequence[ReadRun]) -> list[RunFamily]:
    """The parts of the summary, in the order of `FAMILIES`."""
    cards = {
        kind: [card for run in runs if run.kind == kind for card in run.cards] for kind in FAMILIES
    }
    return [
        RunFamily(FAMILIES[kind], verdicts(own), counts(own)) for kind, own in cards.items() if own
    ]


def counts(cards: Sequence[Card]) -> list[Count]:
    """Counts per group, in the order in which the groups occur."""
    groups = dict.fromkeys(card.group for card in cards)
    return [Count(group, _tally([c for c in cards if c.group == group])) for group in groups]


def verdicts(cards: Sequence[Card]) -> dict[str, int]:
    """How many cards have each verdict, the verdicts in the order of `TONES`."""
    return _tally(cards)


def _tally(cards: Sequence[Card]) -> dict[str, int]:
    found = [card.verdict for card in cards]
    known = [*TONES, *sorted(set(found) - set(TONES))]
    return {verdict: found.count(verdict) for verdict in known if verdict in found}


def _placed(card: Card, place: int, number: int, changed: ReportChanges | None) -> Shown:
    own = () if changed is None else changed.of(card)
    return Shown(card, f"card-{place}-{number}", own)
