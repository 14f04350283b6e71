"""Derives RAdam's variance from the moments of the inverse χ distribution, and that it decreases.

X ~ χ²(ρ) is the sum of ρ squared standard normal gradients g/σ. The adaptive factor has ψ² = ρ/(σ²
X), with σ = 1 here. With m = (ρ − 1)/2 the variance is (ρ/(ρ − 2)) (1 − R(m)), with R of
`theory.radam.gamma_ratio`. R is a product of increasing factors, so the variance falls in ρ.
"""

import math

import sympy as sp

from theory.derivations.derivation import Derivation, Step, dominated, equation, identity
from theory.derivations.statements import Rounded
from theory.radam.gamma_ratio import growth_step, product_steps, ratio
from theory.radam.variance import first_order, variance

rho = sp.Symbol("rho", positive=True)
_x, _g, _s, _beta = sp.symbols("x g s beta_2", positive=True)
_t, _h = sp.symbols("t h", nonnegative=True)
_above = sp.Symbol("a", positive=True)
_half = sp.Rational(1, 2)


def normal() -> sp.Expr:
    """Density of the standard normal distribution at g."""
    return sp.exp(-(_g**2) / 2) / sp.sqrt(2 * sp.pi)


def chi_square() -> sp.Expr:
    """Density of the χ² distribution with ρ degrees of freedom at x."""
    return _x ** (rho / 2 - 1) * sp.exp(-_x / 2) / (2 ** (rho / 2) * sp.gamma(rho / 2))


def moment(power: sp.Expr | int) -> sp.Integral:
    """The integral E X^(−power) for X ~ χ²(ρ), not evaluated."""
    return sp.Integral(chi_square() * _x**-power, (_x, 0, sp.oo))


def agrees_above(above: int, statement: sp.Basic) -> bool:
    """Whether both sides agree at ρ = above + a, with every integral evaluated."""
    sides = [
        sp.expand_func(side.subs(rho, above + _above).doit(conds="none")) for side in statement.args
    ]
    return sp.simplify(sp.gammasimp(sides[0] - sides[1])) == 0


def _above_zero(statement: sp.Basic) -> bool:
    return agrees_above(0, statement)


def _above_two(statement: sp.Basic) -> bool:
    return agrees_above(2, statement)


def _first_factor(statement: sp.Basic) -> bool:
    """Compare ψ² with Adam's recursion v ← β₂ v + (1 − β₂) g² after one step from 0."""
    second_moment = _beta * 0 + (1 - _beta) * _g**2
    corrected = second_moment / (1 - _beta**1)
    return sp.simplify(1 / corrected - statement.args[1]) == 0


def _infinite(statement: sp.Basic) -> bool:
    return statement.args[0].doit() == statement.args[1]


def _half_line(integrand: sp.Expr) -> sp.Integral:
    return sp.Integral(integrand, (_g, 0, sp.oo))


def divergent() -> Derivation:
    """Derive the divergence at t = 1: the factor is 1/|g|; neither it nor its square has a mean."""
    squared = sp.Symbol("psi^2", positive=True)
    epsilon = sp.Symbol("epsilon", positive=True)
    return Derivation(
        "radam.divergent",
        "The adaptive factor at the first step",
        (
            Step(
                "ψ² = (1 − β₂)/v with v = (1 − β₂) g² after one step from v = 0",
                equation(squared, 1 / _g**2),
                _first_factor,
                equation(squared, 1 / ((1 - _beta) * _g**2)),
                "for every gradient and β₂",
            ),
            Step(
                "E ψ² over a Gaussian gradient, by its symmetry twice this integral, is infinite",
                equation(_half_line(normal() / _g**2), sp.oo),
                _infinite,
                equation(_half_line(normal() / sp.sqrt(_g)), sp.oo),
            ),
            Step(
                "and so is the mean E ψ itself",
                equation(_half_line(normal() / _g), sp.oo),
                _infinite,
                equation(_half_line(normal() * _g), sp.oo),
            ),
            Step(
                "an average of ρ = 2 gradients still has E ψ² = ∞; with ρ = 3 it is finite",
                equation(moment(1).subs(rho, 2), sp.oo),
                _infinite,
                equation(moment(1).subs(rho, 3), sp.oo),
            ),
            Step(
                "it needs ε = 0 in Adam's denominator: with ε > 0 the factor is at most 1/ε",
                sp.Le(1 / (_g + epsilon), 1 / epsilon, evaluate=False),
                dominated,
                sp.Le(1 / _g, 1 / epsilon, evaluate=False),
            ),
        ),
    )


def _distribution() -> tuple[Step, ...]:
    """Derive that the sum of ρ squared standard normal variables has the density `chi_square`."""
    transform = 1 / sp.sqrt(1 + 2 * _s)
    gauss = sp.Integral(2 * normal() * sp.exp(-_s * _g**2), (_g, 0, sp.oo))
    total = sp.Integral(chi_square() * sp.exp(-_s * _x), (_x, 0, sp.oo))
    return (
        Step(
            "the Laplace transform of one squared gradient",
            equation(gauss, transform),
            identity,
            equation(gauss, transform**2),
        ),
        Step(
            "the density whose transform is its ρ-th power: ρ independent gradients",
            equation(total, transform**rho),
            _above_zero,
            equation(total, transform ** (rho / 2)),
        ),
    )


def _moments() -> tuple[Step, ...]:
    """Derive E ψ², E ψ and the variance by integration for every ρ > 2."""
    mean = sp.gamma((rho - 1) / 2) / (sp.sqrt(2) * sp.gamma(rho / 2))
    spread = rho * moment(1) - rho * moment(_half) ** 2
    beta = sp.gamma((rho - 1) / 2) ** 2 / sp.gamma(rho - 1)
    printed = rho / (rho - 2) - rho * 2 ** (2 * rho - 5) / sp.pi * beta**2
    return (
        Step(
            "E ψ² = ρ E[1/X], for ρ > 2",
            equation(rho * moment(1), rho / (rho - 2)),
            _above_two,
            equation(rho * moment(1), rho / (rho - 1)),
        ),
        Step(
            "E ψ = √ρ E[X^(−1/2)]",
            equation(moment(_half), mean),
            _above_two,
            equation(moment(_half), mean * sp.sqrt(2)),
        ),
        Step(
            "so E ψ² − (E ψ)² is the variance",
            equation(spread, variance(rho)),
            _above_two,
            equation(rho * moment(1) - moment(_half) ** 2, variance(rho)),
        ),
        Step(
            "which is the printed form, B((ρ−1)/2, (ρ−1)/2) written in Γ",
            equation(variance(rho), printed),
            _above_two,
            equation(variance(rho), printed.subs(2 * rho - 5, 2 * rho - 4)),
        ),
        Step(
            "ρ > 2 cannot be dropped",
            equation(sp.Limit(variance(rho), rho, 2), sp.oo),
            lambda statement: statement.args[0].doit() == statement.args[1],
            equation(sp.Limit(variance(rho), rho, 3), sp.oo),
        ),
    )


def _decrease() -> tuple[Step, ...]:
    """Derive that the variance is a product of two positive decreasing functions of ρ.

    Var[ψ] = (ρ/(ρ − 2)) (1 − R).
    """
    missing = sp.Symbol("1 - R", nonnegative=True)
    excess = rho / (rho - 2)
    before, after = excess * missing, excess.subs(rho, rho + _h) * missing / (1 + _t)
    return (
        Step(
            "the variance in terms of R at m = (ρ − 1)/2",
            equation(variance(rho), excess * (1 - ratio((rho - 1) / 2))),
            _above_two,
            equation(variance(rho), excess * (1 - ratio(rho / 2))),
        ),
        growth_step(),
        Step(
            "ρ/(ρ − 2) falls, and at ρ + h the other factor is (1 − R)/(1 + t) with t ≥ 0",
            sp.Le(after, before, evaluate=False),
            lambda statement: dominated(statement.subs(rho, 2 + _above)),
            sp.Le(before, after, evaluate=False),
        ),
    )


def integrated_variance(degrees: int) -> float:
    """The variance Var[ψ] at σ = 1 by numerical integration, without Γ.

    It takes integrals of e^(ρ y/2 − (ρ/2) e^y − s y) over y = log(X/ρ).

    The trapezoidal rule is exponentially accurate for such integrands, analytic and decaying at
    both ends.

    Examples
    --------
    >>> integrated_variance(10)
    0.075546
    """
    half = degrees / 2
    low, high, points = -(50 + half) / (half - 1), 4.0, 4000
    width = (high - low) / points
    nodes = [low + width * index for index in range(points + 1)]

    def total(power: float) -> float:
        return math.fsum(math.exp((half - power) * y - half * math.expm1(y)) for y in nodes)

    whole = total(0)
    return total(1) / whole - (total(0.5) / whole) ** 2


def integral_step(because: str, exact: sp.Expr, found: float, printed: str, false: sp.Expr) -> Step:
    """A closed form equals a number ``found`` by integration, to the decimals ``printed``."""
    half_unit = 0.5000001 * 10.0 ** -len(printed.partition(".")[2])

    def rounds(statement: sp.Basic) -> bool:
        closed, decimal = (float(side) for side in statement.args)
        return abs(closed / found - 1) <= 1e-9 and abs(found - decimal) <= half_unit

    decimal = sp.Rational(printed)
    scope = "to the digits printed, by numerical integration"
    wrong = Rounded(false, decimal)
    return Step(because, Rounded(exact, decimal), rounds, wrong, scope)


def value_steps() -> tuple[Step, ...]:
    """Check Var[ψ] at σ = 1 for four ρ, and the ratio of the extremes, by integration."""
    table = {5: "0.25196", 10: "0.07555", 100: "0.0051928", 500: "0.00100754"}
    quotient = integrated_variance(5) / integrated_variance(500)
    return (
        *(
            integral_step(
                f"Var[ψ] at ρ = {degrees}, σ = 1, by numerical integration, rounded",
                variance(degrees),
                integrated_variance(degrees),
                printed,
                first_order(sp.Integer(degrees)),
            )
            for degrees, printed in table.items()
        ),
        integral_step(
            "Var(5)/Var(500), rounded; the paper says over 100",
            variance(5) / variance(500),
            quotient,
            "250.07",
            sp.Integer(100),
        ),
    )


def exact_variance() -> Derivation:
    """Derive the closed form for every ρ > 2, its decrease, and its values."""
    return Derivation(
        "radam.variance",
        "The variance of the adaptive factor",
        (*_distribution(), *_moments(), *product_steps(), *_decrease(), *value_steps()),
    )
