"""From conditions to scales: the solver that returns (9N)^(-1/4) and 0.6696… N^(-1/4).

The decoder's norms are tied to one scale u (v_d = w_d = y = m = u) and its condition set to 1; the
encoder's input norm x is tied to a depth by the same formula, v_e = w_e = s, and Eq. 6 is set to
1. Each is a polynomial in u or s with positive coefficients on the left, so its positive root is
unique. For SGD and N_e = N_d = N:

    u = (9N)^(-1/4),   s = √((√22 − 2)/6) N^(-1/4).
"""

from dataclasses import dataclass

import sympy as sp

from theory import stacks
from theory.conditions import decoder_choice
from theory.errors import InputError
from theory.stacks import N_D, N_E, V_E, W_E, X
from theory.update_rules import UpdateRule, stack_gain

_U = sp.Symbol("u", positive=True)


@dataclass(frozen=True)
class Scales:
    """Solved scales of an encoder-decoder; each multiplies Xavier, or the unit-norm input."""

    rule: UpdateRule
    encoder_layers: sp.Expr
    decoder_layers: sp.Expr
    encoder: sp.Expr
    """v_e = w_e, and both matrices of an encoder MLP."""
    decoder: sp.Expr
    """v_d = w_d, and both matrices of a decoder MLP."""
    source: sp.Expr
    """x, the norm of the encoder's input."""
    target: sp.Expr
    """y = m, the norm of the decoder's input and of the memory."""


def positive_root(left_side: sp.Expr, unknown: sp.Symbol, power: int) -> sp.Expr:
    """The one positive ``unknown`` with ``left_side`` = 1.

    ``left_side`` is a polynomial in ``unknown``^``power`` with positive coefficients and no
    constant term, so it increases from 0 without bound and meets 1 exactly once.

    Raises
    ------
    InputError
        If the left side is not of that form, and a unique root is not guaranteed.

    Examples
    --------
    >>> positive_root(16 * _U**4, _U, 2)
    1/2
    """
    t = sp.Symbol("t", positive=True)
    reduced = sp.expand(left_side.subs(unknown, t ** sp.Rational(1, power)))
    polynomial = sp.Poly(reduced, t)
    terms = polynomial.terms()
    if any(degrees == (0,) or c.is_positive is not True for degrees, c in terms):
        raise InputError(
            f"a condition needs positive coefficients and no constant term, got {left_side} = 1"
        )
    return sp.simplify(_root_of(polynomial)) ** sp.Rational(1, power)


def _root_of(polynomial: sp.Poly) -> sp.Expr:
    """The positive t with ``polynomial`` = 1, by radicals up to degree 2, else as a real root."""
    t = polynomial.gen
    a, b = polynomial.nth(2), polynomial.nth(1)
    if polynomial.degree() == 1:
        return 1 / b
    if polynomial.degree() == 2:
        return (-b + sp.sqrt(b**2 + 4 * a)) / (2 * a)
    if polynomial.free_symbols_in_domain:
        raise InputError(f"degree {polynomial.degree()} needs numbers for the depths: {polynomial}")
    return next(root for root in sp.Poly(polynomial - 1, t).real_roots() if root.is_positive)


def solve(
    rule: UpdateRule,
    encoder_layers: sp.Expr = N_E,
    decoder_layers: sp.Expr = N_D,
    *,
    input_depth: str = "encoder",
) -> Scales:
    """Scales of an encoder-decoder under ``rule``.

    Parameters
    ----------
    encoder_layers, decoder_layers
        N_e and N_d, symbols or numbers.
    input_depth
        Which stack's depth sets the encoder's input norm x: ``decoder`` as in the paper, whose
        x = (3 L_d)^(-1/4), or ``encoder`` as in its code. They agree when N_e = N_d.

    Examples
    --------
    >>> from theory.update_rules import SGD
    >>> N = sp.Symbol("N", positive=True)
    >>> solved = solve(SGD, N, N)
    >>> sp.N((solved.encoder * N ** sp.Rational(1, 4)).subs(N, 7), 12)
    0.669628722978
    """
    if input_depth not in ("encoder", "decoder"):
        raise InputError(f"input depth must be 'encoder' or 'decoder', got {input_depth!r}")
    decoder_gain = stack_gain(stacks.decoder(), rule)
    tied = positive_root(decoder_gain.subs(decoder_choice(_U)), _U, rule.power)
    target = tied.subs(N_D, decoder_layers)
    source = tied.subs(N_D, encoder_layers if input_depth == "encoder" else decoder_layers)
    encoder_gain = stack_gain(stacks.encoder(encoder_layers), rule)
    encoder = positive_root(encoder_gain.subs({V_E: _U, W_E: _U, X: source}), _U, rule.power)
    return Scales(rule, encoder_layers, decoder_layers, encoder, target, source, target)


def left_sides(scales: Scales) -> dict[str, sp.Expr]:
    """The solved conditions' left sides, each exactly 1 if the scales solve them."""
    decoder = stack_gain(stacks.decoder(scales.decoder_layers), scales.rule)
    encoder = stack_gain(stacks.encoder(scales.encoder_layers), scales.rule)
    at_encoder = {V_E: scales.encoder, W_E: scales.encoder, X: scales.source}
    return {
        "encoder": sp.simplify(encoder.subs(at_encoder)),
        "decoder": sp.simplify(decoder.subs(decoder_choice(scales.decoder))),
    }


def depth_constant(scale: sp.Expr, layers: sp.Symbol, rule: UpdateRule) -> sp.Expr:
    """c in scale = c · layers^(-power/4 …): the scale times N^(1/4) for SGD, N^(1/2) for sign.

    Raises
    ------
    InputError
        If the scale is not a pure power of that depth.
    """
    constant = sp.simplify(scale * layers ** sp.Rational(1, 2 * rule.power))
    if constant.has(layers):
        raise InputError(f"{scale} is no constant times a power of {layers}")
    return constant
