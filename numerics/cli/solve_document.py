"""The answer of ``tfixup solve`` as data: scales, conditions, shares, and what was assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy as sp

    from numerics.cli.solve_query import SolveQuery
    from theory.scales.architecture import StackLayout
    from theory.scales.presets import Preset
    from theory.scales.solver import Solution

_STACKS = {"e": "encoder", "d": "decoder"}
_INPUTS = {"x": "source embeddings", "y": "target embeddings", "m": "the memory"}


def number(value: sp.Expr) -> float | None:
    """A number as a float; ``None`` for a formula."""
    return float(value) if value.is_number else None


def sp_text(value: sp.Expr) -> str:
    """A formula as text."""
    import sympy as sp

    return sp.sstr(value)


def _law(scale: sp.Expr, free: tuple[sp.Symbol, ...]) -> dict[str, object]:
    """Constant and power of the leading term in one depth, and whether it is the whole scale."""
    from theory.derivations.orders import order
    from theory.errors import InputError
    from theory.scales.solver import depth_law

    if len(scale.free_symbols) != 1 or scale in free:
        return {}
    (depth,) = scale.free_symbols
    exact = True
    try:
        constant, power = depth_law(scale, depth)
    except InputError:
        try:
            leading = order(scale, depth)
        except InputError:
            return {}
        constant, power, exact = leading.coefficient, leading.power, False
    if not constant.is_number:
        return {}
    return {
        "depth": str(depth),
        "constant": float(constant),
        "power": str(power),
        "exact": exact,
    }


def _of_the_gate(query: SolveQuery) -> tuple[str, ...]:
    """What the conditions of a gated MLP take for granted; today's models have both otherwise."""
    if query.mlp in (None, "mlp"):
        return ()
    return (
        "the gate's activation counts as linear, which SiLU and GELU are not",
        "no norm stands before a block",
    )


def solution_document(
    query: SolveQuery,
    preset: Preset | None,
    depths: tuple[sp.Expr, ...],
    solved: Solution,
    general: Solution,
    leading: Solution | None,
) -> dict[str, object]:
    """Everything that is printed; ``leading`` has the laws where there is no formula."""
    import sympy as sp

    shown = (
        preset.names
        if preset is not None
        else {slot: _meaning(slot, solved) for slot in _representatives(solved)}
    )
    keys = {"v_e": "encoder", "v_d": "decoder", "x": "source", "y": "target"}
    as_published = preset is not None and preset.rule == solved.rule.name
    scales = {}
    for slot, meaning in shown.items():
        entry: dict[str, object] = {
            "symbol": str(slot),
            "meaning": meaning,
            "value": number(solved[slot]),
            "formula": sp.sstr(general[slot]),
        } | _law(general[slot], general.free)
        if leading is not None and depths[0] == depths[1] and "power" not in entry:
            entry |= _law(leading[slot], leading.free) | {"exact": False}
        if preset is not None and as_published and slot in preset.published:
            printed = preset.published[slot](*depths)
            if printed is not None:
                entry["published"] = number(printed) or sp.sstr(printed)
        scales[meaning if preset is not None else keys.get(str(slot), str(slot))] = entry
    document: dict[str, object] = {
        "architecture": solved.architecture.name,
        "preset": query.preset,
        **_layers(solved.architecture, depths),
        "optimizer": solved.rule.name,
        "rule": solved.rule.meaning,
        "scales": scales,
        "free": [str(symbol) for symbol in solved.free],
        "conditions": {
            condition.name: {
                "left_side": sp.sstr(condition.left_side),
                "value": number(value) if value.is_number else sp.sstr(value),
                "asked": "1" if condition.exact else "Θ(1)",
                "order": _order(general, condition.name),
            }
            for condition, value in solved.conditions
        },
        "shares": _shares(solved, general if leading is None else leading),
        "assumed": [*solved.assumed, *_of_the_gate(query)],
    }
    if preset is not None and not as_published:
        document["unpublished"] = (
            f"the published numbers are for {preset.rule} and are not shown beside those for "
            f"{solved.rule.name}"
        )
    if not query.preset:
        document["learning_rate"] = _learning_rate(solved)
    return document


def _meaning(slot: sp.Symbol, solved: Solution) -> str:
    """Which tensors a norm stands for: those of the norms tied to it as well."""
    name = str(slot)
    if name in _INPUTS:
        return _INPUTS[name]
    letter, _, stack = name.partition("_")
    if stack not in _STACKS:
        return f"the memory {name}" if letter.startswith("m") else name
    tied = {str(tie.symbol) for tie in solved.architecture.ties if tie.value == slot}
    parts = {
        "v": "attention v, first MLP matrix",
        "w": "attention output, second MLP matrix",
        "g": "gate of the MLP",
    }
    if letter == "v" and f"w_{stack}" in tied:
        gated = f"g_{stack}" in tied
        matrices = "all three MLP matrices, the gate among them" if gated else "both MLP matrices"
        return f"{_STACKS[stack]}: attention v and output, {matrices}"
    return f"{_STACKS[stack]}: {parts.get(letter, name)}"


def _shares(solved: Solution, general: Solution) -> list[dict[str, object]]:
    """Every block's share of its stack's update, with the leading law of the depth."""
    import sympy as sp

    from theory.scales.shares import shares

    found = []
    for own, formula in zip(shares(solved), shares(general), strict=True):
        # Where neither a formula nor a law was found, `general` is the solution at these numbers.
        law = None if general is solved and formula.depths == frozenset() else formula.law
        found.append(
            {
                "stack": own.stack,
                "block": own.block,
                "value": number(own.value),
                "formula": sp.sstr(formula.value),
                "free": bool(solved.free),
                "power": None if law is None else str(law[1]),
                "constant": None if law is None else number(law[0]),
            }
        )
    return found


def mark_leading(document: dict[str, object], depth: str) -> None:
    """Say that scales and conditions are those of the leading order alone."""
    scales, conditions = document["scales"], document["conditions"]
    assert isinstance(scales, dict)
    assert isinstance(conditions, dict)
    for entry in scales.values():
        entry |= {"formula": "", "exact": False}
    for condition in conditions.values():
        if condition["asked"] == "1":
            condition["value"] = f"1 in the limit {depth} → ∞"
    shares = document["shares"]
    assert isinstance(shares, list)
    for share in shares:
        share["formula"] = ""
    document["leading"] = f"no closed form in {depth}: leading laws as {depth} → ∞"


def _layers(architecture: StackLayout, depths: tuple[sp.Expr, ...]) -> dict[str, str]:
    """Depths of the stacks that the architecture has."""
    names = {"encoder-only": ("encoder",), "decoder-only": ("decoder",)}
    wanted = names.get(architecture.name, ("encoder", "decoder"))
    both = zip(("encoder", "decoder"), depths, strict=True)
    return {f"{name}_layers": str(depth) for name, depth in both if name in wanted}


def _representatives(solved: Solution) -> list[sp.Symbol]:
    """Slots that are shown: those no tie defines, and the target input."""
    tied = {tie.symbol for tie in solved.architecture.ties}
    return [slot for slot in solved.scales if slot not in tied or str(slot) in ("x", "y")]


def _order(general: Solution, name: str) -> str:
    """Power of the depth of a condition's left side, all depths alike."""
    import sympy as sp

    from theory.derivations.orders import order
    from theory.errors import InputError

    value = general.left_side(name)
    if value.has(*general.free) if general.free else False:
        return "free"
    depth = sp.Symbol("N", positive=True)
    tied = value.xreplace(dict.fromkeys(value.free_symbols, depth))
    try:
        power = order(tied, depth).power
    except InputError:
        return "unknown"
    return "Θ(1)" if power == 0 else f"Θ(N^({power}))"


def _learning_rate(solved: Solution) -> str:
    """The other way out under a rule that is not SGD: T-Fixup's scales and a smaller rate."""
    from theory.scales.architectures import encoder_decoder
    from theory.scales.learning_rates import change_power
    from theory.scales.solver import solve
    from theory.scales.tfixup_constants import N
    from theory.scales.update_rules import SGD

    power = change_power(solve(encoder_decoder(N, N), SGD), solved.rule)
    return (
        "T-Fixup's scales need no depth factor in the rate"
        if power == 0
        else f"with T-Fixup's scales kept, η ∝ N^({-power})"
    )
