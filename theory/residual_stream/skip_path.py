"""Growth of a signal along the skip path, which §3.2 of T-Fixup asserts to be bounded.

The paper says Θ(1) "due to the residual architecture". In the scalar chain y_{l+1} = (1 + v_l w_l)
y_l of L blocks with |v_l w_l| = (3L)^(-1/2):

- all signs alike (coherent): (1 + (3L)^(-1/2))^L ~ exp(√(L/3) − 1/6) → ∞;
- independent signs (incoherent), in mean square: (1 + 1/(3L))^L → e^(1/3).
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, equation, mean_step

L = sp.Symbol("L", positive=True)


def coherent(blocks: sp.Expr = L, strength: sp.Expr | None = None) -> sp.Expr:
    """Growth over L blocks of one sign: (1 + |v w|)^L, by default at |v w| = (3L)^(-1/2).

    Examples
    --------
    >>> N = sp.Integer(200)  # the encoder's |v w| = 0.4484/√N over 2 N blocks
    >>> round(float(coherent(2 * N, (sp.sqrt(22) - 2) / 6 / sp.sqrt(N))), -2)
    264600.0
    """
    return (1 + ((3 * blocks) ** sp.Rational(-1, 2) if strength is None else strength)) ** blocks


def incoherent(blocks: sp.Expr = L) -> sp.Expr:
    """Growth in mean square over L blocks of independent signs ε_l: (1 + 1/(3L))^L.

    It is E Π (1 + ε_l (3L)^(-1/2))².

    Examples
    --------
    >>> sp.limit(incoherent(), L, sp.oo)
    exp(1/3)
    """
    return (1 + 1 / (3 * blocks)) ** blocks


def _has_limit(statement: sp.Basic) -> bool:
    return sp.simplify(statement.args[0].doit() - statement.args[1]) == 0


def coherent_derivation() -> Derivation:
    """Derive that the coherent product is unbounded.

    The printed statement hence fails in the worst case.
    """
    u = sp.Symbol("u", positive=True)

    def log_limit(statement: sp.Basic) -> bool:
        # L = 1/(3u²) turns the limit at infinity into a Taylor expansion at 0.
        at_u = statement.args[0].args[0].subs(L, 1 / (3 * u**2))
        return sp.limit(sp.expand_log(at_u, force=True), u, 0) == statement.args[1]

    logarithm = L * sp.log(1 + (3 * L) ** sp.Rational(-1, 2))

    def gap(claimed: sp.Expr) -> sp.Basic:
        return equation(sp.Limit(logarithm - claimed, L, sp.oo), sp.S.Zero)

    return Derivation(
        "tfixup.skip",
        "Coherent growth along the skip path",
        (
            Step(
                "the logarithm of the coherent product is √(L/3) − 1/6 up to a vanishing remainder",
                gap(sp.sqrt(L / 3) - sp.S(1) / 6),
                log_limit,
                gap(sp.sqrt(L / 3)),
            ),
            Step(
                "which is unbounded, so the product is",
                equation(sp.Limit(sp.sqrt(L / 3) - sp.S(1) / 6, L, sp.oo), sp.oo),
                lambda statement: statement.args[0].doit() == statement.args[1],
                equation(sp.Limit(1 / (3 * L), L, sp.oo), sp.oo),
            ),
        ),
    )


def incoherent_derivation() -> Derivation:
    """Derive that in mean square over independent signs the product tends to e^(1/3)."""
    epsilon, a = sp.symbols("epsilon a", real=True)

    def averaged(statement: sp.Basic) -> bool:
        both = sum(statement.args[0].subs(epsilon, sign) for sign in (1, -1)) / 2
        return sp.expand(both - statement.args[1]) == 0

    return Derivation(
        "tfixup.skip",
        "Incoherent growth along the skip path",
        (
            mean_step(
                "one block in mean square, over ε = ±1 with equal odds",
                (1 + epsilon * a) ** 2,
                1 + a**2,
                averaged,
                (1 + a) ** 2,
                "over both signs, for every a",
            ),
            Step(
                "L independent blocks with a² = 1/(3L)",
                equation(sp.Limit(incoherent(), L, sp.oo), sp.exp(sp.Rational(1, 3))),
                _has_limit,
                equation(sp.Limit(incoherent(), L, sp.oo), sp.S.One),
            ),
        ),
    )
