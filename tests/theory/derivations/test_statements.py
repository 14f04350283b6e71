"""What is printed is what was checked: every line of every derivation."""

import functools
import random

import pytest
import sympy as sp

from theory.arguments import ARGUMENTS
from theory.arguments.legends.symbols import legend, names_in
from theory.derivations.derivation import (
    Step,
    at_step,
    covers,
    definition,
    equation,
    identity,
    mean_step,
    rounded_step,
)
from theory.derivations.orders import order_step
from theory.derivations.statements import (
    At,
    Computed,
    Definition,
    OrderEquality,
    Rounded,
    evaluable,
    relation_sign,
    sides,
    true_as_printed,
)

x, y, n = sp.symbols("x y n", positive=True)


@functools.cache
def steps_of(argument):
    return argument.build().steps


def ids(argument):
    return f"{argument.claim}-{argument.reading}-{argument.summary[:20]}"


@pytest.mark.parametrize("argument", ARGUMENTS, ids=ids)
def test_no_line_has_the_same_expression_on_both_sides(argument):
    for step in steps_of(argument):
        left, right = sides(step.statement)
        assert left != right, step.because


@pytest.mark.parametrize("argument", ARGUMENTS, ids=ids)
def test_every_printed_relation_is_true_at_random_values(argument):
    for step in steps_of(argument):
        if evaluable(step.statement):
            assert true_as_printed(step.statement, step.draw, points=2), step.because


@pytest.mark.parametrize("argument", ARGUMENTS, ids=ids)
def test_every_name_has_a_meaning(argument):
    found = legend(argument.claim, steps_of(argument))
    named = {name for step in steps_of(argument) for name in names_in(step.statement)}
    assert {item.name for item in found} == named
    assert all(item.meaning for item in found)


@pytest.mark.parametrize("argument", ARGUMENTS, ids=ids)
def test_every_line_says_how_it_was_checked(argument):
    for step in steps_of(argument):
        assert step.checked.startswith(("checked: ", "definition: "))
        if isinstance(step.statement, Computed):
            # A computed quantity holds where it was computed, which the line must say.
            told = step.checked.removeprefix("checked: ")
            own = step.scope or getattr(step.check, "scope", "") or f"({told})" in step.because
            assert own, step.because


@pytest.mark.parametrize("argument", ARGUMENTS, ids=ids)
def test_only_a_name_is_said_to_be_computed(argument):
    for step in steps_of(argument):
        if isinstance(step.statement, Computed):
            assert not isinstance(step.statement.args[0], sp.Add | sp.Mul | sp.Number)


def test_an_equation_of_which_only_the_power_was_compared_does_not_hold():
    """Eq. 1's fourth step as it once stood: √(c²d + δ²)/δ = 1."""
    c, d, delta = sp.symbols("c d delta", positive=True)
    ratio = sp.sqrt(c**2 * d + delta**2) / delta
    step = Step("", equation(ratio, sp.S.One), lambda _: True, equation(ratio, sp.S.Zero))
    assert not step.holds()
    assert order_step("", ratio, 1, c).holds()
    assert not true_as_printed(step.statement)


def test_an_inequality_must_hold_where_its_hypotheses_do():
    smaller = sp.Le(x, 1, evaluate=False)
    assert not Step("", smaller, lambda _: True, smaller).holds()

    def below_one(generator: random.Random):
        return {x: sp.Rational(generator.randint(1, 9), 10)}

    assert Step("", smaller, lambda _: True, smaller, draw=below_one).holds()
    assert not true_as_printed(sp.Lt(x, x, evaluate=False))
    assert not true_as_printed(sp.Ne(x, x, evaluate=False))


def test_each_kind_prints_its_own_sign():
    kinds = {
        "=": equation(x + y, y + x + 0),
        "computed": equation(sp.Symbol("K"), x),
        "≍": OrderEquality(2 * n, n, n),
        "≈": Rounded(sp.sqrt(2), sp.Rational("1.41")),
        "≔": Definition(sp.Symbol("K"), x),
        "≤": sp.Le(x, y, evaluate=False),
    }
    for sign, statement in kinds.items():
        assert relation_sign(statement) == sign
        drawn = sp.pretty(statement, use_unicode=True, wrap_line=False)
        assert (sign if sign != "computed" else "=") in drawn
    assert r"\asymp" in sp.latex(kinds["≍"])
    assert r"\approx 1.41" in sp.latex(kinds["≈"])
    assert "1.41" in sp.sstr(kinds["≈"])


def test_an_order_compares_powers_and_nothing_else():
    step = order_step("", 7 * n**2 + n, 2, n)
    assert step.holds()
    assert step.checked == "checked: the power of n"
    assert not step.check(step.false)
    at = order_step("", x * n, 1, n, at_values={x: sp.Integer(3)})
    assert isinstance(at.statement, At)
    assert at.holds()


def test_a_value_is_inserted_where_the_line_says_so():
    step = at_step("", equation(9 * n * x**4, 1), {x: (9 * n) ** sp.Rational(-1, 4)}, {x: n})
    assert step.holds()
    assert "at x" in sp.pretty(step.statement, wrap_line=False)
    assert not step.check(step.false)


def test_rounding_is_to_the_digits_printed():
    assert rounded_step("", sp.pi, "3.14").holds()
    assert not rounded_step("", sp.pi, "3.15").holds()
    assert not rounded_step("", sp.pi, "3.1415").holds()
    assert rounded_step("", sp.Integer(264600), "264600").holds()


def test_a_definition_is_said_to_be_one_and_a_mean_is_written_as_one():
    step = definition("", sp.Symbol("K"), x)
    assert step.holds()
    assert step.checked == "definition: nothing to check"

    def over_signs(statement):
        left = sum(statement.args[0].subs(x, sign) for sign in (1, -1)) / 2
        return sp.expand(left - statement.args[1]) == 0

    mean = mean_step("", (1 + x) ** 2, sp.Integer(2), over_signs, sp.Integer(1), "both signs")
    assert mean.holds()
    assert not mean.check(mean.false)
    assert sp.sstr(mean.statement) == "Eq(E((x + 1)**2), 2)"


def test_a_check_says_what_it_covers():
    @covers("at x = 1")
    def at_one(statement):
        return identity(statement.subs(x, 1))

    assert Step("", equation(x * 1 + 0 * y, x), at_one, sp.false).checked == "checked: at x = 1"


def test_the_decisive_steps_show_their_definition():
    (argument,) = (a for a in ARGUMENTS if a.claim == "tfixup.encoder-scale")
    lines = [step.because for step in steps_of(argument)]
    assert any("3 blocks × 3 terms = 9" in line for line in lines)
    ones = [line for line in lines if "setting the left side to 1" in line]
    assert len(ones) == 2
