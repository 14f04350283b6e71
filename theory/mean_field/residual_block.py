"""A residual block as the mean-field theory sees it: kind, variances, multipliers, layer norm.

The block is y = α x + γ G(x). T-Fixup has α = γ = 1 and no layer norm. DeepNorm and Admin have
α > 1 inside the layer norm. ReZero has γ = 0. R-Fixup has a variance of 0. A trained vector ω in
place of α (Admin), or a trained scalar γ (ReZero), has an energy of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from theory.derivations.number import Number
from theory.mean_field.attention_moments import Fluctuations, Softmax


class BlockKind(StrEnum):
    """What a residual branch computes."""

    SELF = "self-attention"
    CROSS = "encoder-attention"
    MLP = "mlp"


class NormPlace(StrEnum):
    """Where a block has its layer norm; the values are the wirings' names."""

    NONE = "none"
    POST = "post-ln"
    PRE = "pre-ln"


@dataclass(frozen=True)
class MeanFieldBlock:
    """One residual block y = α x + γ G(x)."""

    part: str
    """The part to which the energies of its matrices are added, such as ``decoder.mlp``."""
    kind: BlockKind
    """The kind of the branch G."""
    variances: Mapping[str, Number]
    """Variance σ² of each matrix: w1, w2 of an MLP; q, k, v, out_proj of attention."""
    norm: NormPlace = NormPlace.NONE
    """Position of the layer norm."""
    shortcut: Number = 1
    """Multiplier α of the shortcut."""
    branch: Number = 1
    """Multiplier γ of the branch."""
    causal: bool = False
    """Whether a token sees only itself and those before it."""
    trained_shortcut: bool = False
    """Whether α is a trained vector, Admin's ω."""
    trained_branch: bool = False
    """Whether γ is a trained scalar, ReZero's α; its energy is added to ``STACK.alpha``."""


@dataclass(frozen=True)
class NetworkSetting:
    """The quantities that all blocks of a network have in common."""

    width: Number
    """Width d of the residual stream."""
    hidden: Number
    """Hidden width d_ff of the MLPs."""
    softmax: Softmax
    """Moments of the attention weights."""
    fluctuations: Fluctuations
    """Inverse widths, for the terms of order 1/d."""
    relu_share: Number = 0.5
    """Share of a second moment that ReLU passes on."""
