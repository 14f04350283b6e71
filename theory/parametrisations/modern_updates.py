"""How one step moves f in today's Pre-LN stacks: the order of a sum over blocks for each scheme.

The laws for one block are those of `theory.parametrisations.block_sums`: m²h²/y² under SGD and
m r h/y under sign updates. Each derivation bounds the stream y_l² for every l and N, inserts the
scheme's multiplier m, rate r and input h, and takes the order of the sum.
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, at_step, equation, identity
from theory.derivations.orders import order_step
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
_ROOT = BLOCK**-_HALF
_LINEAR = START**2 + ADDED * BLOCK
_FLAT = START**2 + ADDED * BLOCK / N


def _linear_stream() -> tuple[Step, ...]:
    """Steps for a stream that grows linearly: y_l² = e² + c l, between c l and (e² + c) l."""
    return (
        stream_step("branches of one size: y_N² = e² + c N", ADDED, ADDED * N),
        block_bound("from below, y_l² ≥ c l", ADDED * BLOCK, _LINEAR),
        block_bound("from above, y_l² ≤ (e² + c) l", _LINEAR, (START**2 + ADDED) * BLOCK),
    )


def _bounded_stream(added: sp.Expr, name: str, total: sp.Expr) -> tuple[Step, ...]:
    """Steps for a stream that stays bounded: e² ≤ y_l² ≤ e² + c."""
    reached = START**2 + BLOCK * added
    return (
        stream_step(name, added, total),
        block_bound("so that every block reads at least e²", START**2, reached),
        block_bound("and at most e² + c", reached, START**2 + ADDED),
    )


def depth_mup() -> Derivation:
    """Depth-μP under sign updates and under SGD."""
    return Derivation(
        "modern.depth-mup-update",
        "Depth-μP: branches and Adam's rate as N^(-1/2)",
        (
            *_bounded_stream(ADDED / N, "m² = 1/N: all branches add c together", ADDED),
            sum_step("sign, m r = N^(-1/2) N^(-1/2): the sum is Θ(1)", 1 / (N * START), 0),
            sum_step("and not below, with the upper bound", 1 / (N * (START + ADDED)), 0),
        ),
    )


def depth_mup_sgd() -> Derivation:
    """Depth-μP under SGD, at a constant rate."""
    return Derivation(
        "modern.depth-mup-sgd",
        "Depth-μP under SGD",
        (
            *_bounded_stream(ADDED / N, "m² = 1/N: all branches add c together", ADDED),
            sum_step("SGD, m² = 1/N: the sum is Θ(1)", 1 / (N * START**2), 0),
            sum_step("and not below", 1 / (N * (START**2 + ADDED)), 0),
        ),
    )


def completep() -> Derivation:
    """CompleteP under sign updates."""
    return Derivation(
        "modern.completep-update",
        "CompleteP: branches as 1/N, Adam's rate constant",
        (
            *_bounded_stream(ADDED / N**2, "m² = 1/N²: all branches add c/N together", ADDED / N),
            sum_step("sign, m r = 1/N: the sum is Θ(1)", 1 / (N * START), 0),
            sum_step("and not below", 1 / (N * (START + ADDED)), 0),
        ),
    )


def completep_small_start() -> Derivation:
    """CompleteP with an embedding no larger than what the branches add."""
    added = BLOCK / N**2
    return Derivation(
        "modern.completep-update",
        "CompleteP with a small embedding",
        (
            stream_step("all branches add c/N together", ADDED / N**2, ADDED / N),
            block_bound("from e² = c/N² on: y_l² ≤ 2 c l/N²", added + 1 / N**2, 2 * added),
            sum_step("sign, (1/N)/y_l: the sum grows", added**-_HALF / N, _HALF),
        ),
    )


def completep_sgd() -> Derivation:
    """CompleteP under SGD: the blocks' share vanishes."""
    return Derivation(
        "ours.completep-sgd",
        "CompleteP under SGD",
        (
            *_bounded_stream(ADDED / N**2, "m² = 1/N²: all branches add c/N together", ADDED / N),
            sum_step("SGD, m² = 1/N²: the blocks move f by Θ(1/N)", 1 / (N**2 * START**2), -1),
        ),
    )


def u_mup() -> Derivation:
    """Derive one step's change of u-μP under sign updates.

    It has L branches with weights τ_i/√(1 + τ_i²), and the rate L^(-1/2).
    """
    square = 1 / (N / 2 + BLOCK - 1)
    weight = 1 / (N / 2 + BLOCK)
    return Derivation(
        "modern.u-mup-update",
        "u-μP: τ_i² = 1/(L/2 + i), rate L^(-1/2), L = N branches counted from l = i + 1",
        (
            Step(
                "a branch's weight",
                equation(square / (1 + square), weight),
                identity,
                equation(square / (1 + square), square),
            ),
            block_bound("none above 2/N", weight, 2 / N),
            block_bound("none below 2/(3N)", sp.Rational(2, 3) / N, weight),
            sum_step("stream of size 1, m = √(2/N), r = N^(-1/2)", sp.sqrt(2) / N, 0),
        ),
    )


def sub_ln() -> Derivation:
    """Sub-LN's γ = √ln(2N), with branches whose Jacobian is as large as their output."""
    gain = sp.log(2) + sp.log(N)
    return Derivation(
        "modern.sub-ln-update",
        "Sub-LN under SGD: γ = √ln(2N)",
        (
            *_linear_stream()[1:],
            sum_step("with c = γ²: Σ 1/y_l² is 1/γ² times the harmonic sum", 1 / BLOCK, 0, 1),
            order_step("γ² = ln(2N) divides the logarithm out", sp.log(N) / gain, 0, N),
        ),
    )


def pre_ln_exponent(claim: str, title: str, kept: str) -> Derivation:
    """Norms on the branches' outputs: the same sums as without."""
    size, factor = sp.symbols("s g", positive=True)
    return Derivation(
        claim,
        title,
        (
            at_step(
                kept,
                equation(size * ADDED * factor, ADDED),
                {factor: 1 / size},
                {factor: sp.S.One},
            ),
            *_linear_stream(),
            sum_step("SGD: a logarithm, as in Pre-LN", 1 / BLOCK, 0, 1),
            sum_step("sign: the root, as in Pre-LN", _ROOT, _HALF),
        ),
    )


def peri_ln() -> Derivation:
    """Peri-LN's sums are Pre-LN's."""
    return pre_ln_exponent(
        "ours.peri-ln-exponent",
        "Peri-LN against Pre-LN",
        "a norm on the output takes the branch's own size s away",
    )


def olmo2() -> Derivation:
    """OLMo 2's sums are Pre-LN's."""
    return pre_ln_exponent(
        "ours.olmo2-exponent",
        "A norm on the branch's output alone against Pre-LN",
        "whatever size s the branch has, one step's share of it is the same",
    )


def wang() -> Derivation:
    """Derive one step's change under Wang init, whose writers are 2/(N √d)."""
    return Derivation(
        "ours.wang-update",
        "Wang init: writers as 1/N",
        (
            *_bounded_stream(ADDED / N**2, "N blocks add c/N² each", ADDED / N),
            sum_step("SGD, writers: N terms of Θ(1)", 1 / START**2, 1),
            sum_step("sign, writers: likewise", 1 / START, 1),
        ),
    )


def mitchell() -> Derivation:
    """Derive one step's change under OLMo's mitchell, whose writers shrink as l^(-1/2)."""
    last = START**2 + ADDED * (1 + sp.log(N))
    return Derivation(
        "ours.mitchell-update",
        "mitchell: writers as l^(-1/2)",
        (
            sum_step("the stream grows as a logarithm", ADDED / BLOCK, 0, 1),
            order_step(
                "so that N terms of at least 1/y_N² make, under SGD, N/log N or more",
                N / last * sp.log(N),
                1,
                N,
            ),
        ),
    )


def layerscale() -> Derivation:
    """LayerScale: λ itself moves f by Θ(N), however small it starts."""
    scale = sp.Symbol("lamda", positive=True)
    return Derivation(
        "ours.layerscale-update",
        "LayerScale: x + λ∘G(x)",
        (
            sum_step("matrices, through λ: λ² from each block", scale**2 / START**2, 1),
            sum_step("λ itself: its gradient does not contain λ", 1 / START**2, 1),
        ),
    )


def zero_out() -> Derivation:
    """Writers at 0: the stream is the embedding, and each writer moves f by Θ(1)."""
    return Derivation(
        "ours.zero-out-update",
        "Writers that start at 0",
        (
            stream_step("branches of 0 add nothing", sp.S.Zero * ADDED, sp.S.Zero),
            sum_step("SGD: each writer's gradient is that of a stack without it", START**-2, 1),
            sum_step("sign: likewise", 1 / START, 1),
        ),
    )


def up_projection() -> Derivation:
    """The writers' factor on w3 as well: the MLP's branches add 1/l² instead of 1/l."""
    return Derivation(
        "ours.w3-shares",
        "l^(-1/2) on the up-projection besides the writer",
        (
            sum_step("meant: attention and MLP add 1/l each", 1 / BLOCK, 0, 1),
            sum_step("as written the MLP adds 1/l², which is bounded", BLOCK**-2, 0),
            order_step("together as meant: 2 log N", ADDED * 2 * sp.log(N) / sp.log(N), 0, N),
            sum_step("sign, the MLP's writers on a steady stream, as meant", sp.S.One, 1),
            sum_step("and as written: their input is l^(-1/2) smaller", _ROOT, _HALF),
        ),
    )
