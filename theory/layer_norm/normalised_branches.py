"""How much layer norm removes from the shortcut of a Post-LN stack: DS-Init and LRI.

Behind LN(x + G), with E x² = 1 per coordinate and an independent zero-mean G of second moment g,
the shortcut is multiplied by (1 + g)^(-1/2). With Xavier's weights an MLP has g = c = 1/2
(``jacobian.py`` and Lemma 1). Scaling both of its matrices by s multiplies g by s⁴. Layers are
counted from 1.

- DS-Init, paper: s = l^(-1/2), g = c/l²; Π (1 + c/l²)^(-1/2) has a positive limit.
- DS-Init, code: the variance is scaled, s = l^(-1/4), g = c/l; the product falls as N^(-c/2).
- LRI: weights U(±√(1/fan_in)); an MLP has g = 1/18 and attention at most 1/9.
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, equation

_l, N = sp.symbols("l N", integer=True, positive=True)
c = sp.Symbol("c", positive=True)


def kept(second_moment: sp.Expr) -> sp.Expr:
    """The share of the shortcut's mean square that N layers keep: Π_{l=1}^N 1/(1 + g_l).

    Examples
    --------
    >>> kept(1 / _l).subs(N, 3).doit()
    1/4
    """
    return sp.Product(1 / (1 + second_moment), (_l, 1, N))


def _branch_step(what: str, scale: sp.Expr, second_moment: sp.Expr) -> Step:
    """Derive the second moment of W₂ ReLU(W₁ x), entries of variance s²/d, by Lemma 1 twice."""
    s, d = sp.symbols("s d", positive=True)
    first = d * (s**2 / d)
    moment = d * (s**2 / d) * first / 2

    def check(statement: sp.Basic) -> bool:
        return sp.simplify(moment.subs(s, scale) - statement.args[1]) == 0

    g = sp.Function("g")(_l)
    return Step(
        what,
        equation(g, second_moment),
        check,
        equation(g, second_moment * _l ** -sp.Rational(1, 4)),
        "for every l",
    )


def ds_init() -> Derivation:
    """Derive the paper's form: the product converges, to π√c/sinh(π√c)."""
    target = sp.pi * sp.sqrt(c) / sp.sinh(sp.pi * sp.sqrt(c))

    def converges(statement: sp.Basic) -> bool:
        # Euler's product over 1 + c/l²; Richardson's extrapolation of the partial products.
        at = {c: sp.Rational(1, 2)}
        partial = [
            sp.N(sp.Mul(*(1 / (1 + sp.Rational(1, 2 * k * k)) for k in range(1, count + 1))), 20)
            for count in (200, 400, 800)
        ]
        first = [2 * partial[i + 1] - partial[i] for i in (0, 1)]
        limit = (4 * first[1] - first[0]) / 3
        return bool(abs(limit - sp.N(statement.args[1].subs(at), 20)) < sp.Float("1e-8"))

    product = sp.Limit(kept(c / _l**2), N, sp.oo)
    return Derivation(
        "dsinit.scale",
        "DS-Init, paper form: layer norm takes a bounded share",
        (
            _branch_step(
                "both matrices × l^(-1/2): the branch's second moment",
                _l ** -sp.Rational(1, 2),
                sp.Rational(1, 2) / _l**2,
            ),
            Step(
                "what is left of the shortcut has a positive limit (at c = 1/2, to 8 digits)",
                equation(product, target),
                converges,
                equation(product, sp.S.Zero),
            ),
        ),
    )


def ds_init_code() -> Derivation:
    """Derive the code's form: the product falls as N^(-c)."""

    def has_limit(statement: sp.Basic) -> bool:
        # Π (1 + c/l)^(-1) = Γ(N + 1) Γ(1 + c)/Γ(N + 1 + c), compared at integers first.
        half = {c: sp.Rational(1, 2)}
        closed = (sp.gamma(N + 1) * sp.gamma(1 + c) / sp.gamma(N + 1 + c)).subs(half)
        same = all(
            sp.simplify((kept(c / _l).subs(half) - closed).subs(N, count).doit()) == 0
            for count in (1, 2, 7)
        )
        scaled, limit = statement.args
        power = sp.simplify(scaled.args[0] / kept(c / _l)).subs(half)
        # Γ(N + 1)/Γ(N + 3/2) ~ N^(-1/2) (1 − 3/(8N)) by Stirling's series.
        large = sp.Rational(10**10) + sp.Rational(1, 3)
        ratio = sp.loggamma(large + 1) - sp.loggamma(large + sp.Rational(3, 2))
        found = sp.N(ratio + sp.log(power.subs(N, large)), 40) + sp.log(sp.gamma(sp.Rational(3, 2)))
        return same and bool(abs(sp.N(found - sp.log(limit.subs(half)), 20)) < sp.Float("1e-9"))

    def scaled(power: sp.Expr) -> sp.Expr:
        return sp.Limit(kept(c / _l) * N**power, N, sp.oo)

    return Derivation(
        "dsinit.code",
        "DS-Init, code form: layer norm takes a power of the depth",
        (
            _branch_step(
                "both variances × l^(-1/2): the branch's second moment",
                _l ** -sp.Rational(1, 4),
                sp.Rational(1, 2) / _l,
            ),
            Step(
                "N^c × what is left of the shortcut's mean square converges (c = 1/2, 9 digits)",
                equation(scaled(c), sp.gamma(1 + c)),
                has_limit,
                equation(scaled(c - sp.Rational(1, 4)), sp.gamma(1 + c)),
            ),
        ),
    )


def lri() -> Derivation:
    """Derive LRI's sum, whose second moment exceeds 1, so that layer norm does shrink it."""
    x, d = sp.symbols("x d", positive=True)
    bound = 1 / sp.sqrt(d)
    entry = sp.integrate(x**2 / (2 * bound), (x, -bound, bound))
    mlp = d * entry * (d * entry) / 2
    total = sp.Symbol("E(x + G)^2")

    def is_moment(statement: sp.Basic) -> bool:
        return sp.simplify(1 + mlp - statement.args[1]) == 0

    def exceeds(statement: sp.Basic) -> bool:
        return bool(statement.args[0] < statement.args[1])

    return Derivation(
        "lri.scale",
        "LRI's restricted weights and layer norm",
        (
            Step(
                "Var U(±√(1/d)) = 1/(3d), so an MLP on a normalised input adds 1/18",
                equation(total, sp.Rational(19, 18)),
                is_moment,
                equation(total, sp.Rational(1, 18)),
                "by integration, for every d",
            ),
            Step(
                "which exceeds 1: layer norm divides the shortcut by more than 1 at every block",
                sp.Lt(1, sp.Rational(19, 18), evaluate=False),
                exceeds,
                sp.Lt(sp.Rational(19, 18), 1, evaluate=False),
            ),
        ),
    )


def lri_first_block() -> Derivation:
    """At the first block the embeddings' second moment leaves room, 2d/(3(d + V))."""
    d, vocabulary, p = sp.symbols("d V p", positive=True)
    x = sp.Symbol("x", positive=True)
    bound = sp.sqrt(2 / (d + vocabulary))
    embedded = d * sp.integrate(x**2 / (2 * bound), (x, -bound, bound))
    attended = embedded * (1 + sp.Rational(1, 9))

    def below(statement: sp.Basic) -> bool:
        # V ≥ d: V = d + p.
        gap = sp.fraction(
            sp.together((statement.args[1] - statement.args[0]).subs(vocabulary, d + p))
        )
        return all(
            term.is_positive is True for part in gap for term in sp.Add.make_args(sp.expand(part))
        )

    return Derivation(
        "lri.scale",
        "LRI at the first block",
        (
            Step(
                "embeddings × √d and attention of gain 1/9: below 1 for V ≥ d, the first layer "
                "norm does not shrink",
                sp.Le(attended, 1, evaluate=False),
                below,
                sp.Le(3 * attended, 1, evaluate=False),
            ),
        ),
    )
