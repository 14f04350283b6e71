"""``tfixup solve --recipe``: powers of N by role, which conditions they meet and which they miss.

With ``--structure`` alone it prints the family of all recipes that meet the conditions, its
published members, and the factors for a number of layers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy as sp
    from rich.console import Console

    from theory.parametrisations.judgement import RecipeJudgement
    from theory.parametrisations.recipes import PowerRecipe
    from theory.parametrisations.step_laws import StepLaw


@dataclass(frozen=True)
class RecipeQuery:
    """The options of ``tfixup solve`` that concern recipes."""

    recipe: str | None
    structure: str | None
    powers: tuple[str, ...]
    axis: str
    optimizer: str
    layers: str | None
    base_layers: int
    json: bool


def run(query: RecipeQuery) -> int:
    """Print what a recipe meets and misses, or a structure's family."""
    from theory.parametrisations.powers import AXES
    from theory.parametrisations.step_laws import law_named

    if query.axis not in AXES:
        from theory.errors import nearest

        raise nearest(query.axis, AXES, "axis")
    law = law_named(query.optimizer)
    recipe = _recipe(query)
    document = _family(query, law) if recipe is None else _judged(recipe, law, query.axis)
    if recipe is not None and query.layers is not None:
        document |= _evaluated(recipe, query)
    if query.json:
        print(json.dumps(document, indent=1, ensure_ascii=False))
    elif recipe is None:
        _print_family(document)
    else:
        _print_judgement(document)
    return 0


def _recipe(query: RecipeQuery) -> PowerRecipe | None:
    """The named recipe, or the one that ``--powers`` describes; None when a family is asked for."""
    from theory.errors import InputError
    from theory.parametrisations.recipes import from_powers, power_recipe_named

    if query.recipe is not None:
        if query.powers or query.structure is not None:
            raise InputError(
                "--recipe has its own structure and powers: give either --recipe or --structure"
            )
        return power_recipe_named(query.recipe)
    if not query.powers:
        return None
    given = {}
    for text in query.powers:
        role, _, values = text.partition("=")
        parts = tuple(part.strip() for part in values.split(","))
        if len(parts) != 3:
            raise InputError(f"--powers takes ROLE=MULTIPLIER,STD,RATE, got {text!r}")
        given[role] = parts
    return from_powers("given", query.structure or "pre-norm", given, query.optimizer)


def _text(power: sp.Expr) -> str:
    return str(power)


def _judged(recipe: PowerRecipe, law: StepLaw, axis: str) -> dict[str, object]:
    from theory.parametrisations.judgement import judge, repaired_rates

    judgement = judge(recipe, law, axis)
    repaired = repaired_rates(recipe, law, axis)
    powers = recipe.powers(axis)
    return {
        "recipe": recipe.name,
        "structure": recipe.structure,
        "optimizer": law.name,
        "law": law.meaning,
        "axis": axis,
        "stated_for": recipe.optimizer,
        "source": recipe.source,
        "remark": recipe.remark,
        "roles": {
            role: {
                "multiplier": _text(own.multiplier),
                "std": _text(own.std),
                "rate": _text(own.rate),
                "std_by_layer": _text(own.std_by_layer),
                "multiplier_by_layer": _text(own.multiplier_by_layer),
                **({"repaired_rate": _text(repaired[role])} if role in repaired else {}),
            }
            for role, own in powers.items()
        },
        "changes": _changes(judgement),
        "total": _text(judgement.total.power),
        "logarithm": judgement.total.logarithm,
        "power_laws": judgement.regular,
        "met": [_entry(item) for item in judgement.met],
        "missed": [_entry(item) for item in judgement.missed],
    }


def _changes(judgement: RecipeJudgement) -> dict[str, dict[str, object]]:
    return {
        name: {
            "gradient": _text(judgement.gradients.get(name, _first(judgement, name))),
            "power": _text(change.power),
            "logarithm": change.logarithm,
        }
        for name, change in judgement.changes.items()
    }


def _evaluated(recipe: PowerRecipe, query: RecipeQuery) -> dict[str, object]:
    """The recipe's numbers at ``--layers`` and the width that it was tuned at."""
    from theory.parametrisations.prescriptions import evaluated

    layers = _layers(query)
    factors = evaluated(recipe, layers, 256, base_layers=query.base_layers, layer=layers)
    return {
        "at": f"layer {layers} of {layers}, width 256",
        "factors": {role: asdict(own) for role, own in factors.items()},
    }


def _layers(query: RecipeQuery) -> int:
    from theory.errors import InputError

    text = query.layers or ""
    if not text.isdigit() or int(text) == 0:
        raise InputError(f"factors need a number of layers of at least 1, got {text!r}")
    return int(text)


def _first(judgement: RecipeJudgement, name: str) -> sp.Expr:
    """The gradient of a role in the first kind of block; kinds of block need not agree in it."""
    role = name.split(" in ", maxsplit=1)[0]
    return next(
        value for key, value in judgement.gradients.items() if key.split(" in ", 1)[0] == role
    )


def _entry(item: object) -> dict[str, object]:
    from theory.parametrisations.judgement import Judged

    assert isinstance(item, Judged)
    return {
        "condition": item.condition,
        "power": _text(item.power),
        "asked": item.asked,
        "logarithm": item.logarithm,
        "meaning": item.meaning,
    }


def _family(query: RecipeQuery, law: StepLaw) -> dict[str, object]:
    from theory.parametrisations.conditions import STANDARD
    from theory.parametrisations.families import Question, solve, std
    from theory.parametrisations.structures import structure_named

    structure = structure_named(query.structure or "pre-norm")
    wide = query.axis == "width"
    # Over the depth a head and a gain keep their size; over the width the conditions fix both.
    ties = (
        ()
        if wide
        else tuple(
            (f"{role} keeps its size", std(role))
            for role in structure.trained
            if structure.kinds[role] == "output" or role == "gain"
        )
    )
    asked = Question(
        structure, law, (*STANDARD, *(("inside",) if wide else ())), axis=query.axis, ties=ties
    )
    found = solve(asked)
    document: dict[str, object] = {
        "structure": structure.name,
        "optimizer": law.name,
        "law": law.meaning,
        "axis": query.axis,
        "exponents": {str(symbol): str(value) for symbol, value in found.exponents.items()},
        "free": [str(symbol) for symbol in found.free],
        "at_most_0": [str(form) for form in found.bounds],
        "members": list(found.members),
        "assumed": [reason for reason, _ in ties],
    }
    if query.layers is not None and not wide:
        document["prescriptions"] = _prescriptions(query, law)
    return document


def _prescriptions(query: RecipeQuery, law: StepLaw) -> dict[str, object]:
    """Numbers at ``--layers``: branches as large as may be, and as CompleteP has them."""
    from theory.parametrisations.prescriptions import prescribe
    from theory.parametrisations.structures import structure_named

    structure = structure_named(query.structure or "pre-norm")
    ways = {
        "as large as a steady stream allows": {},
        "the same without multipliers": {"multipliers": False},
        "complete": {"complete": True},
    }
    found: dict[str, object] = {}
    for name, choice in ways.items():
        result = prescribe(structure, law, _layers(query), base_layers=query.base_layers, **choice)
        found[name] = {
            role: {"multiplier": own.multiplier, "std": own.std, "rate": own.rate}
            for role, own in result.factors.items()
        }
    return found


def _shown(power: object, base: str = "N") -> str:
    named = {"0": "1", "1": base, "-oo": "0", "oo": "∞"}
    return named.get(str(power), f"{base}^({power})")


def _print_judgement(document: dict[str, object]) -> None:
    from numerics.report.tables import output_console, say

    base = "N" if document["axis"] == "depth" else "n"
    console = output_console()
    _print_roles(console, document, base)
    total = _shown(document["total"], base) + (" log N" if document["logarithm"] else "")
    say(console, "", f"f moves by {total} in a step: {document['law']}")
    if document["stated_for"] != document["optimizer"]:
        say(console, "", f"the recipe is stated for {document['stated_for']}")
    if not document["power_laws"]:
        say(
            console,
            "",
            "the branches outgrow a stream without a norm: sizes are exponential in a power of N, "
            "and the powers say only where that begins",
        )
    for kind in ("met", "missed"):
        items = document[kind]
        assert isinstance(items, list)
        say(console, "", f"{kind}: {len(items)}")
        for line in _grouped(items, base):
            say(console, "  ", line, indent=4)
    factors = document.get("factors")
    for role, own in factors.items() if isinstance(factors, dict) else ():
        numbers = ", ".join(f"{side} {value:.6g}" for side, value in own.items())
        say(console, "", f"at {document['at']}, {role}: {numbers}", indent=4)
    for key in ("source", "remark"):
        if document[key]:
            say(console, f"{key}: ", str(document[key]))


def _print_roles(console: Console, document: dict[str, object], base: str) -> None:
    from numerics.report.tables import Column, print_table

    roles, changes = document["roles"], document["changes"]
    assert isinstance(roles, dict)
    assert isinstance(changes, dict)
    title = (
        f"{document['recipe']} ({document['structure']}), {document['optimizer']}, "
        f"powers of the {document['axis']} {base}"
    )
    headings = ("role", "multiplier", "std", "rate", "gradient", "moves f by", "repaired rate")
    rows = []
    for role, own in roles.items():
        mine = [(n, c) for n, c in changes.items() if n == role or n.startswith(f"{role} in ")]
        cells = (
            role,
            _shown(own["multiplier"], base) + _by_layer(own["multiplier_by_layer"]),
            _shown(own["std"], base) + _by_layer(own["std_by_layer"]),
            _shown(own["rate"], base),
            ", ".join(dict.fromkeys(_shown(change["gradient"], base) for _, change in mine)),
            ", ".join(
                _shown(change["power"], base) + (" log" if change["logarithm"] else "")
                for _, change in mine
            ),
            _shown(own["repaired_rate"], base) if "repaired_rate" in own else "",
        )
        rows.append(cells)
    print_table(console, title, [Column(heading) for heading in headings], rows)


def _grouped(items: list[dict[str, object]], base: str) -> list[str]:
    """One line for each family of conditions: its meaning once, then its powers."""
    from numerics.report.verdicts import NO_BREAK

    families: dict[str, list[str]] = {}
    for item in items:
        family, _, subject = str(item["condition"]).partition(": ")
        asked = "Θ(1)" if item["asked"] == "0" else "at most Θ(1)"
        found = _shown(item["power"], base) + (" with a logarithm" if item["logarithm"] else "")
        heading = f"{family}, asked {asked} ({item['meaning']})"
        families.setdefault(heading, []).append(f"{subject} {found}".strip().replace(" ", NO_BREAK))
    return [f"{heading}: {', '.join(powers)}" for heading, powers in families.items()]


def _by_layer(power: object) -> str:
    return "" if str(power) == "0" else f" l^({power})"


def _print_family(document: dict[str, object]) -> None:
    from numerics.report.tables import output_console, say
    from numerics.report.verdicts import NO_BREAK

    console = output_console()
    say(
        console,
        "",
        f"{document['structure']}, {document['optimizer']}, {document['axis']}: every recipe that "
        "meets the conditions",
    )
    exponents = document["exponents"]
    assert isinstance(exponents, dict)
    for name, value in exponents.items():
        say(console, "  ", f"{name} = {'free' if value == name else value}", indent=4)
    for key in ("at_most_0", "members", "assumed"):
        listed = document[key]
        assert isinstance(listed, list)
        label = "at most 0" if key == "at_most_0" else key
        say(console, f"{label}: ", ", ".join(listed) or "none")
    ways = document.get("prescriptions")
    for name, factors in ways.items() if isinstance(ways, dict) else ():
        say(console, "", f"factors, branches {name}:")
        for role, own in factors.items():
            numbers = ", ".join(
                f"{side}{NO_BREAK}×{NO_BREAK}{value:.6g}" for side, value in own.items()
            )
            say(console, f"  {role}: ", numbers)
