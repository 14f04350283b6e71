"""Derives Admin's layer dependency from the wirings, and the effect of Admin's multipliers on it.

The stream is a vector of coefficients on the normalised branches â_0, …, â_N. Their covariance is
the identity when branches are independent. Layer norm divides by the root of the variance. Formulas
for the dependency β_{i,j}² are compared with these vectors for i ≤ 4 at free variances v_j.
"""

from collections.abc import Callable
from functools import partial

import sympy as sp

from theory.derivations.derivation import Derivation, Step, at_step, dominated, equation, identity
from theory.derivations.orders import is_theta
from theory.derivations.statements import OrderEquality
from theory.layer_norm.amplification import admin_log

i, j, k = sp.symbols("i j k", integer=True, positive=True)
N = sp.Symbol("N", positive=True)
v = sp.Symbol("v", positive=True)
"""The branches' common variance."""
_r = sp.Symbol("r", nonnegative=True)
"""The input's variance relative to the branches': Var[x_0]/v."""
_c = sp.Symbol("c", nonnegative=True)
_branch = sp.IndexedBase("v", positive=True)
_beta = sp.IndexedBase("beta", positive=True)
_DEPTH = 4

LayerMatrices = Callable[[sp.Expr], list[sp.Matrix]]


def _variances() -> list[sp.Symbol]:
    return list(sp.symbols(f"v0:{_DEPTH + 1}", positive=True))


def _unit(position: int) -> sp.Matrix:
    return sp.Matrix([int(position == other) for other in range(_DEPTH + 1)])


def _covariance(correlation: sp.Expr) -> sp.Matrix:
    """Covariance of â_0, …, â_N: branches correlate pairwise, the input with none of them."""
    size = _DEPTH + 1
    return sp.Matrix(
        size, size, lambda a, b: 1 if a == b else (correlation if a and b else sp.S.Zero)
    )


def _variance(stream: sp.Matrix, correlation: sp.Expr) -> sp.Expr:
    return sp.simplify((stream.T * _covariance(correlation) * stream)[0])


def _pre_ln(correlation: sp.Expr) -> list[sp.Matrix]:
    """Streams of Pre-LN: x̂_i = x_i/√Var[x_i] with x_i = x_{i−1} + a_i, for i = 0…4."""
    stream, outputs = sp.zeros(_DEPTH + 1, 1), []
    for index, variance in enumerate(_variances()):
        stream = stream + sp.sqrt(variance) * _unit(index)
        outputs.append(stream / sp.sqrt(_variance(stream, correlation)))
    return outputs


def _weighted(correlation: sp.Expr, rule: str) -> list[sp.Matrix]:
    """Streams with multipliers: x̂_i = LN(ω_i x̂_{i−1} + a_i) with x̂_0 = â_0.

    ω is computed by its definition, from the earlier blocks.
    """
    outputs, shortcut = [_unit(0)], sp.S.Zero if rule == "printed" else sp.S.One
    for index, variance in enumerate(_variances()[1:], start=1):
        kept = sp.sqrt(shortcut) * outputs[-1]
        stream = kept + sp.sqrt(variance) * _unit(index)
        outputs.append(stream / sp.sqrt(_variance(stream, correlation)))
        if rule == "code":
            shortcut = _variance(kept, correlation) + variance
        elif rule == "printed":
            shortcut = shortcut + variance
    return outputs


_post_ln: LayerMatrices = partial(_weighted, rule="post-ln")
_admin_code: LayerMatrices = partial(_weighted, rule="code")
_admin_printed: LayerMatrices = partial(_weighted, rule="printed")


def _matches(statement: sp.Basic, wiring: LayerMatrices, correlation: sp.Expr = sp.S.Zero) -> bool:
    """Compare a formula for β_{i,j}², 1 ≤ j ≤ i ≤ 4, with the squared coefficients of a stream."""
    values = {_branch[index]: variance for index, variance in enumerate(_variances())}
    outputs = wiring(correlation)
    return all(
        sp.simplify(
            outputs[row][column] ** 2
            - statement.args[1].subs({i: row, j: column}).doit().subs(values)
        )
        == 0
        for row in range(1, _DEPTH + 1)
        for column in range(1, row + 1)
    )


def _matches_equal(statement: sp.Basic, wiring: LayerMatrices, correlation: sp.Expr) -> bool:
    """Compare a formula for β_{i,i}² at v_j = v, Var[x_0] = r v, with a stream, i = 1…4."""
    first, *rest = _variances()
    equal = {first: _r * v} | dict.fromkeys(rest, v)
    return all(
        sp.simplify(output[row] ** 2 - statement.args[1].subs(i, row)).subs(equal).equals(0)
        for row, output in enumerate(wiring(correlation))
        if row
    )


def _share(total: sp.Expr) -> sp.Expr:
    return _branch[j] / total


def _dependency_step(because: str, wiring: LayerMatrices, formula: sp.Expr, false: sp.Expr) -> Step:
    return Step(
        because,
        equation(_beta[i, j] ** 2, formula),
        partial(_matches, wiring=wiring),
        equation(_beta[i, j] ** 2, false),
        f"for i, j up to {_DEPTH}, every variance",
    )


def _own_step(
    because: str, wiring: LayerMatrices, formula: sp.Expr, false: sp.Expr, correlation: sp.Expr
) -> Step:
    name = _beta[i, i] ** 2
    check = partial(_matches_equal, wiring=wiring, correlation=correlation)
    scope = f"for i up to {_DEPTH}, every variance"
    return Step(because, equation(name, formula), check, equation(name, false), scope)


def theta_step(because: str, expression: sp.Expr, target: sp.Expr, false: sp.Expr) -> Step:
    """A step: ``expression`` = Θ(``target``) in N; ``false`` is of another order."""

    def same(statement: sp.Basic) -> bool:
        return is_theta(statement.args[0], statement.args[1], N)

    return Step(
        because,
        OrderEquality(expression, target, N),
        same,
        OrderEquality(expression, false, N),
    )


def dependency() -> Derivation:
    """Derive that β_{i,i}² is 1/i in Pre-LN and constant in Post-LN, for independent branches."""
    variances = sp.Sum(_branch[k], (k, 0, i))
    faded = sp.Product(1 / (1 + _branch[k]), (k, j, i))
    return Derivation(
        "admin.dependency",
        "Layer dependency in Pre-LN and Post-LN",
        (
            _dependency_step(
                "Pre-LN: v_j over the variance of the stream, v_0 = Var[x_0]",
                _pre_ln,
                _share(variances),
                _share(sp.Sum(_branch[k], (k, 1, i))),
            ),
            _own_step(
                "with v_j = v and Var[x_0] = r v: 1/i if the input is left out, r = 0",
                _pre_ln,
                1 / (i + _r),
                1 / sp.sqrt(i + _r),
                sp.S.Zero,
            ),
            theta_step(
                "so β_{N,N}² = Θ(1/N) with the input counted too", 1 / (N + _r), 1 / N, N**-2
            ),
            _dependency_step(
                "Post-LN: every later layer norm divides by 1 + v_k",
                _post_ln,
                _branch[j] * faded,
                faded,
            ),
            _own_step(
                "with v_j = v it is constant: 1/2 at v = 1", _post_ln, v / (1 + v), 1 / i, sp.S.Zero
            ),
            _own_step(
                "Pre-LN without input: independence cannot be dropped, c is the correlation",
                lambda c: [output.subs(_variances()[0], 0) for output in _pre_ln(c)],
                1 / (i + i * (i - 1) * _c),
                1 / i,
                _c,
            ),
        ),
    )


def log_bound_step() -> Step:
    """A step: 1 − 1/s ≤ log s for s ≥ 1.

    It bounds Σ (S_i − S_{i−1})/S_i by log(S_N/S_0).
    """
    s = sp.Symbol("s", positive=True)

    def below(statement: sp.Basic) -> bool:
        gap = statement.args[1] - statement.args[0]
        slope = sp.diff(gap, s).subs(s, 1 + _r)
        return bool(gap.subs(s, 1) >= 0) and dominated(sp.Le(0, slope, evaluate=False))

    return Step(
        "any variances: with S_i = ω_i² + v_i and s = S_i/S_{i−1}, β_{i,i}² = 1 − 1/s ≤ log s",
        sp.Le(1 - 1 / s, sp.log(s), evaluate=False),
        below,
        sp.Le(s - 1, sp.log(s), evaluate=False),
    )


def limit_step(because: str, expression: sp.Expr, value: sp.Expr | int, false: sp.Expr) -> Step:
    """A step: the limit of ``expression`` as N → ∞ is ``value``; that of ``false`` is not."""

    def same(statement: sp.Basic) -> bool:
        return sp.simplify(statement.args[0].doit() - statement.args[1]) == 0

    return Step(
        because,
        equation(sp.Limit(expression, N, sp.oo), sp.sympify(value)),
        same,
        equation(sp.Limit(false, N, sp.oo), sp.sympify(value)),
    )


def _profile_steps() -> tuple[Step, ...]:
    """Derive β for the printed and for the coded ω."""
    printed, coded = sp.Sum(_branch[k], (k, 1, i)), 1 + sp.Sum(_branch[k], (k, 1, i))
    return (
        _dependency_step(
            "the code's ω_1 = 1, ω_{i+1}² = Var[ω_i x̂_{i−1}] + v_i: Pre-LN's with Var[x_0] = 1",
            _admin_code,
            _share(coded),
            _share(printed),
        ),
        _dependency_step(
            "the printed ω_i² = Σ_{j<i} v_j: Pre-LN's without the input, as ω_1 = 0",
            _admin_printed,
            _share(printed),
            _share(coded),
        ),
        _own_step("printed, v_j = v: exactly 1/i", _admin_printed, 1 / i, 1 / (i + 1), sp.S.Zero),
        _own_step("coded, v_j = v: 1/(i + 1/v)", _admin_code, 1 / (i + 1 / v), 1 / i, sp.S.Zero),
        Step(
            "at v = 1 the two sums Σ β² differ by 1 − 1/(N + 1), whatever the depth",
            equation(sp.Sum(1 / i - 1 / (i + 1), (i, 1, k)), 1 - 1 / (k + 1)),
            identity,
            equation(sp.Sum(1 / i - 1 / (i + 1), (i, 1, k)), sp.log(k + 1)),
        ),
    )


def _closed_form_steps() -> tuple[Step, Step]:
    """Derive admin-torch's ω, which needs no profile, and the resulting sum."""
    omega_squared = sp.Symbol("omega^2", positive=True)
    constant = sp.Sum(1 / (omega_squared + 1), (i, 1, k))
    return (
        at_step(
            "admin-torch's constant ω² = (n + 1)/log(n + 1) − 1, n = k, at v = 1",
            equation(constant, k * sp.log(k + 1) / (k + 1)),
            {omega_squared: admin_log(k)},
            {omega_squared: k},
        ),
        limit_step(
            "which is ~ log n; constant ω = √n would give a bounded sum",
            N / (1 + admin_log(N)) / sp.log(N),
            1,
            N / (1 + N) / sp.log(N),
        ),
    )


def closed_form() -> Derivation:
    """Derive that admin-torch's ω gives Σ β² ~ log n."""
    return Derivation(
        "adminTorch.omega", "Layer dependency under admin-torch's ω", _closed_form_steps()
    )


def omega() -> Derivation:
    """Derive that Admin's ω gives a Post-LN stack the layer dependency of Pre-LN."""
    return Derivation(
        "admin.omega",
        "Layer dependency under Admin's ω",
        (
            *_profile_steps(),
            log_bound_step(),
            limit_step(
                "the logarithms telescope: Σ β² ≤ log(1 + Σ v_i) ≤ log(1 + N max v) ~ log N",
                sp.log(1 + N * v) / sp.log(N),
                1,
                sp.log(1 + N**2 * v) / sp.log(N),
            ),
            *_closed_form_steps(),
        ),
    )
