"""How many foreign models' structures are found right: additions, wiring, rows of packed tensors.

Every model is built from a small configuration, without network, and its structure is compared with
the one that its source code gives (`tests.models`). A model that must be refused is right where it
is refused. Models of a library that is not installed are counted apart.
"""

import argparse
import os
import sys
import warnings
from time import perf_counter

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from rich.console import Console
from rich.table import Table

from tests.models.expected import ForeignModel, Score
from tests.models.zoo import ZOO, installed, judge

ENOUGH = 0.95
"""The part of the models whose structure must be right."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", default="", help="part of the models' names")
    parser.add_argument("--faults", action="store_true", help="say what is wrong")
    options = parser.parse_args()
    chosen = [model for model in ZOO if options.only.lower() in model.name.lower()]
    missing = [model for model in chosen if not installed(model)]
    found: list[tuple[ForeignModel, Score, float]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in chosen:
            if model not in missing:
                start = perf_counter()
                found.append((model, judge(model), perf_counter() - start))
    console = Console(width=100)
    console.print(_table(found))
    if options.faults:
        for model, score, _ in found:
            for fault in score.faults:
                console.print(f"{model.name}: {fault}", markup=False, highlight=False)
    right = sum(_right(score) for _, score, _ in found)
    sure = sum(not _right(score) and not score.refused for _, score, _ in found)
    console.print(
        f"{right} of {len(found)} right, {len(found) - right - sure} refused though not asked for, "
        f"{sure} wrong and given as sure; {len(missing)} not installed"
    )
    return 0 if right >= ENOUGH * len(found) and not sure else 1


def _right(score: Score) -> bool:
    return score.additions and score.wiring and score.rows


def _table(found: list[tuple[ForeignModel, Score, float]]) -> Table:
    table = Table("model", "additions", "wiring", "packed rows", "asked for", "s")
    for model, score, seconds in found:
        table.add_row(
            model.name,
            *(_word(part, score) for part in (score.additions, score.wiring, score.rows)),
            str(len(model.kinds)) if model.kinds else "a refusal",
            f"{seconds:.2f}",
        )
    return table


def _word(right: bool, score: Score) -> str:
    return "right" if right else "refused" if score.refused else "wrong"


if __name__ == "__main__":
    sys.exit(main())
