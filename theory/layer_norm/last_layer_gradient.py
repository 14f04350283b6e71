"""The gradient of the last MLP's second matrix at initialisation: Theorem 1 of Xiong et al.

Let h = ReLU(W₁ z), x = z' + W₂ h the input of the last layer norm, J its Jacobian at x, and g =
∂L/∂LN(x) the loss's gradient at the output. For one token

    ‖∂L/∂W₂‖_F = ‖h‖ ‖J g‖ ≤ ‖h‖ (√d/‖x‖) ‖g‖.

The factors are bounded as follows:

- h has N(0, 1) coordinates where it is above 0; none exceeds √(2 ln 100d) with probability 0.99.
- ‖x‖² ≥ E‖x‖²/10 with probability 1 − δ − ε/(0.9 + ε) if ‖x‖² is (ε, δ)-bounded.
- ‖g‖ ≤ B √d.
- E‖x‖² is 3d/2 in Post-LN. It is at least (1 + L/2) d in Pre-LN with a layer norm behind the stack.

Hence O(d √ln d) in Post-LN and O(d √(ln d/L)) in Pre-LN.

"(ε, δ)-bounded" means ‖x‖² ≤ (1 + ε) E‖x‖² outside an event of probability δ. The lower bound on
‖x‖² also needs that this event does not carry the mean. For Post-LN nothing need be assumed, as the
variance of ‖x‖² is computed. The logarithm belongs to the bound, not to the gradient: ‖h‖² is d/2
in the mean, and ‖∂L/∂W₂‖_F is then √(d/3) ‖g‖ in Post-LN.
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, covers, dominated, equation, identity
from theory.derivations.orders import order, order_step
from theory.derivations.statements import OrderEquality
from theory.layer_norm.hidden_norms import layer_norm
from theory.moments.relu_moments import d, expectation, relu_moment

L = sp.Symbol("L", positive=True)
B = sp.Symbol("B", positive=True)
epsilon, delta, share = sp.symbols("epsilon delta alpha", positive=True)
_H, _G, _JG = sp.symbols("H G JG", positive=True)
"""Symbols for ‖h‖², ‖g‖² and ‖J g‖²."""
_u, _a, _lambda = sp.symbols("u a lambda", positive=True)
_power = sp.Function("power")
POST_LN = sp.Rational(3, 2) * d
"""Mean of ‖x‖² by Lemma 2."""
PRE_LN = (1 + L / 2) * d
"""Lower bound of Lemma 2 on E‖x‖² behind L layers."""
_TENTH = sp.Rational(1, 10)


def gradient_bound(norm: sp.Expr, normalised: bool = True) -> sp.Expr:
    """Bound on the gradient's norm: √(2d ln 100d) · √(10 d/E‖x‖²) · B √d.

    Without the last layer norm its factor is 1.

    Examples
    --------
    >>> gradient_bound(POST_LN)
    2*sqrt(30)*B*d*sqrt(log(100*d))/3
    """
    jacobian = sp.sqrt(d / (_TENTH * norm)) if normalised else sp.S.One
    return sp.simplify(sp.sqrt(2 * d * sp.log(100 * d)) * jacobian * B * sp.sqrt(d))


def typical_size(norm: sp.Expr) -> sp.Expr:
    """Typical size of the gradient's norm as d → ∞: √(d/2) · √(d/E‖x‖²) · B √d.

    The means take the place of the bounds.

    Examples
    --------
    >>> typical_size(POST_LN)
    sqrt(3)*B*d/3
    """
    return sp.simplify(sp.sqrt(d / 2) * sp.sqrt(d / norm) * B * sp.sqrt(d))


def _slope(x: sp.Matrix, direction: sp.Matrix, g: sp.Matrix) -> sp.Expr:
    """Derivative of g·LN(x + e direction) by e at e = 0."""
    e = sp.Symbol("e", real=True)
    return sp.diff((g.T * layer_norm(x + e * direction))[0], e).subs(e, 0)


@covers("at two rational points with d = 3, exactly")
def _weight_gradient(statement: sp.Basic) -> bool:
    """Squared norm of ∂ g·LN(x + W h)/∂W at rational points, d = 3, entry by entry."""
    units = [sp.eye(3).col(i) for i in range(3)]
    for x, h, g in (((1, 2, 4), (1, 0, 2), (1, -1, 3)), ((0, 1, 5), (2, 3, 1), (2, 1, 1))):
        x_, g_ = sp.Matrix(x), sp.Matrix(g)
        exact = sum(_slope(x_, part * unit, g_) ** 2 for unit in units for part in h)
        pulled = sum(_slope(x_, unit, g_) ** 2 for unit in units)
        values = {_H: sum(a * a for a in h), _G: sum(a * a for a in g), _JG: pulled}
        if sp.simplify(exact - statement.args[1].subs(values)) != 0:
            return False
    return True


@covers("at d = 2, 3, 4, exactly")
def _mean_removed(statement: sp.Basic) -> bool:
    """Mean of ‖x − x̄‖² for x = z + w, w ~ N(0, I/2) given ‖h‖² = d/2, at d = 2…4."""
    for size in (2, 3, 4):
        z = layer_norm(sp.Matrix([*range(size - 1), 7]))
        noise = sp.symbols(f"a:{size}", real=True)
        x = z + sp.sqrt(sp.Rational(1, 2)) * sp.Matrix(noise)
        y = x - sp.ones(size, 1) * (sum(x) / size)
        exact = expectation(sp.expand((y.T * y)[0]), noise)
        if sp.simplify(exact - statement.args[1].subs(d, size)) != 0:
            return False
    return True


@covers("for every d")
def _at_most(statement: sp.Basic) -> bool:
    """Check d e^(−u²/2) ≤ rhs for the u² that the left side names."""
    return bool(sp.simplify(d * sp.exp(-statement.args[0].args[0] / 2)) == statement.args[1])


def _largest_active() -> tuple[Step, ...]:
    """Derive that no coordinate of h exceeds √(2 ln 100d), with probability 0.99."""
    moment = sp.Integral(
        sp.exp(_lambda * _a - _a**2 / 2) / sp.sqrt(2 * sp.pi), (_a, -sp.oo, sp.oo)
    ).subs(_a, sp.Symbol("a", real=True))
    exponent = _lambda**2 / 2 - _lambda * _u
    failure = sp.Function("P")

    def minimised(statement: sp.Basic) -> bool:
        best = sp.solve(sp.diff(exponent, _lambda), _lambda)
        return sp.simplify(exponent.subs(_lambda, best[0]) - statement.args[1]) == 0

    return (
        Step(
            "a coordinate of W₁ z is N(0, 1), as ‖z‖² = d: E exp(λa) = exp(λ²/2)",
            equation(moment, sp.exp(_lambda**2 / 2)),
            identity,
            equation(moment, sp.exp(_lambda**2)),
        ),
        Step(
            "so P(a > u) ≤ exp(λ²/2 − λu) for every λ; the least exponent",
            equation(sp.Function("min")(exponent), -(_u**2) / 2),
            minimised,
            equation(sp.Function("min")(exponent), -(_u**2)),
            "for every u",
        ),
        Step(
            "all d coordinates at once: P(some a_i > u) ≤ d exp(−u²/2) = 1/100 at this u²",
            equation(failure(2 * sp.log(100 * d)), sp.Rational(1, 100)),
            _at_most,
            equation(failure(sp.log(100 * d)), sp.Rational(1, 100)),
        ),
    )


def _reverse_markov(statement: sp.Basic) -> bool:
    """Solve r = α(1 − p) + (1 + ε)p for p at α = 1/10; the left side names r = E(Z|A)/E Z."""
    p = sp.Symbol("p")
    carried = statement.args[0].args[0]
    (found,) = sp.solve(share * (1 - p) + (1 + epsilon) * p - carried, p)
    return sp.simplify(found.subs(share, _TENTH) - statement.args[1]) == 0


def _concentration() -> tuple[Step, ...]:
    """Derive the theorem's probability from (ε, δ)-boundedness."""
    enough = sp.Rational(9, 10) / (sp.Rational(9, 10) + epsilon)
    printed = sp.Rational(99, 100) - delta - epsilon / (sp.Rational(9, 10) + epsilon)
    least = sp.Function("P")
    return (
        Step(
            "Z ≤ (1 + ε) E Z on an event A of mean r E Z: P(Z ≥ E Z/10 | A) ≥ 0.9/(0.9 + ε) if "
            "r = 1; not if the exceptions carry the mean (r = 0)",
            equation(least(1), enough),
            _reverse_markov,
            equation(least(0), enough),
        ),
        Step(
            "three events may fail: the maximum, A, and Z ≥ E Z/10; what is left",
            equation(1 - _TENTH**2 - delta - (1 - enough), printed),
            identity,
            equation(1 - _TENTH**2 - (1 - enough), printed),
        ),
    )


def squared_norm_variance(size: int) -> sp.Expr:
    """Variance of ‖z + W₂ ReLU(W₁ z)‖² at ‖z‖² = d = ``size``, by Gaussian moments.

    Given q = ‖h‖²/d, W₂ h has independent N(0, q) coordinates.

    Examples
    --------
    >>> squared_norm_variance(4)
    35/2
    """
    z = layer_norm(sp.Matrix([*range(size - 1), 7]))
    noise, active = sp.symbols(f"a:{size}", real=True), sp.symbols(f"b:{size}", nonnegative=True)
    q = sp.Symbol("q", positive=True)
    squared = ((z + sp.sqrt(q) * sp.Matrix(noise)).T * (z + sp.sqrt(q) * sp.Matrix(noise)))[0]
    at_q = sum(b**2 for b in active) / size

    def average(polynomial: sp.Expr) -> sp.Expr:
        given = sp.expand(expectation(sp.expand(polynomial), noise)).subs(q, at_q)
        return expectation(sp.expand(given), active, relu_moment)

    return sp.simplify(average(squared**2) - average(squared) ** 2)


def _variance(statement: sp.Basic) -> bool:
    sizes = (2, 3, 4)
    return all(squared_norm_variance(n) == statement.args[1].subs(d, n) for n in sizes)


def _post_ln_concentrates() -> tuple[Step, ...]:
    """Derive by Chebyshev's inequality for ‖x‖² that Post-LN is (ε, δ)-bounded by itself."""
    spread = sp.Rational(15, 4) * d + sp.Rational(5, 2)
    chance = spread / (sp.Rational(9, 10) * POST_LN) ** 2
    return (
        Step(
            "Post-LN needs no assumption: the variance of ‖x‖² (exact, at d = 2, 3, 4)",
            equation(sp.Symbol("Var"), spread),
            _variance,
            equation(sp.Symbol("Var"), spread - sp.Rational(5, 4) * d),
        ),
        Step(
            "Chebyshev: P(‖x‖² < E‖x‖²/10) is at most Var/(0.9 E‖x‖²)² ≤ 3.5/d, 0 in the limit",
            sp.Le(chance, sp.Rational(7, 2) / d, evaluate=False),
            _for_every_width,
            sp.Le(chance, 2 / d, evaluate=False),
        ),
    )


def _for_every_width(statement: sp.Basic) -> bool:
    return dominated(statement.subs(d, 1 + sp.Symbol("p", integer=True, nonnegative=True)))


def _structure() -> tuple[Step, ...]:
    return (
        Step(
            "the gradient is h (J g)ᵀ: norms multiply; J is there only with the layer norm",
            equation(sp.Symbol("dW2_squared"), _H * _JG),
            _weight_gradient,
            equation(sp.Symbol("dW2_squared"), _H * _G),
        ),
        Step(
            "‖J‖ = √d/‖x − x̄‖ (Lemma 3); removing the mean costs 1/2 of Post-LN's 3d/2",
            equation(sp.Symbol("mean_of_squares"), sp.Rational(3, 2) * d - sp.Rational(1, 2)),
            _mean_removed,
            equation(sp.Symbol("mean_of_squares"), sp.Rational(3, 2) * d - 1),
        ),
    )


def _width_order(statement: sp.Basic) -> bool:
    """Compare the orders in d of both sides."""
    width = sp.Symbol("d", positive=True)
    left, right = (
        order(sp.expand_log(side.subs(d, width), force=True), width) for side in statement.args[:2]
    )
    return left.is_theta(right)


def _in_width(bound: sp.Expr) -> Step:
    root = sp.sqrt(sp.log(d))
    return Step(
        "the product of the three factors, in d",
        OrderEquality(bound, d * root, d),
        _width_order,
        OrderEquality(bound, d, d),
    )


@covers("by the limit L → ∞")
def _depth_power(statement: sp.Basic) -> bool:
    """Power of L in e, lim L d(ln e)/dL; it is ∞ if e grows exponentially."""
    slope = L * sp.diff(sp.log(statement.args[0].args[0]), L)
    return sp.limit(sp.simplify(slope), L, sp.oo) == statement.args[1]


def post_ln() -> Derivation:
    """Derive ‖∂L/∂W^{2,L}‖_F = O(d √ln d) in Post-LN, whatever L."""
    bound = gradient_bound(POST_LN)
    growing = gradient_bound(d, normalised=False) * sp.Rational(3, 2) ** (L / 2)
    return Derivation(
        "xiong.thm1-post",
        "Theorem 1, Post-LN",
        (
            *_structure(),
            *_largest_active(),
            *_concentration(),
            *_post_ln_concentrates(),
            _in_width(bound),
            order_step("and in L", bound, 0, L),
            Step(
                "without the layer norms ‖h‖² would grow as (3/2)^L (Lemma 2), and the bound too",
                equation(_power(bound), sp.S.Zero),
                _depth_power,
                equation(_power(growing), sp.S.Zero),
            ),
        ),
    )


def pre_ln() -> Derivation:
    """Derive ‖∂L/∂W^{2,L}‖_F = O(d √(ln d/L)) in Pre-LN with a layer norm behind the stack."""
    half = sp.Rational(1, 2)
    bound, bare = gradient_bound(PRE_LN), gradient_bound(PRE_LN, normalised=False)
    widest = typical_size((1 + 3 * L / 2) * d)
    return Derivation(
        "xiong.thm1-pre",
        "Theorem 1, Pre-LN",
        (
            *_structure()[:1],
            *_largest_active(),
            *_concentration(),
            _in_width(bound),
            order_step("and in L", bound, -half, L),
            Step(
                "the power of L comes from the layer norm behind the stack: without it, 0",
                equation(_power(bound), -half),
                _depth_power,
                equation(_power(bare), -half),
            ),
            order_step(
                "Lemma 2's upper end has the same power, so −1/2 is exact in the mean",
                widest,
                -half,
                L,
            ),
        ),
    )
