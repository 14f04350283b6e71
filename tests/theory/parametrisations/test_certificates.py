from dataclasses import replace
from fractions import Fraction

import numpy as np
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from theory.parametrisations import encoder_decoder_shares, gpt2_update
from theory.parametrisations.certificates import Certificate, contradiction
from theory.parametrisations.conditions import PowerCondition
from theory.parametrisations.families import rate, std
from theory.parametrisations.linear_programs import minimum

NUMBERS = st.integers(-3, 3)


@st.composite
def programs(draw):
    count, rows = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    matrix = draw(
        st.lists(st.lists(NUMBERS, min_size=count, max_size=count), min_size=rows, max_size=rows)
    )
    right = draw(st.lists(NUMBERS, min_size=rows, max_size=rows))
    return draw(st.lists(NUMBERS, min_size=count, max_size=count)), matrix, right


@settings(deadline=None, max_examples=200)
@given(programs())
def test_the_exact_program_agrees_with_scipy(program):
    cost, matrix, right = program
    found = minimum(cost, matrix, right)
    other = linprog(cost, A_eq=np.array(matrix), b_eq=right, method="highs")
    # HiGHS may not tell an unbounded from an infeasible program: without a cost it can.
    feasible = (
        linprog([0] * len(cost), A_eq=np.array(matrix), b_eq=right, method="highs").status == 0
    )
    assert (found.status != "infeasible") == feasible
    if found.value is not None and found.point is not None:
        assert found.status == "optimal"
        assert abs(float(found.value) - other.fun) < 1e-7
        for row, bound in zip(matrix, right, strict=True):
            assert sum(Fraction(a) * x for a, x in zip(row, found.point, strict=True)) == bound
        assert min(found.point) >= 0
    elif feasible:
        assert other.status in (2, 3, 4)


@st.composite
def systems(draw):
    symbols = sp.symbols("a b c", real=True)
    items = []
    for position in range(draw(st.integers(1, 5))):
        form = sum((draw(NUMBERS) * s for s in symbols), sp.Integer(draw(NUMBERS)))
        items.append(PowerCondition("drawn", str(position), sp.sympify(form), draw(st.booleans())))
    return symbols, tuple(items)


@settings(deadline=None, max_examples=100)
@given(systems())
def test_there_is_a_certificate_exactly_where_there_is_no_solution(system):
    symbols, items = system
    found = contradiction(items)
    rows = {
        exact: [
            (
                [float(item.form.coeff(s)) for s in symbols],
                -float(item.form.subs(dict.fromkeys(symbols, 0))),
            )
            for item in items
            if item.exact is exact
        ]
        for exact in (True, False)
    }
    a_eq, b_eq = zip(*rows[True], strict=True) if rows[True] else (None, None)
    a_ub, b_ub = zip(*rows[False], strict=True) if rows[False] else (None, None)
    solved = linprog([0, 0, 0], a_ub, b_ub, a_eq, b_eq, bounds=(None, None), method="highs")
    assert (found is None) == (solved.status == 0)
    if found is not None:
        assert found.valid


def test_a_changed_certificate_is_rejected():
    for demand in encoder_decoder_shares.DEMANDS:
        found = encoder_decoder_shares.refutation(demand)
        assert found is not None
        assert found.valid
        (factor, item), *others = found.terms
        assert not Certificate(((factor + 1, item), *others)).valid
        assert not Certificate(tuple(others)).valid
    bound = PowerCondition("stream", "s", sp.Integer(-1), False)
    assert not Certificate(((-sp.S.One, bound),)).valid
    assert Certificate(((-sp.S.One, replace(bound, exact=True)),)).valid


def test_scales_alone_do_it_in_one_way_and_not_with_further_demands():
    alone = encoder_decoder_shares.scales_alone()
    quarter = sp.Rational(1, 4)
    matrices = ("encoder.in", "encoder.out", "decoder.in", "decoder.out")
    assert {alone[std(role)] for role in matrices} == {-quarter}
    assert {alone[std(role)] for role in ("source", "target")} == {-3 * quarter}
    assert (alone.free, alone.members) == ((), ("tfixup-adam-scales",))
    family = encoder_decoder_shares.scales_and_rates()
    assert {"tfixup-adam-rates", "tfixup-adam-scales"} <= set(family.members)
    assert "tfixup-adam" not in family.members
    assert family[rate("target")] == 0
    # What the decoder does not pass of the source, the source's rate makes up.
    passed = std("decoder.in") + std("decoder.out") + sp.Rational(1, 2)
    assert sp.expand(family[rate("source")] + passed) == 0


def test_gpt2_local_exponents_bracket_what_was_measured():
    # 0.98 to 1.18 under SGD: between a large embedding and none, a small one above 1.
    low, high = (gpt2_update.local_exponent(2, 8, 64, start, 1.0) for start in (10.0, 0.0))
    assert abs(low - 1) < 0.01
    assert abs(high - 1.268) < 0.001
    between = [gpt2_update.local_exponent(2, 8, 64, start, 1.0) for start in (0.05, 0.2, 0.5, 2.0)]
    assert sorted(between, reverse=True) == between
    sign = gpt2_update.local_exponent(1, 8, 64, 0.0, 1.0)
    assert 1 < sign < high
