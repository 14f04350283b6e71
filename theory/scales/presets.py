"""Published schemes as data for the solver: their stacks, and what each adds without saying so.

- Fixup: L branches of m matrices, the last zero, inputs of norm 1: a = L^(-1/(2m − 2)).
- R-Fixup: its Transformer form, m = 4 (q, k, v, w) for attention and m = 2 for the MLP.
- DeepNorm: LN(α x + G), inputs not trained, the encoder's change composed with the worst-case
  sensitivity of the decoder, Σ v_d w_d/α_d, which is counted once:
  3M (v² + w²)/α_d² = 1,  (M v_d w_d/α_d) (2N (v_e² + w_e²)/α_e²) = 1,  and 2 α² β² = 1 in each.
- DT-Fixup: relation-aware attention G = w (v x + r), all of scale t, input norm μ given:
  N t² (4μ² + 2μ + 2) = 1.
- ReZero: α v w x with α = 0: nothing is left to solve for, and the condition is not met.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy as sp

from theory.errors import InputError, nearest
from theory.scales import stacks
from theory.scales.architecture import FurtherCondition, Memory, StackLayout, Tie
from theory.scales.architectures import encoder_decoder, require_depth
from theory.scales.depth_names import with_own_names
from theory.scales.stacks import V_D, V_E, W_D, W_E, Block, M, NormPolynomial, Stack, X, Y

ALPHA_E, ALPHA_D = sp.symbols("alpha_e alpha_d", positive=True)
"""Shortcut multipliers."""
A, B = sp.symbols("a b", positive=True)
"""Norms of the matrices of a residual branch that are not zero."""
MU, R, T = sp.symbols("mu r t", positive=True)
"""DT-Fixup: largest input norm, relation embedding, the scale of all three."""
ALPHA = sp.Symbol("alpha", positive=True)
"""ReZero's scalar."""


def residual_branches(
    matrices: int, blocks: sp.Expr, slot: sp.Symbol = A, name: str = "residual"
) -> tuple[Stack, tuple[Tie, ...]]:
    """A stack of L branches of m matrices, the first m − 1 of norm ``slot``, the last zero.

    Raises
    ------
    InputError
        For m < 2: nothing would be left to scale.
    """
    if matrices < 2:
        raise InputError(f"a branch needs at least 2 matrices, the last zero, got {matrices}")
    others = sp.symbols(f"{slot.name}2:{matrices}", positive=True)
    last = sp.Symbol(f"{slot.name}_{matrices}", positive=True)
    block = stacks.matrices(f"branch of {matrices} matrices", (slot, *others, last))
    alike = (Tie(other, slot, "all matrices but the last are alike") for other in others)
    zero = Tie(last, sp.S.Zero, "the last matrix of a branch starts at zero")
    return Stack(name, ((block, blocks),)), (*alike, zero)


@with_own_names
def fixup(blocks: sp.Expr, matrices: int = 2) -> StackLayout:
    """Fixup: one kind of branch of m matrices."""
    require_depth("blocks", blocks)
    stack, ties = residual_branches(matrices, blocks)
    return StackLayout("fixup", (stack,), ties=ties, known=tuple(blocks.free_symbols))


@with_own_names
def r_fixup(encoder_layers: sp.Expr, decoder_layers: sp.Expr) -> StackLayout:
    """R-Fixup: L = 2 N_e + 3 N_d in the condition of either kind of branch."""
    blocks = 2 * encoder_layers + 3 * decoder_layers
    attention, first = residual_branches(4, blocks, A, "attention")
    mlp, second = residual_branches(2, blocks, B, "MLP")
    return StackLayout(
        "r-fixup",
        (attention, mlp),
        ties=(*first, *second),
        known=tuple(blocks.free_symbols),
        remarks=(
            f"either kind of branch is counted as if all 2 N_e + 3 N_d = {blocks} blocks were of "
            "that kind: the sum is at most 2",
        ),
    )


def _deepnorm_stack(
    name: str, layers: sp.Expr, alpha: sp.Symbol, v: sp.Symbol, w: sp.Symbol, *, crossed: bool
) -> Stack:
    plain = NormPolynomial(v * w, (v, w))
    blocks: list[tuple[Block, sp.Expr]] = [
        (Block("self-attention", (plain,)), layers),
        (Block("MLP", (plain,)), layers),
    ]
    if crossed:
        reading = NormPolynomial(v * w * M, (v, w), (M,))
        blocks.insert(1, (Block("encoder-attention", (reading,)), layers))
    return Stack(name, tuple(blocks), alpha)


def _balance(name: str, alpha: sp.Symbol, beta: sp.Symbol) -> FurtherCondition:
    return FurtherCondition(
        name,
        lambda _: 2 * alpha**2 * beta**2,
        f"2 {alpha}² β² = 1: the bound leaves a one-parameter family, and this picks its member",
    )


@with_own_names
def deepnorm(
    encoder_layers: sp.Expr, decoder_layers: sp.Expr, *, balanced: bool = True
) -> StackLayout:
    """DeepNorm's encoder-decoder; without ``balanced`` the solution is a family."""
    require_depth("encoder layers", encoder_layers)
    require_depth("decoder layers", decoder_layers)
    further = (_balance("encoder balance", ALPHA_E, V_E), _balance("decoder balance", ALPHA_D, V_D))
    return StackLayout(
        "deepnorm",
        (
            _deepnorm_stack("encoder", encoder_layers, ALPHA_E, V_E, W_E, crossed=False),
            _deepnorm_stack("decoder", decoder_layers, ALPHA_D, V_D, W_D, crossed=True),
        ),
        (Memory(M, "encoder", "decoder", composed=True, coherent=True, passes=1),),
        (
            Tie(W_E, V_E, "v_e = w_e = β_e"),
            Tie(W_D, V_D, "v_d = w_d = β_d"),
            Tie(
                M,
                sp.S.One,
                "the memory is normalised; of the two passages through it, that of "
                "the change and that of the gradient, one is counted",
            ),
        ),
        further if balanced else (),
        tuple(sorted(encoder_layers.free_symbols | decoder_layers.free_symbols, key=str)),
    )


@with_own_names
def deepnorm_single(layers: sp.Expr, *, balanced: bool = True) -> StackLayout:
    """DeepNorm of an encoder or a decoder alone."""
    require_depth("layers", layers)
    return StackLayout(
        "deepnorm",
        (_deepnorm_stack("stack", layers, ALPHA_E, V_E, W_E, crossed=False),),
        ties=(Tie(W_E, V_E, "v = w = β"),),
        further=(_balance("balance", ALPHA_E, V_E),) if balanced else (),
        known=tuple(layers.free_symbols),
    )


@with_own_names
def dt_fixup(layers: sp.Expr, input_norm: sp.Expr = MU) -> StackLayout:
    """DT-Fixup: relation-aware attention and MLP on inputs of given norm μ, not trained."""
    require_depth("layers", layers)
    if input_norm.is_positive is not True:
        raise InputError(f"the input norm must be positive, got {input_norm}")
    relation = NormPolynomial(W_E * (V_E * X + R), (V_E, W_E, R), (X,))
    plain = NormPolynomial(V_E * W_E * X, (V_E, W_E), (X,))
    blocks = (
        (Block("relation-aware attention", (relation,)), layers),
        (Block("MLP", (plain,)), layers),
    )
    alike = "v, w and the relation embeddings have one scale"
    return StackLayout(
        "dt-fixup",
        (Stack("encoder", blocks),),
        ties=(
            Tie(V_E, T, alike),
            Tie(W_E, T, alike),
            Tie(R, T, alike),
            Tie(X, input_norm, "the largest input norm stands for all of them"),
        ),
        known=tuple(sorted(layers.free_symbols | input_norm.free_symbols, key=str)),
    )


@with_own_names
def rezero(blocks: sp.Expr) -> StackLayout:
    """ReZero: α v w x with v w x of norm 1 and α = 0; its conditions have no solution."""
    require_depth("blocks", blocks)
    branch = NormPolynomial(ALPHA * V_E * W_E * X, (ALPHA, V_E, W_E), (X,))
    one = "Xavier's norms, not scaled"
    return StackLayout(
        "rezero",
        (Stack("residual", ((Block("gated by α", (branch,)), blocks),)),),
        ties=(
            Tie(ALPHA, sp.S.Zero, "α starts at zero"),
            *(Tie(slot, sp.S.One, one) for slot in (V_E, W_E, X)),
        ),
        known=tuple(blocks.free_symbols),
    )


Published = Callable[[sp.Expr, sp.Expr], sp.Expr | None]
"""A number as printed, from the encoder's and the decoder's layers; ``None`` where none is."""


@dataclass(frozen=True)
class Preset:
    """A published scheme: its architecture from its depths, and the names of its numbers."""

    build: Callable[[sp.Expr, sp.Expr], StackLayout]
    names: Mapping[sp.Symbol, str]
    published: Mapping[sp.Symbol, Published]
    """The numbers as printed or coded, rounded constants included."""
    rule: str = "sgd"
    """The update rule that the publication derives them for."""
    depths: tuple[str, ...] = ("encoder layers", "decoder layers")
    """The depths that it reads."""


def _printed_encoder_scale(n: sp.Expr, m: sp.Expr) -> sp.Expr | None:
    """The encoder's scale as printed, 0.67 N^(-1/4), which is for stacks of one depth N alone."""
    return sp.Rational("0.67") * n ** sp.Rational(-1, 4) if n == m else None


def _decoder_scale(_: sp.Expr, m: sp.Expr) -> sp.Expr:
    return (9 * m) ** sp.Rational(-1, 4)


_PAPER: Mapping[sp.Symbol, Published] = {
    V_E: _printed_encoder_scale,
    V_D: _decoder_scale,
    X: _decoder_scale,
    Y: _decoder_scale,
}
_CODE: Mapping[sp.Symbol, Published] = {
    V_E: lambda n, _: sp.Rational("0.67") * n ** sp.Rational(-1, 4),
    V_D: _decoder_scale,
    X: lambda n, _: (9 * n) ** sp.Rational(-1, 4),
    Y: _decoder_scale,
}
_ENCODER_DECODER = {V_E: "encoder", V_D: "decoder", X: "source", Y: "target"}


def _sixteenth(constant: str, power: int) -> Published:
    return lambda n, m: sp.Rational(constant) * (n**4 * m) ** sp.Rational(power, 16)


_TFIXUP = Preset(encoder_decoder, _ENCODER_DECODER, _PAPER)
PRESETS: Mapping[str, Preset] = {
    "tfixup": _TFIXUP,
    "tfixup-paper": _TFIXUP,
    "tfixup-code": Preset(
        lambda n, m: encoder_decoder(n, m, input_depth="encoder"),
        _ENCODER_DECODER,
        _CODE,
    ),
    "r-fixup": Preset(
        r_fixup,
        {A: "attention q, k, v", B: "MLP first matrix"},
        {
            A: lambda n, m: (2 * n + 3 * m) ** sp.Rational(-1, 6),
            B: lambda n, m: (2 * n + 3 * m) ** sp.Rational(-1, 2),
        },
    ),
    "deepnorm": Preset(
        deepnorm,
        {ALPHA_E: "alpha_e", V_E: "beta_e", ALPHA_D: "alpha_d", V_D: "beta_d"},
        {
            ALPHA_E: _sixteenth("0.81", 1),
            V_E: _sixteenth("0.87", -1),
            ALPHA_D: lambda _, m: (3 * m) ** sp.Rational(1, 4),
            V_D: lambda _, m: (12 * m) ** sp.Rational(-1, 4),
        },
    ),
    "deepnorm-single": Preset(
        lambda n, _: deepnorm_single(n),
        {ALPHA_E: "alpha", V_E: "beta"},
        {
            ALPHA_E: lambda n, _: (2 * n) ** sp.Rational(1, 4),
            V_E: lambda n, _: (8 * n) ** sp.Rational(-1, 4),
        },
        depths=("encoder layers",),
    ),
    "dt-fixup": Preset(
        lambda n, _: dt_fixup(n),
        {T: "v, w, r and both MLP matrices"},
        {T: lambda n, _: (n * (4 * MU**2 + 2 * MU + 2)) ** sp.Rational(-1, 2)},
        depths=("encoder layers",),
    ),
    "rezero": Preset(lambda n, m: rezero(2 * n + 3 * m), {}, {}),
}


def preset_named(name: str) -> Preset:
    """Look a preset up; an unknown name is an error that offers the nearest."""
    if name not in PRESETS:
        raise nearest(name, PRESETS, "preset")
    return PRESETS[name]
