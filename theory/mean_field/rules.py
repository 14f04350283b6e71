"""The rules that ``theory.mean_field.predict`` is built of, each derived from definitions.

Every rule is checked against its definition: an integral over the density, a sum over a symbolic
number of tokens, an average over all signs of the weights, or the derivative of the softmax.

Notation: q = E‖y‖²/d of one token; c = E y_i·y_j/d of two tokens; n keys; logits of variance v.
"""

from collections.abc import Iterable
from itertools import product

import sympy as sp

from theory.derivations.derivation import Derivation, Step, covers, equation, identity, mean_step
from theory.derivations.sums import distribute
from theory.moments.relu_moments import pair_kernels
from theory.moments.token_gram import averaged, exchangeable, trace

q, c, v = sp.symbols("q c v", positive=True)
n, d = sp.symbols("n d", integer=True, positive=True)
_i, _j, _k = sp.symbols("i j k", integer=True, positive=True)
_x = sp.Symbol("x", real=True)
_fan_in, _fan_out, _hidden = sp.symbols("n_in n_out h", integer=True, positive=True)
_s1, _s2 = sp.symbols("sigma_1 sigma_2", positive=True)
_row = sp.symbols("y1:4", real=True)
_weights = sp.symbols("w1:4", real=True)
_sigma = sp.Symbol("sigma", positive=True)
_m2, _m3, _R = sp.symbols("m_2 m_3 R")


def growth() -> sp.Expr:
    """Relative growth of the stream's second moment in one MLP block: ½ d_ff d σ₁² σ₂²."""
    return _hidden * d * _s1**2 * _s2**2 / 2


def _signed(size: int) -> Iterable[tuple[int, ...]]:
    return product((1, -1), repeat=size)


def _over_signs(statement: sp.Basic) -> bool:
    """Check by averaging the left side over w_j = ±σ with all signs equally likely."""
    left, right = statement.args
    values = [
        left.subs(dict(zip(_weights, (_sigma * s for s in signs), strict=True)))
        for signs in _signed(len(_weights))
    ]
    return sp.expand(sp.Add(*values) / len(values) - right) == 0


@covers("over all signs at width 2, exactly")
def _over_networks(statement: sp.Basic) -> bool:
    """Check the growth of an MLP by averaging over all signs of its weights.

    ‖W₂ ReLU(W₁ y)‖²/‖y‖² over all W₁ = ±σ₁, W₂ = ±σ₂ of width 2 and hidden width 2.
    """
    y, values = sp.Matrix([1, 2]), []
    for signs in _signed(8):
        first, second = (sp.Matrix(2, 2, signs[k : k + 4]) for k in (0, 4))
        hidden = (first * y).applyfunc(lambda h: max(h, sp.S.Zero))
        out = second * hidden
        values.append((out.T * out)[0] / (y.T * y)[0])
    exact = sp.Add(*values) / len(values) * _s1**2 * _s2**2
    return sp.expand(exact - statement.args[1].subs({d: 2, _hidden: 2})) == 0


@covers("for n = 1 to 6, exactly")
def _by_positions(statement: sp.Basic) -> bool:
    """Compare with the causal averages themselves, position by position, for n = 1…6."""
    for size in range(1, 7):
        counts = tuple(map(sp.Integer, range(1, size + 1)))
        exact = trace(averaged(exchangeable(size, q, c), counts))
        if sp.simplify(exact - statement.args[1].subs(n, size).doit()) != 0:
            return False
    return True


def _softmax(size: int) -> tuple[tuple[sp.Symbol, ...], list[sp.Expr]]:
    logits = sp.symbols(f"l1:{size + 1}", real=True)
    whole = sp.Add(*map(sp.exp, logits))
    return logits, [sp.exp(logit) / whole for logit in logits]


@covers("for n = 2, 3, 4, exactly")
def _first_order(statement: sp.Basic) -> bool:
    """Check the first-order effect of the logits' variance on the weights' concentration.

    ∂/∂v E F = ½ E Σ ∂²F/∂ℓ² for F = Σ a² at v = 0, where all logits are 0; n = 2, 3, 4.
    """
    for size in (2, 3, 4):
        logits, weights = _softmax(size)
        energy = sp.Add(*(a**2 for a in weights))
        at_zero = dict.fromkeys(logits, 0)
        slope = sp.Add(*(sp.diff(energy, logit, 2).subs(at_zero) for logit in logits)) / 2
        value = energy.subs(at_zero) + slope * v
        if sp.simplify(value - statement.args[1].subs(n, size)) != 0:
            return False
    return True


@covers("for n = 2, 3, 4, exactly")
def _response(statement: sp.Basic) -> bool:
    """Check the second moment of the gradient by the logits on the Jacobian of the softmax.

    It is E‖Σ_σ (∂(a V)/∂ℓ_σ) k_σ‖² for independent V and k of unit length. The gradient of a V by
    ℓ_σ is Σ_ρ V_ρ ∂a_ρ/∂ℓ_σ. Independence leaves the sum of all squared entries of the Jacobian.
    """
    for size in (2, 3, 4):
        logits, weights = _softmax(size)
        at_zero = dict.fromkeys(logits, 0)
        jacobian = sp.Matrix(weights).jacobian(sp.Matrix(logits)).subs(at_zero)
        exact = sp.Add(*(entry**2 for entry in jacobian))
        if sp.simplify(exact - statement.args[1].subs(n, size)) != 0:
            return False
    return True


@covers("at points with n = 2, 3, to 20 digits")
def _stein(statement: sp.Basic) -> bool:
    """Check the use of Stein's lemma at points with n = 2, 3.

    E h·ℓ = v E div h for independent ℓ of variance v, where div is the divergence by ℓ.
    """
    for size in (2, 3):
        logits, weights = _softmax(size)
        m_2, m_3 = (sp.Add(*(a**k for a in weights)) for k in (2, 3))
        # Σ a² (ℓ_σ − ℓ̄) = Σ_ρ h_ρ ℓ_ρ
        field = [a**2 - a * m_2 for a in weights]
        divergence = sp.Add(*(sp.diff(h, x) for h, x in zip(field, logits, strict=True)))
        exact = statement.args[1].subs({_m2: m_2, _m3: m_3})
        at = {x: sp.Rational(k, 3) for k, x in enumerate(logits)}
        if abs(sp.N((divergence - exact).subs(at), 30)) > 1e-20:
            return False
    return True


@covers("for n = 2, 3, 4, 7, exactly")
def _mean_jacobian(statement: sp.Basic) -> bool:
    """Check ‖E J‖² for exchangeable weights, of which E a_σ = 1/n and E m_2 = q are known."""
    for size in (2, 3, 4, 7):
        square = (1 - q) / size
        beside = -(1 - q) / (size * (size - 1))
        exact = size * square**2 + size * (size - 1) * beside**2
        if sp.simplify(exact - statement.args[1].subs(n, size)) != 0:
            return False
    return True


@covers("at points with n = 2, 3, to 20 digits")
def _shared_slope(statement: sp.Basic) -> bool:
    """Check how the overlap of two queries' weights grows with the covariance of their logits.

    ∂/∂c E Σ a_σ b_σ = E Σ_σρ ∂a_ρ/∂ℓ_σ ∂b_ρ/∂ℓ'_σ, entry by entry for n = 2, 3.
    """
    for size in (2, 3):
        logits, a = _softmax(size)
        others = sp.symbols(f"k1:{size + 1}", real=True)
        b = [weight.subs(dict(zip(logits, others, strict=True))) for weight in a]
        common = sp.Add(*(x * y for x, y in zip(a, b, strict=True)))
        # Price's theorem: one covariance per key.
        slope = sp.Add(*(sp.diff(common, x, y) for x, y in zip(logits, others, strict=True)))
        each = [x * y * (1 - x - y + common) for x, y in zip(a, b, strict=True)]
        exact = statement.args[1].subs(_R, sp.Add(*each))
        at = {x: sp.Rational(k, 5) for k, x in enumerate((*logits, *others))}
        if abs(sp.N((slope - exact).subs(at), 30)) > 1e-20:
            return False
    return True


def _summed(statement: sp.Basic) -> bool:
    """Identity among double sums over a symbolic number of tokens."""
    left, right = statement.args
    (outer,) = (factor for factor in sp.Mul.make_args(left) if isinstance(factor, sp.Sum))
    value = outer.function
    for limits in outer.limits:
        value = distribute(sp.Sum(value, limits))
    return sp.simplify(left.subs(outer, value) - right) == 0


@covers("for d = 5 to 10, integrated exactly")
def _chi_square(statement: sp.Basic) -> bool:
    """Integrate against the density of χ² with d − 1 degrees, for d = 5…10."""
    degrees = d - 1
    density = (
        _x ** (degrees / 2 - 1) * sp.exp(-_x / 2) / (2 ** (degrees / 2) * sp.gamma(degrees / 2))
    )
    return all(
        sp.simplify(
            sp.integrate((statement.args[0].args[0] * density).subs(d, size), (_x, 0, sp.oo))
            - statement.args[1].subs(d, size)
        )
        == 0
        for size in range(5, 11)
    )


def _weight_steps() -> tuple[Step, ...]:
    bound = sp.sqrt(6 / (_fan_in + _fan_out))
    variance = sp.Integral(_x**2 / (2 * bound), (_x, -bound, bound))
    image = sp.Add(*(w * y for w, y in zip(_weights, _row, strict=True))) ** 2
    length = sp.Add(*(y**2 for y in _row))
    return (
        Step(
            "Xavier draws from U(±√(6/(n_in + n_out))), which has this variance",
            equation(variance, 2 / (_fan_in + _fan_out)),
            identity,
            equation(variance, 1 / (_fan_in + _fan_out)),
        ),
        mean_step(
            "a row of independent weights of variance σ² times y: E (w·y)² = σ² ‖y‖²",
            image,
            _sigma**2 * length,
            _over_signs,
            _sigma**2 * sp.Add(*_row) ** 2,
            "over all signs of three weights, exactly",
        ),
    )


def _mlp_steps() -> tuple[Step, ...]:
    gaussian = sp.exp(-(_x**2) / (2 * q)) / sp.sqrt(2 * sp.pi * q)
    half = sp.Integral(_x**2 * gaussian, (_x, 0, sp.oo))
    relative = sp.Symbol("growth")
    return (
        Step(
            "ReLU halves second moments",
            equation(half, q / 2),
            identity,
            equation(half, q),
        ),
        *pair_kernels(),
        Step(
            "an MLP adds ½ d_ff d σ₁² σ₂² times the stream's second moment (every sign of weights)",
            equation(relative, growth()),
            _over_networks,
            equation(relative, 2 * growth()),
        ),
    )


def _attention_steps() -> tuple[Step, ...]:
    pair = (q - c) * sp.KroneckerDelta(_i, _j) + c
    mean_square = sp.Sum(sp.Sum(pair, (_j, 1, n)), (_i, 1, n)) / n**2
    causal = sp.Symbol("trace")
    squares = sp.Symbol("E m_2")
    return (
        Step(
            "an average over n tokens divides by n only the part that they do not share",
            equation(mean_square, c + (q - c) / n),
            _summed,
            equation(mean_square, q / n),
        ),
        Step(
            "causal averages, over 1, 2, …, n tokens, add up to a harmonic sum",
            equation(causal, n * c + (q - c) * sp.Sum(1 / _k, (_k, 1, n))),
            _by_positions,
            equation(causal, n * c + (q - c)),
        ),
        Step(
            "logits of variance v raise E Σ a² to first order by v (1 − 1/n)/n",
            equation(squares, (1 + v * (1 - 1 / n)) / n),
            _first_order,
            equation(squares, (1 + v) / n),
        ),
        Step(
            "the gradient with respect to the logits has second moment (1 − 1/n)/n",
            equation(sp.Symbol("response"), (1 - 1 / n) / n),
            _response,
            equation(sp.Symbol("response"), 1 / n),
        ),
        Step(
            "two queries: q(c) = E Σ a_σ b_σ has dq/dc = R = E Σ a_σ b_σ (1 − a_σ − b_σ + Σ a b)",
            equation(sp.Symbol("dq/dc"), _R),
            _shared_slope,
            equation(sp.Symbol("dq/dc"), 2 * _R),
        ),
        Step(
            "uncorrelated queries with E m_2 = q have R = ‖E J‖² = (1 − q)²/(n − 1)",
            equation(_R, (1 - q) ** 2 / (n - 1)),
            _mean_jacobian,
            equation(_R, (1 - q) ** 2 / n),
        ),
        Step(
            "the covariance of a key's cotangents by value and by logit, by Stein's lemma",
            equation(sp.Symbol("lean"), _m2 - 4 * _m3 + 3 * _m2**2),
            _stein,
            equation(sp.Symbol("lean"), _m2 - 4 * _m3 + _m2**2),
        ),
    )


def _norm_steps() -> tuple[Step, ...]:
    inverse = sp.Function("E")
    return (
        Step(
            "a layer norm on a Gaussian x: E d/‖x − x̄‖² = d/(d − 3), d − 1 degrees of freedom",
            equation(inverse(d / _x), d / (d - 3)),
            _chi_square,
            equation(inverse(d / _x), d / (d - 1)),
        ),
    )


def derivation() -> Derivation:
    """The derivation with every rule, in the order in which a signal meets them."""
    return Derivation(
        "ours.prediction",
        "The rules of the zero-parameter prediction",
        (*_weight_steps(), *_mlp_steps(), *_attention_steps(), *_norm_steps()),
    )
