"""``tfixup solve --model``: standard deviations and rates by role for a model of your own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from theory.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from numerics.recipes.solved import ModelSolution

BASE_LAYERS = 2
LAYERS = 12


@dataclass(frozen=True)
class ModelQuery:
    """The options of ``tfixup solve`` that concern a model."""

    model: str
    optimizer: str
    layers: str | None
    base_layers: int
    complete: bool
    json: bool
    measure: str | None = None
    seeds: int = 2
    out: Path | None = None


def run(query: ModelQuery) -> int:
    """Trace the model at two depths, solve its conditions, and print the answer."""
    from numerics.own_model.check.solved_models import solve_factory
    from numerics.structure.user_factory import load_factory
    from theory.parametrisations.step_laws import law_named

    text = str(LAYERS) if query.layers is None else query.layers
    if not text.isdigit() or int(text) == 0:
        raise InputError(f"a model needs a number of layers of at least 1, got {text!r}")
    law_named(query.optimizer)  # refused before the factory runs
    layers, base = int(text), query.base_layers
    if query.out is not None:
        raise InputError(f"--out is read with --measure alone, got {query.out}")
    solution = solve_factory(
        load_factory(query.model),
        query.optimizer,
        layers,
        base_layers=base,
        complete=query.complete,
    )
    document = _document(query, solution, layers)
    if query.json:
        print(json.dumps(document, indent=1, ensure_ascii=False))
    else:
        _print(query, solution, layers)
    return 0


def _document(query: ModelQuery, solution: ModelSolution, layers: int) -> dict[str, object]:
    found = solution.prescription
    family = found.family
    return {
        "model": query.model,
        "optimizer": query.optimizer,
        "layers": layers,
        "base_layers": query.base_layers,
        "streams": {
            stream.name: {
                "wiring": stream.wiring,
                "branches": [branch.name for branch in stream.branches],
                "enters_with_rms": solution.inputs[stream.name],
            }
            for stream in found.structure.streams
        },
        "multipliers": dict(solution.reading.multipliers),
        "uncovered": list(solution.reading.uncovered),
        "conditions": {
            item.name: f"{item.form} {'=' if item.exact else '≤'} 0"
            for item in family.question.conditions()
        },
        "family": {str(symbol): str(value) for symbol, value in family.exponents.items()},
        "free": [str(symbol) for symbol in family.free],
        "at_most_0": [str(form) for form in family.bounds],
        "roles": {
            role: {
                "std_power": str(found.exponents[role].std),
                "rate_power": str(found.exponents[role].rate),
                "std_times_root_fan_in": solution.recipe.sizes.get(role, 1.0),
                **asdict(solution.recipe.factors[role]),
            }
            for role in found.structure.trained
        },
        "tables": dict(solution.recipe.tables),
        "notes": list(solution.notes),
        "missed": [f"{i.condition}: N^({i.power})" for i in found.judgement.missed],
        "code": _code(query, layers),
    }


def _code(query: ModelQuery, layers: int) -> list[str]:
    optimizers = {"sgd": "SGD", "adam": "Adam"}
    complete = ", complete=True" if query.complete else ""
    use = (
        ["hidden = [group for group in groups if group['hidden']]  # for torch.optim.Muon"]
        if query.optimizer.startswith("muon")
        else [f"optimizer = torch.optim.{optimizers.get(query.optimizer, 'AdamW')}(groups)"]
    )
    return [
        f"solution = tfixup.solve_model({query.model!r}, {query.optimizer!r}, {layers}, "
        f"base_layers={query.base_layers}{complete})",
        "tfixup.initialize_(model, solution.recipe, torch.Generator().manual_seed(0), batch)",
        "groups = tfixup.param_groups(model, solution.recipe, lr, batch=batch)",
        *use,
    ]


def _print(query: ModelQuery, solution: ModelSolution, layers: int) -> None:
    from numerics.report.tables import output_console, say
    from numerics.report.verdicts import NO_BREAK

    console, found = output_console(), solution.prescription
    for stream in found.structure.streams:
        branches = ", ".join(branch.name for branch in stream.branches)
        say(console, f"{stream.name}: ", f"{stream.wiring}, {branches}")
    if solution.reading.uncovered:
        say(console, "no condition speaks of: ", ", ".join(solution.reading.uncovered))
    say(console, "", "conditions (powers of N):")
    family = found.family
    for item in family.question.conditions():
        sign = "=" if item.exact else "≤"
        say(console, "  ", f"{item.name}: {item.form} {sign}{NO_BREAK}0", indent=4)
    say(console, "", "every answer:")
    for symbol, value in family.exponents.items():
        say(console, "  ", f"{symbol} = {'free' if symbol == value else value}", indent=4)
    bounds = "; ".join(str(form) for form in family.bounds)
    say(console, "  at most 0: ", bounds or "none")
    _print_roles(console, query, solution, layers)
    for note in solution.notes:
        say(console, "note: ", note)
    for line in _code(query, layers):
        console.print(line, markup=False, soft_wrap=True)


def _print_roles(console: Console, query: ModelQuery, solution: ModelSolution, layers: int) -> None:
    from numerics.report.tables import Column, print_table

    found = solution.prescription
    title = f"chosen for {query.optimizer} at N = {layers}, rates × 1 at N = {query.base_layers}"
    headings = ("role", "std", "number", "rate", "rate ×", "decay ×", "ε ×")
    rows = []
    for role in found.structure.trained:
        own, factors = found.exponents[role], solution.recipe.factors[role]
        size = f"{solution.recipe.sizes.get(role, 1.0):.4g}"
        hidden = found.structure.kinds[role] in ("hidden", "output")
        offset = any(role == v for s in found.structure.streams for b in s.branches
                     for v, _ in b.offsets if v.endswith("bias"))  # fmt: skip
        shown = f"{size}/√fan_in" if hidden else "0" if offset or role == "end.bias" else size
        shown = ", ".join(f"{v:.4g}" for v in solution.recipe.tables.values()) if (
            role == "embedding" and solution.recipe.tables
        ) else shown  # fmt: skip
        rows.append((
            role, f"N^({own.std})", shown, f"N^({own.rate})", f"{factors.rate:.4g}",
            f"{factors.weight_decay:.4g}", f"{factors.epsilon:.4g}",
        ))  # fmt: skip
    print_table(console, title, [Column(heading) for heading in headings], rows)
