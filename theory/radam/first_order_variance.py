"""The first-order form of RAdam's variance (Liu et al., §4): its derivation and its error.

For Y = ψ², Var √Y ≈ Var Y/(4 E Y) gives ρ/(2 (ρ − 2) (ρ − 4)) at σ = 1. By the bounds on R in
`theory.radam.gamma_ratio`, this exceeds Var[ψ] by a relative error between (9/4)/(ρ − 4) and
(5/2)/(ρ − 4).
"""

import random
from functools import partial

import sympy as sp

from theory.derivations.derivation import Derivation, Step, at_step, dominated, equation
from theory.radam.gamma_ratio import enclosure_steps, product_steps
from theory.radam.inverse_chi import agrees_above, integral_step, integrated_variance, moment, rho
from theory.radam.variance import first_order, first_order_error, reliable_from, variance

_above = sp.Symbol("a", positive=True)
_t = sp.Symbol("t", nonnegative=True)
_half = sp.Rational(1, 2)


def _delta_method() -> Step:
    """Apply the delta method, Var √Y ≈ (d√y/dy)² Var Y at y = E Y, to Y = ψ²."""
    y = sp.Symbol("y", positive=True)
    mean, square = rho * moment(1), rho**2 * moment(2)
    slope = sp.diff(sp.sqrt(y), y) ** 2
    return Step(
        "the first-order form: Var ψ ≈ Var ψ²/(4 E ψ²), for ρ > 4",
        equation(slope.subs(y, mean) * (square - mean**2), first_order(rho)),
        partial(agrees_above, 4),
        equation(slope.subs(y, mean) * square, first_order(rho)),
    )


def unreliable() -> Derivation:
    """Show that the first-order form is 3.3 times too large at ρ = 5 and has a pole at ρ = 4."""
    pole = sp.Limit(first_order(rho), rho, 4)
    return Derivation(
        "radam.approx",
        "The first-order form where the rectifier starts",
        (
            _delta_method(),
            integral_step(
                "first-order form ÷ Var[ψ] at ρ = 5, rounded",
                first_order(sp.Integer(5)) / variance(5),
                float(first_order(5.0)) / integrated_variance(5),
                "3.307",
                sp.S.One,
            ),
            Step(
                "it has a pole at ρ = 4, from which on the paper adapts",
                equation(pole, sp.oo),
                lambda statement: statement.args[0].doit() == statement.args[1],
                equation(sp.Limit(first_order(rho), rho, 5), sp.oo),
            ),
            integral_step(
                "where the variance itself is finite, rounded",
                variance(4),
                integrated_variance(4),
                "0.429",
                sp.S.Zero,
            ),
        ),
    )


def enclosed() -> Derivation:
    """Derive the bounds (9/4)/(ρ − 4) and (5/2)/(ρ − 4) on the relative error."""
    inverse = sp.Symbol("u", positive=True)
    error = first_order(rho) / (rho / (rho - 2)) * inverse - 1
    least, most = first_order_error(rho)
    epsilon = sp.Symbol("epsilon", positive=True)

    enclosure = "ρ > 4 and 2ρ − 7/2 ≤ u ≤ 2ρ − 3"

    def between_bounds(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
        at = sp.Rational(generator.randint(41, 400), 10)
        return {rho: at, inverse: 2 * at - sp.Rational(generator.randint(61, 69), 20)}

    def between(statement: sp.Basic) -> bool:
        value = 2 * rho - sp.Rational(7, 2) + _half / (1 + _t)
        return dominated(statement.subs(inverse, value).subs(rho, 4 + _above))

    return Derivation(
        "radam.approx",
        "The relative error of the first-order form",
        (
            *product_steps(),
            *enclosure_steps(),
            Step(
                "2ρ − 7/2 ≤ u = 1/(1 − R) ≤ 2ρ − 3: the first-order form is always too large",
                sp.Le(least, error, evaluate=False),
                between,
                sp.Le(most, error, evaluate=False),
                given=(enclosure,),
                draw=between_bounds,
            ),
            Step(
                "by at most (5/2)/(ρ − 4) of the variance",
                sp.Le(error, most, evaluate=False),
                between,
                sp.Le(error, least, evaluate=False),
                given=(enclosure,),
                draw=between_bounds,
            ),
            at_step(
                "which is ε at ρ = 4 + 5/(2ε): 29 for 10 %, 254 for 1 %",
                equation(sp.sympify(most), epsilon),
                {rho: reliable_from(epsilon)},
                {rho: reliable_from(2 * epsilon)},
            ),
        ),
    )
