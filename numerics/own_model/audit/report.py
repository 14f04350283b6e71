"""An audit for people, for programs and for a pull request: a table, JSON, annotations."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from numerics.own_model.audit.comparison import AuditRow
from numerics.own_model.audit.finding import pattern, plural
from numerics.own_model.audit.nearest import placement_of
from numerics.own_model.audit.record import AuditRecord
from numerics.recipes.recipe import WIRINGS


def print_audit(console: Console, found: AuditRecord, title: str = "") -> None:
    """The summary, the findings from the gravest, the table of tensors, the notes."""
    colour = "green" if found.clean else "red"
    lead = f"{escape(title)}: " if title else ""
    console.print(f"[bold]{lead}[/][{colour}]{escape(found.summary)}[/]", highlight=False)
    structure = found.structure
    if structure.depth:
        console.print(
            f"{plural(structure.depth, 'addition')} in {plural(structure.layers, 'layer')}; "
            f"{WIRINGS[placement_of(structure)]}.",
            highlight=False,
        )
    if found.nearest is not None:
        console.print(escape(found.nearest.words), highlight=False)
    if found.loss is not None:
        console.print(
            f"First loss {found.loss.loss:.4g} on random targets, ln V = "
            f"{found.loss.log_vocabulary:.4g}.",
            highlight=False,
        )
    for finding in found.findings:
        mark = "[red]✗[/]" if finding.fault else "[yellow]•[/]"
        console.print(f"{mark} {escape(finding.text)}", highlight=False)
    console.print(table(found, console.width))
    for note in found.notes:
        console.print(f"[dim]{escape(note)}[/]", highlight=False)


NAME = 23
"""Columns of a tensor's name in the table; longer ones lose their beginning."""
WHOLE = 76
"""Columns from which the table has the fan-in and the distribution too."""


def table(found: AuditRecord, width: int = WHOLE) -> Table:
    """Tensors of one name and role over all layers are one line; right constants are counted.

    Below ``WHOLE`` columns the fan-in and the distribution are left out, so that no number is cut.
    """
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    shown.add_column("", justify="right", no_wrap=True)
    shown.add_column("tensor", no_wrap=True, max_width=NAME)
    shown.add_column("role", no_wrap=True)
    whole = width >= WHOLE
    if whole:
        shown.add_column("fan-in", justify="right", no_wrap=True)
    shown.add_column("std", justify="right", no_wrap=True)
    if whole:
        shown.add_column("drawn", no_wrap=True, overflow="ellipsis", max_width=12)
    for name in ("asked", "factor"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    right: dict[str, int] = defaultdict(int)
    for (name, role, frozen), rows in _groups(found.rows).items():
        factors = [row.factor for row in rows if row.factor is not None]
        asked = [row.asked for row in rows if row.asked is not None]
        wrong = any(row.problem for row in rows)
        if asked and not factors and not wrong:
            right[f"{role} {_constants(rows)}"] += len(rows)
            continue
        unasked = "[dim]frozen[/]" if frozen else "[dim]–[/]"
        mark = unasked if not asked else "[red]✗[/]" if wrong else "[green]✓[/]"
        shown.add_row(
            str(len(rows)) if len(rows) > 1 else "",
            escape(name if len(name) <= NAME else "…" + name[-NAME + 1 :]),
            role,
            *([str(rows[0].place.view.fan_in or "")] if whole else []),
            _span(row.sample.std for row in rows),
            *([rows[0].sample.words] if whole else []),
            _span(draw.std for draw in asked) if factors else _constants(rows),
            _span(factors),
            mark,
        )
    for words, count in right.items():
        blanks = [""] * (len(shown.columns) - 3)
        shown.add_row(str(count), words, *blanks, "[green]✓[/]")
    return shown


def _groups(rows: Iterable[AuditRow]) -> dict[tuple[str, str, bool], list[AuditRow]]:
    groups: dict[tuple[str, str, bool], list[AuditRow]] = defaultdict(list)
    for row in rows:
        groups[pattern(row.place.name), row.place.role, row.place.frozen].append(row)
    return groups


def _constants(rows: Iterable[AuditRow]) -> str:
    values = {row.asked.value for row in rows if row.asked is not None}
    return f"all {values.pop():g}" if len(values) == 1 else ""


def _span(values: Iterable[float]) -> str:
    found = sorted(values)
    if not found:
        return ""
    low, high = found[0], found[-1]
    middle = found[len(found) // 2]
    return f"{middle:.3g}" if high <= 1.15 * low or low == high else f"{low:.2g}…{high:.2g}"


def document(found: AuditRecord) -> dict[str, Any]:
    """Everything as plain data: numbers that are not finite become ``None``."""
    return {
        "summary": found.summary,
        "clean": found.clean,
        "recipe": found.recipe.name if found.recipe else None,
        "given": found.given,
        "nearest": None
        if found.nearest is None
        else {
            "recipe": found.nearest.recipe.name,
            "agree": found.nearest.agree,
            "drawn": found.nearest.drawn,
            "other": found.nearest.other.name if found.nearest.other else None,
            "words": found.nearest.words,
        },
        "first_loss": found.loss.loss if found.loss else None,
        "log_vocabulary": found.loss.log_vocabulary if found.loss else None,
        "additions": found.structure.depth,
        "layers": found.structure.layers,
        "understood": found.structure.understood,
        "findings": [
            {
                "kind": finding.kind,
                "fault": finding.fault,
                "text": finding.text,
                "tensors": list(finding.tensors),
                "found": _number(finding.found),
                "wanted": _number(finding.wanted),
                "factor": _number(finding.factor),
            }
            for finding in found.findings
        ],
        "tensors": [_row(row) for row in found.rows],
        "inputs": [
            [{"name": i.name, "share": i.share, "rms": i.mean_square**0.5} for i in stream]
            for stream in found.inputs
        ],
        "notes": list(found.notes),
    }


def _row(row: AuditRow) -> dict[str, Any]:
    place, sample = row.place, row.sample
    return {
        "parameter": place.name,
        "role": place.role,
        "stack": place.stack,
        "layer": place.layer,
        "shape": list(place.shape),
        "fan_in": place.view.fan_in,
        "fan_out": place.view.fan_out,
        "entries": sample.count,
        "std": sample.std,
        "std_error": _number(sample.std * sample.error) if sample.count else None,
        "mean": sample.mean,
        "largest": sample.largest,
        "kurtosis": _number(sample.kurtosis),
        "distribution": sample.shape,
        "cut": _number(sample.cut),
        "bulk_std": sample.bulk,
        "outliers": sample.outliers,
        "asked": row.asked.words if row.asked else None,
        "asked_std": row.asked.std if row.asked else None,
        "factor": _number(row.factor),
        "tolerance": row.tolerance,
        "agrees": row.agrees,
        "problem": row.problem,
        "frozen": place.frozen,
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def annotations(found: AuditRecord) -> list[str]:
    """Workflow commands of GitHub Actions, one a finding."""
    lines = []
    for finding in found.findings:
        level = "error" if finding.fault else "warning"
        text = finding.text.replace("%", "%25").replace("\n", "%0A")
        lines.append(f"::{level} title=tfixup audit ({finding.kind})::{text}")
    return lines or [f"::notice title=tfixup audit::{found.summary}"]
