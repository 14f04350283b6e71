"""How large a step may be, uniformly in depth, for Theorem 3.1 to describe the change itself.

One SGD step is θ ← θ − η g ∇G on θ = (m, k, q, v, w). Every entry has |·| ≤ B, and y is fixed with
|y| ≤ B. With R = B + 1, every point within distance 1 has |·| ≤ R. There, for every n, the spectral
norm of the Hessian of G is at most

    M₂ = 2R + 10R⁵ + 8R⁹.                                                             (1)

As ‖∇G‖² = K ≤ M₂², a step with η ≤ 1/(M₂ |g|) stays within distance 1. Taylor's theorem gives |ΔG +
η g K| ≤ ½ M₂ η² g² K, hence

    η |g| K / 2  ≤  |ΔG|  ≤  3 η |g| K / 2,                                           (2)

and M₂ depends neither on L nor on n. Blocks that are added up at fixed inputs, f = Σ_l G_l, move by
between the same two multiples of Σ_l K_l, because all changes have the sign of −g. Without a bound
on q the statement is false: at q = L a step of any fixed η leaves the region in which K describes
G.

Notation as in ``scalar.py``; ``scalar_hessian.py`` derives (1).
"""

import random
from itertools import product

import sympy as sp

from theory.attention import scalar, theorem31
from theory.attention.scalar_hessian import bound_steps, curvature, hessian_steps
from theory.attention.theorem31 import B, L
from theory.derivations.derivation import Derivation, Step, covers, dominated, equation
from theory.derivations.statements import Between

_slack = sp.symbols("t1:3", nonnegative=True)
_eta, _g, _K, _M = sp.symbols("eta g K M_2", positive=True)
DIGITS = 60


def largest_step(bound: sp.Expr, slope: sp.Expr) -> sp.Expr:
    """Largest step size for which (2) holds: 1/(M₂ |g|).

    Parameters
    ----------
    bound
        B, at least |q|, |k|, |y|, |m_j|, |v| and |w|.
    slope
        g = ∂L/∂G, not 0.

    Examples
    --------
    >>> largest_step(sp.Integer(1), sp.Integer(-2))
    1/8840
    """
    return 1 / (curvature(bound + 1) * sp.Abs(slope))


def _small_step(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
    """Draw M₂, g and a step η of at most 1/(M₂ g)."""
    top, slope, part = (sp.Rational(generator.randint(1, 9), 3) for _ in range(3))
    return {_M: top, _g: slope, _eta: 1 / (top * slope * (1 + part))}


def _two_blocks(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
    """Draw two gains, and changes between ½ and 3/2 of η g times each of them."""
    eta, slope, *gains = (sp.Rational(generator.randint(1, 9), 4) for _ in range(4))
    moved = sum(eta * slope * gain * sp.Rational(generator.randint(5, 15), 10) for gain in gains)
    names = sp.symbols("K_1 K_2", nonnegative=True)
    return {
        _eta: eta,
        _g: slope,
        sp.Symbol("ΔF"): moved,
        **dict(zip(names, gains, strict=True)),
    }


def taylor_steps() -> tuple[Step, ...]:
    """Derive that the step stays within distance 1, and bound Taylor's remainder."""
    t, reach = _slack[0], B + 1
    top = curvature(B + 1)
    size = _eta * _g * _K

    def at_step(statement: sp.Basic) -> bool:
        return dominated(statement.subs(_eta, 1 / (_M * _g * (1 + t))))

    def polynomial(statement: sp.Basic) -> bool:
        return dominated(statement)

    gain_cap = 3 * B**4 * (1 + 3 * B**8)
    root = 2 * B**2 + 3 * B**6
    remainder = _M * _eta**2 * _g**2 * _K / 2
    return (
        Step(
            "K ≤ (1 + 3B⁸) Q̄ ≤ (1 + 3B⁸) 3B⁴ ≤ (2B² + 3B⁶)²",
            sp.Le(gain_cap, root**2, evaluate=False),
            polynomial,
            sp.Le(gain_cap, root, evaluate=False),
        ),
        Step(
            "√K ≤ 2B² + 3B⁶ ≤ M₂, so η ≤ 1/(M₂|g|) keeps η|g|√K ≤ 1",
            sp.Le(root, top, evaluate=False),
            polynomial,
            sp.Le(root, 2 * reach, evaluate=False),
        ),
        Step(
            "Taylor: |ΔG + ηgK| ≤ ½ M₂ ‖Δθ‖² = ½ M₂ η² g² K, at most half of η|g|K",
            sp.Le(remainder, size / 2, evaluate=False),
            at_step,
            sp.Le(remainder, size / 4, evaluate=False),
            given=("η ≤ 1/(M₂ |g|), g > 0",),
            draw=_small_step,
        ),
    )


def relative_move(memory: tuple[sp.Expr, ...], values: dict[str, sp.Expr], eta: sp.Expr) -> sp.Expr:
    """The move |ΔG|/(η K) of one step with g = 1, to 60 digits, from the definition of G alone.

    Examples
    --------
    >>> one = sp.Integer(1)
    >>> point = dict.fromkeys("vwqky", one)
    >>> sp.N(relative_move((one, -one), point, sp.Rational(1, 4420)), 6)
    0.999767
    """
    letters = sp.symbols(f"m1:{len(memory) + 1}", real=True)
    raised = [sp.exp(scalar.q * scalar.k * scalar.y * entry) for entry in letters]
    whole = (
        scalar.v * scalar.w * sum(e * x for e, x in zip(raised, letters, strict=True)) / sum(raised)
    )
    symbols = (*letters, scalar.v, scalar.w, scalar.q, scalar.k, scalar.y)
    slopes = [sp.diff(whole, symbol) for symbol in symbols[:-1]]
    at = [sp.Float(part, DIGITS) for part in (*memory, *(values[c] for c in "vwqky"))]
    value = sp.lambdify(symbols, whole, modules="sympy")
    gradient = sp.lambdify(symbols, slopes, modules="sympy", cse=True)(*at)
    moved = [part - eta * slope for part, slope in zip(at[:-1], gradient, strict=True)]
    gain = sp.Add(*(slope**2 for slope in gradient))
    return abs(value(*moved, at[-1]) - value(*at)) / (eta * gain)


@covers("at four points, to 60 digits")
def _at_points(statement: sp.Basic) -> bool:
    """Check lhs ≤ |ΔG|/(η K) ≤ rhs at points with |·| ≤ 1 and |v|, |w| from 1 down to 1/100."""
    low, _, high = statement.args
    eta = largest_step(sp.S.One, sp.S.One)
    half = sp.Rational(1, 2)
    for scale, sign in product((sp.S.One, sp.Rational(1, 100)), (1, -1)):
        memory = (sp.S.One, sign * half, -sp.S.One)
        values = {"v": scale, "w": scale * half, "q": sign * sp.S.One, "k": half, "y": sp.S.One}
        ratio = relative_move(memory, values, eta)
        if not bool(low <= ratio <= high):
            return False
    return True


@covers("at L = 10⁸, to 60 digits")
def _step_at_large_query(statement: sp.Basic) -> bool:
    """Limit of the move |ΔG|/(η K) where the query's scalar grows with depth.

    q = L, k = 0, y = 1, m = (1, 2), v = w = L^(-1/2), η = g = 1.
    """
    # Moving k alone by −∂G/∂k, the term of the gain that does not vanish, moves a = q k y to −L/4.
    scale, size = L ** sp.Rational(-1, 2), sp.Integer(10) ** 8
    memory = (sp.S.One, sp.Integer(2))
    values = {"v": scale, "w": scale, "q": L, "k": sp.S.Zero, "y": sp.S.One}
    numbers = {name: value.subs(L, size) for name, value in values.items()}
    ratio = relative_move(memory, numbers, sp.S.One)
    return bool(abs(ratio - statement.args[1]) < sp.Rational(1, 1000))


def sampled_steps() -> tuple[Step, ...]:
    """Check the two-sided bound at points, and show the effect of an unbounded query."""
    return (
        Step(
            "|ΔG|/(η|g|K) at η = 1/(M₂|g|), B = 1, lies between (to 60 digits)",
            Between(sp.Rational(1, 2), sp.Symbol("ratio"), sp.Rational(3, 2)),
            _at_points,
            Between(sp.Rational(11, 10), sp.Symbol("ratio"), sp.Rational(3, 2)),
        ),
        Step(
            "without a bound on q: q = L = 10⁸, k = 0, m = (1, 2), v = w = L^(-1/2), η = g = 1: "
            "the ratio tends to 0",
            equation(sp.Symbol("ratio"), sp.S.Zero),
            _step_at_large_query,
            equation(sp.Symbol("ratio"), sp.S.One),
        ),
    )


def stack_steps() -> tuple[Step, ...]:
    """Derive that the bounds add for blocks at fixed inputs, as all changes have one sign."""
    first, second = sp.symbols("K_1 K_2", nonnegative=True)
    sizes = [_eta * _g * gain for gain in (first, second)]
    changes = [size / 2 + size / (1 + t) for size, t in zip(sizes, _slack[:2], strict=True)]

    def summed(statement: sp.Basic) -> bool:
        return dominated(statement.subs(sp.Symbol("ΔF"), sum(changes)))

    total = sum(sizes)
    moved = sp.Symbol("ΔF")
    return (
        Step(
            "f = Σ G_l at fixed inputs (two blocks, each within its bounds): from below",
            sp.Le(total / 2, moved, evaluate=False),
            summed,
            sp.Le(total, moved, evaluate=False),
            given=("each block's change lies between ½ and 3/2 of η g K_l",),
            draw=_two_blocks,
        ),
        Step(
            "and from above: if Σ_l K_l = Θ(1) then |Δf| = Θ(η) for η up to 1/(M₂|g|), any L",
            sp.Le(moved, 3 * total / 2, evaluate=False),
            summed,
            sp.Le(moved, total, evaluate=False),
            given=("each block's change lies between ½ and 3/2 of η g K_l",),
            draw=_two_blocks,
        ),
    )


def derivation() -> Derivation:
    """Derive a step size uniform in L for which ΔG = Θ(η K)."""
    return Derivation(
        "ours.finite-step",
        "A finite step, uniformly in L",
        (
            *hessian_steps(),
            *bound_steps(),
            *theorem31.upper_bound(),
            *taylor_steps(),
            *sampled_steps(),
            *stack_steps(),
        ),
    )
