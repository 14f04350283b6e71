"""Sums over the blocks of a stack, of powers of the block's number and of the depth.

A stream to which block l adds the variance a_l has the size y_l² = e² + Σ_{k≤l} a_k. In mean
square f's derivative with respect to what block l adds is 1/y_l, as `gpt2_update` derives. A block
with the multiplier m_l and the rate r_l, whose last matrix reads h_l, moves f by

    m_l² h_l²/y_l²     under SGD,     whose gradient has the multiplier once more,
    m_l r_l h_l/y_l    under sign updates,

up to constants, and the blocks' changes add up. What is left is the order of such sums in N:

    Σ_{l=1}^N l^a lies between ∫ x^a dx and that integral plus its largest term.
"""

from collections.abc import Mapping
from random import Random

import sympy as sp

from theory.derivations.derivation import Step, dominated, equation, identity
from theory.derivations.orders import order
from theory.derivations.statements import OrderEquality
from theory.errors import InputError

N = sp.Symbol("N", positive=True)
START, ADDED = sp.symbols("e c", positive=True)
BLOCK = sp.Symbol("l", integer=True, positive=True)
_REST, _LEFT = sp.symbols("i j", nonnegative=True)


def bounds_of_sum(power: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Lower and upper bound of Σ_{l=1}^N l^power, for every N ≥ 1.

    Examples
    --------
    >>> bounds_of_sum(sp.Integer(-1))
    (log(N), log(N) + 1)
    >>> bounds_of_sum(sp.Integer(1))
    (N**2/2, N**2/2 + N)
    """
    if power >= 0:
        whole = N ** (power + 1) / (power + 1)
        return whole, whole + N**power
    whole = sp.log(N) if power == -1 else (N ** (power + 1) - 1) / (power + 1)
    return sp.expand(whole), sp.expand(whole) + 1


def sum_order(summand: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Powers of N and of log N of Σ_{l=1}^N summand, for a constant times powers of l and N.

    Raises
    ------
    InputError
        If the summand is something else, or the two bounds are of different orders.

    Examples
    --------
    >>> sum_order(ADDED / (BLOCK * N))
    (-1, 1)
    """
    summand = sp.powsimp(sp.expand_power_base(sp.sympify(summand), force=True))
    free, rest = summand.as_independent(BLOCK, as_Add=False)
    power = sp.S.Zero if rest == 1 else sp.simplify(BLOCK * sp.diff(rest, BLOCK) / rest)
    if power.free_symbols:
        raise InputError(f"a sum needs a power of {BLOCK} times a constant, got {summand}")
    before = order(sp.expand_log(free), N)
    low, high = (order(sp.expand(bound), N) for bound in bounds_of_sum(power))
    if not low.is_theta(high):
        raise InputError(f"the bounds of the sum of {summand} are not of one order")
    return before.power + low.power, before.log_power + low.log_power


def sum_step(because: str, summand: sp.Expr, power: sp.Expr | int, log_power: int = 0) -> Step:
    """A step about the order of a sum over layers: Σ_{l=1}^N summand ≍ N^power (log N)^log_power.

    The false variant is off by N^(1/4).

    Examples
    --------
    >>> step = sum_step("blocks of size 1/√l", BLOCK ** sp.Rational(-1, 2), sp.Rational(1, 2))
    >>> step.holds(), step.check(step.false)
    (True, False)
    """
    whole = sp.Sum(summand, (BLOCK, 1, N))
    target = sp.sympify(N) ** power * sp.log(N) ** log_power

    def same(statement: sp.Basic) -> bool:
        left, right = statement.args[:2]
        found, asked = sum_order(left.function), order(right, N)
        return found == (asked.power, asked.log_power)

    return Step(
        because,
        OrderEquality(whole, target, N),
        same,
        OrderEquality(whole, target * N ** sp.Rational(1, 4), N),
        "every power of l by the integral on either side of the sum",
    )


def block_bound(because: str, low: sp.Expr, high: sp.Expr) -> Step:
    """A step that bounds every block: low ≤ high for 1 ≤ l ≤ N, by the signs of l − 1 and N − l.

    Twice ``low`` is the false variant.

    Examples
    --------
    >>> step = block_bound("no block is further than the last", BLOCK / N, sp.S.One)
    >>> step.holds(), step.check(step.false)
    (True, False)
    """

    def bounded(statement: sp.Basic) -> bool:
        shifted = {BLOCK: 1 + _REST}
        sides = [
            side.subs(N, BLOCK + _LEFT).subs(shifted, simultaneous=True) for side in statement.args
        ]
        return dominated(sp.Le(*sides, evaluate=False))

    return Step(
        because,
        sp.Le(low, high, evaluate=False),
        bounded,
        sp.Le(high + low, low, evaluate=False),
        "for every l from 1 to N",
        ("1 ≤ l ≤ N",),
        _blocks,
    )


def _blocks(random: Random) -> Mapping[sp.Basic, sp.Basic]:
    depth = random.randint(1, 60)
    return {N: sp.Integer(depth), BLOCK: sp.Integer(random.randint(1, depth))}


def stream_step(because: str, added: sp.Expr, total: sp.Expr) -> Step:
    """A step that sums up a stream's mean square: e² + Σ_{l=1}^N added = e² + total for every N.

    N times the total is the false variant.

    Examples
    --------
    >>> stream_step("N blocks add 1/N each", 1 / N, sp.S.One).holds()
    True
    """
    whole = START**2 + sp.Sum(added, (BLOCK, 1, N))
    return Step(
        because,
        equation(whole, START**2 + total),
        identity,
        equation(whole, START**2 + N * total + 1),
    )
