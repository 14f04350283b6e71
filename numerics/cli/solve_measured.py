"""``tfixup solve --model … --measure``: what one step of the solved model does, over depths."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from theory.errors import InputError

if TYPE_CHECKING:
    from numerics.cli.solve_model import ModelQuery
    from numerics.own_model.check.solved_models import SolvedExponents


def run(query: ModelQuery) -> int:
    """Solve the model, measure its first step at every depth, print and store the result."""
    from numerics.cli.check import numbers
    from numerics.own_model.check.solved_models import measure_solved
    from numerics.statistics.exponents import LEAST_DEPTHS
    from numerics.structure.user_factory import load_factory

    assert query.measure is not None
    depths = numbers("measure", query.measure)
    if query.layers is not None:
        raise InputError(f"--layers is not read with --measure, got {query.layers}")
    if min(depths) < 1 or len(set(depths)) < LEAST_DEPTHS:
        raise InputError(
            f"--measure needs at least {LEAST_DEPTHS} depths of at least 1, got {query.measure}"
        )
    if query.out is not None:
        query.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    found = measure_solved(
        load_factory(query.model),
        query.optimizer,
        depths,
        seeds=query.seeds,
        base_layers=query.base_layers,
        complete=query.complete,
    )
    document = as_document(query, found)
    if query.out is not None:
        _store(query, document, time.perf_counter() - start)
    if query.json:
        print(json.dumps(document, indent=1, ensure_ascii=False))
    else:
        print_measured(query, found)
    return 0


def as_document(query: ModelQuery, found: SolvedExponents) -> dict[str, object]:
    """Every measurement, every exponent, and what each group does with the depth."""
    from numerics.statistics.exponents import Exponent

    groups = {}
    for group, fit in found.exponents.items():
        common = found.common[group]
        groups[group] = {
            "covered": group == "total" or group in found.covered,
            "verdict": found.word(group),
            "exponent": fit.value if isinstance(fit, Exponent) else None,
            "interval": fit.interval if isinstance(fit, Exponent) else None,
            "common": None if common is None else asdict(common) | {"exponent": common.exponent},
        }
    return {
        "model": query.model,
        "optimizer": query.optimizer,
        "base_layers": query.base_layers,
        "complete": query.complete,
        "function": found.function,
        "groups": groups,
        "rows": [asdict(row) for row in found.rows],
    }


def _store(query: ModelQuery, document: dict[str, object], seconds: float) -> None:
    from numerics.stores.provenance import command_line, provenance
    from numerics.stores.seals import write_sealed

    assert query.out is not None
    made = provenance(
        command=command_line(),
        config={**asdict(query), "out": str(query.out)},
        seed=0,
        device="cpu",
        dtype="float64",
        seconds=seconds,
    )
    write_sealed(query.out / "solved.json", {**document, "provenance": made})


def print_measured(query: ModelQuery, found: SolvedExponents) -> None:
    """A row per group; then, in words, what is not flat and why."""
    from numerics.report.tables import Column, output_console, print_table, say

    console = output_console()
    depths = sorted({row.layers for row in found.rows})
    say(
        console,
        "",
        f"{query.model} solved for {query.optimizer}, N = {depths[0]} to {depths[-1]}, "
        f"{query.seeds} seeds, rates × 1 at N = {query.base_layers}. f is {found.function}.",
    )
    columns = (
        Column("weights"),
        Column("power"),
        Column("95 %"),
        Column("verdict", prose=True),
        Column("power at the deepest"),
    )
    rows = [_row(found, group) for group in found.exponents]
    print_table(console, "power of N in ‖Δf‖/η of one step", columns, rows)
    for line in sentences(found, depths[-1]):
        say(console, "", line)


def _row(found: SolvedExponents, group: str) -> tuple[str, ...]:
    from numerics.statistics.exponents import NoExponent

    fit, common = found.exponents[group], found.common[group]
    name = group if group == "total" or group in found.covered else f"{group} (not covered)"
    if isinstance(fit, NoExponent):
        return name, "", "", fit.reason, ""
    settling = common is not None and found.word(group) == "levels off"
    local = f"{common.exponent:+.3f}" if settling and common is not None else ""
    low, high = fit.interval
    return name, f"{fit.value:+.3f}", f"{low:+.3f} to {high:+.3f}", found.word(group), local


def sentences(found: SolvedExponents, deepest: int) -> list[str]:
    """What is not flat, in words."""
    from numerics.own_model.check.solved_models import GROUP_MARGIN, TOTAL_MARGIN

    said = [f"Flat is a power within ±{TOTAL_MARGIN} (total) or ±{GROUP_MARGIN} (by role) of 0."]
    words = {group: found.word(group) for group in found.exponents}
    settling = [group for group, word in words.items() if word == "levels off"]
    if settling:
        shares = "; ".join(
            f"{group} {common.start:.0%} and {common.share:.0%}"
            for group in settling
            if (common := found.common[group]) is not None
        )
        least = min(row.layers for row in found.rows)
        said.append(
            f"Levels off: {', '.join(settling)}. In ‖Δf‖² = a² + b²/N the conditions cover a, what "
            "all blocks do alike, and not b, what each does by its own draw. Share of a² in ‖Δf‖² "
            f"at N = {least} and {deepest}: {shares}."
        )
    if rest := [g for g, word in words.items() if word in ("grows", "shrinks", "undecided")]:
        said.append(f"Neither flat nor seen to level off: {', '.join(rest)}.")
    if silent := [g for g, word in words.items() if word.startswith("not positive")]:
        said.append(f"Without effect on f: {', '.join(silent)}.")
    return said
