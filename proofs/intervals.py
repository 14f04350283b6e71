"""Interval enclosures of the scales' constants, in ball arithmetic (python-flint's ``arb``).

A certificate never evaluates a closed form. It takes the condition's polynomial p from the theory,
and checks three inclusions with rigorous rounding: p < 0 at the left end, p > 0 at the right end,
p' > 0 on the whole positive half-line up to the right end. The root is then the only one there.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp
from flint import arb, ctx

from theory import conditions, stacks
from theory.claims import Context, Control, Evidence, Kind, provides
from theory.encoder_scale import N
from theory.stacks import N_E, V_E, W_E, X
from theory.update_rules import SGD, stack_gain

BITS = 200
_t = sp.Symbol("t", positive=True)


@dataclass(frozen=True)
class Enclosure:
    """``low`` < root of p < ``high``, both decimal strings, with the checks that make it so."""

    polynomial: tuple[str, ...]
    """Rational coefficients of p, constant term first."""
    low: str
    high: str
    negative_at_low: bool
    positive_at_high: bool
    increasing: bool
    bits: int = BITS

    @property
    def proved(self) -> bool:
        """Whether all three inclusions hold."""
        return self.negative_at_low and self.positive_at_high and self.increasing


def enclose(polynomial: sp.Poly, low: str, high: str) -> Enclosure:
    """Certify that ``polynomial`` has exactly one root in (0, high], and that it exceeds ``low``.

    Examples
    --------
    >>> enclose(sp.Poly(_t**2 - 2, _t), "1.41421356237", "1.41421356238").proved
    True
    >>> enclose(sp.Poly(_t**2 - 2, _t), "1.42", "1.43").proved
    False
    """
    precision = ctx.prec
    ctx.prec = BITS
    try:
        coefficients = [_ball(c) for c in reversed(polynomial.all_coeffs())]
        slopes = [_ball(c) for c in reversed(polynomial.diff().all_coeffs())]
        left, right = arb(low), arb(high)
        half_line = right * arb("0.5 +/- 0.5")
        return Enclosure(
            tuple(str(c) for c in reversed(polynomial.all_coeffs())),
            low,
            high,
            bool(_horner(coefficients, left) < 0),
            bool(_horner(coefficients, right) > 0),
            bool(_horner(slopes, half_line) > 0) or _only_at_zero(slopes),
        )
    finally:
        ctx.prec = precision


def _only_at_zero(slopes: list[arb]) -> bool:
    """p' has non-negative coefficients, one of them positive: it vanishes at most at 0."""
    return all(c >= 0 for c in slopes) and any(c > 0 for c in slopes)


def _ball(number: sp.Rational) -> arb:
    return arb(int(number.p)) / int(number.q)


def _horner(coefficients: list[arb], at: arb) -> arb:
    value = arb(0)
    for coefficient in reversed(coefficients):
        value = value * at + coefficient
    return value


def encoder_polynomial() -> sp.Poly:
    """Eq. 6 at x = (9N)^(-1/4) and v_e = w_e = t N^(-1/4), minus 1: a polynomial in t.

    Examples
    --------
    >>> encoder_polynomial()
    Poly(2*t**4 + 4/3*t**2 - 1, t, domain='QQ')
    """
    scale = _t * N ** sp.Rational(-1, 4)
    x = (9 * N) ** sp.Rational(-1, 4)
    eq6 = conditions.printed(6).subs({N_E: N, V_E: scale, W_E: scale, X: x})
    return sp.Poly(sp.expand(eq6) - 1, _t)


def decoder_polynomial() -> sp.Poly:
    """The decoder's condition over its blocks at u = t N^(-1/4), minus 1."""
    scale = _t * N ** sp.Rational(-1, 4)
    gain = stack_gain(stacks.decoder(N), SGD).subs(conditions.decoder_choice(scale))
    return sp.Poly(sp.expand(gain) - 1, _t)


def _evidence(claim: str, polynomial: sp.Poly, low: str, high: str, false: sp.Poly) -> Evidence:
    start = time.perf_counter()
    certificate = enclose(polynomial, low, high)
    control = enclose(false, low, high)
    return Evidence(
        claim=claim,
        kind=Kind.PROOF,
        passed=certificate.proved,
        summary=f"{low} < c < {high}: the only positive root, enclosed at {BITS} bits",
        control=Control("the same enclosure with one coefficient doubled", not control.proved),
        value=low,
        seconds=time.perf_counter() - start,
        details={"certificate": certificate},
    )


@provides("tfixup.encoder-scale", "tfixup.decoder-scale", kind=Kind.PROOF)
def constants(context: Context) -> Iterator[Evidence]:
    """Both constants of T-Fixup to twelve digits."""
    del context
    encoder, decoder = encoder_polynomial(), decoder_polynomial()
    yield _evidence(
        "tfixup.encoder-scale",
        encoder,
        "0.669628722978",
        "0.669628722979",
        sp.Poly(encoder + sp.Rational(4, 3) * _t**2, _t),
    )
    yield _evidence(
        "tfixup.decoder-scale",
        decoder,
        "0.577350269189",
        "0.577350269190",
        sp.Poly(2 * decoder + 1, _t),
    )


PROVIDERS = (constants,)
