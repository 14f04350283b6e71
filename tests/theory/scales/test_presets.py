from dataclasses import replace

import pytest
import sympy as sp

from theory.errors import InputError
from theory.scales import presets
from theory.scales.presets import ALPHA_D, ALPHA_E, MU, PRESETS, A, T, preset_named
from theory.scales.solver import solve
from theory.scales.stacks import V_D, V_E
from theory.scales.update_rules import SGD, SIGN, UpdateRule

N, M = sp.symbols("N M", positive=True)


@pytest.mark.parametrize(
    ("layers", "alpha_e", "beta_e", "alpha_d", "beta_d"),
    [
        (6, (1.4247, 1.4179), (0.4963, 0.4970), 2.0598, 0.3433),
        (200, (4.2620, 4.2419), (0.1659, 0.1661), 4.9492, 0.1429),
    ],
)
def test_deepnorm_exact_and_as_published(layers, alpha_e, beta_e, alpha_d, beta_d):
    depths = (sp.Integer(layers), sp.Integer(layers))
    preset = preset_named("deepnorm")
    solved = solve(preset.build(*depths), SGD)
    for slot, (exact, printed) in {
        ALPHA_E: alpha_e,
        V_E: beta_e,
        ALPHA_D: (alpha_d, alpha_d),
        V_D: (beta_d, beta_d),
    }.items():
        assert float(solved[slot]) == pytest.approx(exact, abs=5e-5)
        published = preset.published[slot](*depths)
        assert published is not None
        assert float(published) == pytest.approx(printed, abs=5e-5)


def test_deepnorm_without_its_balance_is_a_family():
    family = solve(presets.deepnorm(N, M, balanced=False), SGD)
    assert family.free == (ALPHA_D, ALPHA_E)
    member = solve(presets.deepnorm(N, M), SGD)
    chosen = family[V_D].subs(ALPHA_D, member[ALPHA_D])
    assert sp.simplify(sp.powdenest(chosen / member[V_D], force=True)) == 1


def test_counting_both_passages_gives_other_constants():
    architecture = presets.deepnorm(sp.Integer(6), sp.Integer(6))
    (memory,) = architecture.memories
    twice = replace(memory, passes=None)
    both = solve(replace(architecture, memories=(twice,)), SGD)
    once = solve(architecture, SGD)
    assert float(both[ALPHA_D]) == pytest.approx(float(once[ALPHA_D]))
    assert float(both[ALPHA_E] / once[ALPHA_E]) == pytest.approx(0.765450, abs=1e-6)


@pytest.mark.parametrize("matrices", [2, 3, 4, 7])
def test_fixup_for_any_number_of_matrices(matrices):
    solved = solve(presets.fixup(N, matrices), SGD)[A]
    assert sp.simplify(solved - N ** sp.Rational(-1, 2 * matrices - 2)) == 0


def test_dt_fixup_needs_its_input_norm_fixed():
    solved = solve(presets.dt_fixup(sp.Integer(8)), SGD)[T]
    assert float(solved.subs(MU, 3)) == pytest.approx((8 * 44) ** -0.5)
    assert float(solve(presets.dt_fixup(sp.Integer(8), sp.Integer(3)), SIGN)[T]) != pytest.approx(
        (8 * 44) ** -0.5
    )
    with pytest.raises(InputError, match="positive, got -1"):
        presets.dt_fixup(N, sp.Integer(-1))


def slower(rate: sp.Rational) -> UpdateRule:
    """SGD with the learning rate η · rate."""
    return replace(SGD, change=lambda derivative, theta: rate * SGD.change(derivative, theta))


def test_what_cannot_be_met_is_named():
    with pytest.raises(
        InputError, match=r"'residual' cannot be met: .* is 30, not 1; .* by 30 it is"
    ):
        solve(presets.rezero(sp.Integer(30)), SGD)
    solved = solve(presets.rezero(sp.Integer(30)), slower(sp.Rational(1, 30)))
    assert solved.left_side("residual") == 1
    with pytest.raises(InputError, match="by 30/29 it is"):
        solve(presets.rezero(sp.Integer(30)), slower(sp.Rational(1, 29)))
    with pytest.raises(InputError, match="at least 2 matrices, the last zero, got 1"):
        presets.fixup(N, 1)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "rezero"])
def test_every_preset_names_scales_that_it_solves(name):
    preset = PRESETS[name]
    depths = (sp.Integer(4), sp.Integer(7))
    solved = solve(preset.build(*depths), SGD)
    assert set(preset.names) <= set(solved.scales)
    for condition, value in solved.conditions:
        assert not condition.exact or sp.simplify(value) == 1
    for slot, formula in preset.published.items():
        printed = formula(*depths)
        if printed is None:
            assert (name, slot) in (("tfixup", V_E), ("tfixup-paper", V_E))
            continue
        assert float((solved[slot] / printed).subs(MU, 2)) == pytest.approx(1, abs=0.07)
