"""Interval certificates: the constants, RAdam's variance, the norm of Eq. 1, and what they support.

Each statement is checked with rigorous rounding in ball arithmetic. Its result contains the
certificate: balls or decimals, the precision, and the inclusions that were decided. The polynomials
and the tables can be checked again by ``check_certificate.py``, which uses only fractions.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

import sympy as sp

from proofs import jacobian_norm, scheme_constants, variance
from proofs.enclosure import BITS, Enclosure, enclose
from proofs.result import Altered, Machine, Result, Support, evidence
from proofs.scheme_constants import SchemeCase, schemes
from theory.claims import Context, Evidence, Kind, Reading, provides
from theory.scales import conditions, stacks
from theory.scales.stacks import N_E, V_E, W_E, X
from theory.scales.tfixup_constants import N
from theory.scales.update_rules import SGD, stack_gain

_t = sp.Symbol("t", positive=True)


def encoder_polynomial() -> sp.Poly:
    """The encoder's condition as a polynomial in t that vanishes at its constant.

    It is Eq. 6 at x = (9N)^(-1/4) and v_e = w_e = t N^(-1/4), minus 1.

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
    """The decoder's condition as a polynomial in t that vanishes at its constant.

    It is the sum over its blocks at u = t N^(-1/4), minus 1.
    """
    scale = _t * N ** sp.Rational(-1, 4)
    gain = stack_gain(stacks.decoder(N), SGD).subs(conditions.decoder_choice(scale))
    return sp.Poly(sp.expand(gain) - 1, _t)


def _root(name: str, what: str, polynomial: sp.Poly, low: str, high: str, false: sp.Poly) -> Result:
    start = time.perf_counter()
    certificate = enclose(polynomial, low, high)
    altered = Altered("one coefficient doubled", not enclose(false, low, high).proved)
    statement = f"{low} < c < {high} for {what}: the only positive root, at {BITS} bits"
    return _result(name, statement, certificate.proved, altered, start, _root_details(certificate))


def _root_details(certificate: Enclosure) -> dict[str, object]:
    return {"kind": "root", **asdict(certificate)}


def _result(
    name: str,
    statement: str,
    proved: bool,
    altered: Altered,
    start: float,
    *certificates: dict[str, object],
) -> Result:
    return Result(
        Machine.INTERVAL,
        name,
        statement,
        proved,
        (altered,),
        seconds=time.perf_counter() - start,
        problem="" if proved else "an enclosure was not established",
        details={"certificates": certificates},
    )


def encoder_constant() -> Result:
    """Certify the encoder's constant from Eq. 6."""
    polynomial = encoder_polynomial()
    return _root(
        "encoder_constant",
        "Eq. 6's constant",
        polynomial,
        "0.669628722978",
        "0.669628722979",
        sp.Poly(polynomial + sp.Rational(4, 3) * _t**2, _t),
    )


def decoder_constant() -> Result:
    """Certify the decoder's constant, 9^(-1/4), from its blocks."""
    polynomial = decoder_polynomial()
    return _root(
        "decoder_constant",
        "the decoder's constant",
        polynomial,
        "0.577350269189",
        "0.577350269190",
        sp.Poly(2 * polynomial + 1, _t),
    )


def scheme_result(scheme: SchemeCase) -> Result:
    """Certify a scheme's constants to 15 digits, and its conditions at the enclosures."""
    start = time.perf_counter()
    solved = scheme_constants.solved_by(scheme)
    found = scheme_constants.constants(scheme, solved)
    shifted = scheme_constants.constants(scheme, solved, sp.Rational(1000001, 1000000))
    values = ", ".join(f"{slot} = {root.low}…" for slot, root in found.roots.items())
    return _result(
        f"constants of {scheme.name}",
        f"{values}; every condition is 1 to within {scheme_constants.NEAR}",
        found.proved,
        Altered("every constant larger by 10⁻⁶", not shifted.conditions_hold),
        start,
        *(_root_details(root) for root in found.roots.values()),
    )


def variance_table() -> Result:
    """Certify Var[ψ] at the ρ of the documents, to 13 digits and more."""
    start = time.perf_counter()
    values = variance.table()
    agree = all(variance.agrees_with_theory(value.rho) for value in values)
    first_order = variance.agrees_with_theory(5, first_order=True)
    shown = ", ".join(f"Var({value.rho}) = {value.low}…" for value in values)
    return _result(
        "variance_table",
        f"{shown} at σ = 1, and the theory's formula lies in each ball",
        agree,
        Altered("the first-order form at ρ = 5", not first_order),
        start,
        *({"kind": "variance", **asdict(value)} for value in values),
    )


def variance_falls() -> Result:
    """Certify that Var[ψ] decreases on [5, 500], cell by cell."""
    start = time.perf_counter()
    cells = tuple(variance.cells())
    falls = all(cell.slope_at_most.startswith("-") for cell in cells)
    rising = all(cell.slope_at_most.startswith("-") for cell in variance.cells(bend=-1))
    worst = max(float(sp.Rational(cell.slope_at_most)) for cell in cells)
    return _result(
        "variance_falls",
        f"dVar/dρ ≤ {worst:.2g} < 0 over {len(cells)} cells that cover ρ ∈ [5, 500]",
        falls,
        Altered("with the sign of ζ(3, ξ) changed", not rising),
        start,
        {"kind": "decrease", "cells": [asdict(cell) for cell in cells]},
    )


def spectral_norm() -> Result:
    """Certify the norm of Eq. 1 at points of width 3, 4 and 6."""
    start = time.perf_counter()
    found = [jacobian_norm.certificate(point) for point in jacobian_norm.POINTS]
    printed = jacobian_norm.certificate(jacobian_norm.POINTS[0], of_deviation=False)
    return _result(
        "spectral_norm",
        "‖∂LN/∂x‖ = √d/‖x − x̄‖ to 12 digits at points of width 3, 4, 6, by power series",
        all(item.agree for item in found),
        Altered("√d/‖x‖ in its place", not printed.agree),
        start,
        *({"kind": "norm", **asdict(item)} for item in found),
    )


CHECKS: tuple[Callable[[], Result], ...] = (
    encoder_constant,
    decoder_constant,
    *((lambda scheme=scheme: scheme_result(scheme)) for scheme in schemes()),
    variance_table,
    variance_falls,
    spectral_norm,
)

SUPPORTS = (
    Support("tfixup.encoder-scale", ("encoder_constant",), "0.669628722978 < c < 0.669628722979"),
    Support("tfixup.decoder-scale", ("decoder_constant",), "0.577350269189 < c < 0.577350269190"),
    Support(
        "ours.adam-scale",
        ("constants of tfixup, steps by the sign",),
        "1/3 and 0.448402626637238…, both conditions 1 within 10⁻⁹",
    ),
    Support("fixup.scale", ("constants of r-fixup",), "R-Fixup's constants to 15 digits"),
    Support(
        "deepnorm.scale",
        ("constants of deepnorm", "constants of deepnorm, single stack"),
        "0.813841374065318… and 0.868850864210051…, printed as 0.81 and 0.87",
    ),
    Support("dtfixup.scale", ("constants of dt-fixup, μ = 1",), "8^(-1/2) at μ = 1"),
    Support(
        "radam.variance",
        ("variance_table", "variance_falls"),
        "the table to 13 digits; falling over cells that cover ρ ∈ [5, 500]",
    ),
    *(
        Support(
            claim,
            ("spectral_norm",),
            "‖J‖ = √d/‖x − x̄‖ to 12 digits at widths 3, 4, 6",
            Reading.RESTRICTED,
        )
        for claim in ("tfixup.eq1", "xiong.lemma3")
    ),
)


def check() -> tuple[Result, ...]:
    """Check every interval statement."""
    return tuple(one() for one in CHECKS)


@provides(*dict.fromkeys(support.claim for support in SUPPORTS), kind=Kind.PROOF)
def enclosures(context: Context) -> Iterator[Evidence]:
    """The evidence of every certificate."""
    del context
    results = check()
    yield from (evidence(support, results) for support in SUPPORTS)


PROVIDERS = (enclosures,)
