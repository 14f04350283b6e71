"""Gradients do not vanish through a Post-LN encoder at initialisation: Admin's Theorem 1.

A sub-layer is x_i = LN(b_i) with b_i = x_{i−1} + f_i(x_{i−1}), E x² = 1 per coordinate before it,
and symmetric independent weights. Forward, E b² = 1 + ρ. Backward, layer norm multiplies the mean
square by 1/(1 + ρ), up to the share (d − 2)/d that its projector keeps. The residual block
multiplies it by 1 + ρ again, because a ReLU branch and a value path have the same mean square in
both directions. So the variance is kept *exactly*. The softmax of attention does not make it
smaller, hence

    Var[Δx_{i−1}] ≥ Var[Δx_i].

Without the block's own Jacobian the factor would be 1/(1 + ρ) < 1.

Three things are approximate. The layer norm's projector is exact only for d → ∞. Tokens' states and
tokens' gradients are taken as uncorrelated; with equal tokens the inequality is false. The product
of the query's softmax path with the value path is left out.
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, covers, dominated, equation
from theory.moments.sign_averages import sign_average, sign_averaged_relu

d, h, n = sp.symbols("d h n", positive=True)
"""Width, hidden width, tokens."""
rho = sp.Symbol("rho", nonnegative=True)
"""Mean square of a branch's output per coordinate when its input's is 1."""
_norm, _cotangent = sp.symbols("X U", positive=True)
"""Symbols for ‖x‖² and ‖u‖²."""
_TOKENS = 3
_attention = sp.IndexedBase("S", nonnegative=True)
_logit = sp.IndexedBase("l", real=True)
_i, _j, _k = sp.symbols("i j k", integer=True, positive=True)
_a, _b = sp.symbols("a b", nonnegative=True)
_CASES = (((1, 3), (2, 1), 1), ((1, 3), (1, -2), 2), ((1, 2, 4), (3, 0, 1), 1))
"""Values of x, u and h at which a branch's moments are averaged over all signs of its weights."""


def _values(x: tuple[int, ...], u: tuple[int, ...], hidden: int) -> dict[sp.Symbol, int]:
    return {d: len(x), h: hidden, _norm: sum(a * a for a in x), _cotangent: sum(a * a for a in u)}


def _relu(quantity: str, statement: sp.Basic) -> bool:
    """Compare a formula in d, h, ‖x‖², ‖u‖² with one of `ReluMoments`, weights ±1."""
    return all(
        getattr(sign_averaged_relu(x, u, hidden), quantity)
        == statement.args[1].subs(_values(x, u, hidden))
        for x, u, hidden in _CASES
    )


@covers("over all signs of small branches, exactly")
def _factor_is(statement: sp.Basic) -> bool:
    """Compare a formula with E‖Δx_{i−1}‖²/E‖Δx_i‖² of a ReLU sub-layer, weights of any size.

    Per coordinate E b² = (‖x‖² + s² E‖f‖²)/d; x is rescaled to ‖x‖² = d, as J does not depend on
    its length. ``s`` is the product of the two matrices' standard deviations.
    """
    size = sp.Symbol("s", positive=True)
    for x, u, hidden in _CASES:
        found, values = sign_averaged_relu(x, u, hidden), _values(x, u, hidden)
        forward = 1 + size**2 * found.output / values[_norm]
        backward = 1 + size**2 * found.backward / values[_cotangent] + 2 * size * found.crossed
        if sp.simplify(backward / forward - statement.args[1]) != 0:
            return False
    return True


def relu_steps() -> tuple[Step, ...]:
    """Derive that a ReLU sub-layer keeps the gradient's variance exactly."""
    return (
        Step(
            "ReLU branch, entries ±1 averaged over all signs: E‖f(x)‖²",
            equation(sp.Symbol("E_f"), d * h * _norm / 2),
            lambda statement: _relu("output", statement),
            equation(sp.Symbol("E_f"), d * h * _norm),
            "over all signs of small branches, exactly",
        ),
        Step(
            "and backward E‖Jᵀu‖², with the same factor",
            equation(sp.Symbol("E_J"), d * h * _cotangent / 2),
            lambda statement: _relu("backward", statement),
            equation(sp.Symbol("E_J"), d * h * _cotangent),
            "over all signs of small branches, exactly",
        ),
        Step(
            "symmetry: the shortcut and the branch do not interfere, E⟨u, Jᵀu⟩ = 0",
            equation(sp.Symbol("E_x"), sp.S.Zero),
            lambda statement: _relu("crossed", statement),
            equation(sp.Symbol("E_x"), _cotangent / d),
            "over all signs of small branches, exactly",
        ),
        Step(
            "so Var[Δx_{i−1}]/Var[Δx_i] = (1 + ρ)/(1 + ρ); without the branch's Jacobian 1/(1 + ρ)",
            equation(sp.Symbol("ratio"), sp.S.One),
            _factor_is,
            equation(sp.Symbol("ratio"), sp.Rational(2, 3)),
        ),
    )


@covers("at d = 3 to 6, exactly")
def _kept_share(statement: sp.Basic) -> bool:
    """Compare a formula with E‖P u‖²/E‖u‖², u isotropic, P the projector of LN, d = 3…6."""
    for size in range(3, 7):
        y = sp.Matrix([*range(1, size), -size * (size - 1) // 2])
        projector = sp.eye(size) - sp.ones(size, size) / size - y * y.T / (y.T * y)[0]
        if (projector.T * projector).trace() / size != statement.args[1].subs(d, size):
            return False
    return True


def layer_norm_steps() -> tuple[Step, ...]:
    """Derive that layer norm divides the gradient by √Var[b], up to two of d directions."""
    share = 1 - 2 / d
    return (
        Step(
            "∂LN/∂b = P/√Var[b]: of an isotropic gradient P keeps 1 − 2/d in mean square (d = 3…6)",
            equation(sp.Symbol("share"), share),
            _kept_share,
            equation(sp.Symbol("share"), 1 - 1 / d),
        ),
        Step(
            "which the paper takes as 1: wide layers",
            equation(sp.Limit(share, d, sp.oo), sp.S.One),
            lambda statement: statement.args[0].doit() == statement.args[1],
            equation(sp.Limit(share, d, 4), sp.S.One),
        ),
    )


def _softmax_matrix() -> sp.Matrix:
    return sp.Matrix(_TOKENS, _TOKENS, lambda a, b: _attention[a + 1, b + 1])


def _mixed(states: list[sp.Expr], transposed: bool) -> list[sp.Expr]:
    """One step x + w S x, or its adjoint u + w Sᵀ u, with w = ±√ρ and one coordinate per token."""
    matrix = _softmax_matrix().T if transposed else _softmax_matrix()
    weight = sp.sqrt(rho) * sp.Symbol("epsilon_w")
    passed = matrix * sp.Matrix(states)
    return [state + weight * value for state, value in zip(states, passed, strict=True)]


def _token_squares(states: list[sp.Expr], *, transposed: bool) -> list[sp.Expr]:
    signs = sorted(set().union(*(state.free_symbols for state in states)), key=str)
    signs = [sign for sign in signs if str(sign).startswith("epsilon")]
    return [
        sign_average(value**2, *signs, sp.Symbol("epsilon_w"))
        for value in _mixed(states, transposed)
    ]


def _independent() -> list[sp.Symbol]:
    return list(sp.symbols(f"epsilon1:{_TOKENS + 1}", real=True))


def _equal_tokens() -> list[sp.Symbol]:
    return [sp.Symbol("epsilon1", real=True)] * _TOKENS


def _concrete(expression: sp.Expr, token: int) -> sp.Expr:
    return expression.subs(_i, token).doit()


def _forward(statement: sp.Basic, states: list[sp.Symbol]) -> bool:
    """Compare a formula for E b_i² with the average over signs of states and weight, 3 tokens."""
    squares = _token_squares(list(states), transposed=False)
    return all(
        sp.expand(square - _concrete(statement.args[1].subs(n, _TOKENS), token)) == 0
        for token, square in enumerate(squares, start=1)
    )


@covers("for three tokens, every S")
def _total_is(statement: sp.Basic) -> bool:
    """Compare a formula with Σ_j E Δx_j² when Σ_i E Δx_i² = n comes from above, any S."""
    variances = sp.symbols(f"V1:{_TOKENS + 1}", positive=True)
    cotangents = [
        sign / sp.sqrt(variance) for sign, variance in zip(_independent(), variances, strict=True)
    ]
    total = sp.Add(*_token_squares(cotangents, transposed=True))
    forward = _token_squares(list(_independent()), transposed=False)
    inserted = total.subs(dict(zip(variances, forward, strict=True)))
    return sp.simplify(inserted - statement.args[1].subs(n, _TOKENS)) == 0


def _row() -> sp.Expr:
    return sp.Sum(_attention[_i, _k] ** 2, (_k, 1, n))


def value_path_steps() -> tuple[Step, ...]:
    """Derive that attention's value path keeps the gradients' total, for any attention matrix."""
    total = sp.Symbol("Sigma")
    coherent = sp.Sum(_attention[_i, _k], (_k, 1, n)) ** 2
    return (
        Step(
            "attention, uncorrelated tokens, over all signs (n = 3): E b_i² with rows S_i",
            equation(sp.Symbol("E_b"), 1 + rho * _row()),
            lambda statement: _forward(statement, _independent()),
            equation(sp.Symbol("E_b"), 1 + rho * coherent),
            "for three tokens, over all signs, every S",
        ),
        Step(
            "backward by the value path, for every S: Σ_j Var[Δx_j] = Σ_i Var[Δx_i]",
            equation(total, n),
            _total_is,
            equation(total, n - 1),
        ),
        Step(
            "uncorrelated tokens cannot be dropped: with equal tokens E b_i² = 1 + ρ (Σ_k S_ik)²",
            equation(sp.Symbol("E_b"), 1 + rho * coherent),
            lambda statement: _forward(statement, _equal_tokens()),
            equation(sp.Symbol("E_b"), 1 + rho * _row()),
            "for three tokens, over all signs, every S",
        ),
        Step(
            "which at S = 1/n, gradients uncorrelated, leaves (1 + ρ/n)/(1 + ρ) ≤ 1",
            sp.Le((1 + rho / n) / (1 + rho), 1, evaluate=False),
            lambda statement: dominated(statement.subs(n, 1 + _a)),
            sp.Le(1, (1 + rho / n) / (1 + rho), evaluate=False),
        ),
    )


def _key_times_value(statement: sp.Basic) -> bool:
    """Compare a sum over pairs with Σ_j ∂f/∂value_j ∂f/∂key_j of one query's attention, n = 3.

    f = Σ_j S_j m_j with logits ℓ_j = q k_j; the two derivatives are taken apart, then k = m.
    """
    query, keys = sp.Symbol("q", real=True), sp.symbols("k1:4", real=True)
    values, powers = sp.symbols("m1:4", real=True), sp.symbols("p1:4", positive=True)
    scores = [sp.exp(query * key) for key in keys]
    output = sum(a * b for a, b in zip(scores, values, strict=True)) / sp.Add(*scores)
    direct = sp.Add(
        *(
            sp.diff(output, value) * sp.diff(output, key)
            for value, key in zip(values, keys, strict=True)
        )
    )
    names = {_attention[a + 1]: powers[a] / sum(powers) for a in range(3)}
    names |= {_logit[a + 1]: query * keys[a] for a in range(3)}
    claimed = statement.args[1].subs(n, 3).doit().subs(names)
    equal = dict(zip(values, keys, strict=True)) | dict(zip(scores, powers, strict=True))
    return sp.simplify(direct.subs(equal) - claimed) == 0


def softmax_steps() -> tuple[Step, ...]:
    """Derive that the keys' contribution through the softmax is not negative."""
    pair = (
        _attention[_j]
        * _attention[_k]
        * (_attention[_j] - _attention[_k])
        * (_logit[_j] - _logit[_k])
    )
    pairs = sp.Sum(sp.Sum(pair, (_k, 1, n)), (_j, 1, n)) / 2
    first, second = sp.exp(_a), sp.S.One

    def monotone(statement: sp.Basic) -> bool:
        bound = statement.args[1].subs(sp.exp(_a), 1 + _a + _b)  # e^a ≥ 1 + a
        return dominated(sp.Le(0, bound, evaluate=False))

    return (
        Step(
            "value path × keys: Σ_j S_j² (ℓ_j − ℓ̄), as a sum over pairs (n = 3, free logits ℓ)",
            equation(sp.Symbol("keys"), pairs),
            _key_times_value,
            equation(sp.Symbol("keys"), 2 * pairs),
        ),
        Step(
            "no pair is negative, as S grows with ℓ: at ℓ_j − ℓ_k = a ≥ 0",
            sp.Le(0, (first - second) * _a, evaluate=False),
            monotone,
            sp.Le(0, (second - first) * _a, evaluate=False),
        ),
        Step(
            "so with a softmax part κ ≥ 0 beside the value path the factor is at least 1",
            sp.Le(1, (1 + rho + _b) / (1 + rho), evaluate=False),
            dominated,
            sp.Le(1, (1 + _b) / (1 + rho), evaluate=False),
        ),
    )


def derivation() -> Derivation:
    """Derive Var[Δx_{i−1}] ≥ Var[Δx_i] for both kinds of sub-layer."""
    return Derivation(
        "admin.thm1",
        "Gradients through a Post-LN encoder",
        (*relu_steps(), *layer_norm_steps(), *value_path_steps(), *softmax_steps()),
    )
