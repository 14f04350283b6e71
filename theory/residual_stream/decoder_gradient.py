"""The decoder's squared gradient: T-Fixup's Eq. 4, and the true size of its remainder.

For y_{l+1} = y_l + G_l(y_l; θ_l), l = 1…L, f = y_{L+1} and F_l = ∂f/∂y_{l+1}, exactly

    ∂f/∂θ ∂f/∂θᵀ = F_0 F_0ᵀ + Σ_l F_l ∂G_l/∂θ_l ∂G_l/∂θ_lᵀ F_lᵀ.                      (1)

The paper has 1 for each F_l and puts the rest into O(Σ_l (∂G_l/∂θ_l)⁴), which is O(1/L) when each
term is Θ(1/L). But F_l collects the Jacobians of all later blocks. With E(∂G/∂y)² = 1/(3L) and
independent weights, E F_l² = r^(L−l) with r = 1 + 1/(3L). So the remainder is a fixed share of the
sum and does not vanish with depth. The share depends on the terms:

- If all are equal, it tends to 3e^(1/3) − 4 = 0.187.
- If they grow with the stream, ∝ y_l² and E y_l² ∝ r^(l−1), it tends to
  e^(1/3)/(3(e^(1/3) − 1)) − 1 = 0.176.

Both belong to scalar chains. The share in real decoders is measured (`tfixup verify --claims
tfixup.eq4 --verbose`).
"""

import sympy as sp

from theory.derivations.derivation import (
    Derivation,
    Step,
    covers,
    dominated,
    equation,
    rounded_step,
)
from theory.residual_stream.skip_path import L

BLOCKS = 3
_y = sp.Symbol("y", real=True)
_theta = sp.symbols(f"theta1:{BLOCKS + 1}", real=True)
_passage = sp.symbols(f"F0:{BLOCKS + 1}", real=True)
_slope = sp.symbols(f"g1:{BLOCKS + 1}", real=True)
"""Symbols for F_l = ∂f/∂y_{l+1} and for g_l = ∂G_l/∂θ_l."""


def _branch(theta: sp.Expr, y: sp.Expr) -> sp.Expr:
    """A branch that is linear in neither its parameter nor its input."""
    return theta * y + theta**2 * y**2


def _stream() -> list[sp.Expr]:
    """The stream y_1, …, y_{L+1} of composed branches."""
    stream: list[sp.Expr] = [_y]
    for theta in _theta:
        stream.append(stream[-1] + _branch(theta, stream[-1]))
    return stream


@covers("at twelve rational points, exactly")
def _is_squared_gradient(statement: sp.Basic) -> bool:
    """Compare a formula in F_l and g_l with the squared gradient of three composed blocks."""
    stream = _stream()
    inputs = sp.symbols(f"x0:{BLOCKS + 1}", real=True)
    values: dict[sp.Symbol, sp.Expr] = {}
    for index in range(BLOCKS + 1):
        later = inputs[index]
        for theta in _theta[index:]:
            later = later + _branch(theta, later)
        values[_passage[index]] = sp.diff(later, inputs[index]).subs(inputs[index], stream[index])
        if index < BLOCKS:
            branch = _branch(_theta[index], inputs[index])
            slope = sp.diff(branch, _theta[index])
            values[_slope[index]] = slope.subs(inputs[index], stream[index])
    exact = sum(sp.diff(stream[-1], parameter) ** 2 for parameter in (_y, *_theta))
    # Twelve random rational points decide a polynomial identity of this degree beyond doubt.
    difference = exact - statement.args[1].subs(values)
    return all(
        difference.subs(dict(zip((_y, *_theta), point, strict=True))) == 0 for point in _points()
    )


def _points() -> list[tuple[sp.Rational, ...]]:
    return [
        tuple(sp.Rational((7 * k + 3 * i) % 11 - 5, 3 + (k + i) % 4) for i in range(BLOCKS + 1))
        for k in range(12)
    ]


def _identity() -> Step:
    squares = sum(_passage[i + 1] ** 2 * _slope[i] ** 2 for i in range(BLOCKS))
    without = sum(_slope[i] ** 2 for i in range(BLOCKS))
    left = sp.Symbol("S")
    return Step(
        "the squared gradient of three composed blocks (at rational points), F_l = ∂f/∂y_(l+1)",
        equation(left, _passage[0] ** 2 + squares),
        _is_squared_gradient,
        equation(left, _passage[0] ** 2 + without),
    )


def _share() -> sp.Expr:
    """Share of the remainder with equal terms: 3 ((1 + 1/(3L))^L − 1) − 1.

    It is (1/L) Σ_l (E F_l² − 1), a geometric sum.
    """
    return 3 * ((1 + 1 / (3 * L)) ** L - 1) - 1


@covers("for L = 1 to 6, exactly")
def _geometric(statement: sp.Basic) -> bool:
    """Compare the closed form of the share with the sum itself for L = 1…6."""
    for length in range(1, 7):
        ratio = 1 + sp.Rational(1, 3 * length)
        total = sum(ratio ** (length - block) - 1 for block in range(1, length + 1))
        if total / length != statement.args[1].subs(L, length):
            return False
    return True


def _share_growing() -> sp.Expr:
    """Share of the remainder with terms ∝ y_l², the ratio of two geometric sums.

    Σ_l r^(l−1) (r^(L−l) − 1) ÷ Σ_l r^(l−1).
    """
    ratio = 1 + 1 / (3 * L)
    return L * ratio ** (L - 1) * (ratio - 1) / (ratio**L - 1) - 1


@covers("for L = 1 to 6, exactly")
def _growing(statement: sp.Basic) -> bool:
    """Compare the closed form of the share for terms ∝ y_l² with the sums themselves."""
    for length in range(1, 7):
        ratio = 1 + sp.Rational(1, 3 * length)
        terms = [ratio ** (block - 1) for block in range(1, length + 1)]
        behind = [ratio ** (length - block) - 1 for block in range(1, length + 1)]
        rest = sum(term * more for term, more in zip(terms, behind, strict=True))
        if rest / sum(terms) != statement.args[1].subs(L, length):
            return False
    return True


def _limit(statement: sp.Basic) -> bool:
    return sp.simplify(statement.args[0].doit() - statement.args[1]) == 0


def _deep(expression: sp.Expr) -> sp.Limit:
    """Limit of a share as the number of blocks grows, not evaluated."""
    return sp.Limit(expression, L, sp.oo)


def printed_is_false() -> Derivation:
    """Show that the remainder is Θ(1) of the sum, not O(Σ (∂G/∂θ)⁴) = O(1/L)."""
    third = sp.exp(sp.Rational(1, 3))
    exact, growing = 3 * third - 4, third / (3 * (third - 1)) - 1
    return Derivation(
        "tfixup.eq4",
        "The remainder of Eq. 4 does not vanish",
        (
            _identity(),
            Step(
                "remainder ÷ sum with equal terms and E F_l² = (1 + 1/(3L))^(L−l)",
                equation(sp.Symbol("share"), _share()),
                _geometric,
                equation(sp.Symbol("share"), _share() + 1 / L),
            ),
            Step(
                "in deep stacks",
                equation(_deep(_share()), exact),
                _limit,
                equation(_deep(_share()), sp.S.Zero),
            ),
            Step(
                "the same with terms ∝ y_l², E y_l² ∝ (1 + 1/(3L))^(l−1)",
                equation(sp.Symbol("share_y"), _share_growing()),
                _growing,
                equation(sp.Symbol("share_y"), _share()),
            ),
            Step(
                "in deep stacks",
                equation(_deep(_share_growing()), growing),
                _limit,
                equation(_deep(_share_growing()), exact),
            ),
            rounded_step("in digits, equal terms", exact, "0.187"),
            rounded_step("in digits, terms ∝ y_l²", growing, "0.176"),
            Step(
                "while L terms Θ(1/L) to the fourth power over the sum vanish",
                equation(_deep(L * (1 / L) ** 2), sp.S.Zero),
                _limit,
                equation(_deep(L * (1 / sp.sqrt(L)) ** 2), sp.S.Zero),
            ),
        ),
    )


def bounded() -> Derivation:
    """Derive that the sum's order is right although its remainder is not.

    The ratio of both sides lies between 1 and e^(1/3).
    """
    x = sp.Symbol("x", nonnegative=True)

    def below(statement: sp.Basic) -> bool:
        gap = statement.args[1] - statement.args[0]
        starts = gap.subs(x, 0)
        return bool(starts >= 0) and dominated(sp.Le(0, sp.diff(gap, x), evaluate=False))

    return Derivation(
        "tfixup.eq4",
        "Eq. 4 up to a factor between 1 and e^(1/3)",
        (
            _identity(),
            Step(
                "log E F_l² ≤ L log(1 + x) ≤ L x at x = 1/(3L), so 1 ≤ E F_l² ≤ e^(1/3)",
                sp.Le(sp.log(1 + x), x, evaluate=False),
                below,
                sp.Le(2 * sp.log(1 + x), x, evaluate=False),
            ),
        ),
    )
