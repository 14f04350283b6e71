"""Scales that the solver finds for random stacks, put back into the conditions at 50 digits."""

from collections.abc import Sequence
from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.scales import stacks
from theory.scales.architecture import StackLayout, Tie
from theory.scales.architectures import encoder_decoder
from theory.scales.solver import positive_root, solve
from theory.scales.stacks import Block, NormPolynomial, Stack
from theory.scales.update_rules import LAYERWISE, SGD, SIGN, UpdateRule

DIGITS = 50
SCALE = sp.Symbol("s", positive=True)
SLOTS = sp.symbols("v w g x", positive=True)
V, W, G, X = SLOTS
RULES = {"sgd": SGD, "sign": SIGN, "lamb": LAYERWISE}
BLOCKS: dict[str, Block] = {
    "attention": stacks.attention("attention", V, W, X),
    "mlp": stacks.mlp(V, W, X),
    "gated": stacks.gated_mlp(G, V, W, X),
    "deep": stacks.matrices("deep", (V, W, G)),
    "fixed input": Block("fixed input", (NormPolynomial(V * W * X, (V, W), (X,)),)),
}
kinds = st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=3)
depths = st.lists(st.integers(1, 200), min_size=3, max_size=3)
factors = st.lists(st.fractions("1/5", 5, max_denominator=6), min_size=4, max_size=4)


def gain(
    rule: str, blocks: Sequence[tuple[Block, int]], sizes: dict[sp.Symbol, mpmath.mpf]
) -> mpmath.mpf:
    """Σ over blocks and trained slots, written out again with numbers.

    Of a product G, ∂G/∂slot is G/slot times the slot's power.
    """
    total = mpmath.mpf(0)
    for block, count in blocks:
        for branch in block.branches:
            powers = branch.output.as_powers_dict()
            whole = mpmath.fprod(sizes[slot] ** int(power) for slot, power in powers.items())
            for slot in branch.trained:
                slope = int(powers[slot]) * whole / sizes[slot]
                moved = {"sgd": slope**2, "sign": slope, "lamb": slope * sizes[slot]}[rule]
                total += count * moved
    return total


def solved_scale(
    rule: UpdateRule, blocks: Sequence[tuple[Block, int]], given: Sequence[Fraction]
) -> tuple[sp.Expr, dict[sp.Symbol, sp.Rational]]:
    held = {
        slot: sp.Rational(f.numerator, f.denominator) for slot, f in zip(SLOTS, given, strict=True)
    }
    occurring = set().union(*(b.output.free_symbols for block, _ in blocks for b in block.branches))
    ties = tuple(Tie(slot, held[slot] * SCALE, "drawn") for slot in SLOTS if slot in occurring)
    stack = Stack("stack", tuple((block, sp.Integer(count)) for block, count in blocks))
    return solve(StackLayout("drawn", (stack,), ties=ties), rule)[V] / held[V], held


@settings(deadline=None, max_examples=12, derandomize=True)
@given(st.sampled_from(sorted(RULES)), kinds, depths, factors)
def test_the_gain_of_a_random_stack_is_one_at_50_digits(rule, names, counts, given_factors):
    blocks = [(BLOCKS[name], count) for name, count in zip(names, counts, strict=False)]
    scale, held = solved_scale(RULES[rule], blocks, given_factors)
    with mpmath.workdps(DIGITS + 20):
        s = mpmath.mpf(str(sp.N(scale, DIGITS + 15)))
        sizes = {slot: s * mpmath.mpf(int(f.p)) / int(f.q) for slot, f in held.items()}
        assert abs(gain(rule, blocks, sizes) - 1) < mpmath.mpf(10) ** -DIGITS
        wrong = {slot: size * (1 + mpmath.mpf(10) ** -40) for slot, size in sizes.items()}
        assert abs(gain(rule, blocks, wrong) - 1) > mpmath.mpf(10) ** -DIGITS


def test_the_decoder_of_the_paper_written_out_again():
    blocks = [(stacks.attention("self", V, W, X), 6), (stacks.mlp(V, W, X), 12)]
    with mpmath.workdps(DIGITS):
        s = mpmath.mpf(54) ** mpmath.mpf("-0.25")
        assert gain("sgd", blocks, {V: s, W: s, X: s}) == pytest.approx(1, abs=1e-45)


def test_case_j1_a_general_formula_is_wrong_where_an_expression_under_it_vanishes():
    """SymPy's roots of x³ + a x² + b x + c, with numbers put in, are 0 for x³ = 1."""
    x, a, b, c = sp.symbols("x a b c")
    special = {a: 0, b: 0, c: -1}
    formulas = list(sp.roots(x**3 + a * x**2 + b * x + c, x))
    assert [formula.subs(special) for formula in formulas] == [0, 0, 0]
    u = sp.Symbol("u", positive=True)
    assert positive_root(u**3, u) == 1
    assert sp.N((u**3 + u**4).subs(u, positive_root(u**3 + u**4, u)) - 1, DIGITS) < 1e-27


@settings(deadline=None, max_examples=10, derandomize=True)
@given(st.integers(1, 1000), st.integers(1, 1000))
def test_case_j1_symbols_for_depths_then_numbers_at_50_digits(encoder_layers, decoder_layers):
    """Solved once for symbols: numbers put into the formula meet the conditions."""
    scale = _by_symbols()
    numbers = dict(zip(_DEPTHS, map(sp.Integer, (encoder_layers, decoder_layers)), strict=True))
    v, x = (sp.N(scale[slot].subs(numbers), DIGITS + 20) for slot in (stacks.V_E, stacks.X))
    blocks = [(BLOCKS["attention"], encoder_layers), (BLOCKS["mlp"], encoder_layers)]
    with mpmath.workdps(DIGITS + 10):
        sizes = {V: mpmath.mpf(str(v)), W: mpmath.mpf(str(v)), X: mpmath.mpf(str(x))}
        assert abs(gain("sgd", blocks, sizes) - 1) < mpmath.mpf(10) ** -DIGITS


def test_case_j1_the_encoders_constant():
    equal = {_DEPTHS[0]: 1, _DEPTHS[1]: 1}
    constant = sp.N(_by_symbols()[stacks.V_E].subs(equal), DIGITS)
    assert str(constant).startswith("0.669628722978")
    assert sp.simplify(constant - sp.sqrt(sp.sqrt(22) / 6 - sp.Rational(1, 3)).evalf(DIGITS)) == 0


_DEPTHS = sp.symbols("N_e N_d", positive=True)


def _by_symbols() -> dict[sp.Symbol, sp.Expr]:
    solved = solve(encoder_decoder(*_DEPTHS), SGD)
    return {slot: solved[slot] for slot in (stacks.V_E, stacks.X)}
