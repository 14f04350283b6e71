"""``tfixup solve``: the scales that a stack's conditions prescribe, as formulas and numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from numerics.cli.solve_query import LEAST_SEEDS, MOST_SEEDS, SolveQuery
from theory.errors import require_within

if TYPE_CHECKING:
    import sympy as sp

    from theory.scales.architecture import StackLayout
    from theory.scales.presets import Preset
    from theory.scales.solver import Solution
    from theory.scales.update_rules import UpdateRule

_READINGS = {"decoder": "the paper", "encoder": "the official code"}
"""Who sets the encoder's input norm by the depth of that stack."""

_KINDS_OF_MLP = {"swiglu": "gated", "geglu": "gated"}
"""Other names of the gated MLP: its activation is linear in the theory, whichever it is."""


@dataclass(frozen=True)
class Solve(SolveQuery):
    """Solve an architecture's conditions for its scales.

    The scale of a matrix multiplies its Xavier standard deviation. The scale of an embedding
    multiplies an input of RMS 1 per coordinate. Depths are numbers, or symbols such as N for a
    formula.
    """

    def run(self) -> int:
        """Print scales, formulas, what was assumed and the conditions' left sides."""
        if self.base_layers is not None:
            require_within(1, 10**9, base_layers=self.base_layers)
        if self.seeds is not None:
            require_within(LEAST_SEEDS, MOST_SEEDS, seeds=self.seeds)
        from numerics.cli.solve_options import refuse_without_measure

        refuse_without_measure(self)
        if self.model is not None:
            from numerics.cli import solve_measured, solve_model
            from numerics.cli.solve_options import refuse_beside_model

            refuse_beside_model(self)
            base = solve_model.BASE_LAYERS if self.base_layers is None else self.base_layers
            run = solve_model.run if self.measure is None else solve_measured.run
            return run(
                solve_model.ModelQuery(
                    self.model,
                    self.optimizer,
                    self.layers,
                    base,
                    self.complete,
                    self.json,
                    self.measure,
                    LEAST_SEEDS if self.seeds is None else self.seeds,
                    self.out,
                )
            )
        for option, given in (("--complete", self.complete), ("--measure", self.measure)):
            if given:
                from theory.errors import InputError

                raise InputError(f"{option} is read with --model alone")
        if self.recipe is not None or self.structure is not None or self.powers:
            from numerics.cli.solve_options import refuse_beside_recipe
            from numerics.cli.solve_recipe import RecipeQuery, run

            refuse_beside_recipe(self)
            asked = {field.name: getattr(self, field.name) for field in fields(RecipeQuery)}
            asked["base_layers"] = 1 if self.base_layers is None else self.base_layers
            return run(RecipeQuery(**asked))
        from numerics.cli.solve_document import mark_leading, solution_document
        from numerics.cli.solve_options import depth, general_depths, refuse_unread
        from numerics.cli.solve_table import print_solution
        from theory.errors import InputError
        from theory.scales.presets import preset_named
        from theory.scales.solver import solve
        from theory.scales.update_rules import update_rule_named

        rule = update_rule_named(self.optimizer)
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
        document = solution_document(self, preset, depths, solved, general, leading)
        if not exact:
            mark_leading(document, str(depths[0]))
        if other := self._other_reading(preset, depths, solved):
            document["other_reading"] = other
        if self.json:
            print(json.dumps(document, indent=1, ensure_ascii=False))
        else:
            print_solution(document)
        return 0

    def _built(
        self, preset: Preset | None, encoder_layers: sp.Expr, decoder_layers: sp.Expr
    ) -> StackLayout:
        from theory.scales.architectures import layout_named

        if preset is not None:
            return preset.build(encoder_layers, decoder_layers)
        return layout_named(
            self.architecture or "encoder-decoder",
            encoder_layers,
            decoder_layers,
            input_depth=self.input_depth or "decoder",
            mlp=_KINDS_OF_MLP.get(self.mlp or "mlp", self.mlp or "mlp"),
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
        from theory.scales.leading_laws import leading_solution

        alike = sp.Symbol("N", positive=True) if depth is None else depth
        assert isinstance(alike, sp.Symbol)
        try:
            return leading_solution(self._built(preset, alike, alike), rule, alike)
        except InputError:
            return None

    def _other_reading(
        self, preset: Preset | None, depths: tuple[sp.Expr, ...], solved: Solution
    ) -> dict[str, object]:
        """The encoder's scales by the paper if the table is by its code, and the reverse."""
        from numerics.cli.solve_document import number, sp_text
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
                key: number(other[slot]) or sp_text(other[slot])
                for key, slot in (("encoder", V_E), ("source", X))
            },
        }


def _solved_or_none(architecture: StackLayout, solved: Solution) -> Solution | None:
    """The solution under the same rule; ``None`` where it has no closed form."""
    from theory.errors import InputError
    from theory.scales.solver import solve

    try:
        return solve(architecture, solved.rule)
    except InputError:
        return None


def _formulas(architecture: StackLayout, solved: Solution) -> Solution:
    """The solution with symbols for the depths; where it has no closed form, the one at numbers."""
    return _solved_or_none(architecture, solved) or solved
