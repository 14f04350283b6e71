"""How verdicts are shown: nothing cut, nothing broken inside a word, nothing read as markup."""

import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from numerics.cli.explain import page
from numerics.report import verdicts as shown
from numerics.stores.files import jsonable
from numerics.verify import as_document, from_document
from theory.claims import Context, Control, Evidence, Kind, Outcome, Verdict, verdict
from theory.errors import InputError
from theory.ledger import LEDGER

GOOD = Evidence(
    "tfixup.eq1",
    Kind.MEASUREMENT,
    True,
    "‖J‖ is as stated [bold] to 2e-15",
    Control("√d/‖x‖ in its place", True),
    value=0.01,
    expected=0.0,
    tolerance=0.05,
    interval=(-0.01, 0.03),
    scope="d = 3…256",
)


@pytest.fixture(scope="module")
def every() -> tuple[Verdict, ...]:
    """One verdict per claim, each outcome among them."""
    outcomes = list(Outcome)
    return tuple(
        Verdict(
            claim,
            outcomes[i % len(outcomes)],
            "a qualification that is long enough to need more than one line on a narrow terminal",
            (replace(GOOD, claim=claim.id, passed=(True, False, None)[i % 3]),),
        )
        for i, claim in enumerate(LEDGER)
    )


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_fit_and_no_word_is_broken(every, width):
    words = {word for item in every for word in item.claim.statement.split()}
    lines = [
        *shown.summary(every, 1.0, width),
        *shown.every_row(every, width),
        *(line for item in every for line in page(item, width)),
    ]
    too_long = [line for line, _ in lines if len(line) > width and " " in line.strip()]
    assert too_long == []
    written = {word for line, _ in lines for word in line.split()}
    assert {word.rstrip(")") for word in words} <= {word.rstrip(")") for word in written}


def test_every_claim_is_in_the_table_and_each_failure_in_the_summary(every):
    table = "\n".join(line for line, _ in shown.every_row(every, 80))
    assert all(item.claim.id in table for item in every)
    summary = "\n".join(line for line, _ in shown.summary(every, 1.0, 80))
    fallen = [item.claim.id for item in every if item.outcome is Outcome.FAILS]
    assert fallen
    assert all(f"{name}: fails" in summary for name in fallen)


def test_brackets_are_text_and_a_pipe_has_no_colours():
    written = io.StringIO()
    shown.show(Console(file=written, width=60), shown.hanging("", shown.check(GOOD), 60))
    assert "[bold]" in written.getvalue()
    assert "\x1b" not in written.getvalue()


def test_csv_and_markdown_have_one_row_per_claim(every):
    rows = list(csv.DictReader(io.StringIO(shown.as_csv(every))))
    assert [row["id"] for row in rows] == [item.claim.id for item in every]
    lines = shown.markdown(every).splitlines()
    assert len(lines) == len(every) + 2
    assert all(line.count(" | ") == 2 for line in lines[2:] if "\\|" not in line)


def test_the_readmes_verdicts_are_rows_of_the_ledger():
    assert set(shown.WHAT_MATTERS) <= {claim.id for claim in LEDGER}
    assert len(shown.WHAT_MATTERS) == 8


def test_a_control_that_was_not_rejected_is_shown():
    bad = replace(GOOD, control=Control("nothing", False))
    found = verdict(LEDGER[0], [bad])
    assert any("NOT SO" in line for line, _ in shown.summary([found], 1.0, 80))


def test_recorded_verdicts_are_computed_again_from_their_evidence(tmp_path):
    (claim,) = [claim for claim in LEDGER if claim.id == "tfixup.eq1"]
    document = as_document((verdict(claim, [GOOD]),), Context())
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps(jsonable(document)))
    _, (again,) = from_document(path)
    assert again == verdict(claim, [GOOD])
    content = json.loads(path.read_text())
    content["claims"][0]["verdict"] = "fails"
    path.write_text(json.dumps(content))
    assert from_document(path)[1][0].outcome is Outcome.HOLDS


@pytest.mark.parametrize("content", ["{}", '{"claims": 3, "level": "quick", "seed": 0}', "[]"])
def test_a_file_that_holds_no_verdicts_is_named(tmp_path, content):
    path = tmp_path / "verdicts.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"verdicts\.json must be"):
        from_document(path)
