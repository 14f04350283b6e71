"""The questions to the SMT solvers: Eqs. 6–8, the positive root, both bounds on K, counterexamples.

Softmax weights are free variables s_j ≥ 0 with Σ s_j = 1, which contains every value that a softmax
can take. For n = 1 and 2 the lower bound is one question about K itself. For larger n the solvers
do not decide it in reasonable time. So both bounds are also proved as the chain of ``theorem31``:
the tilted weights z_j = s_j (1 + q k y (m_j − m̄)) sum to 1, their squares to at least 1/n, and so
on. Each link is one file. They compose because the conclusion of one link is the hypothesis of the
next.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from theory.attention import scalar as attention
from theory.attention.theorem31 import Q_BAR, printed_condition
from theory.scales import conditions
from theory.scales.stacks import N_D, N_E, V_D, V_E, W_D, W_E, M, X, Y
from theory.scales.tfixup_constants import N

DEPTH = 1000
"""Number of blocks L at which a counterexample is asked for."""
A, W, r, beta, sigma = sp.symbols("A W r beta sigma", nonnegative=True)
"""Symbols for v², w², (q² + k²) y², B⁸ and the spread."""
a = sp.Symbol("a", real=True)
"""Symbol for the product q k y."""
_u, _t, _t2, _root = sp.symbols("u t t_2 root", positive=True)


@dataclass(frozen=True)
class Statement:
    """A statement by its negation, and an altered one whose negation must have a solution."""

    name: str
    words: str
    negation: tuple[sp.Basic, ...]
    what: str
    """The change in the altered statement, in words."""
    altered: tuple[sp.Basic, ...]


def _ge(*terms: sp.Expr) -> tuple[sp.Basic, ...]:
    return tuple(sp.Ge(term, 0, evaluate=False) for term in terms)


def _gt(*terms: sp.Expr) -> tuple[sp.Basic, ...]:
    return tuple(sp.Gt(term, 0, evaluate=False) for term in terms)


def equations() -> tuple[Statement, ...]:
    """The statements of Eqs. 6–8 at the paper's scales for all N > 0.

    u is the positive number with 9N u⁴ = 1.
    """
    at = {V_D: _u, W_D: _u, Y: _u, M: _u, N_D: N}
    scale = (*_gt(N, _u), sp.Eq(9 * N * _u**4, 1))
    wrong = (*_gt(N, _u), sp.Eq(6 * N * _u**4, 1))
    decoder = tuple(
        Statement(
            f"eq{number}",
            f"Eq. {number} is {value} at (9N)^(-1/4) for every N > 0",
            (*scale, sp.Ne(conditions.printed(number).subs(at), value)),
            "(6N)^(-1/4) for (9N)^(-1/4)",
            (*wrong, sp.Ne(conditions.printed(number).subs(at), value)),
        )
        for number, value in ((7, sp.Integer(2)), (8, sp.Rational(1, 3)))
    )
    eq6 = conditions.printed(6).subs({N_E: N, V_E: sp.sqrt(_t * _root), W_E: sp.sqrt(_t * _root)})
    eq6 = sp.expand(eq6.subs(X, sp.sqrt(_root / 3)))
    depth = (*_gt(N, _t, _root), sp.Eq(N * _root**2, 1))
    solved = sp.Eq(6 * _t**2 + 4 * _t, 3)
    encoder = Statement(
        "eq6",
        "Eq. 6 is 1 at v² = w² = t N^(-1/2), x² = (9N)^(-1/2), 6t² + 4t = 3, for every N > 0",
        (*depth, solved, sp.Ne(eq6, 1)),
        "6t² + 4t = 2",
        (*depth, sp.Eq(6 * _t**2 + 4 * _t, 2), sp.Ne(eq6, 1)),
    )
    unique = (sp.Eq(6 * _t2**2 + 4 * _t2, 3), solved, sp.Ne(_t, _t2))
    once = Statement(
        "positive_root",
        "6t² + 4t = 3 has only one positive solution",
        (*_gt(_t, _t2), *unique),
        "without t > 0",
        unique,
    )
    return (encoder, *decoder, once)


@dataclass(frozen=True)
class ScalarAttention:
    """Scalar attention over n tokens with free weights: K, Q̄ and the constraints.

    Parameters enter K only through A = v², W = w², a = q k y and r = (q² + k²) y², which become the
    variables. A bound proved for all a and r ≥ 0 holds for all parameters; a point with a = r = 0
    is one with y = 0.
    """

    gain: sp.Expr
    q_bar: sp.Expr
    weights: tuple[sp.Symbol, ...]
    memory: tuple[sp.Symbol, ...]
    constraints: tuple[sp.Basic, ...]


def renamed(expression: sp.Expr) -> sp.Expr:
    """An expression in the variables A, W, a and r."""
    inner = expression.subs(attention.q * attention.k * attention.y, a).subs(
        (attention.q**2 + attention.k**2) * attention.y**2, r
    )
    return inner.subs({attention.v**2: A, attention.w**2: W})


def attention_of(length: int) -> ScalarAttention:
    """Scalar attention over ``length`` tokens, with m̄ and V tied to the weights.

    K is that of ``theory.attention.scalar``.
    """
    weights = sp.symbols(f"s1:{length + 1}", real=True)
    memory = sp.symbols(f"m1:{length + 1}", real=True)
    pairs = list(zip(weights, memory, strict=True))
    explicit = attention.gain().subs(attention.n, length).doit()
    indexed = {attention.s[i + 1]: weights[i] for i in range(length)}
    indexed |= {attention.m[i + 1]: memory[i] for i in range(length)}
    constraints = (
        *_ge(*weights, A, W, r),
        sp.Eq(sp.Add(*weights), 1),
        sp.Eq(attention.mean, sp.Add(*(s * m for s, m in pairs))),
        sp.Eq(attention.variance, sp.Add(*(s * (m - attention.mean) ** 2 for s, m in pairs))),
    )
    return ScalarAttention(
        renamed(explicit).subs(indexed), renamed(Q_BAR), weights, memory, constraints
    )


def whole_lower_bound(length: int) -> Statement:
    """The lower bound Q̄/n ≤ K as one question."""
    model = attention_of(length)

    def below(factor: int) -> tuple[sp.Basic, ...]:
        return (*model.constraints, sp.Lt(length * model.gain, factor * model.q_bar))

    return Statement(
        f"lower_bound_n{length}",
        f"Q̄/n ≤ K over free weights, n = {length}, in one question",
        below(1),
        "twice that",
        below(2),
    )


def _tilts(model: ScalarAttention) -> list[sp.Expr]:
    return [1 + a * (m - attention.mean) for m in model.memory]


def _free(model: ScalarAttention, ties: tuple[sp.Basic, ...]) -> tuple[sp.Basic, ...]:
    """The constraints on the weights, and the ties that are needed."""
    return (*_ge(*model.weights), sp.Eq(sp.Add(*model.weights), 1), *ties)


def lower_links(length: int) -> tuple[Statement, ...]:
    """The links of the lower bound: Σ z = 1 and Σ z² ≥ 1/n."""
    model = attention_of(length)
    mean_tie = model.constraints[-2]
    tilted = sp.Add(*(s * t for s, t in zip(model.weights, _tilts(model), strict=True)))
    z = sp.symbols(f"z1:{length + 1}", real=True)
    squares, total = sp.Add(*(x**2 for x in z)), sp.Add(*z)
    return (
        Statement(
            f"tilted_sum_n{length}",
            f"Σ s_j (1 + q k y (m_j − m̄)) = 1, n = {length}",
            (*_free(model, (mean_tie,)), sp.Ne(tilted, 1)),
            "m̄ doubled",
            (*_free(model, (sp.Eq(attention.mean, 2 * mean_tie.args[1]),)), sp.Ne(tilted, 1)),
        ),
        Statement(
            f"squares_n{length}",
            f"Σ z = 1 gives Σ z² ≥ 1/n, n = {length}",
            (sp.Eq(total, 1), sp.Lt(length * squares, 1)),
            "2/n",
            (sp.Eq(total, 1), sp.Lt(length * squares, 2)),
        ),
    )


def upper_links(length: int) -> tuple[Statement, ...]:
    """The links of the upper bound, which bound the spread.

    Σ s δ = 0; hence Σ s (1 + aδ)² = 1 + a² V; V = Σ s m² − m̄², and Σ s m² ≤ B².
    """
    model = attention_of(length)
    weights, memory = model.weights, model.memory
    ties = model.constraints[-2:]
    delta = sp.symbols(f"d1:{length + 1}", real=True)
    squares = sp.symbols(f"p1:{length + 1}", real=True)
    square = sp.Symbol("b", nonnegative=True)

    def total(terms: tuple[sp.Expr, ...]) -> sp.Expr:
        return sp.Add(*(s * term for s, term in zip(weights, terms, strict=True)))

    centred = total(tuple(m - attention.mean for m in memory))
    tilted = total(tuple((1 + a * d) ** 2 for d in delta))
    spread_of = (
        sp.Eq(total(delta), 0),
        sp.Eq(attention.variance, total(tuple(d**2 for d in delta))),
    )
    raw = total(tuple(m**2 for m in memory))
    within = tuple(sp.Le(p, square) for p in squares)
    return (
        Statement(
            f"centred_n{length}",
            f"Σ s_j (m_j − m̄) = 0, n = {length}",
            (*_free(model, ties[:1]), sp.Ne(centred, 0)),
            "m̄ doubled",
            (*_free(model, (sp.Eq(attention.mean, 2 * ties[0].args[1]),)), sp.Ne(centred, 0)),
        ),
        Statement(
            f"tilted_squares_n{length}",
            f"Σ s δ = 0 gives Σ s (1 + q k y δ)² = 1 + (q k y)² V, n = {length}",
            (*_free(model, spread_of), sp.Ne(tilted, 1 + a**2 * attention.variance)),
            "without Σ s δ = 0",
            (*_free(model, spread_of[1:]), sp.Ne(tilted, 1 + a**2 * attention.variance)),
        ),
        Statement(
            f"variance_n{length}",
            f"V = Σ s m² − m̄², n = {length}",
            (*_free(model, ties), sp.Ne(attention.variance, raw - attention.mean**2)),
            "plus m̄²",
            (*_free(model, ties), sp.Ne(attention.variance, raw + attention.mean**2)),
        ),
        Statement(
            f"second_moment_n{length}",
            f"Σ s m² ≤ B² where m_j² ≤ B², n = {length}",
            (*_free(model, within), sp.Gt(total(squares), square)),
            "one entry unbounded",
            (*_free(model, within[1:]), sp.Gt(total(squares), square)),
        ),
    )


def weight_term() -> Statement:
    """The link s² t² ≤ s t² for a weight s, by which the spread is at most Σ s t²."""
    weight, tilt = sp.symbols("s t", real=True)
    at_most_one = (*_ge(weight), sp.Le(weight, 1))
    question = (sp.Gt(weight**2 * tilt**2, weight * tilt**2),)
    return Statement(
        "weight_term",
        "s² t² ≤ s t² for 0 ≤ s ≤ 1, so the spread is at most Σ s t²",
        (*at_most_one, *question),
        "s above 1",
        (*_ge(weight), *question),
    )


def composition() -> tuple[Statement, ...]:
    """The links from the spread's bounds to K's.

    They are polynomials in A, W, m̄², σ and products of squares.
    """
    named = (
        renamed(attention.gain())
        .subs(renamed(attention.spread), sigma)
        .subs(attention.spread, sigma)
    )
    size = sp.Symbol("nu", positive=True)
    first, second = sp.symbols("T_1 T_2", nonnegative=True)
    with_term = named.subs(r * attention.variance**2, second)
    q_bar = renamed(Q_BAR)
    squares = sp.symbols("q2 k2 y2 V b", nonnegative=True)
    q2, k2, y2, spread_v, b = squares
    capped = tuple(sp.Le(part, b) for part in squares[:-1])
    product_one = q2 * k2 * y2 * spread_v
    product_two = (q2 + k2) * y2 * spread_v**2
    small = (*_ge(A, W, first, second, beta), sp.Le(first, beta), sp.Le(second, 2 * beta))
    return (
        Statement(
            "compose_lower",
            "σ ≥ 1/n gives Q̄/n ≤ K, any n ≥ 1",
            (
                *_ge(A, W, second, size - 1),
                sp.Ge(size * sigma, 1),
                sp.Lt(size * with_term, q_bar),
            ),
            "2 Q̄/n",
            (
                *_ge(A, W, second, size - 1),
                sp.Ge(size * sigma, 1),
                sp.Lt(size * with_term, 2 * q_bar),
            ),
        ),
        Statement(
            "product_of_four",
            "(q k y)² V ≤ B⁸ where q², k², y², V ≤ B²",
            (*_ge(*squares), *capped, sp.Gt(product_one, b**4)),
            "B⁶",
            (*_ge(*squares), *capped, sp.Gt(product_one, b**3)),
        ),
        Statement(
            "product_of_three",
            "(q² + k²) y² V² ≤ 2 B⁸ where q², k², y², V ≤ B²",
            (*_ge(*squares), *capped, sp.Gt(product_two, 2 * b**4)),
            "B⁸",
            (*_ge(*squares), *capped, sp.Gt(product_two, b**4)),
        ),
        Statement(
            "compose_upper",
            "σ ≤ 1 + T₁, T₁ ≤ B⁸, T₂ ≤ 2B⁸ give K ≤ (1 + 3B⁸) Q̄",
            (*small, sp.Le(sigma, 1 + first), sp.Gt(with_term, (1 + 3 * beta) * q_bar)),
            "(1 + 2B⁸) Q̄",
            (*small, sp.Le(sigma, 1 + first), sp.Gt(with_term, (1 + 2 * beta) * q_bar)),
        ),
    )


def counterexample(*, one_sign: bool) -> tuple[sp.Basic, ...]:
    """The question for a point that refutes the lower half of the printed theorem, n = 2.

    v² = w² = 1/L, the printed condition is in [1, 9]/L, and K < 1/(100 L).

    The parameters are bounded: |q k y| ≤ 1 and (q² + k²) y² ≤ 1; L = ``DEPTH``.
    """
    model = attention_of(2)
    size = sp.Rational(1, DEPTH)
    at_size = {A: size, W: size}
    printed = [renamed(printed_condition(m)).subs(at_size) for m in model.memory]
    signs = _gt(*model.memory) if one_sign else ()
    ties = [c for c in model.constraints if not c.free_symbols & {A, W}]
    return (
        *ties,
        *signs,
        sp.Le(a**2, 1),
        sp.Le(r, 1),
        *(sp.Ge(c, size) for c in printed),
        *(sp.Le(c, 9 * size) for c in printed),
        sp.Lt(model.gain.subs(at_size), size / 100),
    )


def chain(builder: Callable[[int], tuple[Statement, ...]]) -> tuple[Statement, ...]:
    """The links at n = 1, 2, 3."""
    return tuple(item for length in (1, 2, 3) for item in builder(length))


def statements() -> tuple[Statement, ...]:
    """All statements except the counterexample."""
    return (
        *equations(),
        whole_lower_bound(1),
        *chain(lower_links),
        *chain(upper_links),
        weight_term(),
        *composition(),
    )
