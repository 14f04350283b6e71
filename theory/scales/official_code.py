"""Where T-Fixup's official code departs from the paper, each with a formula for what it changes.

A divergence names a quantity, its value by the paper and its value by the code, all else being as
the paper has it: the left side of Eq. 6 or 7 at the norms drawn, the mean square of the logits, a
variance. Its *effect* is code ÷ paper as a function of the depth N and, where it matters, of the
reference architecture (d = 512, H = 4 heads, V = 10,000 tokens).

With a = (√22 − 2)/6 the paper's norms are v_e² = w_e² = a N_e^(-1/2), x² = (9N)^(-1/2) and
v_d, w_d, y, m = (9N_d)^(-1/4). The code is layer6ai-labs/T-Fixup, a fork of fairseq.

The formulas for biases are in ``biases.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import sympy as sp

from theory.derivations.derivation import Derivation, Step, at_step, equation, identity
from theory.errors import require_positive
from theory.scales import conditions, stacks
from theory.scales.biases import block_step, default_mean_square
from theory.scales.stacks import N_D, N_E, V_D, V_E, W_D, W_E, M, X, Y
from theory.scales.update_rules import SGD, SIGN, stack_gain

N = sp.Symbol("N", positive=True)
d, heads, vocabulary = sp.symbols("d H V", positive=True)
REFERENCE: Mapping[sp.Symbol, int] = {d: 512, heads: 4, vocabulary: 10_000}
"""The architecture of the official example recipe."""
SHALLOW = 6
"""Depth of the other stack, where the two differ."""
_a = (sp.sqrt(22) - 2) / 6
_rounded = sp.Rational(67, 100)
_s2 = _a / sp.sqrt(N)
_u2 = (9 * N) ** sp.Rational(-1, 2)
_ENCODER = {N_E: N, V_E: sp.sqrt(_s2), W_E: sp.sqrt(_s2), X: sp.sqrt(_u2)}
_DECODER = {N_D: N, V_D: sp.sqrt(_u2), W_D: sp.sqrt(_u2), Y: sp.sqrt(_u2), M: sp.sqrt(_u2)}
_CODE_ENCODER = {V_E: _rounded * N ** sp.Rational(-1, 4), W_E: _rounded * N ** sp.Rational(-1, 4)}
_sigma_q, _sigma_k, _c2, _inner = sp.symbols("sigma_q sigma_k c2 d'", positive=True)


@dataclass(frozen=True)
class Divergence:
    """One place where code and paper differ."""

    name: str
    paper: str
    code: str
    quantity: str
    """What the two values are values of."""
    by_paper: sp.Expr = field(repr=False)
    by_code: sp.Expr = field(repr=False)
    effect: sp.Expr
    """by_code / by_paper in closed form, in N and the symbols of ``REFERENCE``."""

    def at(self, layers: int) -> sp.Expr:
        """The effect at a depth N, for the reference architecture.

        Raises
        ------
        InputError
            If ``layers`` is no integer of at least 1.

        Examples
        --------
        >>> by_name("source positions").at(200).n(4)
        13.70
        """
        require_positive(layers=layers)
        return sp.simplify(self.effect.subs(REFERENCE).subs(N, layers))

    def step(self) -> Step:
        """Code ÷ paper has this closed form; the false one is that nothing changes."""
        ratio = sp.Mul(self.by_code, 1 / self.by_paper, evaluate=False)
        return Step(
            f"{self.name}: {self.code}; in the paper {self.paper} ({self.quantity})",
            equation(ratio, self.effect),
            _same_for_every_depth,
            equation(ratio, sp.S.One),
        )


def _same_for_every_depth(statement: sp.Basic) -> bool:
    """Identity in N and the reference's symbols, with nested roots resolved."""
    return sp.simplify(sp.sqrtdenest(sp.expand(statement.args[0] - statement.args[1]))) == 0


def _eq6(**changes: sp.Expr) -> sp.Expr:
    """Eq. 6's left side at the paper's norms, some of them changed by name."""
    named = {str(symbol): symbol for symbol in _ENCODER}
    norms = _ENCODER | {named[name]: value for name, value in changes.items()}
    return sp.expand(conditions.printed(6).subs(norms))


def _eq7(y_squared: sp.Expr) -> sp.Expr:
    """The decoder's gain over the blocks that exist, at the paper's norms but y."""
    norms = _DECODER | {Y: sp.sqrt(y_squared)}
    return sp.expand(stack_gain(stacks.decoder(), SGD).subs(norms))


def _logits(query: sp.Expr, key: sp.Expr, factor: sp.Expr) -> sp.Expr:
    """Mean square of the logits, c² d' d² σ_q² σ_k², at ‖y‖² = ‖m‖² = d (root mean square 1)."""
    return factor * (d / heads) * d**2 * query * key


def _with_value_factor(factor: sp.Expr) -> sp.Expr:
    """Eq. 6 when v_e² is multiplied in the N attention blocks, not in the N MLP blocks."""
    half = conditions.printed(6) / 2
    attention = half.subs(V_E, sp.sqrt(factor) * V_E)
    return sp.expand((attention + half).subs(_ENCODER))


DIVERGENCES: tuple[Divergence, ...] = (
    Divergence(
        "query and key gain",
        "Xavier, gain 1",
        "gain 1/√2 for q and k",
        "mean square of the logits",
        _logits(1 / d, 1 / d, heads / d),
        _logits(1 / (2 * d), 1 / (2 * d), heads / d),
        sp.Rational(1, 4),
    ),
    Divergence(
        "logit factor",
        "1/√d (Eq. 5)",
        "1/√d' with d' = d/H a head",
        "mean square of the logits",
        _logits(1 / d, 1 / d, 1 / d),
        _logits(1 / d, 1 / d, heads / d),
        heads,
    ),
    Divergence(
        "value gain in ports",
        "v_e times s_e",
        "√2 s_e on a base of gain 1, as ports do (the official base has gain 1/√2: net 1)",
        "Eq. 6's left side",
        _eq6(),
        _with_value_factor(sp.Integer(2)),
        5 * _a / 3 + 3 * _a**2,
    ),
    Divergence(
        "encoder constant",
        "√((√22 − 2)/6)",
        "0.67",
        "Eq. 6's left side",
        _eq6(),
        _eq6(v_e=_CODE_ENCODER[V_E], w_e=_CODE_ENCODER[W_E]),
        sp.Rational(4, 3) * _rounded**2 + 2 * _rounded**4,
    ),
    Divergence(
        "source positions",
        "part of x, scaled with it",
        "unscaled sinusoids of mean square 1/2, v_e = w_e = 0.67 N^(-1/4)",
        "Eq. 6's left side",
        _eq6(),
        _eq6(v_e=_CODE_ENCODER[V_E], w_e=_CODE_ENCODER[W_E], x=sp.sqrt(_u2 + sp.Rational(1, 2))),
        sp.Rational(4, 3) * _rounded**2 + 2 * _rounded**4 + 2 * _rounded**2 * sp.sqrt(N),
    ),
    Divergence(
        "target positions",
        "part of y, scaled with it",
        "unscaled sinusoids of mean square 1/2",
        "Eq. 7's left side over the blocks that exist",
        _eq7(_u2),
        _eq7(_u2 + sp.Rational(1, 2)),
        1 + 2 * sp.sqrt(N) / 3,
    ),
    Divergence(
        "depth in the source's scale",
        f"x = (9 N_d)^(-1/4), with N_e = N and N_d = {SHALLOW}",
        "x = (9 N_e)^(-1/4)",
        "x²",
        sp.Rational(1, 9 * SHALLOW) ** sp.S.Half,
        _u2,
        sp.sqrt(SHALLOW / N),
    ),
    Divergence(
        "shared embeddings",
        "y = (9 N_d)^(-1/4)",
        f"one table for all, scaled once by (9 N_e)^(-1/4), with N_d = N and N_e = {SHALLOW}",
        "Eq. 7's left side over the blocks that exist",
        _eq7(_u2),
        _eq7(sp.Rational(1, 9 * SHALLOW) ** sp.S.Half),
        sp.Rational(5, 9) + sp.Rational(4, 9) * sp.sqrt(N / SHALLOW),
    ),
    Divergence(
        "embedding draw",
        "N(0, d^(-1/2)), read as a variance",
        "standard deviation d^(-1/2)",
        "variance of an entry",
        d ** sp.Rational(-1, 2),
        1 / d,
        d ** sp.Rational(-1, 2),
    ),
    Divergence(
        "embedding multiplier",
        "none in the recipe: ‖x‖ = (9N)^(-1/4) is the Euclidean norm of a token",
        "√d: (9N)^(-1/4) is its root mean square per coordinate",
        "‖x‖² of a token",
        d * _u2 / d,
        d * d * _u2 / d,
        d,
    ),
    Divergence(
        "count of blocks",
        "Eq. 7 counts each of 3N blocks as reading y and m",
        "2N blocks read y and N read m",
        "Eq. 7's left side at the scales drawn",
        sp.expand(conditions.printed(7).subs(_DECODER)),
        _eq7(_u2),
        sp.Rational(1, 2),
    ),
    Divergence(
        "padding row",
        "every row drawn",
        "the padding token's row is 0",
        "mean square of the table's entries",
        1 / d,
        (vocabulary - 1) / vocabulary / d,
        1 - 1 / vocabulary,
    ),
    Divergence(
        "value biases",
        "no biases",
        "U(±d^(-1/2)), unscaled and trained",
        "Eq. 6's left side with b's gain w² and the mean square 1/(3d) it adds",
        _eq6(),
        _eq6() + N * (_s2 + default_mean_square(d)),
        1 + _a * sp.sqrt(N) + N / (3 * d),
    ),
    Divergence(
        "output biases",
        "no biases",
        "drawn 0 but trained, one per block: each has gain 1",
        "Eq. 7's left side over the blocks that exist",
        _eq7(_u2),
        _eq7(_u2) + 3 * N,
        1 + 3 * N,
    ),
    Divergence(
        "optimizer",
        "SGD",
        "Adam, whose first step is η sign(g)",
        "Σ |∂G/∂θ|^p over the encoder's blocks, p = 2 and 1",
        _eq6(),
        sp.expand(stack_gain(stacks.encoder(), SIGN).subs(_ENCODER)),
        (4 * sp.sqrt(_a / 3) + 2 * _a) * sp.sqrt(N),
    ),
)
"""Every divergence that has a formula."""


def by_name(name: str) -> Divergence:
    """The divergence of that name.

    Examples
    --------
    >>> by_name("output biases").at(6)
    19
    """
    return next(item for item in DIVERGENCES if item.name == name)


def _logit_mean_square(statement: sp.Basic) -> bool:
    """Average (y q kᵀ mᵀ)² over all signs of q and k (2 × d'), d' = 1, 2."""
    y, m = (sp.Rational(2), sp.Rational(-1)), (sp.Rational(1, 2), sp.Rational(3))
    q_size, k_size, factor = sp.Rational(2, 3), sp.Rational(1, 5), sp.Rational(1, 7)
    norms = sum(e**2 for e in y) * sum(e**2 for e in m)
    for inner in (1, 2):
        total, draws = sp.S.Zero, 0
        for signs in product((1, -1), repeat=4 * inner):
            q, k = signs[: 2 * inner], signs[2 * inner :]
            logit = sum(
                (y[0] * q[i] + y[1] * q[inner + i]) * (m[0] * k[i] + m[1] * k[inner + i])
                for i in range(inner)
            )
            total += logit**2
            draws += 1
        exact = factor * q_size**2 * k_size**2 * total / draws / norms
        values = {_sigma_q: q_size, _sigma_k: k_size, _c2: factor, _inner: inner}
        if exact != statement.args[1].subs(values):
            return False
    return True


def formula_steps() -> tuple[Step, ...]:
    """The formulas that the divergences rest on and that are no condition of the paper."""
    mean_square = _c2 * _inner * _sigma_q**2 * _sigma_k**2
    source = {N_E: N, X: (9 * sp.Integer(SHALLOW)) ** sp.Rational(-1, 4)} | _CODE_ENCODER
    exact = sp.Rational(4, 3) * _rounded**2 * sp.sqrt(N / SHALLOW) + 2 * _rounded**4
    return (
        Step(
            "logits' mean square ÷ ‖y‖²‖m‖² = c² d' σ_q² σ_k² (all signs, d = 2, exact)",
            equation(sp.Symbol("E_logit"), mean_square),
            _logit_mean_square,
            equation(sp.Symbol("E_logit"), mean_square * _inner),
        ),
        block_step(),
        Step(
            "v in the official code: gain (1/√2)² times (√2)²",
            equation(sp.Mul(sp.Rational(1, 2), 2, evaluate=False), sp.S.One),
            identity,
            equation(sp.Mul(sp.Integer(1), 2, evaluate=False), sp.S.One),
        ),
        at_step(
            f"with the paper's x, N_d = {SHALLOW} and 0.67 N_e^(-1/4), Eq. 6 grows with N_e = N",
            equation(conditions.printed(6), exact),
            source,
            source | {X: 1},
        ),
    )


def derivation() -> Derivation:
    """Each divergence changes its quantity by the factor stated."""
    return Derivation(
        "tfixup.code-init",
        "The official code against the paper, place by place",
        (*formula_steps(), *(item.step() for item in DIVERGENCES)),
    )
