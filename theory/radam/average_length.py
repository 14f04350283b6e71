"""Derives RAdam's length of an exponential average and its rectifier (Liu et al., §4.1–4.2).

The bias-corrected exponential average gives gradient i of t the weight

    w_i = β^(t−i) (1 − β)/(1 − βᵗ).

A plain average over the last f gradients has mean age (f − 1)/2. Equal mean ages give f = ρ_t.
Another natural match is equal Σ w², the variance of an average of independent terms. It gives

    (1 + β) (1 − βᵗ) / ((1 − β) (1 + βᵗ)).

Both functions are 1 at t = 1 and tend to ρ_∞. In between they differ.
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, covers, equation, identity
from theory.radam.rectification import length, longest, rectifier_squared
from theory.radam.variance import first_order

beta = sp.Symbol("beta", positive=True)
t = sp.Symbol("t", integer=True, positive=True)
_rate = sp.Symbol("a", positive=True)
_f, _rho, _limit = sp.symbols("f rho_t rho_oo", positive=True)
_steps = 6
"""Number of steps t = 1…6 at which sums are compared, as rational functions of β."""


def weights(steps: int) -> list[sp.Expr]:
    """The weights w_i of g_1² … g_t² in Adam's bias-corrected average.

    They follow from the recursion v ← β v + (1 − β) g_i².

    Examples
    --------
    >>> weights(1), sp.simplify(sum(weights(3)))
    ([1], 1)
    """
    gradients = sp.symbols(f"s1:{steps + 1}")
    average = sp.S.Zero
    for square in gradients:
        average = beta * average + (1 - beta) * square
    corrected = sp.expand(average)
    return [sp.factor(corrected.coeff(square) / (1 - beta**steps)) for square in gradients]


def _matches_sums(statement: sp.Basic, total: "sp.Lambda") -> bool:
    """Compare a formula in β and t with a sum over the weights at t = 1…6."""
    return all(
        sp.simplify(
            sum(total(weight, steps - index) for index, weight in enumerate(weights(steps), 1))
            - statement.args[1].subs(t, steps)
        )
        == 0
        for steps in range(1, _steps + 1)
    )


@covers("for t = 1 to 6, every β")
def _mean_age(statement: sp.Basic) -> bool:
    weight, age = sp.symbols("weight age")
    return _matches_sums(statement, sp.Lambda((weight, age), weight * age))


@covers("for t = 1 to 6, every β")
def _squared_weights(statement: sp.Basic) -> bool:
    weight, age = sp.symbols("weight age")
    return _matches_sums(statement, sp.Lambda((weight, age), weight**2))


@covers("for f = 1 to 6")
def _plain_age(statement: sp.Basic) -> bool:
    """Compare a formula in f with the mean age of the last f gradients at f = 1…6."""
    return all(
        sp.Rational(sum(range(size)), size) == statement.args[1].subs(_f, size)
        for size in range(1, _steps + 1)
    )


def _limit_is(statement: sp.Basic) -> bool:
    """Check the limit as t → ∞ for every β = e^(−a) < 1."""
    expression = statement.args[0].args[0].subs(beta, sp.exp(-_rate))
    claimed = statement.args[1].subs(beta, sp.exp(-_rate))
    return sp.simplify(sp.limit(expression, t, sp.oo) - claimed) == 0


def _deep(expression: sp.Expr) -> sp.Limit:
    return sp.Limit(expression, t, sp.oo)


def average_length() -> Derivation:
    """Derive ρ_t: the length of the plain average with the exponential average's mean age."""
    age = beta / (1 - beta) - t * beta**t / (1 - beta**t)
    symbol = sp.Symbol("age")
    squares = (1 - beta) * (1 + beta**t) / ((1 + beta) * (1 - beta**t))
    return Derivation(
        "radam.length",
        "The length of an exponential average",
        (
            Step(
                "mean age Σ (t − i) w_i of the exponential average, at t = 1…6 for every β",
                equation(symbol, age),
                _mean_age,
                equation(symbol, beta / (1 - beta)),
            ),
            Step(
                "mean age of the last f gradients, at f = 1…6",
                equation(symbol, (_f - 1) / 2),
                _plain_age,
                equation(symbol, _f / 2),
            ),
            Step(
                "equal mean ages: (ρ_t − 1)/2 is that of the exponential average",
                equation((length(t, beta) - 1) / 2, age),
                identity,
                equation(length(t, beta) / 2, age),
            ),
            Step(
                "ρ_t → ρ_∞ for every β < 1",
                equation(_deep(length(t, beta)), longest(beta)),
                _limit_is,
                equation(_deep(length(t, beta)), longest(beta) + 1),
            ),
            Step(
                "Σ w_i², whose inverse is the number of independent terms of equal variance",
                equation(symbol, squares),
                _squared_weights,
                equation(symbol, squares**2),
            ),
            Step(
                "which has the same limit ρ_∞",
                equation(_deep(1 / squares), longest(beta)),
                _limit_is,
                equation(_deep(1 / squares), 1 / (1 - beta)),
            ),
        ),
    )


def rectifier_derivation() -> Derivation:
    """Derive r_t²: it is the ratio of first-order variances and tends to 1."""
    ratio = first_order(_limit) / first_order(_rho)
    rectified = rectifier_squared(_rho, _limit)
    return Derivation(
        "radam.rectifier",
        "The rectifier",
        (
            Step(
                "r_t² Var[ψ] at ρ_t is Var[ψ] at ρ_∞, both to first order",
                equation(rectified * first_order(_rho), first_order(_limit)),
                identity,
                equation(sp.sqrt(rectified) * first_order(_rho), first_order(_limit)),
            ),
            Step(
                "so r_t² is their ratio",
                equation(rectified, ratio),
                identity,
                equation(rectified, 1 / ratio),
            ),
            Step(
                "and r_t → 1 as ρ_t → ρ_∞",
                equation(sp.Limit(rectified, _rho, _limit), sp.S.One),
                lambda s: sp.simplify(s.args[0].doit() - s.args[1]) == 0,
                equation(sp.Limit(rectified, _rho, _limit / 2), sp.S.One),
            ),
            Step(
                "it vanishes at ρ_t = 4: the first adaptive steps are small",
                equation(sp.Limit(rectified, _rho, 4), sp.S.Zero),
                lambda s: sp.simplify(s.args[0].doit() - s.args[1]) == 0,
                equation(sp.Limit(rectified, _rho, 5), sp.S.Zero),
            ),
        ),
    )
