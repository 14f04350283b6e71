"""``tfixup solve``: the scales that a stack's conditions prescribe, as formulas and numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy as sp

    from theory.scales.architectures import Architecture
    from theory.scales.presets import Preset
    from theory.scales.solver import Solution

_MEANING = {
    "v_e": "encoder: attention v and output, both MLP matrices",
    "v_d": "decoder: attention v and output, both MLP matrices",
    "x": "source embeddings",
    "y": "target embeddings",
    "g_e": "encoder: gate of the MLP",
    "g_d": "decoder: gate of the MLP",
    "w_e": "encoder: attention output, second MLP matrix",
    "w_d": "decoder: attention output, second MLP matrix",
    "m": "the memory",
}


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
    architecture: str = "encoder-decoder"
    """encoder-decoder, encoder-only or decoder-only."""
    preset: str | None = None
    """A published scheme with an architecture of its own: tfixup, tfixup-paper, r-fixup, deepnorm,
    deepnorm-single, dt-fixup, rezero."""
    optimizer: str = "sgd"
    """sgd, momentum, sign, adam (by the sign), adam-noise, lion, lars, lamb or muon."""
    input_depth: str = "encoder"
    """Depth that sets the encoder's input norm: encoder (the official code) or decoder (the
    paper)."""
    mlp: str = "mlp"
    """mlp, or gated (three matrices)."""
    parallel: bool = False
    """One residual connection for all blocks of a layer."""
    memories: int = 1
    """How many memories the decoder reads."""
    ties: bool = True
    """Tie the norms as T-Fixup does; without, the solution is a family."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print scales, formulas, what was assumed and the conditions' left sides."""
        import sympy as sp

        from theory.scales.presets import preset_named
        from theory.scales.solver import solve
        from theory.scales.update_rules import rule_named

        rule = rule_named(self.optimizer)
        preset = None if self.preset is None else preset_named(self.preset)
        depths = tuple(
            _depth(name, next((text for text in (own, self.layers) if text is not None), "6"))
            for name, own in (
                ("encoder layers", self.encoder_layers),
                ("decoder layers", self.decoder_layers),
            )
        )
        solved = solve(self._built(preset, *depths), rule)
        # A formula in the depth says more than its value at one: solve with symbols as well.
        symbols = tuple(
            depth if not depth.is_number else sp.Symbol(letter, positive=True)
            for depth, letter in zip(depths, ("N_e", "N_d"), strict=True)
        )
        general = _formulas(self._built(preset, *symbols), solved)
        document = _document(self, preset, depths, solved, general)
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
            self.architecture,
            encoder_layers,
            decoder_layers,
            input_depth=self.input_depth,
            mlp=self.mlp,
            parallel=self.parallel,
            memories=self.memories,
            ties=self.ties,
        )


def _depth(name: str, text: str) -> sp.Expr:
    """A positive symbol or integer; anything else is an error."""
    import sympy as sp

    from theory.errors import InputError
    from theory.scales.architectures import require_depth

    if text.isidentifier():
        return sp.Symbol(text, positive=True)
    try:
        number = sp.Rational(text)
    except TypeError:
        raise InputError(
            f"{name} must be a symbol or an integer of at least 1, got {text!r}"
        ) from None
    require_depth(name, number)
    return number


def _formulas(architecture: Architecture, solved: Solution) -> Solution:
    """The solution with symbols for the depths; where it has no closed form, the one at numbers."""
    from theory.errors import InputError
    from theory.scales.solver import solve

    try:
        return solve(architecture, solved.rule)
    except InputError:
        return solved


def _number(value: sp.Expr) -> float | None:
    return float(value) if value.is_number else None


def _law(scale: sp.Expr, free: tuple[sp.Symbol, ...]) -> dict[str, object]:
    """Constant and power, where a scale is a pure power of one depth."""
    from theory.errors import InputError
    from theory.scales.solver import depth_law

    if len(scale.free_symbols) != 1 or scale in free:
        return {}
    depths = sorted(scale.free_symbols, key=str)
    try:
        constant, power = depth_law(scale, depths[0])
    except InputError:
        return {}
    return {"depth": str(depths[0]), "constant": float(constant), "power": str(power)}


def _document(
    query: Solve,
    preset: Preset | None,
    depths: tuple[sp.Expr, ...],
    solved: Solution,
    general: Solution,
) -> dict[str, object]:
    import sympy as sp

    shown = (
        preset.names
        if preset is not None
        else {slot: _MEANING.get(str(slot), str(slot)) for slot in _representatives(solved)}
    )
    keys = {"v_e": "encoder", "v_d": "decoder", "x": "source", "y": "target"}
    scales = {}
    for slot, meaning in shown.items():
        entry: dict[str, object] = {
            "symbol": str(slot),
            "meaning": meaning,
            "value": _number(solved[slot]),
            "formula": sp.sstr(general[slot]),
        } | _law(general[slot], general.free)
        if preset is not None and slot in preset.published:
            printed = preset.published[slot](*depths)
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
        "assumed": list(solved.assumed),
    }
    if not query.preset:
        document["learning_rate"] = _learning_rate(solved)
    return document


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
    depth = sp.Symbol("N", positive=True)
    tied = value.subs({symbol: depth for symbol in value.free_symbols})
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
    from rich.console import Console
    from rich.table import Table

    scales, conditions = document["scales"], document["conditions"]
    assert isinstance(scales, dict)
    assert isinstance(conditions, dict)
    published = any("published" in entry for entry in scales.values())
    name = document["preset"] or document["architecture"]
    table = Table(
        title=", ".join(
            (
                str(name),
                *(
                    f"{letter} = {document[key]}"
                    for letter, key in (("N_e", "encoder_layers"), ("N_d", "decoder_layers"))
                    if key in document
                ),
                str(document["optimizer"]),
            )
        )
    )
    for column in ("factor for", "", "value", *(("published",) if published else ()), "formula"):
        table.add_column(column)
    for entry in scales.values():
        value = entry["value"]
        law = (
            f"{entry['constant']:.6g} {entry['depth']}^({entry['power']})"
            if "power" in entry
            else ""
        )
        formula = " = ".join(part for part in (law, entry["formula"]) if part)
        printed = entry.get("published", "")
        table.add_row(
            entry["meaning"],
            entry["symbol"],
            "" if value is None else f"{value:.12f}",
            *((f"{printed:.12f}" if isinstance(printed, float) else printed,) if published else ()),
            formula,
        )
    console = Console()
    console.print(table)
    for name, condition in conditions.items():
        value = condition["value"]
        shown = f"{value:.12g}" if isinstance(value, float) else value
        unmet = (
            "" if condition["order"] in ("Θ(1)", "unknown") else f", but it is {condition['order']}"
        )
        console.print(
            f"condition {name}: {condition['left_side']} = {shown} "
            f"(asked: {condition['asked']}{unmet})",
            markup=False,
        )
    for words in document["assumed"] if isinstance(document["assumed"], list) else ():
        console.print(f"assumed: {words}", markup=False)
    if document["free"]:
        console.print(f"a family: free are {document['free']}", markup=False)
    if "learning_rate" in document:
        console.print(f"learning rate: {document['learning_rate']}", markup=False)
