"""A stack as data: which blocks, how many, and the norms that enter each of them.

A *branch* is a polynomial with positive coefficients in norms, its *slots*: v · w · y for attention
over y, w₁ · w₂ · y for an MLP, w · (v x + r) for attention with relation embeddings r. A step moves
the slots that are *trained*: T-Fixup counts the activation that a branch reads among them (inputs
are free parameters there), DeepNorm does not. A *block* is one or more branches that share a
residual connection, a *stack* a list of (block, count). With a *shortcut* α the block is
LN(α x + G): its relative change is that of G divided by α. Nothing here knows about anyone's
equations: they come out of these data in ``conditions.py``.
"""

from dataclasses import dataclass

import sympy as sp

from theory.errors import InputError

N_E, N_D = sp.symbols("N_e N_d", positive=True)
"""Encoder and decoder layers."""
X, Y, M = sp.symbols("x y m", positive=True)
"""Norms of the encoder's input, the decoder's input, the memory."""
V_E, W_E, V_D, W_D = sp.symbols("v_e w_e v_d w_d", positive=True)
"""Norms of the value and output matrices; an MLP's two matrices have the same norms."""


@dataclass(frozen=True)
class NormPolynomial:
    """A positive polynomial in norms."""

    output: sp.Expr
    """The size of the branch's output, in terms of its slots."""
    trained: tuple[sp.Symbol, ...]
    """Slots that a step moves."""
    reads: tuple[sp.Symbol, ...] = ()
    """Slots that are activations."""
    name: str = ""
    """What it is, where a block has several; the block's name otherwise."""

    def __post_init__(self) -> None:
        slots = self.output.free_symbols
        for slot in (*self.trained, *self.reads):
            if slot not in slots:
                raise InputError(f"a branch's slots must occur in its output {self.output}: {slot}")
        terms = sp.Add.make_args(sp.expand(self.output))
        if any(term.is_positive is not True for term in terms):
            raise InputError(f"a branch must be a sum of positive terms, got {self.output}")


@dataclass(frozen=True)
class Block:
    """A residual block: the changes of its branches add."""

    name: str
    branches: tuple[NormPolynomial, ...]


@dataclass(frozen=True)
class Stack:
    """Blocks with their counts."""

    name: str
    blocks: tuple[tuple[Block, sp.Expr], ...]
    shortcut: sp.Expr = sp.S.One
    """α, the multiplier of the residual connection."""

    @property
    def count(self) -> sp.Expr:
        """Number of residual blocks, L."""
        return sp.Add(*(count for _, count in self.blocks))


def attention(name: str, value: sp.Symbol, output: sp.Symbol, *reads: sp.Symbol) -> Block:
    """Value · output · r for each r that the block reads, with r among what is trained.

    Examples
    --------
    >>> attention("self-attention", V_E, W_E, X).branches[0].output
    v_e*w_e*x
    """
    return Block(
        name,
        tuple(
            NormPolynomial(value * output * r, (value, output, r), (r,), f"{name} on {r}")
            for r in reads
        )
        if len(reads) > 1
        else tuple(
            NormPolynomial(value * output * r, (value, output, r), (r,), name) for r in reads
        ),
    )


def mlp(first: sp.Symbol, second: sp.Symbol, reads: sp.Symbol) -> Block:
    """An MLP as a product, w₁ · w₂ · y, which is a bilinear gain like attention's."""
    return Block(
        "MLP", (NormPolynomial(first * second * reads, (first, second, reads), (reads,), "MLP"),)
    )


def gated_mlp(gate: sp.Symbol, first: sp.Symbol, second: sp.Symbol, reads: sp.Symbol) -> Block:
    """A gated MLP as a product, g · w₁ · w₂ · y²: the input enters through two of its matrices.

    Examples
    --------
    >>> g, w = sp.symbols("g w", positive=True)
    >>> gated_mlp(g, V_E, W_E, X).branches[0].output
    g*v_e*w_e*x**2
    """
    whole = gate * first * second * reads**2
    slots = (gate, first, second, reads)
    return Block("gated MLP", (NormPolynomial(whole, slots, (reads,), "gated MLP"),))


def side_by_side(name: str, *blocks: Block) -> Block:
    """Blocks that share one residual connection, such as parallel attention and MLP."""
    return Block(name, tuple(branch for block in blocks for branch in block.branches))


def matrices(name: str, slots: tuple[sp.Symbol, ...]) -> Block:
    """A branch of m matrices on an input of norm 1 that no step moves, a₁ ⋯ a_m."""
    return Block(name, (NormPolynomial(sp.Mul(*slots), slots),))


def encoder(layers: sp.Expr = N_E) -> Stack:
    """The encoder: N_e layers of self-attention and MLP, L_e = 2 N_e blocks.

    Examples
    --------
    >>> encoder().count
    2*N_e
    """
    return Stack(
        "encoder",
        ((attention("self-attention", V_E, W_E, X), layers), (mlp(V_E, W_E, X), layers)),
    )


def decoder(layers: sp.Expr = N_D, *memories: sp.Symbol) -> Stack:
    """The decoder as its blocks really exist, L_d = 3 N_d.

    Each of the N_d layers has self-attention, encoder-attention and an MLP.

    Examples
    --------
    >>> decoder().count, decoder(N_D, M, sp.Symbol("z", positive=True)).count
    (3*N_d, 4*N_d)
    """
    crossed = tuple(
        (attention("encoder-attention", V_D, W_D, memory), layers) for memory in memories or (M,)
    )
    own = (attention("self-attention", V_D, W_D, Y), layers)
    return Stack("decoder", (own, *crossed, (mlp(V_D, W_D, Y), layers)))


def printed_decoder(layers: sp.Expr = N_D) -> Stack:
    """The decoder as Eq. 7 counts it: each of the L_d blocks reads both y and the memory."""
    pair = attention("self-attention with encoder-attention", V_D, W_D, Y, M)
    return Stack("decoder as printed", ((pair, 3 * layers),))
