"""Second derivatives of scalar attention, and a bound on its Hessian that holds for every length.

Notation as in ``scalar.py``, with a = q k y, δ_j = m_j − m̄ and μ₃ = Σ s_j δ_j³. Let |m_j|, |q|,
|k|, |y|, |v| and |w| be at most R, with R ≥ 1. The Hessian of G in (m, k, q, v, w) then has
spectral norm at most

    2R + 10R⁵ + 8R⁹.

Each block between two of these five parameters is bounded by its absolute sum. In it the attended
moments are at most V ≤ R², Σ s|δ| ≤ R and |μ₃| ≤ 2R³, for every n. The norm of the whole is at most
the largest row sum of the five by five bounds.
"""

import random
from collections.abc import Callable

import sympy as sp

from theory.attention import scalar
from theory.derivations.derivation import Step, dominated, equation
from theory.derivations.sums import distribute

R = sp.Symbol("R", positive=True)
n = sp.Symbol("n", integer=True, positive=True)
third, absolute = sp.Symbol("mu_3", real=True), sp.Symbol("delta_1", nonnegative=True)
"""The third attended moment μ₃, and the absolute one Σ s_j |δ_j|."""
_own, _other = sp.symbols("delta_i delta_k", real=True)
_weight, _weight_k = sp.symbols("s_i s_k", nonnegative=True)
_a = scalar.q * scalar.k * scalar.y


def curvature(reach: sp.Expr) -> sp.Expr:
    """Bound on the Hessian of G where everything is at most R ≥ 1: 2R + 10R⁵ + 8R⁹.

    Examples
    --------
    >>> curvature(sp.Integer(2))
    4420
    """
    return 2 * reach + 10 * reach**5 + 8 * reach**9


def second_derivatives() -> dict[tuple[str, str], sp.Expr]:
    """The second derivatives of G that are not 0, for each pair of parameters.

    They are in m̄, V, μ₃ and one or two tokens i ≠ k.

    ``mi`` stands for m_i, ``mk`` for another token.

    Examples
    --------
    >>> second_derivatives()["v", "k"]
    V*q*w*y
    """
    slope_v = _weight * (1 + _a * _own)
    tilt = _weight * (2 * _own + _a * (_own**2 - scalar.variance))
    both = -_a * _weight * _weight_k * (2 + _a * (_own + _other))
    same = _a * _weight * (2 + _a * _own) - _a * _weight**2 * (2 + 2 * _a * _own)
    mixed = scalar.variance + _a * third
    return {
        ("v", "w"): scalar.mean,
        ("v", "k"): scalar.w * scalar.q * scalar.y * scalar.variance,
        ("v", "q"): scalar.w * scalar.k * scalar.y * scalar.variance,
        ("w", "k"): scalar.v * scalar.q * scalar.y * scalar.variance,
        ("w", "q"): scalar.v * scalar.k * scalar.y * scalar.variance,
        ("k", "k"): scalar.v * scalar.w * (scalar.q * scalar.y) ** 2 * third,
        ("q", "q"): scalar.v * scalar.w * (scalar.k * scalar.y) ** 2 * third,
        ("k", "q"): scalar.v * scalar.w * scalar.y * mixed,
        ("v", "mi"): scalar.w * slope_v,
        ("w", "mi"): scalar.v * slope_v,
        ("k", "mi"): scalar.v * scalar.w * scalar.q * scalar.y * tilt,
        ("q", "mi"): scalar.v * scalar.w * scalar.k * scalar.y * tilt,
        ("mi", "mi"): scalar.v * scalar.w * same,
        ("mi", "mk"): scalar.v * scalar.w * both,
    }


def _tokens(count: int, start: int) -> tuple[dict[sp.Symbol, sp.Rational], tuple[sp.Rational, ...]]:
    """Rational parameters, and attention weights that sum to 1."""
    names = (scalar.v, scalar.w, scalar.q, scalar.k, scalar.y)
    at = {name: sp.Rational((5 * i + 3 * start) % 7 - 3 or 2, 2) for i, name in enumerate(names)}
    raw = [sp.Rational(1 + (3 * i + start) % 5) for i in range(count)]
    return at, tuple(entry / sum(raw) for entry in raw)


def _is_second_derivative(pair: tuple[str, str]) -> Callable[[sp.Basic], bool]:
    """Differentiate G twice at rational points, n = 2 and 3, against a formula."""

    def check(statement: sp.Basic) -> bool:
        return all(
            _agrees(pair, statement.args[1], count, start) for count, start in ((2, 1), (3, 4))
        )

    return check


def _agrees(pair: tuple[str, str], formula: sp.Expr, count: int, start: int) -> bool:
    at, weights = _tokens(count, start)
    memory = sp.symbols(f"m1:{count + 1}", real=True)
    values = {entry: sp.Rational((7 * i + start) % 5 - 2, 1) for i, entry in enumerate(memory)}
    fixed = _a.subs(at)
    # A fixed bias on the logits makes the weights rational at the point, and changes no formula.
    raised = [
        p * sp.exp(_a * entry - fixed * values[entry])
        for p, entry in zip(weights, memory, strict=True)
    ]
    attended = sum(e * entry for e, entry in zip(raised, memory, strict=True)) / sum(raised)
    by_name = {
        "v": scalar.v,
        "w": scalar.w,
        "q": scalar.q,
        "k": scalar.k,
        "mi": memory[0],
        "mk": memory[1],
    }
    exact = (
        sp.diff(scalar.v * scalar.w * attended, by_name[pair[0]], by_name[pair[1]])
        .subs(values)
        .subs(at)
    )
    average = sum(p * values[e] for p, e in zip(weights, memory, strict=True))
    moments = [
        sum(p * (values[e] - average) ** power for p, e in zip(weights, memory, strict=True))
        for power in (2, 3)
    ]
    named = {scalar.mean: average, scalar.variance: moments[0], third: moments[1]}
    named |= {_weight: weights[0], _weight_k: weights[1]}
    named |= {_own: values[memory[0]] - average, _other: values[memory[1]] - average}
    return exact - formula.subs(named).subs(at) == 0


def hessian_steps() -> tuple[Step, ...]:
    """Derive the second derivatives that are not 0."""
    return tuple(
        Step(
            f"∂²G/∂{pair[0]}∂{pair[1]} (exact, n = 2 and 3)",
            equation(sp.Symbol(f"G_{pair[0]}{pair[1]}"), formula),
            _is_second_derivative(pair),
            equation(sp.Symbol(f"G_{pair[0]}{pair[1]}"), -formula),
        )
        for pair, formula in second_derivatives().items()
    )


def _moments(statement: sp.Basic) -> bool:
    """Decide an identity among sums over s for every n.

    The rules are Σ s = 1, Σ s m = m̄, Σ s m² = S and Σ s u = e.
    """
    u = sp.IndexedBase("u", nonnegative=True)
    known = {
        sp.Sum(scalar.s[scalar.j], (scalar.j, 1, n)): 1,
        sp.Sum(scalar.s[scalar.j] * scalar.m[scalar.j], (scalar.j, 1, n)): scalar.mean,
        sp.Sum(scalar.s[scalar.j] * u[scalar.j], (scalar.j, 1, n)): absolute,
    }
    return sp.expand(distribute(statement.args[0] - statement.args[1]).subs(known)) == 0


def _capped(statement: sp.Basic) -> bool:
    """Decide an inequality of absolute values under |·| ≤ R, V ≤ R², Σ s|δ| ≤ R, |μ₃| ≤ 2R³.

    A polynomial with non-negative coefficients is greatest where every absolute value is.
    """
    caps = dict.fromkeys(
        (scalar.v, scalar.w, scalar.q, scalar.k, scalar.y, scalar.mean, absolute), R
    ) | {scalar.variance: R**2, third: 2 * R**3}
    norm, bound = statement.args
    increasing = all(c.is_nonnegative for c in sp.Poly(norm, *caps, R).coeffs())
    return increasing and dominated(sp.Le(norm.subs(caps), bound, evaluate=False))


def _drawn(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
    """Values of ``scalar.drawn``, with u_j ≥ 0 and its attended mean δ_1."""
    values = scalar.drawn(generator)
    u = sp.IndexedBase("u", nonnegative=True)
    sizes = [sp.Rational(generator.randint(1, 9), 5) for _ in range(3)]
    attended = sum(values[scalar.s[index]] * size for index, size in enumerate(sizes, start=1))
    return values | {u[k]: size for k, size in enumerate(sizes, start=1)} | {absolute: attended}


def _within_reach(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
    """Draw R ≥ 1 and absolute values within their bounds."""
    reach = sp.Rational(generator.randint(10, 25), 10)

    def part() -> sp.Rational:
        return sp.Rational(generator.randint(0, 10), 10)

    letters: dict[sp.Basic, sp.Basic] = {
        letter: reach * part()
        for letter in (scalar.v, scalar.w, scalar.q, scalar.k, scalar.y, scalar.mean, absolute)
    }
    return letters | {R: reach, scalar.variance: reach**2 * part(), third: 2 * reach**3 * part()}


def moment_steps() -> tuple[Step, ...]:
    """Derive upper bounds on the attended moments."""
    u = sp.IndexedBase("u", nonnegative=True)
    deviation = sp.Sum(
        scalar.s[scalar.j] * (scalar.m[scalar.j] - scalar.mean) ** 2, (scalar.j, 1, n)
    )
    raw = sp.Sum(scalar.s[scalar.j] * scalar.m[scalar.j] ** 2, (scalar.j, 1, n))
    around = sp.Sum(scalar.s[scalar.j] * (u[scalar.j] - absolute) ** 2, (scalar.j, 1, n))
    squares = sp.Sum(scalar.s[scalar.j] * u[scalar.j] ** 2, (scalar.j, 1, n))
    return (
        Step(
            "V = Σ s m² − m̄², so V ≤ R²; and |μ₃| ≤ Σ s |δ| δ² ≤ 2R V as |δ_j| ≤ 2R",
            equation(deviation, raw - scalar.mean**2),
            _moments,
            equation(deviation, raw + scalar.mean**2),
            given=("Σ s_j = 1, Σ s_j m_j = m̄",),
            draw=_drawn,
        ),
        Step(
            "with u = |δ|: Σ s (u − e)² = V − e² for e = Σ s u, so Σ s |δ| ≤ √V ≤ R",
            equation(around, squares - absolute**2),
            _moments,
            equation(around, squares - 2 * absolute**2),
            given=("Σ s_j = 1, Σ s_j u_j = δ_1",),
            draw=_drawn,
        ),
    )


def block_bounds() -> dict[str, tuple[sp.Expr, sp.Expr]]:
    """The norm of each block of the Hessian in moments, and its bound in R, for every n.

    A vector over tokens has ‖·‖ ≤ Σ|·|; Σ s|1 + aδ| ≤ 1 + |a| Σ s|δ|, and Σ s|2δ + a(δ² − V)| ≤
    2 Σ s|δ| + 2|a| V. The block of tokens is diagonal, at most |a|(2 + 2R|a|), plus a part with
    absolute sum |a|(2 + 2|a| Σ s|δ|).
    """
    spread = 2 * absolute + 2 * _a * scalar.variance
    slope = 1 + _a * absolute
    tokens = _a * (2 + 2 * R * _a) + _a * (2 + 2 * _a * absolute)
    return {
        "vw": (scalar.mean, R),
        "vk": (scalar.w * scalar.q * scalar.y * scalar.variance, R**5),
        "kk": (scalar.v * scalar.w * scalar.q**2 * scalar.y**2 * third, 2 * R**9),
        "kq": (scalar.v * scalar.w * scalar.y * (scalar.variance + _a * third), R**5 + 2 * R**9),
        "vm": (scalar.w * slope, R + R**5),
        "km": (scalar.v * scalar.w * scalar.q * scalar.y * spread, 2 * R**5 + 2 * R**9),
        "mm": (scalar.v * scalar.w * tokens, 4 * R**5 + 4 * R**9),
    }


def _summed(*parts: sp.Expr) -> sp.Expr:
    """A sum that is printed with its summands."""
    return sp.Add(*parts, evaluate=False)


def row_sums() -> dict[str, sp.Expr]:
    """Row sums of the 5 × 5 matrix of block norms; the largest bounds the spectral norm."""
    cap = {name: bound for name, (_, bound) in block_bounds().items()}
    return {
        "m": _summed(cap["mm"], 2 * cap["km"], 2 * cap["vm"]),
        "k": _summed(cap["km"], cap["kk"], cap["kq"], 2 * cap["vk"]),
        "v": _summed(cap["vm"], 2 * cap["vk"], cap["vw"]),
    }


def bound_steps() -> tuple[Step, ...]:
    """Bound every block of the Hessian, its rows, and the whole by M₂."""
    top = curvature(R)

    def with_reach(statement: sp.Basic) -> bool:
        # R ≥ 1 decides between powers of R.
        return dominated(statement.subs(R, 1 + sp.Symbol("p", nonnegative=True)))

    blocks = tuple(
        Step(
            f"the block {name} of the Hessian: its absolute sum, for every n",
            sp.Le(norm, bound, evaluate=False),
            _capped,
            sp.Le(norm, bound.subs(R, sp.sqrt(R)), evaluate=False),
            given=("letters are absolute values, at most R ≥ 1; V ≤ R², δ_1 ≤ R, μ_3 ≤ 2R³",),
            draw=_within_reach,
        )
        for name, (norm, bound) in block_bounds().items()
    )
    rows = tuple(
        Step(
            f"row {name} of the blocks' norms (q as k, w as v)",
            sp.Le(total, top, evaluate=False),
            with_reach,
            sp.Le(total, total - R, evaluate=False),
            given=("R ≥ 1",),
            draw=_within_reach,
        )
        for name, total in row_sums().items()
    )
    return (*moment_steps(), *blocks, *rows)
