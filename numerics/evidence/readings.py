"""The page of readings: what each sentence was taken to say, and the neighbourhood that was tried.

``python -m numerics.evidence.readings`` writes ``docs/readings.md`` from `theory.ledger.readings`
and from the runs that the experiments list. No part of the page is typed by hand.
"""

from collections.abc import Iterator
from pathlib import Path

from numerics.evidence.experiment_rows import ROWS
from numerics.training.config import TrainConfig
from numerics.training.experiments import EXPERIMENTS
from numerics.training.experiments.selection import RANGE, in_words
from theory.claims import Claim
from theory.ledger import LEDGER
from theory.ledger.readings import READINGS, StatementReading

PAGE = Path(__file__).parents[2] / "docs" / "readings.md"
PAPERS = {
    "tfixup": "T-Fixup (Huang et al. 2020)",
    "xiong": "Xiong et al. 2020",
    "admin": "Admin (Liu et al. 2020)",
    "radam": "RAdam (Liu et al. 2020)",
    "modern": "Today's Transformers",
    "libraries": "Libraries",
    "ours": "Questions of our own",
}
OTHERS = "Other named schemes"
OPENING = """# How the papers are read

A verdict answers a question, and the question has to be the paper's. Each row below says how a
sentence is read before anything is decided: the quantity that stands for it, what it is compared
with, when the statement counts as true, and why. What a paper leaves open is named, with the range
that was tried.

Verdicts that rest on training alone are *reproduced at this scale*, *not seen at this scale*, or
undecided. *Fails* needs the effect to be absent or reversed, by interval, over a whole
neighbourhood: at least three rates a factor 2 apart, two widths, three seeds, and steps that
outlast the plateau.

Written by `python -m numerics.evidence.readings`.
"""


def page() -> str:
    """The page, ending in one line break."""
    parts = [OPENING]
    by_paper: dict[str, list[Claim]] = {}
    for claim in LEDGER:
        if claim.id in READINGS:
            by_paper.setdefault(PAPERS.get(claim.paper, OTHERS), []).append(claim)
    for paper, claims in by_paper.items():
        parts.append(f"## {paper}\n")
        parts += ["\n".join(_entry(claim, READINGS[claim.id])) for claim in claims]
    return "\n".join(parts)


def tried(claim: str) -> str:
    """The range of the runs that speak about a claim, by experiment; empty where none does."""
    names = dict.fromkeys(row.experiment for row in ROWS if row.claim == claim)
    return "; ".join(f"`{name}`: {_range(EXPERIMENTS[name].full)}" for name in names)


def _range(configs: tuple[TrainConfig, ...]) -> str:
    return in_words({key: sorted({getattr(one, key) for one in configs}) for key in RANGE})


def _entry(claim: Claim, reading: StatementReading) -> Iterator[str]:
    said = f"“{reading.sentence}”" if reading.quoted else f"{reading.sentence} *(paraphrase)*"
    yield f"### `{claim.id}`\n"
    yield f"{claim.statement} ({claim.where}).\n"
    yield f"> {said}\n"
    for name, text in (
        ("stands for it", reading.quantity),
        ("against", reading.baseline),
        ("decided", reading.comparator),
        ("why", reading.why),
        ("left open", reading.left_open),
        ("tried", tried(claim.id)),
    ):
        if text:
            yield f"- *{name}*: {text}"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
