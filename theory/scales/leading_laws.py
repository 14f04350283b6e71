"""Leading laws c N^p of the scales where the conditions have no closed form in the depth.

A condition Σ_k a_k(N) t^k = 1 with positive a_k ~ c_k N^(p_k) is met to leading order by
t = τ N^q, q the least of −p_k/k: the terms that reach it sum to 1, Σ c_k τ^k = 1, and the others
vanish as N → ∞.
"""

from functools import partial

import sympy as sp

from theory.derivations.orders import order
from theory.errors import InputError
from theory.scales.architecture import StackLayout
from theory.scales.solver import Solution, positive_root, solve, terms_by_power
from theory.scales.update_rules import UpdateRule


def leading_root(left_side: sp.Expr, unknown: sp.Symbol, depth: sp.Symbol) -> sp.Expr:
    """Leading term of the positive ``unknown`` with ``left_side`` = 1 as ``depth`` → ∞.

    Raises
    ------
    InputError
        If there is none, or a coefficient has no power of the depth.

    Examples
    --------
    >>> t, N = sp.symbols("t N", positive=True)
    >>> leading_root(N * t**4 + 3 * N * t**8, t, N)
    N**(-1/4)
    """
    terms = terms_by_power(left_side, unknown)
    constant = order(terms.pop(sp.S.Zero), depth) if sp.S.Zero in terms else None
    kept = sp.S.Zero
    if constant is not None and constant.power >= 0:
        if constant.power > 0:
            raise InputError(f"{left_side} = 1 has no positive solution as {depth} → ∞")
        kept = constant.coefficient
    orders = {power: order(coefficient, depth) for power, coefficient in terms.items()}
    if not orders or any(power.is_positive is not True for power in orders):
        raise InputError(f"{left_side} = 1 has no leading law in {unknown}")
    if any(found.log_power != 0 for found in orders.values()):
        raise InputError(f"{left_side} = 1 has no power law in {depth}")
    least = min(-found.power / power for power, found in orders.items())
    reaching = sp.Add(
        *(
            found.coefficient * unknown**power
            for power, found in orders.items()
            if -found.power / power == least
        )
    )
    return positive_root(reaching + kept, unknown) * depth**least


def leading_solution(architecture: StackLayout, rule: UpdateRule, depth: sp.Symbol) -> Solution:
    """Every scale's leading law c N^p in the one depth of an architecture.

    Examples
    --------
    >>> from theory.scales.architectures import encoder_decoder
    >>> from theory.scales.stacks import V_D
    >>> from theory.scales.update_rules import SGD
    >>> N = sp.Symbol("N", positive=True)
    >>> leading_solution(encoder_decoder(N, N, mlp="gated"), SGD, N)[V_D]
    6**(3/4)/(6*N**(1/4))
    """
    own = {symbol: stand_in for stand_in, symbol in architecture.stand_ins}
    root = partial(leading_root, depth=own.get(depth, depth))
    return solve(architecture, rule, root)
