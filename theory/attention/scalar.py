"""Attention reduced to scalars: its output, its gradient and its update gain, for every length.

This is T-Fixup's Eq. 5 at d = d' = 1. One query y reads a memory m ∈ R^n with scalars k, q, v, w:

    a = q k y,   s_j = e^(a m_j) / Σ_i e^(a m_i),   m̄ = Σ s_j m_j,   V = Σ s_j (m_j − m̄)²,
    G = v w m̄.

An SGD step on (m, k, q, v, w) against g = ∂L/∂G changes G by −η g K + O(η²). The *update gain* K is
the squared norm of G's gradient. The length n stays symbolic: sums are compared through the moments
Z_r = Σ m_j^r e^(a m_j).
"""

import random

import sympy as sp

from theory.derivations.derivation import Step, covers, equation
from theory.derivations.sums import distribute

v, w, q, k, y = sp.symbols("v w q k y", real=True)
n = sp.Symbol("n", integer=True, positive=True)
j, i = sp.symbols("j i", integer=True, positive=True)
m = sp.IndexedBase("m", real=True)
s = sp.IndexedBase("s", nonnegative=True)
mean = sp.Symbol("mbar", real=True)
"""The attended mean m̄."""
variance = sp.Symbol("V", nonnegative=True)
"""The attended variance V."""
spread = sp.Sum(s[j] ** 2 * (1 + q * k * y * (m[j] - mean)) ** 2, (j, 1, n))
"""The memory's share of the gain, divided by v² w²: Σ s_j² (1 + q k y (m_j − m̄))²."""

_Z = sp.symbols("Z0:3", positive=True)


def _moment(r: int) -> sp.Sum:
    return sp.Sum(m[j] ** r * sp.exp(q * k * y * m[j]), (j, 1, n))


def output() -> sp.Expr:
    """The output in terms of the parameters and symbolic n: G = v w Z₁ / Z₀."""
    return v * w * _moment(1) / _moment(0)


def in_moments(expression: sp.Expr) -> sp.Expr:
    """Express sums, m̄, V and s_i through Z₀, Z₁ and Z₂, so that formulas can be compared."""
    e = expression.subs({mean: _Z[1] / _Z[0], variance: _Z[2] / _Z[0] - (_Z[1] / _Z[0]) ** 2})
    e = e.subs(s[i], sp.exp(q * k * y * m[i]) / _Z[0])
    return distribute(e).subs({_moment(r): _Z[r] for r in (2, 1, 0)})


def gradient() -> dict[sp.Expr, sp.Expr]:
    """Partial derivatives of G in closed form.

    ∂G/∂v = w m̄, ∂G/∂w = v m̄, ∂G/∂m_i = v w s_i (1 + q k y (m_i − m̄)), ∂G/∂k = v w q y V,
    ∂G/∂q = v w k y V.

    Examples
    --------
    >>> gradient()[k]
    V*q*v*w*y
    """
    return {
        v: w * mean,
        w: v * mean,
        m[i]: v * w * s[i] * (1 + q * k * y * (m[i] - mean)),
        k: v * w * q * y * variance,
        q: v * w * k * y * variance,
    }


def gain() -> sp.Expr:
    """The update gain of scalar attention.

    K = (v² + w²) m̄² + v² w² [Σ s_j² (1 + q k y (m_j − m̄))² + (q² + k²) y² V²].
    """
    return (v**2 + w**2) * mean**2 + v**2 * w**2 * (spread + (q**2 + k**2) * y**2 * variance**2)


def gain_at(
    memory: tuple[sp.Expr, ...],
    *,
    v: sp.Expr,
    w: sp.Expr,
    q: sp.Expr,
    k: sp.Expr,
    y: sp.Expr,
) -> tuple[sp.Expr, sp.Expr]:
    """The attended mean m̄ and the update gain K of a given memory, exactly.

    Examples
    --------
    >>> one = sp.Integer(1)
    >>> gain_at((one, -one), v=one, w=one, q=one, k=one, y=sp.Integer(0))
    (0, 1/2)
    """
    a = q * k * y
    total = sp.Add(*(sp.exp(a * entry) for entry in memory))
    weights = [sp.simplify(sp.exp(a * entry) / total) for entry in memory]
    average = sp.simplify(sp.Add(*(p * entry for p, entry in zip(weights, memory, strict=True))))
    pairs = list(zip(weights, memory, strict=True))
    attended_variance = sp.Add(*(p * (entry - average) ** 2 for p, entry in pairs))
    share = sp.Add(*(p**2 * (1 + a * (entry - average)) ** 2 for p, entry in pairs))
    inner = share + (q**2 + k**2) * y**2 * attended_variance**2
    return average, sp.simplify((v**2 + w**2) * average**2 + v**2 * w**2 * inner)


def _is_partial(statement: sp.Basic) -> bool:
    derivative, closed_form = statement.args
    exact = in_moments(sp.diff(output(), derivative.args[1][0]))
    return sp.simplify(exact - in_moments(closed_form)) == 0


def _is_gain(statement: sp.Basic) -> bool:
    partials = gradient()
    squares = sum(partials[p] ** 2 for p in (v, w, k, q))
    memory = partials[m[i]] ** 2
    total = squares + sp.Sum(memory.subs(i, j), (j, 1, n))
    return sp.expand(distribute(total) - distribute(statement.args[1])) == 0


@covers("at n = 1, 2, 3")
def _is_equation_5(statement: sp.Basic) -> bool:
    for length in (1, 2, 3):
        memory = sp.Matrix(sp.symbols(f"m1:{length + 1}", real=True))
        logits = y * q * k * memory.T
        weights = logits.applyfunc(sp.exp) / sum(logits.applyfunc(sp.exp))
        attended = (weights * memory * v * w)[0]
        claimed = statement.args[1].subs(n, length).doit()
        claimed = claimed.subs({m[r + 1]: memory[r] for r in range(length)})
        if sp.simplify(attended - claimed) != 0:
            return False
    return True


@covers("at two points with n = 2, to 25 digits")
def _moves_by(statement: sp.Basic) -> bool:
    """Compare dG/dη at η = 0 along a real SGD step with a formula in g and K, to 30 digits."""
    eta, g, k_symbol = sp.symbols("eta g K", real=True)
    memory = sp.symbols("m1:3", real=True)
    total = sum(sp.exp(q * k * y * entry) for entry in memory)
    value = v * w * sum(sp.exp(q * k * y * entry) * entry for entry in memory) / total
    moving = (*memory, v, w, q, k)
    slopes = {parameter: sp.diff(value, parameter) for parameter in moving}
    for point in ((1, -2, 3, 2, 1, -1, 2, 5), (2, 3, -1, 1, 2, 1, 1, -3)):
        at = dict(zip((*moving, y, g), (sp.Rational(entry, 4) for entry in point), strict=True))
        step = {p: at[p] - eta * at[g] * sp.N(slopes[p].subs(at), 50) for p in moving}
        moved = sp.diff(value.subs(y, at[y]).subs(step, simultaneous=True), eta).subs(eta, 0)
        others = {p: sp.N(at[p], 50) for p in (v, w, q, k, y)}
        gain_there = gain_at(tuple(sp.N(at[entry], 50) for entry in memory), **_named(others))[1]
        claimed = statement.args[1].subs({g: at[g], k_symbol: gain_there})
        if abs(sp.N(moved - claimed, 30)) > sp.Float("1e-25"):
            return False
    return True


def _named(values: dict[sp.Symbol, sp.Expr]) -> dict[str, sp.Expr]:
    return {symbol.name: value for symbol, value in values.items()}


def drawn(generator: random.Random, *, one_sign: bool = False) -> dict[sp.Basic, sp.Basic]:
    """Values for all letters of this module at n = 3: drawn weights and computed moments.

    Names of moments and bounds that others build on are in it too: B ≥ |q|, |k|, |y|, |m_j|, the
    least and largest |m_j|, S = Σ (z_j − 1/n)², and K, Q̄ with c/L ≤ Q̄ ≤ C/L.
    """

    def value(*, positive: bool = False) -> sp.Float:
        sign = 1 if positive else generator.choice((1, -1))
        return sp.Float(sign * generator.uniform(0.2, 1.5), 40)

    size = 3
    at = {letter: value() for letter in (v, w, q, k, y)}
    memory = [value(positive=one_sign) for _ in range(size)]
    tilt = at[q] * at[k] * at[y]
    powers = [sp.exp(tilt * entry) for entry in memory]
    weights = [power / sum(powers) for power in powers]
    average = sum(p * entry for p, entry in zip(weights, memory, strict=True))
    around = sum(p * (entry - average) ** 2 for p, entry in zip(weights, memory, strict=True))
    shares = [p * (1 + tilt * (e - average)) for p, e in zip(weights, memory, strict=True)]
    numbers = {
        "n": sp.Integer(size),
        "mbar": average,
        "V": around,
        "B": max(abs(entry) for entry in (at[q], at[k], at[y], *memory)),
        "m_min": min(abs(entry) for entry in memory),
        "m_max": max(abs(entry) for entry in memory),
        "S": sum((share - sp.Rational(1, size)) ** 2 for share in shares),
    }
    inner = sum(share**2 for share in shares) + (at[q] ** 2 + at[k] ** 2) * at[y] ** 2 * around**2
    whole = at[v] ** 2 * at[w] ** 2
    sides = at[v] ** 2 + at[w] ** 2
    numbers["K"] = sides * average**2 + whole * inner
    numbers["Qbar"] = sides * average**2 + whole
    numbers["L"] = value(positive=True)
    numbers["c"], numbers["C"] = (numbers["L"] * numbers["Qbar"] * f for f in (0.7, 1.6))
    arrays = {s: weights, m: memory, sp.IndexedBase("z", real=True): shares}
    entries = {
        base[index]: entry
        for base, entries in arrays.items()
        for index, entry in enumerate(entries, start=1)
    }
    return at | entries | {n: numbers.pop("n")} | _by_name(numbers)


def _by_name(numbers: dict[str, sp.Expr]) -> dict[sp.Basic, sp.Basic]:
    """Values for every symbol of a name, whatever sign it is declared with."""
    kinds: tuple[dict[str, bool], ...] = ({}, {"real": True}, {"nonnegative": True})
    kinds = (*kinds, {"positive": True})
    return {sp.Symbol(name, **kind): value for name, value in numbers.items() for kind in kinds}


def steps() -> tuple[Step, ...]:
    """Derive Eq. 5 at d = d' = 1, its five partial derivatives, and the update gain K."""
    scalar = sp.Function("G")(v, w, q, k, m[i])
    partials = gradient()
    eq5 = Step(
        "Eq. 5 with d = d' = 1, one query y, keys and values m (1 × 1 matrices, n = 1, 2, 3)",
        equation(sp.Symbol("G"), output()),
        _is_equation_5,
        equation(sp.Symbol("G"), v * _moment(1) / _moment(0)),
    )
    chain = tuple(
        Step(
            f"partial derivative with respect to {parameter}, for symbolic n",
            equation(sp.Derivative(scalar, parameter), partial),
            _is_partial,
            equation(sp.Derivative(scalar, parameter), -partial),
            "for every n",
        )
        for parameter, partial in partials.items()
    )
    false_gain = gain().subs(variance**2, variance)
    final = Step(
        "the update gain is the sum of the squared partials",
        equation(sp.Symbol("K"), gain()),
        _is_gain,
        equation(sp.Symbol("K"), false_gain),
        "for every n",
    )
    slope, gain_symbol = sp.symbols("g K", real=True)
    rate = sp.Limit(sp.Symbol("ΔG") / sp.Symbol("eta"), sp.Symbol("eta"), 0)
    moves = Step(
        "an SGD step on m, k, q, v, w moves G at this rate, g = ∂L/∂G (n = 2, to 30 digits)",
        equation(rate, -slope * gain_symbol),
        _moves_by,
        equation(rate, -slope * gain_symbol**2),
    )
    return (eq5, *chain, final, moves)
