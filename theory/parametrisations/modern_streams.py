"""Streams, gradients and logits of today's wirings at initialisation, for every depth.

In mean square, with independent weights: a block s y + m G(y) makes y² into s² y² + m² b² for a
branch of size b, and a cotangent's square likewise with the branch's Jacobian in the place of b.
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, at_step, equation, identity
from theory.derivations.orders import order_step
from theory.derivations.statements import OrderEquality
from theory.parametrisations.block_sums import (
    ADDED,
    BLOCK,
    START,
    N,
    block_bound,
    stream_step,
    sum_step,
)

_HALF = sp.Rational(1, 2)
_INPUT = sp.Symbol("h", positive=True)


def pre_ln_stream() -> Derivation:
    """Derive how Pre-LN's stream grows at initialisation, as Θ(N)."""
    whole = START**2 + ADDED * N
    return Derivation(
        "modern.pre-ln-stream",
        "Pre-LN's stream at initialisation",
        (
            stream_step("N branches read a normalised stream and add c each", ADDED, ADDED * N),
            order_step("which is Θ(N), the lower end", whole, 1, N),
            _below_exponential(whole),
        ),
    )


def _below_exponential(whole: sp.Expr) -> Step:
    """A step: the logarithm of the stream's mean square, log y_N², is of smaller order than N."""
    at = {START: sp.S.One, ADDED: sp.S.One}
    growth = sp.log(whole.subs(at)) / N

    def vanishes(statement: sp.Basic) -> bool:
        return sp.limit(statement.args[0].args[0], N, sp.oo) == statement.args[1]

    limit = sp.Limit(growth, N, sp.oo)
    return Step(
        "log y_N²/N vanishes: no exponential",
        equation(limit, sp.S.Zero),
        vanishes,
        equation(limit, sp.S.One),
        "at e = c = 1",
    )


def peri_ln_stream() -> Derivation:
    """Peri-LN: every branch adds exactly what its output norm gives."""
    return Derivation(
        "modern.peri-ln-stream",
        "Peri-LN's stream at initialisation",
        (
            stream_step("the output norm lets every branch add 1", sp.S.One, N),
            order_step("linear in the depth", START**2 + N, 1, N),
        ),
    )


def olmo2_growth() -> Derivation:
    """OLMo 2: the growth exponent a layer."""
    return Derivation(
        "modern.olmo2-growth",
        "Norm on the branch's output: λ = log(‖y_N‖/‖y_0‖)/N",
        (
            stream_step("the output norm lets every branch add 1", sp.S.One, N),
            _below_exponential(START**2 + ADDED * N),
        ),
    )


def layernorm_scaling_stream() -> Derivation:
    """Derive the stream under LayerNorm Scaling, whose branches have size l^(-1/2)."""
    return Derivation(
        "modern.lns-stream",
        "LayerNorm Scaling's stream at initialisation",
        (
            at_step(
                "the branch is homogeneous: c h² with h = l^(-1/2) at its input is c/l",
                equation(ADDED * _INPUT**2, ADDED / BLOCK),
                {_INPUT: BLOCK**-_HALF},
                {_INPUT: 1 / BLOCK},
            ),
            sum_step("all together add a logarithm", ADDED / BLOCK, 0, 1),
        ),
    )


def _profile(claim: str, title: str, because: str) -> Derivation:
    """Last block over first: h_N/y_N against h_1/y_1."""
    plain = (START**2 + ADDED * N) ** -_HALF
    scaled = N**-_HALF * (START**2 + ADDED * sp.log(N)) ** -_HALF
    return Derivation(
        claim,
        title,
        (
            stream_step("Pre-LN: y_N² = e² + c N", ADDED, ADDED * N),
            order_step(f"Pre-LN, {because}: 1/y_N", plain, -_HALF, N),
            sum_step("LayerNorm Scaling: y_N² is a logarithm", ADDED / BLOCK, 0, 1),
            order_step(
                f"LayerNorm Scaling, {because}: N^(-1/2)/y_N, a root of the log less",
                scaled * sp.log(N) ** _HALF,
                -_HALF,
                N,
            ),
        ),
    )


def layernorm_scaling_gradient() -> Derivation:
    """Gradients of the last blocks fall at least as in Pre-LN."""
    return _profile(
        "modern.lns-gradient",
        "LayerNorm Scaling's gradients by layer, at initialisation",
        "the last writer's gradient",
    )


def layernorm_scaling_identity() -> Derivation:
    """Derive that the last block is no less of an identity under LayerNorm Scaling."""
    return _profile(
        "modern.lns-identity",
        "LayerNorm Scaling's deep blocks, at initialisation",
        "the last branch over the stream",
    )


def u_mup_stream() -> Derivation:
    """Derive that under u-μP unit scale is a fixed point, and cotangents keep it."""
    square = sp.Symbol("tau", positive=True) ** 2
    whole = 1 / (1 + square) + square / (1 + square)
    return Derivation(
        "modern.u-mup-stream",
        "u-μP's stream",
        (
            Step(
                "a stream of 1 and a branch of 1, weighted by 1/(1 + τ²) and τ²/(1 + τ²)",
                equation(whole, sp.S.One),
                identity,
                equation(whole, 1 + square),
            ),
        ),
    )


def deepscalelm(claim: str, title: str, what: str) -> Derivation:
    """Derive that weights with λ² + β² = 1 keep a stream and its branches at size 1."""
    kept, branch = sp.Symbol("lamda", positive=True), sp.Symbol("beta", positive=True)
    weights = {kept**2: 1 - branch**2}
    whole = (kept**2 + branch**2).subs(weights)
    return Derivation(
        claim,
        title,
        (
            Step(
                f"λ² + β² = 1 keeps {what} of 1",
                equation(sp.Add(1 - branch**2, branch**2, evaluate=False), whole),
                identity,
                equation(sp.Add(1 - branch**2, branch**2, evaluate=False), 1 + branch**2),
            ),
            sum_step("β² = 1/L: together the L branches weigh Θ(1)", 1 / N, 0),
        ),
    )


def deepscalelm_stream() -> Derivation:
    """The forward variance."""
    return deepscalelm("modern.deepscalelm-stream", "DeepScaleLM's stream", "a stream")


def deepscalelm_gradient() -> Derivation:
    """The backward variance."""
    return deepscalelm("modern.deepscalelm-gradient", "DeepScaleLM's gradient", "a cotangent")


def spike_no_more() -> Derivation:
    """Small branches and a large shortcut: the way through the stack is bounded."""
    last, here = START**2 + ADDED, START**2 + ADDED * BLOCK / N
    return Derivation(
        "modern.spike-gradient",
        "Spike No More: small sub-layers, large shortcut",
        (
            stream_step("writers of σ/√(2N) add c together", ADDED / N, ADDED),
            block_bound(
                "y_N²/y_l², the growth of a cotangent from block l, is at most 1 + c/e²",
                last / here,
                1 + ADDED / START**2,
            ),
            order_step("that bound knows no depth", 1 + ADDED / START**2, 0, N),
        ),
    )


def dyt_jacobian() -> Derivation:
    """Dynamic tanh: the Jacobian grows as exp(C √N)."""
    t = sp.Symbol("t", real=True)
    slope, size = sp.symbols("a y", positive=True)
    integral = sp.Integral(sp.sech(t) ** 4, (t, -sp.oo, sp.oo))

    def integrated(statement: sp.Basic) -> bool:
        # ∫ sech⁴ = ∫ (1 − u²) du over u = tanh t from −1 to 1.
        u = sp.Symbol("u", real=True)
        by_parts = sp.integrate(1 - u**2, (u, -1, 1))
        substituted = sp.simplify((1 - sp.tanh(t) ** 2) * sp.diff(sp.tanh(t), t) - sp.sech(t) ** 4)
        at = [substituted.subs(t, value).evalf() for value in (0.3, 1.1)]
        return statement.args[1] == by_parts and all(abs(value) < 1e-12 for value in at)

    passed = sp.Rational(4, 3) / (slope * size * sp.sqrt(2 * sp.pi))
    inserted = passed.subs(size, sp.sqrt(ADDED * BLOCK))
    return Derivation(
        "modern.dyt-jacobian",
        "Dynamic tanh: how a cotangent grows",
        (
            Step(
                "E tanh'² of a wide Gaussian: its density at 0 times an integral",
                equation(integral, sp.Rational(4, 3)),
                integrated,
                equation(integral, sp.Integer(2)),
                "by the substitution u = tanh t",
            ),
            stream_step("saturated branches have one size: y_N² = e² + c N", ADDED, ADDED * N),
            sum_step("so log ‖J‖² grows as Σ l^(-1/2) = Θ(√N), not as log N", inserted, _HALF),
            sum_step("with a norm in its place the terms are 1/l", 1 / BLOCK, 0, 1),
        ),
    )


def t5_logits() -> Derivation:
    """Derive that 1/√d' in T5's q takes the place of the logits' factor."""
    head, read, factor, wide = sp.symbols("k x f d", positive=True)
    of_query, of_key = sp.symbols("s_q s_k", positive=True)
    variance = factor**2 * head * (wide * read**2 * of_query**2) * (wide * read**2 * of_key**2)
    key = {of_key: wide**-_HALF, read: sp.S.One}
    folded = {of_query: (wide * head) ** -_HALF, factor: sp.S.One, **key}
    divided = {of_query: wide**-_HALF, factor: head**-_HALF, **key}
    neither = {of_query: wide**-_HALF, factor: sp.S.One, **key}
    return Derivation(
        "modern.t5-logits",
        "T5's logits without 1/√k, k the width of a head",
        (
            at_step(
                "with 1/√k in q the logits have variance 1",
                equation(variance, sp.S.One),
                folded,
                neither,
            ),
            at_step(
                "with 1/√k on the logits they have the same",
                equation(variance, sp.S.One),
                divided,
                {**divided, **{of_query: folded[of_query]}},
            ),
        ),
    )


def qk_norm() -> Derivation:
    """QK-norm: Cauchy and Schwarz bound the logits."""
    q, k = sp.symbols("q_1:4", real=True), sp.symbols("k_1:4", real=True)
    product = sum(x * y for x, y in zip(q, k, strict=True)) ** 2
    lengths = sum(x**2 for x in q) * sum(y**2 for y in k)
    areas = sum((q[i] * k[j] - q[j] * k[i]) ** 2 for i in range(3) for j in range(i + 1, 3))
    head, of_query, of_key = sp.symbols("d s_q s_k", positive=True)
    root = sp.sqrt(head)
    return Derivation(
        "modern.qk-norm-logits",
        "QK-norm's bound on the logits",
        (
            Step(
                "Lagrange: ‖q‖²‖k‖² − (q·k)² is a sum of squares (exact, d = 3)",
                equation(lengths - product, areas),
                identity,
                equation(lengths - product, -areas),
            ),
            at_step(
                "so that |q·k|/√d ≤ ‖q‖‖k‖/√d, which is √d at norms of √d",
                equation(of_query * of_key / root, root),
                {of_query: root, of_key: root},
                {of_query: root, of_key: head},
            ),
        ),
    )


def cloned_stream() -> Derivation:
    """Layers copied from one: what they add is aligned."""
    branch = sp.Symbol("b", positive=True)
    whole = (START + N * branch) ** 2
    return Derivation(
        "ours.cloned-stream",
        "Layers copied from one",
        (
            Step(
                "N aligned branches of size b add N² b², independent ones N b²",
                OrderEquality(sp.expand(whole), N**2, N),
                lambda s: order_step("", s.args[0], _power(s.args[1]), N).holds(),
                OrderEquality(sp.expand(whole), N, N),
            ),
        ),
    )


def _power(target: sp.Expr) -> sp.Expr:
    return sp.simplify(N * sp.diff(target, N) / target)
