"""How much each residual branch weighs in a layer's output: Admin (Liu et al., EMNLP 2020, §4–5).

Write x̂_0 for the input, a_i = f_i(x̂_{i−1}) for the branches, v_i = Var[a_i] and â_i = a_i/√v_i.
For independent branches every wiring below is x̂_i = (ω_i x̂_{i−1} + a_i)/√(ω_i² + v_i), so that

    x̂_i = Σ_{j≤i} β_{i,j} â_j,  β_{i,i}² = v_i/(ω_i² + v_i),  β_{i,j}² = (1 − β_{i,i}²) β_{i−1,j}²,

with â_0 = x̂_0. A wiring is the list of its ω_i². It is 1 for Post-LN and Var[x_{i−1}] for Pre-LN,
whose x̂_i is the result of the next layer norm. Admin takes it from a profile of the branches.
Under small independent changes of the parameters, the output changes by Σ β_{i,i}² times a
constant. `theory.layer_norm.layer_dependency` and `theory.layer_norm.output_change` derive this.
"""

from collections.abc import Sequence

import sympy as sp

from theory.errors import InputError, require_positive

Variances = Sequence[sp.Expr | float]


def post_ln(branches: Variances) -> tuple[sp.Expr, ...]:
    """Multipliers of Post-LN, x̂_i = LN(x̂_{i−1} + a_i): ω_i² = 1.

    Examples
    --------
    >>> amplification(post_ln([1] * 6), [1] * 6)
    3
    """
    return tuple(sp.S.One for _ in _positive(branches))


def pre_ln(branches: Variances, source: sp.Expr | float = 1) -> tuple[sp.Expr, ...]:
    """Multipliers of Pre-LN, x_i = x_{i−1} + f_i(LN(x_{i−1})).

    ω_i² = Var[x_{i−1}] = Var[x_0] + Σ_{j<i} v_j.

    Parameters
    ----------
    branches
        v_1, …, v_N.
    source
        Var[x_0]; the paper's β_{i,i}² = 1/i leaves it out (0).

    Raises
    ------
    InputError
        If a branch's variance is not positive or ``source`` is negative.

    Examples
    --------
    >>> own_weights(pre_ln([1, 1, 1], 0), [1, 1, 1])
    (1, 1/2, 1/3)
    """
    if sp.sympify(source).is_nonnegative is False:
        raise InputError(f"the input's variance must not be negative, got {source}")
    reached = [sp.sympify(source)]
    for variance in _positive(branches)[:-1]:
        reached.append(reached[-1] + variance)
    return tuple(reached)


def admin_paper(branches: Variances) -> tuple[sp.Expr, ...]:
    """Multipliers of Admin as printed: ω_i² = Σ_{j<i} v_j.

    It is 0 at i = 1, so that the input has no shortcut there.

    Examples
    --------
    >>> admin_paper([1, 2, 3])
    (0, 1, 3)
    """
    return pre_ln(branches, 0)


def admin_code(branches: Variances) -> tuple[sp.Expr, ...]:
    """Multipliers of Admin's official code: ω_1 = 1, ω_{i+1}² = Var[ω_i x̂_{i−1}] + v_i.

    The latter is 1 + Σ_{j≤i} v_j.

    Examples
    --------
    >>> admin_code([1, 2, 3])
    (1, 2, 4)
    """
    return pre_ln(branches, 1)


def admin_log(sublayers: int | sp.Symbol) -> sp.Expr:
    """Multipliers of admin-torch, which needs no profile: ω² = (n + 1)/log(n + 1) − 1.

    n is the number of sub-layers.

    Raises
    ------
    InputError
        If n is no integer of at least 1.

    Examples
    --------
    >>> [float(sp.sqrt(admin_log(n))) for n in (12, 36, 200, 600)]
    [2.0170, 3.0408, 6.0746, 9.6399]
    """
    if not isinstance(sublayers, sp.Symbol):
        require_positive(sublayers=sublayers)
    n = sp.sympify(sublayers)
    return (n + 1) / sp.log(n + 1) - 1


def own_weights(shortcuts: Variances, branches: Variances) -> tuple[sp.Expr, ...]:
    """Weight of every branch in its own layer's output: β_{i,i}² = v_i/(ω_i² + v_i), i = 1…N.

    Parameters
    ----------
    shortcuts
        ω_1², …, ω_N².
    branches
        v_1, …, v_N.

    Raises
    ------
    InputError
        If the lengths differ, a variance is not positive or an ω² is negative.
    """
    values = _positive(branches)
    if len(shortcuts) != len(values):
        raise InputError(
            f"there must be one ω² a branch, got {len(shortcuts)} for {len(values)} branches"
        )
    for shortcut in shortcuts:
        if sp.sympify(shortcut).is_nonnegative is False:
            raise InputError(f"ω² must not be negative, got {shortcut}")
    return tuple(
        variance / (shortcut + variance)
        for shortcut, variance in zip(shortcuts, values, strict=True)
    )


def dependency(shortcuts: Variances, branches: Variances) -> tuple[tuple[sp.Expr, ...], ...]:
    """Weights β_{i,j}² of branch j in layer i, for i = 0…N and j = 0…i; each row sums to 1.

    Examples
    --------
    >>> dependency(post_ln([1, 1]), [1, 1])
    ((1,), (1/2, 1/2), (1/4, 1/4, 1/2))
    """
    rows: list[tuple[sp.Expr, ...]] = [(sp.S.One,)]
    for own in own_weights(shortcuts, branches):
        rows.append((*((1 - own) * weight for weight in rows[-1]), own))
    return tuple(rows)


def amplification(shortcuts: Variances, branches: Variances) -> sp.Expr:
    """Amplification of independent small changes of the branches: Σ_i β_{i,i}².

    Examples
    --------
    >>> float(amplification(admin_code([1] * 100), [1] * 100))
    4.19728
    """
    return sp.Add(*own_weights(shortcuts, branches))


def aligned_amplification(shortcuts: Variances, branches: Variances) -> sp.Expr:
    """Amplification of changes that reach the output aligned: (Σ_i β_{i,i})².

    The changes of a gradient step may be aligned.

    Examples
    --------
    >>> aligned_amplification(post_ln([1] * 6), [1] * 6)
    18
    """
    return sp.Add(*(sp.sqrt(own) for own in own_weights(shortcuts, branches))) ** 2


def _positive(branches: Variances) -> tuple[sp.Expr, ...]:
    """The variances as exact expressions; at least one, and none zero or negative."""
    if not branches:
        raise InputError("there must be at least one branch, got none")
    values = tuple(sp.sympify(variance) for variance in branches)
    for value in values:
        if value.is_positive is False:
            raise InputError(f"a branch's variance must be positive, got {value}")
    return values
