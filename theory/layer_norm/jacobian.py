"""The Jacobian of layer norm and its spectral norm: T-Fixup's Eq. 1, Lemma 3 of Xiong et al.

With x̄ the mean of x ∈ R^d and y = x − x̄ 1, LN(x) = √d y/‖y‖ and

    ∂LN/∂x = (√d/‖y‖) P,   P = I − 11ᵀ/d − yyᵀ/‖y‖².

P is an orthogonal projector of rank d − 2. So the spectral norm is √d/‖x − x̄‖ for every d ≥ 3. The
paper prints O(√d/‖x‖). This fails when x is nearly constant: the ratio is ‖x‖/‖x − x̄‖.
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, covers, definition, dominated, equation
from theory.derivations.orders import order_step

d = sp.Symbol("d", integer=True, positive=True)
_U, _Y = sp.symbols("U Y", commutative=False)
"""The projectors 11ᵀ/d and yyᵀ/‖y‖², on orthogonal unit vectors, as y has mean 0."""


@covers("every entry, at d = 3")
def _jacobian_is(statement: sp.Basic) -> bool:
    """Compare a formula for the Jacobian with the derivative of LN at d = 3, entry by entry."""
    x = sp.Matrix(sp.symbols("x1:4", real=True))
    size = 3
    y = x - sp.ones(size, 1) * (sum(x) / size)
    norm = sp.sqrt((y.T * y)[0])
    exact = (sp.sqrt(size) * y / norm).jacobian(x)
    scale, removed = statement.args[1].args
    projector = sp.eye(size)
    for sign, part in ((removed.coeff(_U), sp.ones(size, size) / size), (removed.coeff(_Y), None)):
        projector += sign * (part if part is not None else y * y.T / norm**2)
    claimed = scale.subs({d: size, sp.Symbol("r", positive=True): norm}) * projector
    # A numerator is a + b‖y‖ once ‖y‖² is written out: it is 0 only if it expands to 0.
    return all(sp.expand(sp.numer(sp.together(entry))) == 0 for entry in exact - claimed)


def _projectors(statement: sp.Basic) -> bool:
    """Decide an identity by U² = U, Y² = Y and UY = YU = 0."""
    difference = sp.expand(statement.args[0] - statement.args[1])
    rules = {_U**2: _U, _Y**2: _Y, _U * _Y: 0, _Y * _U: 0}
    return sp.expand(difference.subs(rules)) == 0


@covers("at d = 2 to 6")
def _rank_is(statement: sp.Basic) -> bool:
    """Compare a formula for the rank of P with the rank at an integer y of mean 0, d = 2…6."""
    for size in range(2, 7):
        y = sp.Matrix([*range(1, size), -size * (size - 1) // 2])
        ones = sp.ones(size, size) / size
        projector = sp.eye(size) - ones - y * y.T / (y.T * y)[0]
        if projector.rank() != statement.args[1].subs(d, size):
            return False
    return True


def steps() -> tuple[Step, ...]:
    """Derive the Jacobian, that P projects, its rank, and the spectral norm."""
    r = sp.Symbol("r", positive=True)
    projector = 1 - _U - _Y
    form = sp.Mul(sp.sqrt(d) / r, projector, evaluate=False)
    flipped = sp.Mul(sp.sqrt(d) / r, 1 - _U + _Y, evaluate=False)
    return (
        Step(
            "the Jacobian with r = ‖x − x̄‖, U = 11ᵀ/d, Y = yyᵀ/r² (every entry, at d = 3)",
            equation(sp.Symbol("J"), form),
            _jacobian_is,
            equation(sp.Symbol("J"), flipped),
        ),
        Step(
            "P = 1 − U − Y is a projector, as 1 ⊥ y",
            equation(projector**2, projector),
            _projectors,
            equation((1 - _U + _Y) ** 2, 1 - _U + _Y),
            given=("U² = U, Y² = Y, U Y = Y U = 0",),
        ),
        Step(
            "its rank is d − 2 (d = 2…6): at least 1 from d = 3, so ‖J‖ = √d/‖x − x̄‖ exactly",
            equation(sp.Symbol("rank P"), d - 2),
            _rank_is,
            equation(sp.Symbol("rank P"), d - 1),
        ),
    )


def counterexample(claim: str = "tfixup.eq1") -> Derivation:
    """Show that O(√d/‖x‖) fails along x = c 1 + δ with δ fixed and c → ∞."""
    c = sp.Symbol("c", positive=True)
    delta = sp.Symbol("delta", positive=True)
    ratio = sp.sqrt(d * c**2 + delta**2) / delta

    named = definition(
        "x = c 1 + δ with δ ⊥ 1, so ‖x‖² = d c² + ‖δ‖² and ‖x − x̄‖ = ‖δ‖: ‖J‖ ÷ (√d/‖x‖) is",
        sp.Symbol("ratio"),
        ratio,
    )
    power = order_step("which grows with c, so no constant bounds it", ratio, 1, c)
    return Derivation(claim, "Eq. 1 as printed has a counterexample", (*steps(), named, power))


def restricted(claim: str = "tfixup.eq1") -> Derivation:
    """Derive the printed bound up to a constant: ‖J‖ ≤ (1/κ) √d/‖x‖ where ‖x − x̄‖ ≥ κ ‖x‖."""
    kappa, norm, excess = sp.symbols("kappa X t", positive=True)
    deviation = kappa * norm * (1 + excess)
    bound = Step(
        "if ‖x − x̄‖ ≥ κ ‖x‖ (x not nearly constant), the printed bound holds with constant 1/κ",
        sp.Le(sp.sqrt(d) / deviation, sp.sqrt(d) / (kappa * norm), evaluate=False),
        dominated,
        sp.Le(sp.sqrt(d) / (kappa * norm), sp.sqrt(d) / deviation, evaluate=False),
        given=("‖x − x̄‖ = (1 + t) κ ‖x‖ with t ≥ 0, ‖x‖ = X",),
    )
    return Derivation(claim, "Eq. 1 away from constant vectors", (*steps(), bound))
