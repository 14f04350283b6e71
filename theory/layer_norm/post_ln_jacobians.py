"""Mean squares of the Jacobians of a Post-LN layer, by exact Gaussian moments.

The cotangent g does not depend on the weights that it meets, whose entries are N(0, 1/d):

    layer norm  P = I − 11ᵀ/d − yyᵀ/‖y‖² keeps the share (d − 2)/d of an isotropic g
    MLP         E‖g + W₁ᵀ D W₂ᵀ g‖² = 3/2 ‖g‖², where D marks the active half of the units
    attention   Σ_i E‖g_i + W Σ_j g_j/t‖² = (1 + γ) Σ_i ‖g_i‖², γ = ‖Σ g_i‖²/(t Σ ‖g_i‖²)
"""

from itertools import product

import sympy as sp

from theory.derivations.derivation import Step, covers, equation, identity
from theory.layer_norm.hidden_norms import affine_mean_square, post_ln_norms
from theory.moments.relu_moments import d, expectation, relu_moment

gamma = sp.Symbol("gamma", positive=True)
_G = sp.Symbol("G", positive=True)
"""Symbol for ‖g‖²."""
_mean_square = sp.Function("E")


@covers("at d = 3 to 6, exactly")
def _projected(statement: sp.Basic) -> bool:
    """Share of an isotropic cotangent that P keeps, tr P/d, for d = 3…6."""
    for size in range(3, 7):
        y = sp.Matrix([*range(1, size), -size * (size - 1) // 2])
        projector = sp.eye(size) - sp.ones(size, size) / size - y * y.T / (y.T * y)[0]
        if projector.trace() / size != statement.args[1].subs(d, size):
            return False
    return True


def masked_mean_square(g: sp.Matrix, gated: bool = True) -> sp.Expr:
    """Mean of ‖g + W₁ᵀ D W₂ᵀ g‖² at z = (√d, 0, …), with D = diag(1[W₁ z > 0]).

    The first column of W₁ decides D; where D is 1 that column is half-Gaussian. Without the gate
    D = I.

    Examples
    --------
    >>> masked_mean_square(sp.Matrix([1, 2]))
    15/2
    """
    size = len(g)
    total = sp.S.Zero
    for open_units in product((0, 1), repeat=size) if gated else ((1,) * size,):
        w1 = sp.Matrix(size, size, sp.symbols(f"w:{size * size}", real=True))
        # W₂ᵀ g has independent N(0, ‖g‖²/d) coordinates, so W₁ᵀ D acts on Gaussians
        pulled = sp.symbols(f"v:{size}", real=True)
        scale = sp.sqrt((g.T * g)[0]) / size
        out = g + scale * w1.T * sp.diag(*open_units) * sp.Matrix(pulled)
        square = expectation(sp.expand((out.T * out)[0]), pulled)
        deciding = list(w1[:, 0]) if gated else []
        square = expectation(square, [w for w in w1 if w not in deciding])
        for unit, weight in zip(open_units, deciding, strict=False):
            sign = 1 if unit else -1
            half = sp.expand(square.subs(weight, sign * weight))
            square = expectation(half, [weight], _half_gaussian)
        total += square
    return sp.simplify(total)


def _half_gaussian(power: int) -> sp.Expr:
    """Moment E a^power 1[a > 0] of a standard Gaussian; 1/2 at power 0."""
    return sp.Rational(1, 2) if power == 0 else relu_moment(power)


@covers("at two vectors with d = 2, exactly")
def _gated(statement: sp.Basic) -> bool:
    """Whether E‖(I + ∂f/∂z)ᵀ g‖² is as claimed, d = 2."""
    vectors = (sp.Matrix([1, 2]), sp.Matrix([3, -1]))
    return all(masked_mean_square(g) == statement.args[1].subs(_G, (g.T * g)[0]) for g in vectors)


def averaged_mean_square(gradients: sp.Matrix) -> sp.Expr:
    """Mean of Σ_i ‖g_i + (1/t) W Σ_j g_j‖² over W; the gradients g_i are columns.

    Examples
    --------
    >>> averaged_mean_square(sp.Matrix([[1, 0], [0, 1]]))
    3
    """
    size, tokens = gradients.shape
    mean = sum((gradients.col(i) for i in range(tokens)), sp.zeros(size, 1)) / tokens
    variance = sp.Rational(1, size)
    return sum(affine_mean_square(gradients.col(i), mean, variance) for i in range(tokens))


@covers("at integer gradients of 1, 2 and 3 tokens, exactly")
def _spread_over_tokens(statement: sp.Basic) -> bool:
    """Compare with (1 + γ) E at integer gradients, t = 1…3."""
    for rows in (((1,), (2,)), ((1, 0), (2, 3)), ((1, 0, 2), (1, 1, -1))):
        g = sp.Matrix(rows)
        tokens = g.shape[1]
        energy = sum(entry**2 for entry in g)
        together = sum(sum(g.row(i)) ** 2 for i in range(g.shape[0]))
        values = {_G: energy, gamma: sp.Rational(together, tokens * energy)}
        if averaged_mean_square(g) != statement.args[1].subs(values):
            return False
    return True


def mlp_half() -> tuple[Step, ...]:
    """Derive the factor of x → LN(x + f(x)) backward: 2/3 of the layer norm, 3/2 of the block."""
    forward = post_ln_norms(1, sp.S.Zero)[0]
    return (
        Step(
            "layer norm backward: 1/(‖x‖²/d) = 2/3 times the share that its projector keeps",
            equation(sp.Symbol("kept"), (d - 2) / d),
            _projected,
            equation(sp.Symbol("kept"), (d - 1) / d),
        ),
        Step(
            "the MLP's own Jacobian, which the paper omits: g + W₁ᵀ D W₂ᵀ g, D the active units",
            equation(_mean_square(sp.Symbol("g + MLP'g")), 3 * _G / 2),
            _gated,
            equation(_mean_square(sp.Symbol("g + MLP'g")), _G),
        ),
        Step(
            "so an MLP half keeps the gradient: forward growth 3/2 and backward growth 3/2 cancel",
            equation(sp.Mul(1 / forward, sp.Rational(3, 2), evaluate=False), sp.S.One),
            identity,
            equation(sp.Mul(1 / forward, sp.S.One, evaluate=False), sp.S.One),
        ),
    )


def attention_half() -> tuple[Step, ...]:
    """Derive the factor of x → x + mean(x) W backward: 1 + γ."""
    return (
        Step(
            "attention backward: every token gets its share of the sum, (1 + γ) in mean square",
            equation(_mean_square(sp.Symbol("g + attention'g")), (1 + gamma) * _G),
            _spread_over_tokens,
            equation(_mean_square(sp.Symbol("g + attention'g")), 2 * _G),
        ),
    )
