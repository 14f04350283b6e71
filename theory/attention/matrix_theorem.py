"""Theorem 3.1 repaired, with matrices: the mean update gain lies between two multiples of Q̄.

Notation as in ``matrix.py``: T queries, n tokens of width d, H heads, W = v w, X = A m. With
Frobenius norms and

    K = tr J Jᵀ,   Q̄ = T ‖Σ_h W‖² + Σ_h (‖X‖² ‖w‖² + d ‖X v‖²),

    Q̄ / n ≤ K                                    always,                             (1)
    K ≤ (H/κ) (1 + 3 c² B⁸) Q̄                   if ‖q‖, ‖k‖, ‖y_t‖, ‖m_j‖ ≤ B and heads do not
                                                 cancel: ‖Σ_h W‖² ≥ κ Σ_h ‖W‖².       (2)

So for fixed shape, B and κ, K = Θ(1/L) if and only if Q̄ = Θ(1/L). A single head has κ = 1, and
independent heads have κ = 1 in mean square. Without the hypothesis on heads both directions fail.
‖X v‖, not a product of norms, replaces the scalar's |m̄||v|. At d = T = H = 1 both K and Q̄ are
those of ``theorem31.py``.
"""

import random
from itertools import product

import sympy as sp

from theory.attention import scalar as attention
from theory.attention import theorem31
from theory.attention.matrix import (
    Head,
    MatrixAttention,
    gain_parts,
    q_bar,
    slope,
    squared,
)
from theory.attention.matrix_gain import PARTS, K, Q, gain_steps, instances, partial_steps
from theory.attention.matrix_norms import norm_steps
from theory.attention.theorem31 import B, L
from theory.derivations.derivation import Derivation, Step, dominated, equation
from theory.derivations.sums import distribute

_c, _kappa = sp.symbols("c kappa", positive=True)
n, H = sp.symbols("n H", integer=True, positive=True)
_whole, _omega = sp.symbols("|W|^2 Omega", nonnegative=True)
"""Symbols for T ‖Σ_h W‖² and for Ω = T Σ_h ‖W‖²."""
_slack = sp.symbols("t1:4", nonnegative=True)
_more = sp.symbols("p e", nonnegative=True)


def _shift_moves_by(statement: sp.Basic) -> bool:
    """The derivative along dm = 1 r for a row r, against (factor of W) r Σ_h W in each row."""
    factor = statement.args[1].coeff(sp.Symbol("r W", commutative=False))
    for at in instances():
        r = sp.Matrix([[j + 2 for j in range(at.width)]])
        exact = slope(at, None, "m", sp.ones(at.memory.rows, 1) * r)
        whole = sum((head.product for head in at.heads), sp.zeros(at.width, at.width))
        if exact != factor * sp.ones(at.queries, 1) * r * whole:
            return False
    return True


def _entrywise(statement: sp.Basic) -> bool:
    """Decide an identity among sums over tokens for every n, by Σ z = r, Σ a = 1 and Σ a ε = 0."""
    j, z, a, eps = attention.j, theorem31.z, sp.IndexedBase("a"), sp.IndexedBase("epsilon")
    known = {
        sp.Sum(z[j], (j, 1, n)): sp.Symbol("r"),
        sp.Sum(a[j], (j, 1, n)): 1,
        sp.Sum(a[j] * eps[j], (j, 1, n)): 0,
    }
    return sp.expand(distribute(statement.args[0] - statement.args[1]).subs(known)) == 0


def _tokens(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
    """Draw three tokens: z with its sum r, weights a that sum to 1, ε of weighted mean 0."""
    z, a, eps = theorem31.z, sp.IndexedBase("a"), sp.IndexedBase("epsilon")
    entries = [sp.Rational(generator.randint(-9, 9), 7) for _ in range(3)]
    parts = [sp.Integer(generator.randint(1, 9)) for _ in range(3)]
    weights = [part / sum(parts) for part in parts]
    lean = [sp.Rational(generator.randint(-9, 9), 5) for _ in range(2)]
    lean.append(-(weights[0] * lean[0] + weights[1] * lean[1]) / weights[2])
    values: dict[sp.Basic, sp.Basic] = {n: sp.Integer(3), sp.Symbol("r"): sum(entries)}
    for base, numbers in ((z, entries), (a, weights), (eps, lean)):
        values |= {base[index]: number for index, number in enumerate(numbers, start=1)}
    return values


def _row_and_matrix(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
    """Draw a row a and a 3 × 2 matrix M.

    Returns the squared norms of a, M and a M, and the rest R of Lagrange's identity.
    """
    row = sp.Matrix([[generator.randint(-9, 9) for _ in range(3)]])
    matrix = sp.Matrix(3, 2, lambda *_: generator.randint(-9, 9))
    rest = sum(
        (row[i] * matrix[k, col] - row[k] * matrix[i, col]) ** 2
        for i in range(3)
        for k in range(i)
        for col in (0, 1)
    )
    numbers = (squared(row * matrix), squared(row), squared(matrix), rest)
    return dict(zip(sp.symbols("|aM|^2 |a|^2 |M|^2 R"), numbers, strict=True))


def _an_instance(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
    """Values of Q̄, n, K and the upper bound U at one of the rational instances."""
    at = generator.choice(list(instances()))
    low, gain, high = bounds_at(at)
    rows = sp.Integer(at.memory.rows)
    return {Q: low * rows, n: rows, K: gain, sp.Symbol("U", nonnegative=True): high}


def _lower(statement: sp.Basic) -> bool:
    """Decide an inequality where S_m = T‖ΣW‖²/n + S with S ≥ 0 and n ≥ 1."""
    _, _, s_m, _, _ = PARTS
    inserted = statement.subs(s_m, _whole / n + _slack[0]).subs(n, 1 + _more[0])
    return dominated(inserted)


def lower_steps() -> tuple[Step, ...]:
    """Derive (1) for every n, T, H and d, with no hypothesis."""
    j, z, r = attention.j, theorem31.z, sp.Symbol("r")
    r_w = sp.Symbol("r W", commutative=False)
    total = sp.Sum(z[j] ** 2, (j, 1, n))
    split = r**2 / n + sp.Sum((z[j] - r / n) ** 2, (j, 1, n))
    gain, bar = sum(PARTS), _whole + PARTS[0] + PARTS[1]
    return (
        Step(
            "moving every token by r leaves A alone: Σ_j ∂G_t/∂m_j · r = r Σ_h W (exact)",
            equation(sp.Symbol("dG_m", commutative=False), r_w),
            _shift_moves_by,
            equation(sp.Symbol("dG_m", commutative=False), 2 * r_w),
        ),
        Step(
            "entries z_j of ∂G_t/∂m_j that sum to r: Σ z² = r²/n + Σ (z_j − r/n)², for every n",
            equation(total, split),
            _entrywise,
            equation(total, split + r**2 / n),
            given=("Σ z_j = r",),
            draw=_tokens,
        ),
        Step(
            "so S_m ≥ T ‖Σ_h W‖²/n, and Q̄/n ≤ K",
            sp.Le(bar / n, gain, evaluate=False),
            _lower,
            sp.Le(2 * bar / n, gain, evaluate=False),
        ),
    )


def _upper(statement: sp.Basic) -> bool:
    """Decide an inequality under S_m ≤ H Ω (1 + c²B⁸), S_q, S_k ≤ c²B⁸ Ω and κ ≤ H."""
    _, _, s_m, s_q, s_k = PARTS
    reach = _c**2 * B**8
    capped = {
        s_m: H * _omega * (1 + reach) / (1 + _slack[0]),
        s_q: reach * _omega / (1 + _slack[1]),
        s_k: reach * _omega / (1 + _slack[2]),
        _kappa: H / (1 + _more[1]),
    }
    return dominated(statement.subs(capped).subs(H, 1 + _more[0]))


def _cauchy(statement: sp.Basic) -> bool:
    """Check Lagrange's identity for a row and a matrix, entry by entry at 3 × 2."""
    row, matrix = sp.symbols("a1:4"), sp.Matrix(3, 2, sp.symbols("M1:7"))
    pairs = [(i, k) for i in range(3) for k in range(i)]
    rest = sum(
        (row[i] * matrix[k, col] - row[k] * matrix[i, col]) ** 2 for i, k in pairs for col in (0, 1)
    )
    image = squared(sp.Matrix([row]) * matrix)
    values = dict(
        zip(
            sp.symbols("|aM|^2 |a|^2 |M|^2 R"),
            (image, squared(sp.Matrix(row)), squared(matrix), rest),
            strict=True,
        )
    )
    return sp.expand((statement.args[0] - statement.args[1]).subs(values)) == 0


def upper_steps() -> tuple[Step, ...]:
    """Derive (2) where q, k, y, m are bounded and heads do not cancel."""
    j, a, eps = attention.j, sp.IndexedBase("a"), sp.IndexedBase("epsilon")
    p, b = sp.symbols("p b")
    squares, weighted = (
        sp.Sum(a[j] ** power * (p + b * eps[j]) ** 2, (j, 1, n)) for power in (2, 1)
    )
    rest = sp.Sum(a[j] * (1 - a[j]) * (p + b * eps[j]) ** 2, (j, 1, n))
    moment = p**2 + b**2 * sp.Sum(a[j] * eps[j] ** 2, (j, 1, n))
    image, vector, matrix, remainder = sp.symbols("|aM|^2 |a|^2 |M|^2 R")
    gain = sum(PARTS)
    bar = _kappa * _omega + PARTS[0] + PARTS[1]
    return (
        Step(
            "as A_tj ≤ 1, squaring the weights only lowers the sum, entry by entry",
            equation(weighted - squares, rest),
            _entrywise,
            equation(weighted - squares, -rest),
            given=("a_j ≥ 0, Σ a_j = 1, Σ a_j ε_j = 0",),
            draw=_tokens,
        ),
        Step(
            "with Σ_j A_tj Δ_tj = 0 the larger sum is ‖W‖² + ‖b_t‖² tr(Wᵀ C_t W), entry by entry",
            equation(weighted, moment),
            _entrywise,
            equation(weighted, moment - p**2),
            given=("a_j ≥ 0, Σ a_j = 1, Σ a_j ε_j = 0",),
            draw=_tokens,
        ),
        Step(
            "Cauchy–Schwarz for products, with a sum of squares R: tr(Wᵀ C_t W) ≤ tr(C_t) ‖W‖², "
            "‖kᵀ C_t W‖ ≤ ‖k‖ ‖C_t‖ ‖W‖, and ‖C_t‖ ≤ tr C_t ≤ Σ_j A_tj ‖m_j‖² ≤ B²",
            equation(vector * matrix, image + remainder),
            _cauchy,
            equation(vector * matrix, image - remainder),
            "for every row a and matrix M, entry by entry at 3 × 2",
            draw=_row_and_matrix,
        ),
        Step(
            "S_m ≤ H Ω (1 + c²B⁸), S_q, S_k ≤ c²B⁸ Ω, T‖Σ_h W‖² ≥ κ Ω: the upper bound",
            sp.Le(gain, H / _kappa * (1 + 3 * _c**2 * B**8) * bar, evaluate=False),
            _upper,
            sp.Le(gain, H / _kappa * (1 + 3 * _c**2 * B**6) * bar, evaluate=False),
        ),
    )


def bounds_at(at: MatrixAttention) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Lower bound Q̄/n, gain K and upper bound at a point; the last is ∞ where heads cancel.

    Examples
    --------
    >>> from theory.attention.matrix import instance
    >>> low, gain, high = bounds_at(instance(2, 1, 3, 2, 2))
    >>> low <= gain <= high, round(float(gain / low), 2)
    (True, 6.08)
    """
    single = [squared(head.product) for head in at.heads]
    together = squared(sum((h.product for h in at.heads), sp.zeros(at.width, at.width)))
    norms = [squared(part) for head in at.heads for part in (head.q, head.k)]
    norms += [squared(at.query[t, :]) for t in range(at.queries)]
    norms += [squared(at.memory[j, :]) for j in range(at.memory.rows)]
    share = len(single) * sum(single) / together if together != 0 else sp.oo
    bar, gain = q_bar(at), sum(gain_parts(at).values())
    return bar / at.memory.rows, gain, share * (1 + 3 * at.c**2 * max(norms) ** 4) * bar


def _at_every_instance(statement: sp.Basic) -> bool:
    """Check inequalities among Q̄, n, K and the upper bound U at every rational instance."""
    upper = sp.Symbol("U", nonnegative=True)
    for at in instances():
        low, gain, high = bounds_at(at)
        values = {Q: low * at.memory.rows, n: at.memory.rows, K: gain, upper: high}
        left, right = (side.subs(values) for side in statement.args)
        if not bool(left <= right):
            return False
    return True


def sampled_steps() -> tuple[Step, ...]:
    """Check both bounds at exact points, two of them nearly extreme."""
    upper = sp.Symbol("U", nonnegative=True)
    return (
        Step(
            "the lower bound at every rational instance; 1/n is needed where X = 0",
            sp.Le(Q / n, K, evaluate=False),
            _at_every_instance,
            sp.Le(Q, K, evaluate=False),
            "at every rational instance, exactly",
            draw=_an_instance,
        ),
        Step(
            "the upper bound U there; Q̄ alone is not one",
            sp.Le(K, upper, evaluate=False),
            _at_every_instance,
            sp.Le(K, Q, evaluate=False),
            "at every rational instance, exactly",
            draw=_an_instance,
        ),
    )


def cancelling_heads() -> MatrixAttention:
    """Two heads with v₁w₁ = −v₂w₂ and no attended mean: Q̄ = 0 and K = 2/L."""
    one, root = sp.ImmutableMatrix([[1]]), sp.ImmutableMatrix([[L ** sp.Rational(-1, 4)]])
    even = sp.ImmutableMatrix([[sp.Rational(1, 2)] * 2])
    heads = (Head(0 * one, one, root, root, even), Head(0 * one, one, -root, root, even))
    return MatrixAttention(sp.ImmutableMatrix([1, -1]), one, heads, sp.S.One)


def _independent_heads(statement: sp.Basic) -> bool:
    """Average ‖W₁ + W₂‖² and ‖W₁‖² + ‖W₂‖² over signs of v_h (2 × 1) and w_h (1 × 2)."""
    together = apart = sp.S.Zero
    for signs in product((1, -1), repeat=8):
        first = sp.Matrix(2, 1, signs[:2]) * sp.Matrix(1, 2, signs[2:4])
        second = 3 * sp.Matrix(2, 1, signs[4:6]) * sp.Matrix(1, 2, signs[6:])
        together += squared(first + second)
        apart += squared(first) + squared(second)
    return together == apart * statement.args[1]


def head_steps() -> tuple[Step, ...]:
    """Show that the hypothesis on heads is needed, and that random heads meet it."""

    def at_point(statement: sp.Basic) -> bool:
        at = cancelling_heads()
        value = {Q: q_bar(at), K: sum(gain_parts(at).values())}[statement.args[0]]
        return sp.simplify(value - statement.args[1]) == 0

    return (
        Step(
            "heads that cancel, v₁w₁ = −v₂w₂ = L^(-1/2), m = (1, −1), q = 0, k = y = 1: Q̄ is",
            equation(Q, sp.S.Zero),
            at_point,
            equation(Q, 2 / L),
            "at this point, for every L",
        ),
        Step(
            "but K is 2/L, so κ > 0 is needed",
            equation(K, 2 / L),
            at_point,
            equation(K, sp.S.Zero),
            "at this point, for every L",
        ),
        Step(
            "independent zero-mean heads: E‖Σ_h W‖² = κ Σ_h E‖W‖² (all signs, exact)",
            equation(_kappa, sp.S.One),
            _independent_heads,
            equation(_kappa, sp.Rational(1, 2)),
        ),
    )


def derivation() -> Derivation:
    """Derive the theorem: partials, trace, scalar case, both bounds, the heads, the norms."""
    return Derivation(
        "ours.matrix",
        "Theorem 3.1 with matrices, queries and heads",
        (
            *partial_steps(),
            *gain_steps(),
            *lower_steps(),
            *upper_steps(),
            *sampled_steps(),
            *head_steps(),
            *norm_steps(),
        ),
    )
