"""Bounds on the ratio of Gamma functions by which RAdam's variance differs from E ψ².

The ratio is R(m) = Γ(m)²/(Γ(m − 1/2) Γ(m + 1/2)) for m > 1/2. As R(m + 1)/R(m) = m²/(m² − 1/4) and
R → 1 for m → ∞,

    R(m) = Π_{k≥0} (1 − 1/(4 (m + k)²)).

Every factor is below 1 and grows with m. Let U be a rational function with U → 1 that grows no
faster from m to m + 1. Then U/R falls to 1, so U is at least R. Hence

    1 − 1/(4m − 3/2) ≤ R(m) ≤ 1 − 1/(4m − 1).
"""

import sympy as sp

from theory.derivations.derivation import Step, dominated, equation

m = sp.Symbol("m", positive=True)
_above = sp.Symbol("a", positive=True)
_h = sp.Symbol("h", nonnegative=True)
_half = sp.Rational(1, 2)


def ratio(at: sp.Expr) -> sp.Expr:
    """The ratio R(m) = Γ(m)²/(Γ(m − 1/2) Γ(m + 1/2)).

    Examples
    --------
    >>> ratio(sp.Integer(1)), ratio(sp.Rational(3, 2))
    (2/pi, pi/4)
    """
    return sp.gamma(at) ** 2 / (sp.gamma(at - _half) * sp.gamma(at + _half))


def growth(at: sp.Expr) -> sp.Expr:
    """Growth of the ratio in one step: R(m + 1)/R(m) = m²/(m² − 1/4)."""
    return at**2 / (at**2 - sp.Rational(1, 4))


def _gamma_identity(statement: sp.Basic) -> bool:
    difference = sp.gammasimp(statement.args[0]) - statement.args[1]
    return sp.simplify(sp.expand_func(difference)) == 0


def _at_infinity(statement: sp.Basic) -> bool:
    return statement.args[0].doit() == statement.args[1]


def product_steps() -> tuple[Step, ...]:
    """Derive the recurrence and the limit that make R a product."""
    bound = 1 - 1 / (2 * m)
    return (
        Step(
            "R(m + 1)/R(m), from Γ(z + 1) = z Γ(z)",
            equation(ratio(m + 1) / ratio(m), growth(m)),
            _gamma_identity,
            equation(ratio(m + 1) / ratio(m), m**2 / (m**2 - _half)),
        ),
        Step(
            "R(m) R(m + 1/2), and R ≤ 1 as no variance is negative: 1 − 1/(2m) ≤ R(m) ≤ 1",
            equation(ratio(m) * ratio(m + _half), bound),
            _gamma_identity,
            equation(ratio(m) * ratio(m + 1), bound),
        ),
        Step(
            "so R → 1, and R(m) is the product of 1 − 1/(4 (m + k)²) over k ≥ 0",
            equation(sp.Limit(bound, m, sp.oo), sp.S.One),
            _at_infinity,
            equation(sp.Limit(m * bound, m, sp.oo), sp.S.One),
        ),
    )


def _from_half(statement: sp.Basic) -> bool:
    """Decide an inequality in m at every m = 1/2 + a with a > 0."""
    return dominated(statement.subs(m, _half + _above))


def growth_step() -> Step:
    """Derive that every factor of R grows with m."""
    factor = 1 - 1 / (4 * m**2)
    later = factor.subs(m, m + _h)
    return Step(
        "every factor of R grows with m (h ≥ 0) and is below 1: 1 − R > 0 falls",
        sp.Le(factor, later, evaluate=False),
        _from_half,
        sp.Le(later, factor, evaluate=False),
    )


def enclosure_steps() -> tuple[Step, ...]:
    """Derive 1 − 1/(4m − 3/2) ≤ R(m) ≤ 1 − 1/(4m − 1) by comparing growth with R's."""
    upper, lower = 1 - 1 / (4 * m - 1), 1 - 2 / (8 * m - 3)

    def ordered(small: sp.Expr, large: sp.Expr) -> sp.Basic:
        return sp.Le(small, large, evaluate=False)

    def grown(bound: sp.Expr) -> sp.Expr:
        return bound.subs(m, m + 1) / bound

    def from_positive(statement: sp.Basic) -> bool:
        return dominated(statement.subs(m, sp.Rational(5, 8) + _above))

    trivial = 1 / (4 * m - sp.Rational(3, 2))
    return (
        *(
            Step(
                f"{bound} → 1, as R does",
                equation(sp.Limit(bound, m, sp.oo), sp.S.One),
                _at_infinity,
                equation(sp.Limit(2 * bound, m, sp.oo), sp.S.One),
            )
            for bound in (upper, lower)
        ),
        Step(
            "1 − 1/(4m − 1) grows no faster than R towards 1, so it is at least R",
            ordered(grown(upper), growth(m)),
            _from_half,
            ordered(grown(lower), growth(m)),
        ),
        Step(
            "1 − 1/(4m − 3/2) grows no slower than R where positive, m > 5/8: it is at most R",
            ordered(growth(m), grown(lower)),
            from_positive,
            ordered(growth(m), grown(upper)),
        ),
        Step(
            "and for 1/2 < m ≤ 5/8: 1 − R ≤ 1 ≤ 1/(4m − 3/2) anyway",
            ordered(sp.S.One, trivial),
            lambda statement: dominated(statement.subs(m, _half + 1 / (8 * (1 + _h)))),
            ordered(sp.S.One, trivial / 2),
            given=("1/2 < m ≤ 5/8",),
            draw=lambda generator: {m: sp.Rational(generator.randint(51, 62), 100)},
        ),
    )
