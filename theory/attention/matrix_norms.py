"""Which norms replace the absolute values when the scalars of Theorem 3.1 become matrices.

Norms of each single factor are not sufficient. With X v = 0 the printed condition ‖v‖²‖w‖² + (‖v‖²
+ ‖w‖²)‖m_i‖² is Θ(1/L) and the update gain is Θ(1/L²). So ‖X v‖ must replace |m̄||v|, and ‖v w‖
must replace |v||w|. With root mean squares per coordinate, ω = ‖W‖/√d, x = ‖X‖/√(Td), ŵ = ‖w‖/√d
and z = ‖X v‖/√(Td),

    Q̄/(Td) = ω² + d (x² ŵ² + z²),

which the mean eigenvalue is a multiple of. If tokens are measured by √d times their root mean
square, their Euclidean norm, this is exactly the scalar form. With root mean squares throughout, it
is the scalar form up to a factor of d. An initialisation sets root mean squares: weights of
Xavier's variance times s² multiply the root mean square by s. Notation as in ``matrix.py``.
"""

from itertools import product

import sympy as sp

from theory.attention.matrix import Head, MatrixAttention, gain_parts, squared
from theory.attention.theorem31 import L
from theory.derivations.derivation import Step, dominated, equation
from theory.derivations.orders import order_step

d = sp.Symbol("d", integer=True, positive=True)
_rms = sp.symbols("omega x what z", nonnegative=True)
_s = sp.Symbol("s", positive=True)


def misaligned() -> MatrixAttention:
    """One query and one token with X v = 0, ‖v‖² = 1/L and ‖w‖² = 2/L²."""
    one, last = sp.ImmutableMatrix([[1]]), sp.ImmutableMatrix([[0, 0], [0, 1]])
    token, eye = sp.ImmutableMatrix([[1, 0]]), sp.ImmutableMatrix(sp.eye(2))
    head = Head(eye, eye, L ** sp.Rational(-1, 2) * last, eye / L, one)
    return MatrixAttention(token, token, (head,), sp.S.One)


def printed_terms(at: MatrixAttention) -> sp.Expr:
    """The printed condition read with norms of each factor.

    ‖v‖²‖w‖² + (‖v‖² + ‖w‖²) max ‖m_j‖².

    Examples
    --------
    >>> printed_terms(misaligned())
    1/L + 2/L**2 + 2/L**3
    """
    (head,) = at.heads
    v, w = squared(head.v), squared(head.w)
    longest = max(squared(at.memory[j, :]) for j in range(at.memory.rows))
    return sp.expand(v * w + (v + w) * longest)


def _keeps_root_mean_square(statement: sp.Basic) -> bool:
    """Average ‖x w‖² over signs of w (2 × k, entries ± s/√2) at several k, per coordinate."""
    x = (sp.Rational(3), sp.Rational(-1, 2))
    for columns in (1, 2, 3):
        total = sp.S.Zero
        for signs in product((1, -1), repeat=2 * columns):
            total += sum((x[0] * signs[i] + x[1] * signs[columns + i]) ** 2 for i in range(columns))
        per_coordinate = total / 4**columns * _s**2 / 2 / columns
        before = sum(entry**2 for entry in x) / 2
        if sp.expand(per_coordinate / before - statement.args[1]) != 0:
            return False
    return True


def norm_steps() -> tuple[Step, ...]:
    """Show that products of norms fail, which norm Xavier keeps, and the factor d."""
    at = misaligned()
    gain = sum(gain_parts(at).values())
    omega, x, w, z = _rms
    scaled = omega**2 + d * (x**2 * w**2 + z**2)
    hat = omega**2 + x**2 * w**2 + z**2
    more = sp.Symbol("p", nonnegative=True)

    def named(statement: sp.Basic) -> bool:
        size, rows = sp.Integer(5), sp.Integer(3)
        bar = rows * size * omega**2 + (rows * size * x**2) * (size * w**2)
        bar += size * (rows * size * z**2)
        claimed = statement.args[1].subs(d, size)
        return sp.expand(bar / (rows * size) - claimed) == 0

    def any_width(statement: sp.Basic) -> bool:
        return dominated(statement.subs(d, 1 + more))

    mean = sp.Symbol("Qbar/(Td)")
    return (
        order_step("norms of each factor: with X v = 0 the condition", printed_terms(at), -1, L),
        order_step("but the trace: ‖X v‖ must replace |m̄||v|", sp.expand(gain), -2, L),
        Step(
            "Q̄/(Td) in root mean squares per coordinate (at d = 5, T = 3)",
            equation(mean, scaled),
            named,
            equation(mean, hat),
        ),
        Step(
            "so Q̂ with every norm a root mean square is right up to a factor of d: from below",
            sp.Le(hat, scaled, evaluate=False),
            any_width,
            sp.Le(d * hat, scaled, evaluate=False),
        ),
        Step(
            "and from above",
            sp.Le(scaled, d * hat, evaluate=False),
            any_width,
            sp.Le(scaled, hat, evaluate=False),
        ),
        Step(
            "entries of variance s²/d multiply the mean square per coordinate by s² (all signs)",
            equation(sp.Function("E")(sp.Symbol("ratio")), _s**2),
            _keeps_root_mean_square,
            equation(sp.Function("E")(sp.Symbol("ratio")), 2 * _s**2),
        ),
    )
