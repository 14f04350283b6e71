"""Cards of claims, from what ``tfixup verify --json`` wrote.

Each verdict is computed again from the stored evidence, by the rule as it is now. Where the
document states another verdict, its card says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from numerics.report import drawings
from numerics.report.cards import KINDS, Card, EvidenceCard, ReadRun, facts, finite, number, span
from numerics.report.recorded_pictures import RecordedPictures
from numerics.report.verdicts import PAPERS
from theory.claims import (
    Claim,
    Control,
    Evidence,
    Kind,
    Outcome,
    Reading,
    Verdict,
    verdict,
)
from theory.errors import InputError
from theory.ledger.readings import READINGS

_OPEN = (Outcome.UNDECIDED, Outcome.NOT_SEEN)
_FORMED = "{path} must be what verify --json writes: {error}"


def claims_run(document: Mapping[str, Any], path: Path, prefix: str = "run0-") -> ReadRun:
    """The run with one card per claim.

    Raises
    ------
    InputError
        If the document is damaged, or names a claim twice.
    """
    try:
        stored = [(_claim(row), row) for row in document["claims"]]
        names = [claim.id for claim, _ in stored]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the claim {twice!r} occurs twice")
        pictures = RecordedPictures(prefix)
        cards = tuple(_card(claim, row, document, pictures) for claim, row in stored)
        environment = document.get("environment", {})
        told = facts(
            [
                ("level", document["level"]),
                ("seed", document["seed"]),
                ("records", document.get("records", "")),
                *((str(name), value) for name, value in environment.items()),
            ]
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(_FORMED.format(path=path, error=said)) from None
    return ReadRun("verify", str(path), "Claims of the papers", cards, told)


def _claim(row: Mapping[str, Any]) -> Claim:
    for name in ("id", "statement", "where", "verdict"):
        if not isinstance(row[name], str):
            raise TypeError(f"{name} of a claim must be text, got {row[name]!r:.40}")
    expected = row.get("expected")
    assumptions = tuple(str(one) for one in row.get("assumptions", ()))
    forecast = None if expected is None else Outcome(expected)
    return Claim(row["id"], row["statement"], row["where"], assumptions, forecast)


def _evidence(item: Mapping[str, Any], claim: str) -> Evidence:
    known = {entry.name for entry in fields(Evidence)}
    values = {name: value for name, value in item.items() if name in known}
    # 0 equals False, and would not count as a failure.
    if not (values["passed"] is None or isinstance(values["passed"], bool)):
        raise ValueError(f"passed must be true, false or null, got {values['passed']!r:.40}")
    interval = values.get("interval")
    control = values["control"]
    return Evidence(
        **values
        | {
            "claim": claim,
            "kind": Kind(values["kind"]),
            "reading": Reading(values["reading"]),
            "control": Control(str(control["description"]), control["rejected"]),
            "interval": None if interval is None else (float(interval[0]), float(interval[1])),
            "details": dict(values.get("details") or {}),
        }
    )


def _card(
    claim: Claim,
    row: Mapping[str, Any],
    document: Mapping[str, Any],
    pictures: RecordedPictures,
) -> Card:
    found = verdict(claim, [_evidence(item, claim.id) for item in row["evidence"]])
    outcome = str(found.outcome)
    kinds = tuple(kind for kind in KINDS if any(one.kind == kind for one in found.evidence))
    warnings = []
    if not found.sound:
        warnings.append("A negative control was not rejected, so its check does not count.")
    if outcome != row["verdict"]:
        warnings.append(
            f"The document says “{row['verdict']}”; its evidence amounts to “{outcome}” by the "
            "rule of this version."
        )
    return Card(
        key=claim.id,
        title=claim.id,
        group=PAPERS.get(claim.paper, claim.paper),
        verdict=outcome,
        statement=claim.statement,
        where=claim.where,
        kinds=kinds,
        facts=facts(
            [
                *_reading(claim.id),
                *(("Assumes", one) for one in claim.assumptions),
                ("Readings tested", _readings(found)),
                ("Forecast", "" if claim.expected is None else str(claim.expected)),
            ]
        ),
        checks=tuple(_check(one, pictures) for one in found.evidence),
        commands=_commands(found, document),
        why=_why(found),
        instead="" if found.outcome in _OPEN else found.qualification,
        warning=" ".join(warnings),
    )


def _reading(claim: str) -> Iterator[tuple[str, object]]:
    """The paper's sentence, and what it is taken to say."""
    if claim not in READINGS:
        return
    reading = READINGS[claim]
    yield (
        "In the paper" if reading.quoted else "Paraphrase",
        (f"“{reading.sentence}”" if reading.quoted else reading.sentence),
    )
    yield "Stands for it", reading.quantity
    yield "Compared with", reading.baseline
    yield "Counts as true", reading.comparator
    yield "Read so because", reading.why
    yield "Left open", reading.left_open


def _readings(found: Verdict) -> str:
    """The forms of the statement that were tested, where they are several."""
    texts = (
        f"{one.reading}: {one.reading_text}" if one.reading_text else str(one.reading)
        for one in found.evidence
    )
    several = tuple(dict.fromkeys(texts))
    return "; ".join(several) if len(several) > 1 else ""


def _why(found: Verdict) -> str:
    """What decided against the statement, or what is missing."""
    if found.outcome is Outcome.UNDECIDED:
        return found.qualification
    against = [one for one in found.evidence if one.admissible and one.passed is False]
    printed = [one for one in against if one.reading is Reading.PRINTED]
    if found.outcome is Outcome.FAILS:
        # One admissible failure beside training is what the rule asks for.
        printed.sort(key=lambda one: one.kind is Kind.TRAINING and not one.neighbourhood)
    if found.outcome in (Outcome.FAILS, Outcome.NOT_SEEN) and printed:
        return f"{printed[0].kind}: {printed[0].summary}"
    return ""


def _check(one: Evidence, pictures: RecordedPictures) -> EvidenceCard:
    value, low, high = finite(one.value), None, None
    if one.interval is not None:
        low, high = finite(one.interval[0]), finite(one.interval[1])
    drawn = None
    if value is not None and low is not None and high is not None:
        drawn = drawings.interval(value, low, high, finite(one.expected), finite(one.tolerance))
    reading = f"{one.reading}: {one.reading_text}" if one.reading_text else str(one.reading)
    picture, place = pictures.of(one)
    within = "" if one.tolerance is None else f" ± {number(one.tolerance)}"
    return EvidenceCard(
        kind=str(one.kind),
        passed=one.passed,
        summary=one.summary,
        facts=facts(
            [
                ("Reading", reading),
                ("Found", one.value),
                ("95 % interval", "" if one.interval is None else span(*one.interval)),
                ("Asked", "" if one.expected is None else number(one.expected) + within),
                ("Range", one.scope),
                ("Absent over", one.neighbourhood),
                ("Source", one.source),
                ("Figure", place),
                ("Time", f"{one.seconds:.2g} s"),
            ]
        ),
        control=one.control.told,
        rejected=one.control.rejected,
        figure=drawn,
        recorded=picture,
        details=facts((str(name), value) for name, value in one.details.items()),
    )


def _commands(found: Verdict, document: Mapping[str, Any]) -> tuple[str, ...]:
    options = "" if document["level"] == "quick" else f" --level {document['level']}"
    options += f" --seed {document['seed']}" if document["seed"] else ""
    name = found.claim.id
    commands = [f"tfixup verify --claims {name}{options} --verbose"]
    if any(one.kind is Kind.DERIVATION for one in found.evidence):
        commands.append(f"tfixup derive {name}")
    for one in found.evidence:
        if one.kind is Kind.TRAINING and one.details.get("experiment"):
            commands.append(f"tfixup reproduce {one.details['experiment']}")
    return tuple(dict.fromkeys(commands))
