"""``tfixup solve``: the scales that a stack's conditions prescribe, as formulas and numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy as sp

    from theory.scales.architectures import Architecture
    from theory.scales.presets import Preset
    from theory.scales.solver import Solution
    from theory.scales.update_rules import UpdateRule

_STACKS = {"e": "encoder", "d": "decoder"}
_INPUTS = {"x": "source embeddings", "y": "target embeddings", "m": "the memory"}
_READINGS = {"decoder": "the paper", "encoder": "the official code"}
"""Who sets the encoder's input norm by the depth of that stack."""


@dataclass(frozen=True)
class Solve:
    """Solve an architecture's conditions for its scales.

    Each scale multiplies Xavier (matrices) or an input of RMS 1 per coordinate (embeddings).
    Depths are numbers, or symbols such as N for a formula.
    """

    layers: str | None = None
    """Layers of every stack, unless a stack's own are given."""
    encoder_layers: str | None = None
    """N_e; 6 unless given."""
    decoder_layers: str | None = None
    """N_d; 6 unless given."""
    architecture: str | None = None
    """encoder-decoder (unless given), encoder-only or decoder-only."""
    preset: str | None = None
    """A published scheme with an architecture of its own: tfixup (the paper; also tfixup-paper),
    tfixup-code, r-fixup, deepnorm, deepnorm-single, dt-fixup, rezero."""
    optimizer: str = "sgd"
    """sgd, momentum, sign, adam (by the sign), adam-noise, lion, lars, lamb or muon."""
    input_depth: str | None = None
    """Depth that sets the encoder's input norm where the stacks are unequal: decoder (the paper;
    unless given) or encoder (the official code)."""
    mlp: str | None = None
    """mlp (unless given), or gated (three matrices)."""
    parallel: bool = False
    """One residual connection for all blocks of a layer."""
    memories: int | None = None
    """How many memories the decoder reads; 1 unless given."""
    ties: bool = True
    """Tie the norms as T-Fixup does; without, the solution is a family."""
    recipe: str | None = None
    """Hold a published recipe against the conditions: flat, gpt2, depth-mup, completep, u-mup, mup,
    tfixup, deepnorm, … (powers of N in multipliers, stds and rates by role)."""
    structure: str | None = None
    """Instead of a recipe: pre-norm, pre-norm-biased, pre-norm-gated, pre-norm-normed, post-norm,
    norm-free, encoder-decoder, …; prints every recipe that meets the conditions."""
    powers: tuple[str, ...] = ()
    """A recipe of one's own for that structure: ROLE=MULTIPLIER,STD,RATE, each a power of N."""
    axis: str = "depth"
    """What grows in a recipe: depth or width."""
    base_layers: int = 1
    """Depth at which the factors of a structure are 1."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print scales, formulas, what was assumed and the conditions' left sides."""
        if self.recipe is not None or self.structure is not None or self.powers:
            from numerics.cli.solve_options import refuse_beside_recipe
            from numerics.cli.solve_recipe import RecipeQuery, run

            refuse_beside_recipe(self)
            asked = {field.name: getattr(self, field.name) for field in fields(RecipeQuery)}
            return run(RecipeQuery(**asked))
        from numerics.cli.solve_options import depth, general_depths, refuse_unread
        from theory.errors import InputError
        from theory.scales.presets import preset_named
        from theory.scales.solver import solve
        from theory.scales.update_rules import rule_named

        rule = rule_named(self.optimizer)
        preset = None if self.preset is None else preset_named(self.preset)
        refuse_unread(self, preset)
        depths = tuple(
            depth(name, next((text for text in (own, self.layers) if text is not None), "6"))
            for name, own in (
                ("encoder layers", self.encoder_layers),
                ("decoder layers", self.decoder_layers),
            )
        )
        try:
            solved, exact = solve(self._built(preset, *depths), rule), True
        except InputError:
            leading = self._leading(preset, rule) if depths[0] == depths[1] else None
            if leading is None or depths[0].is_number:
                raise
            solved, exact = self._leading(preset, rule, depths[0]) or leading, False
        # A formula in the depth says more than its value at one: solve with symbols as well.
        general = _formulas(self._built(preset, *general_depths(depths)), solved)
        leading = self._leading(preset, rule) if general is solved else None
        document = _document(self, preset, depths, solved, general, leading)
        if not exact:
            _mark_leading(document, str(depths[0]))
        if other := self._other_reading(preset, depths, solved):
            document["other_reading"] = other
        if self.json:
            print(json.dumps(document, indent=1, ensure_ascii=False))
        else:
            _print_table(document)
        return 0

    def _built(
        self, preset: Preset | None, encoder_layers: sp.Expr, decoder_layers: sp.Expr
    ) -> Architecture:
        from theory.scales.architectures import architecture_named

        if preset is not None:
            return preset.build(encoder_layers, decoder_layers)
        return architecture_named(
            self.architecture or "encoder-decoder",
            encoder_layers,
            decoder_layers,
            input_depth=self.input_depth or "decoder",
            mlp=self.mlp or "mlp",
            parallel=self.parallel,
            memories=1 if self.memories is None else self.memories,
            ties=self.ties,
        )

    def _leading(
        self, preset: Preset | None, rule: UpdateRule, depth: sp.Expr | None = None
    ) -> Solution | None:
        """Leading laws with all depths alike; ``None`` where there are none."""
        import sympy as sp

        from theory.errors import InputError
        from theory.leading_laws import leading_solution

        alike = sp.Symbol("N", positive=True) if depth is None else depth
        assert isinstance(alike, sp.Symbol)
        try:
            return leading_solution(self._built(preset, alike, alike), rule, alike)
        except InputError:
            return None

    def _other_reading(
        self, preset: Preset | None, depths: tuple[sp.Expr, ...], solved: Solution
    ) -> dict[str, object]:
        """The encoder's scales by the other of the paper and its code, where the two differ."""
        from theory.scales.stacks import V_E, X

        presets = {"tfixup": "decoder", "tfixup-paper": "decoder", "tfixup-code": "encoder"}
        used = presets.get(self.preset or "", self.input_depth or "decoder")
        ours = preset is None or self.preset in presets
        both = solved.architecture.name == "encoder-decoder"
        if not (ours and both and self.ties) or depths[0] == depths[1]:
            return {}
        name = "encoder" if used == "decoder" else "decoder"
        query = replace(self, preset=None, input_depth=name)
        other = _solved_or_none(query._built(None, *depths), solved)
        if other is None:
            return {}
        return {
            "input_depth": name,
            "reading": _READINGS[name],
            "printed": _READINGS[used],
            "scales": {
                key: _number(other[slot]) or sp_text(other[slot])
                for key, slot in (("encoder", V_E), ("source", X))
            },
        }


def _solved_or_none(architecture: Architecture, solved: Solution) -> Solution | None:
    """The solution under the same rule; ``None`` where it has no closed form."""
    from theory.errors import InputError
    from theory.scales.solver import solve

    try:
        return solve(architecture, solved.rule)
    except InputError:
        return None


def _formulas(architecture: Architecture, solved: Solution) -> Solution:
    """The solution with symbols for the depths; where it has no closed form, the one at numbers."""
    return _solved_or_none(architecture, solved) or solved


def _number(value: sp.Expr) -> float | None:
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


def _document(
    query: Solve,
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
            "value": _number(solved[slot]),
            "formula": sp.sstr(general[slot]),
        } | _law(general[slot], general.free)
        if leading is not None and depths[0] == depths[1] and "power" not in entry:
            entry |= _law(leading[slot], leading.free) | {"exact": False}
        if preset is not None and as_published and slot in preset.published:
            printed = preset.published[slot](*depths)
            if printed is not None:
                entry["published"] = _number(printed) or sp.sstr(printed)
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
                "value": _number(value) if value.is_number else sp.sstr(value),
                "asked": "1" if condition.exact else "Θ(1)",
                "order": _order(general, condition.name),
            }
            for condition, value in solved.conditions
        },
        "shares": _shares(solved, general if leading is None else leading),
        "assumed": list(solved.assumed),
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

    from theory.shares import shares

    found = []
    for own, formula in zip(shares(solved), shares(general), strict=True):
        # Where neither a formula nor a law was found, `general` is the solution at these numbers.
        law = None if general is solved and formula.depths == frozenset() else formula.law
        found.append(
            {
                "stack": own.stack,
                "block": own.block,
                "value": _number(own.value),
                "formula": sp.sstr(formula.value),
                "free": bool(solved.free),
                "power": None if law is None else str(law[1]),
                "constant": None if law is None else _number(law[0]),
            }
        )
    return found


def _mark_leading(document: dict[str, object], depth: str) -> None:
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


def _layers(architecture: Architecture, depths: tuple[sp.Expr, ...]) -> dict[str, str]:
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


def _print_table(document: dict[str, object]) -> None:
    from numerics.cli.solve_table import print_solution

    print_solution(document)
