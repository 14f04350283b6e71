"""What a model is, as data: sizes, wiring, inputs.

Notation: ``d_model`` is the papers' d, ``d_ff`` the hidden width of the MLP block, ``heads`` the
number of attention heads of width d' = d / heads.
"""

from dataclasses import dataclass
from enum import StrEnum

from theory.errors import InputError, require_positive


class Wiring(StrEnum):
    """Where a residual block has its layer norm."""

    NONE = "none"
    """x + G(x)"""
    POST_LN = "post-ln"
    """LN(x + G(x))"""
    PRE_LN = "pre-ln"
    """x + G(LN(x)), and one final layer norm a stack"""


class Positions(StrEnum):
    """What is added to the embedded tokens."""

    NONE = "none"
    SINUSOIDAL = "sinusoidal"


@dataclass(frozen=True)
class ModelSpec:
    """An encoder-decoder Transformer; the default width is the T-Fixup paper's 64-128-2."""

    encoder_layers: int
    """N_e, each of two residual blocks: self-attention, MLP."""
    decoder_layers: int
    """N_d, each of three residual blocks: self-attention, encoder-attention, MLP."""
    d_model: int = 64
    """d, the width of the residual stream."""
    d_ff: int = 128
    """Hidden width of the MLP blocks."""
    heads: int = 2
    """Attention heads, each of width d / heads."""
    vocabulary: int = 1000
    """Rows of each embedding table."""
    wiring: Wiring = Wiring.NONE
    """Where the layer norms are."""
    positions: Positions = Positions.NONE
    """What is added to the embedded tokens."""
    position_scale: float = 1.0
    """Factor on the positions; sinusoids have RMS 1/√2 per coordinate without it."""
    embedding_multiplier: float | None = None
    """Factor on the embedded tokens; ``None`` is √d, which gives N(0, d^(-1/2)) entries RMS 1."""
    biases: bool = False
    """Whether the linear maps have biases."""
    dropout: float = 0.0
    """Dropout probability on inputs and on each block's output."""
    tied_output: bool = False
    """Whether the output projection is the decoder's embedding table."""

    def __post_init__(self) -> None:
        require_positive(
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers,
            d_model=self.d_model,
            d_ff=self.d_ff,
            heads=self.heads,
            vocabulary=self.vocabulary,
        )
        if self.d_model % self.heads:
            raise InputError(
                f"heads must divide the width d_model, got heads={self.heads}, "
                f"d_model={self.d_model}"
            )
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must lie in [0, 1), got {self.dropout}")

    @property
    def multiplier(self) -> float:
        """Factor on the embedded tokens, √d unless set."""
        return self.d_model**0.5 if self.embedding_multiplier is None else self.embedding_multiplier

    @property
    def blocks(self) -> int:
        """L_e + L_d = 2 N_e + 3 N_d residual blocks."""
        return 2 * self.encoder_layers + 3 * self.decoder_layers
