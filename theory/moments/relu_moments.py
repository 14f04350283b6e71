"""Derives the moments of ReLU that Xiong et al. use, beginning with their Lemma 1.

For X ~ N(0, σ²I_d), E‖ReLU(X)‖² = σ² d/2: half of the second moment lies above 0. For two unit
Gaussians a, b of correlation ρ = cos θ,

    κ₁(ρ) = 2 E ReLU(a) ReLU(b)   = (sin θ + (π − θ) cos θ)/π,
    κ₀(ρ) = 2 E 1[a > 0] 1[b > 0] = (π − θ)/π.

These kernels of ``theory.moments.relu_kernel`` are derived by integrating over the quarter-plane
a, b > 0. The expectation of a polynomial is taken monomial by monomial, by integrating the density.
"""

from collections.abc import Callable, Sequence
from functools import cache

import sympy as sp

from theory.derivations.derivation import Step, covers, equation, identity
from theory.moments.relu_kernel import kappa_0, kappa_1

sigma = sp.Symbol("sigma", positive=True)
d = sp.Symbol("d", integer=True, positive=True)
rho = sp.Symbol("rho", real=True)
theta = sp.Symbol("theta", positive=True)
_t, _r, _phi = sp.symbols("t r φ", real=True)


def density(mean: sp.Expr | int = 0, deviation: sp.Expr = sigma) -> sp.Expr:
    """Density of the normal distribution N(mean, deviation²) at t."""
    return sp.exp(-((_t - mean) ** 2) / (2 * deviation**2)) / (deviation * sp.sqrt(2 * sp.pi))


@cache
def gaussian_moment(power: int) -> sp.Expr:
    """Moment of a standard Gaussian: E a^power for a ~ N(0, 1).

    Examples
    --------
    >>> [gaussian_moment(p) for p in range(5)]
    [1, 0, 1, 0, 3]
    """
    return sp.integrate(_t**power * density(deviation=sp.S.One), (_t, -sp.oo, sp.oo))


@cache
def relu_moment(power: int) -> sp.Expr:
    """Moment of ReLU of a standard Gaussian: E ReLU(a)^power for a ~ N(0, 1).

    The moment of power 0 is 1.

    Examples
    --------
    >>> relu_moment(2), relu_moment(4)
    (1/2, 3/2)
    """
    if power == 0:
        return sp.S.One
    return sp.integrate(_t**power * density(deviation=sp.S.One), (_t, 0, sp.oo))


def expectation(
    polynomial: sp.Expr,
    variables: Sequence[sp.Symbol],
    moment: Callable[[int], sp.Expr] = gaussian_moment,
) -> sp.Expr:
    """Expectation of a polynomial in independent variables, each with the moments ``moment``.

    Examples
    --------
    >>> a, b = sp.symbols("a b")
    >>> expectation((a + 2 * b) ** 2, (a, b))
    5
    >>> expectation((a + 2 * b) ** 2, (a, b), relu_moment)
    2/pi + 5/2
    """
    terms = sp.Poly(polynomial, *variables).terms()
    return sp.Add(*(c * sp.Mul(*(moment(power) for power in powers)) for powers, c in terms))


def lemma1() -> tuple[Step, ...]:
    """Derive Lemma 1: E‖ReLU(X)‖² = σ² d/2 for X ~ N(0, σ²I_d)."""
    whole = sp.Integral(density(), (_t, -sp.oo, sp.oo))
    upper_half = sp.Integral(_t**2 * density(), (_t, 0, sp.oo))
    coordinate = sp.Symbol("j", integer=True)
    total = sp.Sum(sigma**2 / 2, (coordinate, 1, d))
    return (
        Step(
            "the density of N(0, σ²) integrates to 1",
            equation(whole, sp.S.One),
            identity,
            equation(whole, sp.S.One / sigma),
        ),
        Step(
            "one coordinate of ReLU(X): the part of the second moment above 0; σ enters squared",
            equation(upper_half, sigma**2 / 2),
            identity,
            equation(upper_half, sigma / 2),
        ),
        Step(
            "this is half of the second moment: X and −X have the same law because the mean is 0",
            equation(upper_half, sp.Integral(_t**2 * density(), (_t, -sp.oo, 0))),
            identity,
            # The mean is not 0 on the right; SymPy takes ten seconds where it is so on the left.
            equation(upper_half, sp.Integral(_t**2 * density(sigma), (_t, -sp.oo, 0))),
        ),
        Step(
            "d coordinates add up, independent or not: the expectation is linear",
            equation(total, sigma**2 * d / 2),
            identity,
            equation(total, sigma**2 * d),
        ),
    )


def _angles(product: sp.Expr) -> sp.Integral:
    """Integral over the directions φ in which a = r cos φ and b = r cos(φ − θ) are positive."""
    return sp.Integral(product, (_phi, theta - sp.pi / 2, sp.pi / 2))


def _radii(power: int) -> sp.Integral:
    return sp.Integral(_r ** (power + 1) * sp.exp(-(_r**2) / 2) / (2 * sp.pi), (_r, 0, sp.oo))


@covers("at five angles between 0 and π, exactly")
def _kernel(statement: sp.Basic) -> bool:
    """Compare the integral with the kernel at angles between 0 and π."""
    integral, kernel = (side.doit() for side in statement.args)
    gap = integral - kernel.subs(sp.acos(rho), theta).subs(rho, sp.cos(theta))
    angles = (sp.pi / 6, sp.pi / 4, sp.pi / 2, 2 * sp.pi / 3, sp.pi)
    return all(sp.simplify(gap.subs(theta, angle)) == 0 for angle in angles)


def pair_kernels() -> tuple[Step, ...]:
    """Derive κ₁ and κ₀ by integrating over the directions where both Gaussians are positive."""
    values = 2 * _radii(2) * _angles(sp.cos(_phi) * sp.cos(_phi - theta))
    masks = 2 * _radii(0) * _angles(sp.S.One)
    return (
        Step(
            "κ₁(cos θ) = 2 E ReLU(a) ReLU(b), in polar coordinates",
            equation(values, kappa_1(rho)),
            _kernel,
            equation(values, rho),
        ),
        Step(
            "κ₀(cos θ) = 2 E 1[a > 0] 1[b > 0], in polar coordinates",
            equation(masks, kappa_0(rho)),
            _kernel,
            equation(masks, sp.S.One),
        ),
    )
