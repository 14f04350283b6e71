"""The first-order change of an encoder-decoder under one SGD step: T-Fixup's Eq. 3, corrected.

For f(θ) = f_d(f_e(x; θ_E), y; θ_D), J_D = ∂f_d/∂θ_D, F = ∂f_d/∂f_e, J_E = ∂f_e/∂θ_E, g = ∂L/∂fᵀ,

    Δf = −η (J_D J_Dᵀ + F J_E J_Eᵀ Fᵀ) g + O(η²).

The paper prints a minus sign before the encoder's term, and ∂f_d/∂θ_E in place of F. The shapes of
∂f_d/∂θ_E ∂f_e/∂θ_E do not even match unless memory and θ_E have the same size.
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, covers, equation

_a, _b = sp.symbols("a1:3", real=True), sp.symbols("b1:4", real=True)
"""Symbols for θ_E ∈ R² and θ_D ∈ R³."""
_g = sp.Matrix(sp.symbols("g1:3", real=True))
_eta = sp.Symbol("eta")
_RATE = sp.Limit(sp.Symbol("Δf") / _eta, _eta, 0)
_SCOPE = "for one pair of generic polynomials, at every θ and g"
_J_D, _F, _J_E, _G = (sp.Symbol(name, commutative=False) for name in ("J_D", "F", "J_E", "g"))


def _encoder(theta: tuple[sp.Expr, ...]) -> sp.Matrix:
    """A memory in R³ that is a generic polynomial of θ_E."""
    a1, a2 = theta
    return sp.Matrix([a1 * a2, a1 + a2**2, a1**2 - 3 * a2])


def _decoder(memory: sp.Matrix, theta: tuple[sp.Expr, ...]) -> sp.Matrix:
    """An output in R² that is a generic polynomial of the memory and θ_D."""
    m1, m2, m3 = memory
    b1, b2, b3 = theta
    return sp.Matrix([b1 * m1 + b2 * m2**2 + b3, b1 * b3 * m3 + b2 * m1 * m2])


@covers(_SCOPE)
def _first_order(statement: sp.Basic) -> bool:
    """Compare α J_D J_Dᵀ g + β F J_E J_Eᵀ Fᵀ g with the derivative of f along the step."""
    coefficients = statement.args[1].as_coefficients_dict()
    decoder_sign = coefficients[_J_D * _J_D.transpose() * _G]
    encoder_sign = coefficients[_F * _J_E * _J_E.transpose() * _F.transpose() * _G]
    memory = _encoder(_a)
    mu = sp.Matrix(sp.symbols("mu1:4", real=True))
    at = dict(zip(mu, memory, strict=True))
    j_e = memory.jacobian(sp.Matrix(_a))
    j_d = _decoder(mu, _b).jacobian(sp.Matrix(_b)).subs(at)
    f = _decoder(mu, _b).jacobian(mu).subs(at)
    whole = _decoder(memory, _b)
    everything = sp.Matrix([*_a, *_b])
    jacobian = whole.jacobian(everything)
    exact = -jacobian * jacobian.T * _g
    claimed = decoder_sign * j_d * j_d.T * _g + encoder_sign * f * j_e * j_e.T * f.T * _g
    return all(sp.expand(entry) == 0 for entry in exact - claimed)


@covers(_SCOPE)
def _not_first_order(statement: sp.Basic) -> bool:
    """Whether the derivative along the step is another expression than the right side."""
    return not _first_order(statement)


def _shapes_differ(statement: sp.Basic) -> bool:
    """Whether a product of Jacobians is undefined: columns of one differ from rows of the next."""
    columns, rows = statement.args
    return columns != rows


def _change(encoder_sign: int) -> sp.Expr:
    return (
        -_J_D * _J_D.transpose() * _G
        + encoder_sign * _F * _J_E * _J_E.transpose() * _F.transpose() * _G
    )


def corrected() -> Derivation:
    """Derive Eq. 3 with both terms of one sign and F = ∂f_d/∂f_e."""
    return Derivation(
        "tfixup.eq3",
        "Eq. 3 corrected",
        (
            Step(
                "one SGD step, with generic polynomials f_e: R² → R³ and f_d: R³ × R³ → R²",
                equation(_RATE, _change(-1)),
                _first_order,
                equation(_RATE, _change(1)),
            ),
        ),
    )


def printed_is_false() -> Derivation:
    """Show that the printed sign is contradicted by the same networks.

    The printed symbol is contradicted by its shape.
    """
    return Derivation(
        "tfixup.eq3",
        "Eq. 3 as printed is false",
        (
            Step(
                "with the printed sign the two sides differ",
                sp.Ne(_RATE, _change(1), evaluate=False),
                _not_first_order,
                sp.Ne(_RATE, _change(-1), evaluate=False),
            ),
            Step(
                "∂f_d/∂θ_E ∂f_e/∂θ_E: columns of the first (θ_E ∈ R²), rows of the second (m ∈ R³)",
                sp.Ne(len(_a), len(_encoder(_a)), evaluate=False),
                _shapes_differ,
                sp.Ne(len(_encoder(_a)), len(_encoder(_a)), evaluate=False),
            ),
        ),
    )
