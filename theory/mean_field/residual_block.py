"""A residual block y = α x + γ G(x) as the mean-field theory sees it: kind, variances, layer norm.

T-Fixup has α = γ = 1 and no layer norm; DeepNorm and Admin α > 1 inside the layer norm; ReZero
γ = 0; R-Fixup a variance of 0. Where α is a trained vector ω (Admin) or γ a trained scalar
(ReZero), it has an energy of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from theory.mean_field.attention_moments import Fluctuations, Softmax
from theory.moments.token_gram import Number


class BlockKind(StrEnum):
    """What a residual branch computes."""

    SELF = "self-attention"
    CROSS = "encoder-attention"
    MLP = "mlp"


class Norm(StrEnum):
    """Where a block has its layer norm; the values are the wirings' names."""

    NONE = "none"
    POST = "post-ln"
    PRE = "pre-ln"


@dataclass(frozen=True)
class Block:
    """One residual block y = α x + γ G(x)."""

    part: str
    """Whose energy its matrices count towards, such as ``decoder.mlp``."""
    kind: BlockKind
    """What G is."""
    variances: Mapping[str, Number]
    """σ² of w1, w2 (MLP) or q, k, v, out_proj (attention)."""
    norm: Norm = Norm.NONE
    """Where the layer norm is."""
    shortcut: Number = 1
    """α."""
    branch: Number = 1
    """γ."""
    causal: bool = False
    """Whether a token sees only itself and those before it."""
    trained_shortcut: bool = False
    """Whether α is a trained vector, Admin's ω."""
    trained_branch: bool = False
    """Whether γ is a trained scalar, ReZero's α, which counts towards ``STACK.alpha``."""


@dataclass(frozen=True)
class Setting:
    """What all blocks of a network have in common."""

    width: Number
    """d."""
    hidden: Number
    """d_ff."""
    softmax: Softmax
    """Moments of the attention weights."""
    fluctuations: Fluctuations
    """Finite widths."""
    relu_share: Number = 0.5
    """Share of a second moment that ReLU passes on."""
