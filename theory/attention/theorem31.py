"""Theorem 3.1 of T-Fixup and its repair: the update gain lies between two bounds.

The paper's condition has v²w² + (v² + w²) m_i² for each i. The repair has the attended mean m̄
instead, Q̄ = v²w² + (v² + w²) m̄². For every n

    Q̄ / n ≤ K                                   always,
    K ≤ (1 + 3 B⁸) Q̄                            if |q|, |k|, |y|, |m_j| ≤ B.

So for fixed n and B, K = Θ(1/L) if and only if Q̄ = Θ(1/L). To establish a bound, a quantity θ ≤ 1
is written as 1/(1 + t) with t ≥ 0. This turns the inequality into non-negative coefficients.
Notation as in ``scalar.py``.
"""

import random

import sympy as sp

from theory.attention import scalar
from theory.derivations.derivation import Step, at_step, dominated, equation, section
from theory.derivations.sums import distribute

B, L, c, C = sp.symbols("B L c C", positive=True)
z = sp.IndexedBase("z", real=True)
_tilt = 1 + scalar.q * scalar.k * scalar.y * (scalar.m[scalar.j] - scalar.mean)
_slack = sp.symbols("t_q t_k t_y t_V t_s", nonnegative=True)
_S, _share = sp.symbols("S sigma", nonnegative=True)
_surplus = sp.Symbol("p", integer=True, nonnegative=True)

Q_BAR = scalar.v**2 * scalar.w**2 + (scalar.v**2 + scalar.w**2) * scalar.mean**2


def _one_sign(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
    return scalar.drawn(generator, one_sign=True)


def printed_condition(memory: sp.Expr) -> sp.Expr:
    """Left side of the theorem's printed condition: v²w² + w²m_i² + v²m_i².

    Examples
    --------
    >>> printed_condition(sp.Integer(0))
    v**2*w**2
    """
    return scalar.v**2 * scalar.w**2 + scalar.w**2 * memory**2 + scalar.v**2 * memory**2


def _total(term: sp.Expr) -> sp.Sum:
    return sp.Sum(term, (scalar.j, 1, scalar.n))


def _attended(statement: sp.Basic) -> bool:
    """Decide an identity among sums over s, by Σs = 1, Σs m = m̄, Σs m² = V + m̄² and Σz = 1."""
    known = {
        _total(scalar.s[scalar.j]): 1,
        _total(scalar.s[scalar.j] * scalar.m[scalar.j]): scalar.mean,
        _total(scalar.s[scalar.j] * scalar.m[scalar.j] ** 2): scalar.variance + scalar.mean**2,
        _total(z[scalar.j]): 1,
    }
    left, right = statement.args
    return sp.expand(distribute(left - right).subs(known)) == 0


def _with_share(statement: sp.Basic) -> bool:
    """Decide an identity after naming Σ s_j² (…)² = σ and writing σ = 1/n + S."""
    left, right = (side.subs(scalar.spread, _share) for side in statement.args)
    return sp.expand((left - right).subs(_share, 1 / scalar.n + _S)) == 0


def _for_every_n(statement: sp.Basic) -> bool:
    return dominated(statement.subs(scalar.spread, 1 / scalar.n + _S).subs(scalar.n, 1 + _surplus))


def _bounded(statement: sp.Basic) -> bool:
    """Decide an inequality under |q|, |k|, |y|, |m_j| ≤ B.

    Squares and V are written as B² times a quantity of at most 1.
    """
    t_q, t_k, t_y, t_v, t_s = _slack
    capped = {
        scalar.q**2: B**2 / (1 + t_q),
        scalar.k**2: B**2 / (1 + t_k),
        scalar.y**2: B**2 / (1 + t_y),
    }
    difference = statement.args[1] - statement.args[0]
    named = difference.subs(
        scalar.spread, (1 + scalar.q**2 * scalar.k**2 * scalar.y**2 * scalar.variance) / (1 + t_s)
    )
    return dominated(
        sp.Le(0, named.subs(capped).subs(scalar.variance, B**2 / (1 + t_v)), evaluate=False)
    )


def lower_bound() -> tuple[Step, ...]:
    """Derive Q̄/n ≤ K for every n, with no hypothesis."""
    z_j = scalar.s[scalar.j] * _tilt
    split = (
        (1 - 1 / scalar.n) * (scalar.v**2 + scalar.w**2) * scalar.mean**2
        + scalar.v**2 * scalar.w**2 * _S
        + scalar.v**2 * scalar.w**2 * (scalar.q**2 + scalar.k**2) * scalar.y**2 * scalar.variance**2
    )
    return (
        Step(
            "z_j = s_j (1 + q k y (m_j − m̄)) sum to 1",
            equation(_total(z_j), sp.S.One),
            _attended,
            equation(_total(z_j.subs(scalar.mean, 2 * scalar.mean)), sp.S.One),
            given=("s_j ≥ 0, Σ s_j = 1, Σ s_j m_j = m̄, Σ s_j (m_j − m̄)² = V",),
            draw=scalar.drawn,
        ),
        Step(
            "numbers that sum to 1 have Σ z² = 1/n + S with S = Σ (z_j − 1/n)² ≥ 0",
            equation(
                _total(z[scalar.j] ** 2), 1 / scalar.n + _total((z[scalar.j] - 1 / scalar.n) ** 2)
            ),
            _attended,
            equation(
                _total(z[scalar.j] ** 2), 2 / scalar.n + _total((z[scalar.j] - 1 / scalar.n) ** 2)
            ),
            given=("Σ z_j = 1",),
            draw=scalar.drawn,
        ),
        Step(
            "K − Q̄/n is a sum of three terms",
            equation(scalar.gain() - Q_BAR / scalar.n, split),
            _with_share,
            equation(
                scalar.gain() - Q_BAR / scalar.n, split - scalar.v**2 * scalar.w**2 / scalar.n
            ),
            given=("s_j ≥ 0, Σ s_j = 1, Σ s_j m_j = m̄, Σ s_j (m_j − m̄)² = V",),
            draw=scalar.drawn,
        ),
        Step(
            "each of them non-negative: the lower bound",
            sp.Le(Q_BAR / scalar.n, scalar.gain(), evaluate=False),
            _for_every_n,
            sp.Le(2 * Q_BAR / scalar.n, scalar.gain(), evaluate=False),
            given=("s_j ≥ 0, Σ s_j = 1, Σ s_j m_j = m̄, Σ s_j (m_j − m̄)² = V",),
            draw=scalar.drawn,
        ),
    )


def upper_bound() -> tuple[Step, ...]:
    """Derive K ≤ (1 + 3B⁸) Q̄ where q, k, y and the memory are bounded by B."""
    a2 = scalar.q**2 * scalar.k**2 * scalar.y**2
    return (
        Step(
            "as s_j ≤ 1, squaring the weights only lowers the sum",
            equation(
                _total(scalar.s[scalar.j] * _tilt**2) - scalar.spread,
                _total(scalar.s[scalar.j] * (1 - scalar.s[scalar.j]) * _tilt**2),
            ),
            _attended,
            equation(
                _total(scalar.s[scalar.j] * _tilt**2) - scalar.spread,
                _total(scalar.s[scalar.j] * (1 + scalar.s[scalar.j]) * _tilt**2),
            ),
            given=("s_j ≥ 0, Σ s_j = 1, Σ s_j m_j = m̄, Σ s_j (m_j − m̄)² = V",),
            draw=scalar.drawn,
        ),
        Step(
            "and the larger sum is 1 + (q k y)² V",
            equation(_total(scalar.s[scalar.j] * _tilt**2), 1 + a2 * scalar.variance),
            _attended,
            equation(_total(scalar.s[scalar.j] * _tilt**2), 1 - a2 * scalar.variance),
            given=("s_j ≥ 0, Σ s_j = 1, Σ s_j m_j = m̄, Σ s_j (m_j − m̄)² = V",),
            draw=scalar.drawn,
        ),
        Step(
            "V ≤ Σ s_j m_j² ≤ B², so (q k y)² V ≤ B⁸",
            sp.Le(a2 * scalar.variance, B**8, evaluate=False),
            _bounded,
            sp.Le(a2 * scalar.variance, B**6, evaluate=False),
            given=(
                "|q|, |k|, |y|, |m_j| ≤ B",
                "s_j ≥ 0, Σ s_j = 1, Σ s_j m_j = m̄, Σ s_j (m_j − m̄)² = V",
            ),
            draw=scalar.drawn,
        ),
        Step(
            "the upper bound",
            sp.Le(scalar.gain(), (1 + 3 * B**8) * Q_BAR, evaluate=False),
            _bounded,
            sp.Le(scalar.gain(), (1 + 3 * B**6) * Q_BAR, evaluate=False),
            given=(
                "|q|, |k|, |y|, |m_j| ≤ B",
                "s_j ≥ 0, Σ s_j = 1, Σ s_j m_j = m̄, Σ s_j (m_j − m̄)² = V",
            ),
            draw=scalar.drawn,
        ),
    )


def _sandwiched(statement: sp.Basic) -> bool:
    """Decide an inequality where K lies between Q̄/n and (1 + 3B⁸) Q̄."""
    gain_symbol, q_bar = sp.symbols("K Qbar", nonnegative=True)
    t = _slack[0]
    lowest = q_bar / scalar.n
    between = lowest + ((1 + 3 * B**8) * q_bar - lowest) / (1 + t)
    at = statement.subs(gain_symbol, between).subs(scalar.n, 1 + _surplus)
    return dominated(at.subs(q_bar, _slack[1] + c / L))


def repaired() -> tuple[Step, ...]:
    """Derive the repaired theorem with its constants.

    K = Θ(1/L) ⇔ Q̄ = Θ(1/L), for fixed n and B.
    """
    return (
        *section("K from below", *lower_bound()),
        *section("K from above", *upper_bound()),
        *section("K = Θ(1/L) ⇔ Q̄ = Θ(1/L)", *_equivalence()),
    )


def _equivalence() -> tuple[Step, ...]:
    """Both directions of the repaired theorem, from the two bounds."""
    gain_symbol, q_bar = sp.symbols("K Qbar", nonnegative=True)
    upper = 1 + 3 * B**8
    return (
        Step(
            "⇐: if Q̄ ≥ c/L then K ≥ c/(nL)",
            sp.Le(c / (scalar.n * L), gain_symbol, evaluate=False),
            _sandwiched,
            sp.Le(c / L, gain_symbol, evaluate=False),
            given=(
                "Q̄/n ≤ K ≤ (1 + 3B⁸) Q̄, the two bounds above",
                "Q̄ ≥ c/L",
            ),
            draw=scalar.drawn,
        ),
        Step(
            "⇐: if Q̄ ≤ C/L then K ≤ (1 + 3B⁸) C/L, as K ≤ (1 + 3B⁸) Q̄",
            sp.Le(gain_symbol, upper * q_bar, evaluate=False),
            _sandwiched,
            sp.Le(gain_symbol, q_bar, evaluate=False),
            given=("Q̄/n ≤ K ≤ (1 + 3B⁸) Q̄, the two bounds above",),
            draw=scalar.drawn,
        ),
        Step(
            "⇒: Q̄ ≤ n K, so K ≤ C/L gives Q̄ ≤ nC/L",
            sp.Le(q_bar, scalar.n * gain_symbol, evaluate=False),
            _sandwiched,
            sp.Le(scalar.n * q_bar, gain_symbol, evaluate=False),
            given=("Q̄/n ≤ K ≤ (1 + 3B⁸) Q̄, the two bounds above",),
            draw=scalar.drawn,
        ),
        Step(
            "⇒: Q̄ ≥ K / (1 + 3B⁸), so K ≥ c/L gives Q̄ ≥ c / ((1 + 3B⁸) L)",
            sp.Le(gain_symbol / upper, q_bar, evaluate=False),
            _sandwiched,
            sp.Le(gain_symbol, q_bar, evaluate=False),
            given=("Q̄/n ≤ K ≤ (1 + 3B⁸) Q̄, the two bounds above",),
            draw=scalar.drawn,
        ),
    )


def _mean_between(statement: sp.Basic) -> bool:
    """Decide an inequality where the attended mean of m_j = m_min + d_j, d_j ≥ 0, is m_min + d."""
    smallest, excess = sp.symbols("m_min d", nonnegative=True)
    return dominated(statement.subs(scalar.mean, smallest + excess))


def sufficient() -> tuple[Step, ...]:
    """Derive two hypotheses, each of which is enough for the lower half of the printed theorem."""
    smallest = sp.Symbol("m_min", nonnegative=True)
    return (
        *lower_bound(),
        Step(
            "one sign: m̄ ≥ min m_i ≥ 0, so Q̄ is at least the printed condition there",
            sp.Le(printed_condition(smallest), Q_BAR, evaluate=False),
            _mean_between,
            sp.Le(printed_condition(2 * smallest), Q_BAR, evaluate=False),
            given=("m_min ≤ m_i for every i, and 0 ≤ m_min: all m_i of one sign",),
            draw=_one_sign,
        ),
        Step(
            "or v²w² ≥ c/L, as T-Fixup's own choice has: Q̄ ≥ v²w² for any signs",
            sp.Le(scalar.v**2 * scalar.w**2, Q_BAR, evaluate=False),
            dominated,
            sp.Le(2 * scalar.v**2 * scalar.w**2, Q_BAR, evaluate=False),
            draw=scalar.drawn,
        ),
        own_scales_step(),
    )


def own_scales_step() -> Step:
    """T-Fixup's own scales meet v²w² ≥ c/L with c = 1/3, whatever the memory is."""
    scale = (3 * L) ** sp.Rational(-1, 4)
    return at_step(
        "T-Fixup's own v_d = w_d = (3 L_d)^(-1/4), with L for L_d, lie inside: Q̄ ≥ v²w²",
        equation(scalar.v**2 * scalar.w**2, 1 / (3 * L)),
        {scalar.v: scale, scalar.w: scale},
        {scalar.v: scale**2, scalar.w: scale},
    )


def lower_repaired() -> tuple[Step, ...]:
    """Derive the lower bound with the attended mean; T-Fixup's own scales meet it."""
    return (*lower_bound(), own_scales_step())


def _mean_at_most(statement: sp.Basic) -> bool:
    largest = sp.Symbol("m_max", nonnegative=True)
    capped = statement.subs(scalar.mean**2, largest**2 / (1 + _slack[0]))
    return dominated(capped)


def upper_half() -> tuple[Step, ...]:
    """Derive the upper half: the printed condition gives K ≤ (1 + 3B⁸) C/L.

    The hypothesis is that q, k, y, m are bounded by B.
    """
    largest = sp.Symbol("m_max", nonnegative=True)
    return (
        *upper_bound(),
        Step(
            "|m̄| ≤ max |m_i|, so Q̄ is at most the printed condition there, hence ≤ C/L",
            sp.Le(Q_BAR, printed_condition(largest), evaluate=False),
            _mean_at_most,
            sp.Le(2 * Q_BAR, printed_condition(largest), evaluate=False),
            given=("m_max = max |m_i|",),
            draw=scalar.drawn,
        ),
    )
