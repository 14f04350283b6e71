import pytest
import sympy as sp

from theory.errors import InputError
from theory.scales import presets
from theory.scales.architecture import StackLayout
from theory.scales.architectures import encoder_decoder, single
from theory.scales.solver import solve
from theory.scales.stacks import V_D, M, Stack, X, Y, encoder
from theory.scales.update_rules import SGD, SIGN

NAMES = (
    *("m", "y", "x", "v_e", "v_d", "w_e", "w_d", "g_e", "g_d", "m2", "m3", "a", "b", "a2", "a_4"),
    *("b_2", "r", "t", "mu", "alpha", "alpha_e", "alpha_d", "u", "N", "N_e", "N_d", "L", "S", "E"),
    *("I", "pi", "O", "Q", "beta", "gamma", "zeta"),
)
BUILDS = {
    **{name: preset.build for name, preset in presets.PRESETS.items() if name != "rezero"},
    "encoder-only": lambda n, _: single("encoder", n),
    "gated decoder": lambda _, m: single("decoder", m, mlp="gated"),
    "two memories": lambda n, m: encoder_decoder(n, m, memories=2, parallel=True),
    "fixup": lambda n, _: presets.fixup(n, 5),
}


@pytest.mark.parametrize("built", BUILDS)
def test_a_depth_of_any_name_gives_the_same_scales(built):
    other = sp.Symbol("depth", positive=True)
    expected = solve(BUILDS[built](other, other), SGD).scales
    for name in NAMES:
        named = sp.Symbol(name, positive=True)
        found = solve(BUILDS[built](named, named), SGD)
        for slot, value in expected.items():
            assert not found[slot].atoms(sp.Dummy)
            if value.free_symbols <= {other}:
                gap = found[slot].subs(named, 7) - value.subs(other, 7)
                assert abs(sp.N(gap, 20)) < 1e-15, (name, slot)


def test_two_depths_may_have_the_names_of_each_others_norms():
    m, x = sp.symbols("m x", positive=True)
    solved = solve(encoder_decoder(m, x), SIGN)
    assert sp.simplify(solved[V_D] - (9 * x) ** sp.Rational(-1, 2)) == 0
    assert solved.left_side("decoder") == 1


def test_a_depth_beside_the_norm_of_its_name_is_marked():
    m = sp.Symbol("m", positive=True)
    family = solve(encoder_decoder(m, m, ties=False), SGD)
    assert {str(symbol) for symbol in family[Y].free_symbols} == {"layers(m)", "m", "v_d", "w_d"}
    sides = {item.name: item.left_side for item, _ in family.conditions}
    assert "layers(m)" in {str(symbol) for symbol in sides["encoder"].free_symbols}


def test_a_stack_that_takes_a_norm_for_its_depth_is_refused():
    with pytest.raises(InputError, match="name of a norm, got x for both in the stack encoder"):
        solve(StackLayout("own", (encoder(sp.Symbol("x", positive=True)),)), SGD)
    with pytest.raises(InputError, match="got x for both"):
        solve(StackLayout("own", (encoder(sp.Symbol("x", integer=True, positive=True)),)), SGD)
    other = encoder(sp.Symbol("n", positive=True))
    assert isinstance(other, Stack)
    assert solve(StackLayout("own", (other,)), SGD).scales.keys() >= {X}
    assert M not in solve(StackLayout("own", (other,)), SGD).scales
