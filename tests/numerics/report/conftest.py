"""A document of every verdict, as ``tfixup verify --json`` writes it, with hostile text in it."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from numerics.stores.files import jsonable
from numerics.verify import as_document
from theory.claims import Context, Control, Evidence, Kind, Reading, verdict
from theory.ledger import LEDGER

HOSTILE = "<script>alert('x')</script> & <img src=x onerror=alert(1)>"
Document = dict[str, Any]


def evidence(claim: str, place: int) -> list[Evidence]:
    """Evidence that leads to one of five verdicts, by the claim's place."""
    control = Control("the sign exchanged", True)
    good = Evidence(
        claim,
        Kind.MEASUREMENT,
        True,
        f"found at {place}",
        control,
        value=0.01,
        expected=0.0,
        tolerance=0.05,
        interval=(-0.01, 0.03),
        scope="depths 6…200",
    )
    no = Evidence(claim, Kind.DERIVATION, False, f"counterexample {HOSTILE}", control)
    repair = Evidence(
        claim, Kind.PROOF, True, "proved", control, Reading.REPAIRED, f"repaired {HOSTILE}"
    )
    run = Evidence(
        claim, Kind.TRAINING, True, "seen", control, details={"experiment": "fig2", "seed": [0, 1]}
    )
    return [[good], [no, repair], [run], [], [good, run]][place % 5]


@pytest.fixture(scope="session")
def document() -> Document:
    """One row per claim of the ledger; holds, fails, reproduced, and undecided among them."""
    verdicts = tuple(verdict(row, evidence(row.id, place)) for place, row in enumerate(LEDGER))
    written = jsonable(as_document(verdicts, Context()))
    assert isinstance(written, dict)
    return written


@pytest.fixture
def changed(document) -> Callable[[Callable[[Document], object]], Document]:
    """A copy of the document to which something was done."""

    def make(change: Callable[[Document], object]) -> Document:
        copy = deepcopy(document)
        change(copy)
        return copy

    return make


@pytest.fixture
def stored(tmp_path) -> Callable[[object, str], Path]:
    """A file of JSON."""

    def store(content: object, name: str = "verify.json") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return store
