"""Squared norms of the hidden states at initialisation: Lemma 2 of Xiong et al.

The setting: one head, d×d matrices with independent N(0, 1/d) entries, no biases. W_Q = W_K = 0, so
attention averages the t tokens. With z the output of a layer norm, ‖z‖² = d exactly, and

    attention  E‖x + W m‖² = ‖x‖² + ‖m‖²,    m the mean of the tokens that it reads,   (1)
    MLP        E‖x + W₂ ReLU(W₁ z)‖² = ‖x‖² + ‖z‖²/2.                                 (2)

Post-LN has x^{post,5} = z + W₂ ReLU(W₁ z), hence 3d/2 in every layer. In Pre-LN a layer adds (1/2 +
c) d, where c d = ‖m‖² for the mean m of the normalised tokens and 0 ≤ c ≤ 1. Hence

    (1 + l/2) d ≤ E‖x_l‖² ≤ (1 + 3l/2) d    after l layers, ‖x_0‖² = d at the input.   (3)

The index counts finished layers. The upper end is attained where all tokens are alike. The lower
end is attained after one layer by tokens whose mean is 0, such as infinitely many orthogonal ones.
It is not attained later, as ReLU gives their images a common direction. Tokens of equal cosines ρ
have c = (1 + (t − 1) ρ)/t. ρ is followed from layer to layer in the limit of large d.
"""

from collections.abc import Iterator
from itertools import product

import sympy as sp

from theory.derivations.derivation import StatementCheck, Step, covers, dominated, equation
from theory.derivations.number import Number
from theory.errors import InputError
from theory.moments.relu_kernel import kappa_1
from theory.moments.relu_moments import (
    d,
    expectation,
    lemma1,
    pair_kernels,
    relu_moment,
    rho,
)

l = sp.Symbol("l", integer=True, nonnegative=True)  # noqa: E741 - the paper's layer index
_X, _H, _mu = sp.symbols("X H mu", nonnegative=True)
_mean_square = sp.Function("E")


def alikeness(cosine: Number, tokens: sp.Expr | int) -> Number:
    """Squared norm of the mean of t unit vectors of equal cosines ρ: c = (1 + (t − 1) ρ)/t.

    Examples
    --------
    >>> alikeness(sp.S.Zero, 4), alikeness(sp.S.One, 4), alikeness(sp.Rational(1, 2), sp.oo)
    (1/4, 1, 1/2)
    """
    if tokens == sp.oo:
        return cosine
    return (1 + (tokens - 1) * cosine) / tokens


def layer_norm(x: sp.Matrix) -> sp.Matrix:
    """Layer norm of a column x ∈ R^d: √d (x − x̄)/‖x − x̄‖.

    Examples
    --------
    >>> layer_norm(sp.Matrix([3, 5])).T
    Matrix([[-1, 1]])
    """
    y = x - sp.ones(*x.shape) * (sum(x) / len(x))
    return sp.sqrt(len(x)) * y / sp.sqrt((y.T * y)[0])


def _gaussian_matrix(rows: int, columns: int) -> tuple[sp.Matrix, tuple[sp.Symbol, ...]]:
    entries = sp.symbols(f"w:{rows * columns}", real=True)
    return sp.Matrix(rows, columns, entries), entries


def affine_mean_square(
    x: sp.Matrix, h: sp.Matrix, variance: sp.Expr, mean: sp.Expr | int = 0
) -> sp.Expr:
    """Mean of ‖x + W h‖² over W with independent N(mean, variance) entries, by expansion.

    Examples
    --------
    >>> affine_mean_square(sp.Matrix([1, 2]), sp.Matrix([3]), sp.Rational(1, 2))
    14
    """
    noise, entries = _gaussian_matrix(len(x), len(h))
    out = x + (sp.sqrt(variance) * noise + mean * sp.ones(len(x), len(h))) * h
    return sp.expand(expectation(sp.expand((out.T * out)[0]), entries))


def mlp_mean_square(x: sp.Matrix, z: sp.Matrix) -> sp.Expr:
    """Mean of ‖x + W₂ ReLU(W₁ z)‖² over both d×d matrices, with N(0, 1/d) entries.

    Given W₁, an expectation over W₂; then W₁ z has independent N(0, ‖z‖²/d) coordinates.

    Examples
    --------
    >>> z = sp.Matrix([1, -1])
    >>> mlp_mean_square(z, z)
    3
    """
    size = len(z)
    active = sp.symbols(f"a:{size}", nonnegative=True)
    scale = sp.sqrt((z.T * z)[0] / size)
    given = affine_mean_square(x, scale * sp.Matrix(active), sp.Rational(1, size))
    return sp.simplify(expectation(given, active, relu_moment))


@covers("at d = 2, 3, 4, for every x")
def _norm_of_layer_norm(statement: sp.Basic) -> bool:
    """Squared norm of LN(x) at symbolic x, d = 2…4."""
    for size in (2, 3, 4):
        z = layer_norm(sp.Matrix(sp.symbols(f"x:{size}", real=True)))
        if sp.simplify((z.T * z)[0] - statement.args[1].subs(d, size)) != 0:
            return False
    return True


@covers("at d = 2, 3, for every x and h")
def _affine(statement: sp.Basic) -> bool:
    """Check E‖x + W h‖² with W of the mean and variance that the left side names, d = 2, 3."""
    mean, variance = statement.args[0].args
    for size in (2, 3):
        x, h = (sp.Matrix(sp.symbols(f"{name}:{size}", real=True)) for name in "xh")
        claimed = statement.args[1].subs({_X: (x.T * x)[0], _H: (h.T * h)[0], d: size})
        exact = affine_mean_square(x, h, variance.subs(d, size), mean)
        if sp.expand(exact - claimed) != 0:
            return False
    return True


@covers("at three vectors with d = 2, 3, exactly")
def _mlp(statement: sp.Basic) -> bool:
    """Check E‖W₂ ReLU(W₁ x)‖² at vectors of several norms, d = 2, 3."""
    for x in (sp.Matrix([1, 2]), sp.Matrix([3, -1]), sp.Matrix([1, 0, 2])):
        claimed = statement.args[1].subs({_X: (x.T * x)[0], d: len(x)})
        if mlp_mean_square(sp.zeros(len(x), 1), x) != claimed:
            return False
    return True


@covers("at d = 2, 3, 4, integrated exactly")
def _whole_block(statement: sp.Basic) -> bool:
    """Check E‖z + W₂ ReLU(W₁ z)‖² at z = LN(x), d = 2…4."""
    for x in (sp.Matrix([3, 5]), sp.Matrix([0, 1, 5]), sp.Matrix([1, 0, 2, 7])):
        z = layer_norm(x)
        if mlp_mean_square(z, z) != statement.args[1].subs(d, len(x)):
            return False
    return True


def post_ln_norms(layers: int, averages: sp.Expr, normalised: bool = True) -> list[sp.Expr]:
    """Mean E‖x^{post,5}‖²/d of layers 1…, with c = ``averages`` or without the layer norms.

    Examples
    --------
    >>> post_ln_norms(3, sp.S.Zero), post_ln_norms(3, sp.S.Zero, normalised=False)
    ([3/2, 3/2, 3/2], [3/2, 9/4, 27/8])
    """
    norms, stream = [], sp.S.One
    for _ in range(layers):
        stream *= 1 + averages
        stream = sp.S.One if normalised else stream
        stream *= sp.Rational(3, 2)
        norms.append(stream)
        stream = sp.S.One if normalised else stream
    return norms


@covers("for six layers at three values of c, exactly")
def _every_layer(statement: sp.Basic) -> bool:
    """Check all layers at several c; the left side names whether layer norm is present."""
    normalised = bool(statement.args[0].args[0])
    claimed = statement.args[1] / d
    averages = (sp.S.Zero, sp.Rational(1, 3), sp.S.One)
    return all(set(post_ln_norms(6, c, normalised)) == {claimed} for c in averages)


def _pieces() -> tuple[Step, ...]:
    """Derive the facts on which both halves of the lemma rest, (1) and (2) among them."""
    return (
        Step(
            "a layer norm's output has ‖z‖² = d exactly",
            equation(_mean_square(sp.Symbol("LN")), d),
            _norm_of_layer_norm,
            equation(_mean_square(sp.Symbol("LN")), d - 1),
        ),
        Step(
            "x + W h, entries N(0, 1/d): squared norms add, as E W = 0 (arguments: mean, variance)",
            equation(_mean_square(0, 1 / d), _X + _H),
            _affine,
            equation(_mean_square(_mu, 1 / d), _X + _H),
        ),
        *lemma1(),
        Step(
            "the MLP keeps half of the squared norm X: W₁ x is N(0, X/d), then Lemma 1, then W₂",
            equation(_mean_square(sp.Symbol("MLP")), _X / 2),
            _mlp,
            equation(_mean_square(sp.Symbol("MLP")), _X),
        ),
    )


def post_ln() -> tuple[Step, ...]:
    """Derive the Post-LN half of the lemma: E‖x^{post,5}‖² = 3d/2 in every layer."""
    return (
        *_pieces(),
        Step(
            "so z + W₂ ReLU(W₁ z) at z = LN(x) has 3d/2 (integrated in full for d = 2, 3, 4)",
            equation(_mean_square(sp.Symbol("z + MLP(z)")), 3 * d / 2),
            _whole_block,
            equation(_mean_square(sp.Symbol("z + MLP(z)")), 2 * d),
        ),
        Step(
            "in every layer, whatever attention adds; without layer norm it would grow as (3/2)^l",
            equation(_mean_square(sp.true), 3 * d / 2),
            _every_layer,
            equation(_mean_square(sp.false), 3 * d / 2),
        ),
    )


@covers("for 1 to 4 numbers, every value")
def _jensen(statement: sp.Basic) -> bool:
    """Compare mean square minus square of the mean with Σ_ij (x_i − x_j)², for t = 1…4 numbers."""
    factor = statement.args[1].args[0]
    for tokens in range(1, 5):
        x = sp.symbols(f"x:{tokens}", real=True)
        variance = sum(a**2 for a in x) / tokens - (sum(x) / tokens) ** 2
        pairs = sum((a - b) ** 2 for a, b in product(x, x)) / tokens**2
        if sp.expand(variance - factor * pairs) != 0:
            return False
    return True


@covers("for t = 1 to 5, every ρ")
def _mean_of_alike(statement: sp.Basic) -> bool:
    """Squared norm ‖m‖²/d of the mean from the matrix of inner products, t = 1…5."""
    t = sp.Symbol("t", positive=True)
    for tokens in range(1, 6):
        gram = (1 - rho) * sp.eye(tokens) + rho * sp.ones(tokens, tokens)
        if sp.expand(sum(gram) / tokens**2 - statement.args[1].subs(t, tokens)) != 0:
            return False
    return True


def pre_ln_norms(tokens: sp.Expr | int, cosine: Number, averaging: bool = True) -> Iterator[Number]:
    """Mean E‖x_l‖²/d of a Pre-LN stack for l = 1, 2, …, as d → ∞.

    It follows squared norms s and inner products p.

    Attention adds c = (s + (t − 1) p)/(t s) to both, the MLP 1/2 to s and κ₁(p/s)/2 to p.

    Parameters
    ----------
    tokens
        t, possibly ∞.
    cosine
        Cosine between any two tokens at the input, where s = 1; exact results at an exact one.
    averaging
        Whether attention averages; without it a layer adds 1/2.

    Examples
    --------
    >>> alike, apart = pre_ln_norms(7, sp.S.One), pre_ln_norms(sp.oo, sp.S.Zero)
    >>> [next(alike) for _ in range(3)]
    [5/2, 4, 11/2]
    >>> next(apart), sp.simplify(next(apart))
    (3/2, 1/(3*pi) + 2)
    """
    if not (-1 <= cosine <= 1) or not (tokens == sp.oo or alikeness(cosine, tokens) >= 0):
        raise InputError(f"no {tokens} vectors have pairwise cosines {cosine}")
    half = sp.S.Half if isinstance(cosine, sp.Expr) else 0.5
    s, p = 2 * half, cosine
    while True:
        c = alikeness(p / s, tokens) if averaging else 0
        s, p = s + c, p + c
        s, p = s + half, p + half * kappa_1(p / s)
        yield s


def _exactly(tokens: sp.Expr, cosine: sp.Expr, layers: range) -> StatementCheck:
    """Compare a formula in l with the recursion at these l."""

    def check(statement: sp.Basic) -> bool:
        norms = pre_ln_norms(tokens, cosine)
        reached = [next(norms) for _ in range(layers.stop - 1)]
        claimed = statement.args[1] / d
        return all(sp.simplify(reached[n - 1] - claimed.subs(l, n)) == 0 for n in layers)

    return covers(f"for l = {', '.join(map(str, layers))}, exactly")(check)


def _bounds() -> tuple[Step, ...]:
    """Bound a sum of l increments 1/2 + c with c between 0 and 1."""
    k, excess = sp.Symbol("k", integer=True), sp.Symbol("tau", nonnegative=True)
    norm = d * (1 + sp.Sum(sp.Rational(1, 2) + 1 / (1 + excess), (k, 1, l)).doit())
    late = sp.Rational(1, 2) * l
    return (
        Step(
            "lower bound after l layers, c = 1/(1 + τ) > 0; one layer more is too many",
            sp.Le((1 + late) * d, norm, evaluate=False),
            dominated,
            sp.Le((1 + (l + 1) / 2) * d, norm, evaluate=False),
        ),
        Step(
            "upper bound after l layers, c ≤ 1",
            sp.Le(norm, (1 + 3 * late) * d, evaluate=False),
            dominated,
            sp.Le(norm, (1 + 3 * (l - 1) / 2) * d, evaluate=False),
        ),
    )


def pre_ln() -> tuple[Step, ...]:
    """Derive the Pre-LN half of the lemma, the bounds (3), and where they are attained."""
    pairs, t = sp.Symbol("P", nonnegative=True), sp.Symbol("t", positive=True)
    gap = sp.Symbol("mean of squares − square of mean")
    share = (1 + (t - 1) * rho) / t
    return (
        *_pieces(),
        Step(
            "averaging never lengthens: the gap is half the mean P of (x_i − x_j)², so 0 ≤ c ≤ 1",
            equation(gap, sp.Mul(sp.Rational(1, 2), pairs)),
            _jensen,
            equation(gap, sp.Mul(sp.Rational(1, 3), pairs)),
        ),
        Step(
            "t normalised tokens of equal cosines ρ: c = ‖m‖²/d; independent is only ρ = 0",
            equation(sp.Symbol("c"), share),
            _mean_of_alike,
            equation(sp.Symbol("c"), 1 / t),
        ),
        *_bounds(),
        Step(
            "all tokens alike: exactly the upper end, at every l",
            equation(_mean_square(sp.Symbol("x_l")), (1 + 3 * l / 2) * d),
            _exactly(sp.Integer(5), sp.S.One, range(1, 7)),
            equation(_mean_square(sp.Symbol("x_l")), (1 + 3 * (l - 1) / 2) * d),
        ),
        *pair_kernels(),
        Step(
            "infinitely many orthogonal tokens: exactly the lower end after one layer",
            equation(_mean_square(sp.Symbol("x_1")), (1 + l / 2) * d),
            _exactly(sp.oo, sp.S.Zero, range(1, 2)),
            equation(_mean_square(sp.Symbol("x_1")), (1 + (l - 1) / 2) * d),
        ),
        Step(
            "but above it after two: ReLU leaves them a common direction, κ₁(0) = 1/π",
            equation(_mean_square(sp.Symbol("x_2")), (2 + 1 / (3 * sp.pi)) * d),
            _exactly(sp.oo, sp.S.Zero, range(2, 3)),
            equation(_mean_square(sp.Symbol("x_2")), 2 * d),
        ),
    )
