"""A stack as data: which blocks, how many, and the norms that enter each of them.

A *branch* is a product of factors: for attention v · w · (what is read), for an MLP w₁ · w₂ ·
(what is read). A *block* is one or more branches that share a residual connection; a *stack* is a
list of (block, count). Nothing here knows about T-Fixup's equations: they come out of these data
in ``conditions.py``.
"""

from dataclasses import dataclass

import sympy as sp

N_E, N_D = sp.symbols("N_e N_d", positive=True)
"""Encoder and decoder layers."""
X, Y, M = sp.symbols("x y m", positive=True)
"""Norms of the encoder's input, the decoder's input, the memory."""
V_E, W_E, V_D, W_D = sp.symbols("v_e w_e v_d w_d", positive=True)
"""Norms of the value and output matrices; an MLP's two matrices have the same norms."""


@dataclass(frozen=True)
class Branch:
    """A product of norms; ``reads`` is the factor that is an activation."""

    factors: tuple[sp.Symbol, ...]
    reads: sp.Symbol


@dataclass(frozen=True)
class Block:
    """A residual block."""

    name: str
    branches: tuple[Branch, ...]


@dataclass(frozen=True)
class Stack:
    """Blocks with their counts."""

    name: str
    blocks: tuple[tuple[Block, sp.Expr], ...]

    @property
    def count(self) -> sp.Expr:
        """L, the number of residual blocks."""
        return sp.Add(*(count for _, count in self.blocks))


def block(name: str, value: sp.Symbol, output: sp.Symbol, *reads: sp.Symbol) -> Block:
    """A block with one branch value · output · r for each r that it reads."""
    return Block(name, tuple(Branch((value, output, r), r) for r in reads))


def encoder(layers: sp.Expr = N_E) -> Stack:
    """N_e × (self-attention, MLP): L_e = 2 N_e.

    Examples
    --------
    >>> encoder().count
    2*N_e
    """
    return Stack(
        "encoder",
        (
            (block("self-attention", V_E, W_E, X), layers),
            (block("MLP", V_E, W_E, X), layers),
        ),
    )


def decoder(layers: sp.Expr = N_D) -> Stack:
    """N_d × (self-attention, encoder-attention, MLP): L_d = 3 N_d, as the blocks really exist."""
    return Stack(
        "decoder",
        (
            (block("self-attention", V_D, W_D, Y), layers),
            (block("encoder-attention", V_D, W_D, M), layers),
            (block("MLP", V_D, W_D, Y), layers),
        ),
    )


def printed_decoder(layers: sp.Expr = N_D) -> Stack:
    """The decoder as Eq. 7 counts it: each of the L_d blocks reads both y and the memory."""
    pair = block("self-attention with encoder-attention", V_D, W_D, Y, M)
    return Stack("decoder as printed", ((pair, 3 * layers),))
