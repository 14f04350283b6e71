import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.attention import scalar as attention
from theory.attention import theorem31
from theory.attention.counterexamples import (
    point,
    refutes_lower,
    refutes_upper,
    search_lower,
    search_upper,
)
from theory.attention.scalar import (
    gain_at,
    gradient,
    in_moments,
    k,
    m,
    mean,
    output,
    q,
    v,
    variance,
    w,
    y,
)

numbers = st.integers(-3, 3).map(lambda n: sp.Rational(n, 2))


def numeric_gain(memory, values):
    """K by central differences of G, in 40 digits: shares nothing with the closed form."""

    def attend(memory_, v_, w_, q_, k_):
        weights = [mpmath.exp(q_ * k_ * values["y"] * entry) for entry in memory_]
        total = sum(weights)
        return v_ * w_ * sum(p * e for p, e in zip(weights, memory_, strict=True)) / total

    with mpmath.workdps(40):
        point_ = [mpmath.mpf(sp.Rational(e).p) / sp.Rational(e).q for e in memory]
        rest = [mpmath.mpf(sp.Rational(values[n]).p) / sp.Rational(values[n]).q for n in "vwqk"]
        values = values | {"y": mpmath.mpf(sp.Rational(values["y"]).p) / sp.Rational(values["y"]).q}
        h = mpmath.mpf(10) ** -12
        everything = [*point_, *rest]

        def at(vector):
            return attend(vector[: len(point_)], *vector[len(point_) :])

        total = mpmath.mpf(0)
        for position in range(len(everything)):
            up, down = list(everything), list(everything)
            up[position] += h
            down[position] -= h
            total += ((at(up) - at(down)) / (2 * h)) ** 2
        return total


@settings(deadline=None, max_examples=12)
@given(st.lists(numbers, min_size=1, max_size=4), numbers, numbers, numbers, numbers, numbers)
def test_the_gain_is_the_squared_gradient_norm(memory, v_, w_, q_, k_, y_):
    values = {"v": v_, "w": w_, "q": q_, "k": k_, "y": y_}
    exact = gain_at(tuple(memory), **values)[1]
    assert abs(sp.N(exact, 30) - sp.Float(numeric_gain(memory, values), 30)) < 1e-15


@settings(deadline=None, max_examples=12)
@given(st.lists(numbers, min_size=1, max_size=4), numbers, numbers, numbers, numbers, numbers)
def test_the_gain_lies_between_its_bounds(memory, v_, w_, q_, k_, y_):
    values = {"v": v_, "w": w_, "q": q_, "k": k_, "y": y_}
    at = {name: sp.N(value, 40) for name, value in values.items()}
    average, gain = gain_at(tuple(sp.N(entry, 40) for entry in memory), **at)
    q_bar = theorem31.Q_BAR.subs({v: v_, w: w_, mean: average})
    bound = sp.Rational(3, 2)
    assert sp.N(gain - q_bar / len(memory), 30) >= -1e-20
    assert sp.N((1 + 3 * bound**8) * q_bar - gain, 30) >= -1e-20


@pytest.mark.parametrize("parameter", [v, w, k, q])
def test_a_partial_with_the_wrong_power_of_the_variance_is_noticed(parameter):
    exact = in_moments(sp.diff(output(), parameter))
    closed = gradient()[parameter]
    assert sp.simplify(exact - in_moments(closed)) == 0
    assert sp.simplify(exact - in_moments(closed * variance)) != 0


def test_self_derivative_is_left_out_of_the_theorem():
    assert y not in gradient()
    assert m[sp.Symbol("i", integer=True, positive=True)] in gradient()


def test_published_counterexamples_are_among_those_found():
    found = [(p.memory, p.y) for p in search_lower()]
    assert ((1, -1), 0) in found
    assert ((1, -2), sp.log(2) / 3) in found
    exact = point((1, -1), sp.S.One, sp.S.One, sp.S.Zero)
    length = theorem31.L
    assert sp.simplify(exact.gain - 1 / (2 * length**2)) == 0


def test_the_search_finds_nothing_where_the_theorem_is_true():
    assert next(search_lower(one_sign=True), None) is None
    assert next(search_upper(bounded=True), None) is None


def test_a_point_refutes_only_the_half_it_breaks():
    low, high = next(search_lower(nowhere_zero=True)), next(search_upper())
    assert refutes_lower(low)
    assert not refutes_upper(low)
    assert refutes_upper(high)
    assert not refutes_lower(high)
    assert low.nowhere_zero
    assert sp.limit(high.gain, theorem31.L, sp.oo) == sp.Rational(1, 16)


@pytest.mark.parametrize("position", range(8))
def test_every_step_holds_and_rejects_its_neighbours(position):
    step = attention.steps()[position]
    left, right = step.statement.args
    assert step.check(step.statement)
    assert not step.check(step.false)
    for wrong in (-right, right + 1):
        assert not step.check(sp.Eq(left, wrong, evaluate=False))


def test_the_steps_are_equation_5_five_partials_the_gain_and_the_move():
    steps = attention.steps()
    g, gain_symbol = sp.symbols("g K", real=True)
    index = attention.m[attention.i]
    scalar = sp.Function("G")(v, w, q, k, index)
    partials = gradient()
    assert list(partials) == [v, w, index, k, q]
    eq5, *chain, total, moves = steps
    assert eq5.statement.args == (sp.Symbol("G"), output())
    assert sp.simplify(eq5.false.args[1] * w - output()) == 0
    for step, (parameter, partial) in zip(chain, partials.items(), strict=True):
        assert step.statement.args == (sp.Derivative(scalar, parameter), partial)
        assert step.false.args == (sp.Derivative(scalar, parameter), -partial)
    assert total.statement.args == (sp.Symbol("K"), attention.gain())
    difference = sp.expand(total.false.args[1] - attention.gain())
    linear = v**2 * w**2 * (q**2 + k**2) * y**2 * (variance - variance**2)
    assert sp.expand(difference - linear) == 0
    eta = sp.Symbol("eta")
    assert moves.statement.args == (sp.Limit(sp.Symbol("ΔG") / eta, eta, 0), -g * gain_symbol)
    assert moves.false.args[1] == -g * gain_symbol**2


def test_the_symbolic_gain_is_that_of_two_tokens_written_out():
    memory = sp.symbols("m1:3", real=True)
    total = sum(sp.exp(q * k * y * entry) for entry in memory)
    value = v * w * sum(sp.exp(q * k * y * entry) * entry for entry in memory) / total
    values = (3, -1, 2, sp.Rational(1, 2), 1, -2, sp.Rational(1, 3))
    at = dict(zip((*memory, v, w, q, k, y), map(sp.sympify, values), strict=True))
    squared = sum(sp.diff(value, p).subs(at) ** 2 for p in (*memory, v, w, q, k))
    _, exact = attention.gain_at(
        tuple(at[entry] for entry in memory), **{p.name: at[p] for p in (v, w, q, k, y)}
    )
    weights = [sp.exp(at[q] * at[k] * at[y] * at[entry]) for entry in memory]
    weights = [p / sum(weights) for p in weights]
    average = sum(p * at[entry] for p, entry in zip(weights, memory, strict=True))
    spread = sum(p * (at[entry] - average) ** 2 for p, entry in zip(weights, memory, strict=True))
    closed = attention.gain().subs(at).subs({mean: average, variance: spread})
    closed = closed.subs(attention.n, 2).doit()
    for index, (p, entry) in enumerate(zip(weights, memory, strict=True), start=1):
        closed = closed.subs({attention.s[index]: p, attention.m[index]: at[entry]})
    assert abs(sp.N(squared - exact, 30)) < 1e-25
    assert abs(sp.N(squared - closed, 30)) < 1e-25
