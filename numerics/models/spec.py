"""What a model is, as data: architecture, sizes, wiring, inputs.

Notation: ``d_model`` is the papers' d, ``d_ff`` the hidden width of the MLP block, ``heads`` the
number of attention heads of width d' = d / heads. y is a block's input, G its branch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from numerics.models.attention import PLAIN_ATTENTION, AttentionTraits, QKNorm
from numerics.models.mlp import RELU_MLP, MLPTraits
from numerics.models.norms import LAYER_NORM, Gain, NormKind, NormTraits
from numerics.models.wiring import WIRINGS, Wiring
from theory.errors import InputError, nearest, require_positive

LAYER_BLOCKS: Mapping[str, tuple[str, ...]] = {
    "encoder": ("attention", "mlp"),
    "decoder": ("self_attention", "cross_attention", "mlp"),
}
"""The residual blocks of one layer of each stack, in order.

A decoder that has no memory to read has no encoder-attention (``cross_attention``).
"""


Multiplier = float | tuple[float, ...]
"""One number for all residual blocks of a stack, or one per block in order."""


class Architecture(StrEnum):
    """Which stacks there are."""

    ENCODER_DECODER = "encoder-decoder"
    """f = f_d(f_e(x), y): a decoder layer has self-attention, encoder-attention, MLP."""
    ENCODER_ONLY = "encoder-only"
    """f = f_e(x): N layers of self-attention and MLP, every token seen by every other."""
    DECODER_ONLY = "decoder-only"
    """f = f_d(y): N layers of self-attention and MLP, no token sees its future."""


class Positions(StrEnum):
    """What is added to the embedded tokens."""

    NONE = "none"
    SINUSOIDAL = "sinusoidal"
    LEARNED = "learned"
    """A trainable table per stack, drawn from N(0, d^(-1/2)) and not times the multiplier."""
    ROTARY = "rotary"
    """Nothing is added: self-attention turns queries and keys by their positions."""


@dataclass(frozen=True)
class ModelSpec:
    """A Transformer; the default width is the T-Fixup paper's 64-128-2."""

    encoder_layers: int
    """N_e, each with the residual blocks `LAYER_BLOCKS` names; 0 without an encoder."""
    decoder_layers: int
    """N_d, likewise; 0 without a decoder."""
    d_model: int = 64
    """d, the width of the residual stream."""
    d_ff: int = 128
    """Hidden width of the MLP blocks."""
    heads: int = 2
    """Attention heads, each of width d / heads."""
    vocabulary: int = 1000
    """Rows of each embedding table."""
    wiring: Wiring = WIRINGS["none"]
    """How the residual blocks join their branches."""
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
    """Whether the output projection is the (decoder's) embedding table."""
    architecture: Architecture = Architecture.ENCODER_DECODER
    """Which stacks there are."""
    shared_embeddings: bool = False
    """Whether source embedding, target embedding and output projection are one table."""
    padding_token: int | None = None
    """Token whose embedding rows start at 0, if there is one."""
    max_tokens: int = 512
    """Rows of a learned position table."""
    encoder_shortcut: Multiplier = 1.0
    """Factor on the encoder's skip paths: DeepNorm's α_e, or where Admin's ω starts."""
    decoder_shortcut: Multiplier = 1.0
    """Factor on the decoder's skip paths: DeepNorm's α_d, or where Admin's ω starts."""
    encoder_branch: Multiplier = 1.0
    """Factor on the encoder's branches where the wiring has one, or where a trained one starts."""
    decoder_branch: Multiplier = 1.0
    """Factor on the decoder's branches, likewise."""
    norm: NormTraits = LAYER_NORM
    """What every norm of the stream computes."""
    attention: AttentionTraits = PLAIN_ATTENTION
    """What attention does beside Eq. 5."""
    mlp: MLPTraits = RELU_MLP
    """What an MLP computes between its matrices."""
    embedding_norm: bool = False
    """Whether the embedded inputs, positions included, are normalised before the first layer."""
    logit_multiplier: float = 1.0
    """Factor on the logits."""

    def __post_init__(self) -> None:
        for layers, present in (
            ("encoder_layers", self.has_encoder),
            ("decoder_layers", self.has_decoder),
        ):
            if present:
                require_positive(**{layers: getattr(self, layers)})
            elif getattr(self, layers) != 0:
                raise InputError(
                    f"{layers} must be 0 for {self.architecture.value}, got {getattr(self, layers)}"
                )
        require_positive(
            d_model=self.d_model,
            d_ff=self.d_ff,
            heads=self.heads,
            vocabulary=self.vocabulary,
            max_tokens=self.max_tokens,
        )
        if self.d_model % self.heads:
            raise InputError(
                f"heads must divide the width d_model, got heads={self.heads}, "
                f"d_model={self.d_model}"
            )
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must lie in [0, 1), got {self.dropout}")
        if self.padding_token is not None and not 0 <= self.padding_token < self.vocabulary:
            raise InputError(
                f"padding_token must lie in [0, vocabulary = {self.vocabulary}), got "
                f"{self.padding_token}"
            )
        own = self.d_model // self.heads
        if self.positions is Positions.ROTARY and own % 2:
            raise InputError(f"rotary positions need heads of even width, got {own}")
        if self.heads % self.key_heads:
            raise InputError(
                f"key_heads must divide heads, got key_heads={self.key_heads}, heads={self.heads}"
            )
        for name in ("shortcut", "branch"):
            for stack in self.stacks:
                self._check_multiplier(f"{stack}_{name}", self.stack_blocks(stack))
        if self.shared_embeddings and not (self.has_encoder and self.has_decoder):
            raise InputError(
                f"shared_embeddings needs encoder-decoder, got {self.architecture.value}"
            )

    @property
    def has_encoder(self) -> bool:
        """Whether there is an encoder."""
        return self.architecture is not Architecture.DECODER_ONLY

    @property
    def has_decoder(self) -> bool:
        """Whether there is a decoder."""
        return self.architecture is not Architecture.ENCODER_ONLY

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks there are: ``encoder``, ``decoder``, or both."""
        present = {"encoder": self.has_encoder, "decoder": self.has_decoder}
        return tuple(stack for stack, there in present.items() if there)

    def layers(self, stack: str) -> int:
        """Number of layers of a stack, N."""
        return {"encoder": self.encoder_layers, "decoder": self.decoder_layers}[stack]

    def stack_blocks(self, stack: str) -> int:
        """Residual blocks of a stack: 2 N, or 3 N where each layer has encoder-attention.

        Examples
        --------
        >>> ModelSpec(6, 4).stack_blocks("encoder"), ModelSpec(6, 4).stack_blocks("decoder")
        (12, 12)
        """
        return len(self.layer_blocks(stack)) * self.layers(stack)

    def layer_blocks(self, stack: str) -> tuple[str, ...]:
        """The residual blocks of one layer of a stack, in order.

        Examples
        --------
        >>> single_stack(Architecture.DECODER_ONLY, 6).layer_blocks("decoder")
        ('self_attention', 'mlp')
        """
        names = LAYER_BLOCKS[stack]
        return tuple(name for name in names if name != "cross_attention" or self.has_encoder)

    def shortcut(self, stack: str, block: int = 0) -> float:
        """Factor on the skip path of one block of a stack, from 0."""
        return _at(
            {"encoder": self.encoder_shortcut, "decoder": self.decoder_shortcut}, stack, block
        )

    def branch_factor(self, stack: str, block: int = 0) -> float:
        """Factor on the branch of one block of a stack, from 0."""
        return _at({"encoder": self.encoder_branch, "decoder": self.decoder_branch}, stack, block)

    def _check_multiplier(self, name: str, blocks: int) -> None:
        value = getattr(self, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if isinstance(value, tuple) and len(value) != blocks:
            raise InputError(
                f"{name} must be one number or one per residual block, {blocks}, got {len(value)}"
            )
        if not all(abs(number) < float("inf") for number in numbers):
            raise InputError(f"{name} must be finite, got {value}")

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.attention.key_heads or self.heads

    @property
    def plain(self) -> bool:
        """Whether branches, norms and inputs are those of 2017: ReLU, layer norm, one key per head.

        Which of today's traits a model has instead is said by `unusual`.
        """
        return not self.unusual

    @property
    def unusual(self) -> tuple[str, ...]:
        """The traits that are not those of 2017, in words; what the wiring says is not among them.

        Examples
        --------
        >>> ModelSpec(1, 1, norm=NormTraits(NormKind.RMS), embedding_norm=True).unusual
        ('norms of kind rms', 'norm after the embedding')
        """
        norm, gated = self.norm, "gated " if self.mlp.gated else ""
        found = {
            f"norms of kind {norm.kind.value}": norm.kind is not NormKind.LAYER,
            f"norms with gain {norm.gain.value}": norm.gain is not Gain.WEIGHT,
            "norms of its own constants": replace(norm, kind=NormKind.LAYER, gain=Gain.WEIGHT)
            != LAYER_NORM,
            f"{self.key_heads} heads of keys": self.key_heads != self.heads,
            f"QK-norm over {self.attention.qk_norm.value}": self.attention.qk_norm
            is not QKNorm.ABSENT,
            f"logits times d'^{self.attention.power:g}": self.attention.power != -0.5,
            f"{gated}MLPs with {self.mlp.activation.value}": self.mlp != RELU_MLP,
            "rotary positions": self.positions is Positions.ROTARY,
            "norm after the embedding": self.embedding_norm,
        }
        return tuple(words for words, there in found.items() if there)

    @property
    def multiplier(self) -> float:
        """Factor on the embedded tokens, √d unless set."""
        return self.d_model**0.5 if self.embedding_multiplier is None else self.embedding_multiplier

    @property
    def blocks(self) -> int:
        """Number of residual blocks L: 2 N_e + 3 N_d, or 2 N for a stack alone."""
        return sum(self.stack_blocks(stack) for stack in self.stacks)


def _at(multipliers: Mapping[str, Multiplier], stack: str, block: int) -> float:
    value = multipliers[stack]
    return value[block] if isinstance(value, tuple) else value


def architecture_named(name: str) -> Architecture:
    """Look an architecture up; an unknown name is an error that offers the nearest.

    Examples
    --------
    >>> architecture_named("encoder-only").value
    'encoder-only'
    """
    known = [architecture.value for architecture in Architecture]
    if name not in known:
        raise nearest(name, known, "architecture")
    return Architecture(name)


def single_stack(architecture: Architecture, layers: int, **settings: object) -> ModelSpec:
    """A specification of N layers in the one stack of ``architecture``.

    Examples
    --------
    >>> spec = single_stack(Architecture.DECODER_ONLY, 6)
    >>> spec.encoder_layers, spec.decoder_layers, spec.blocks
    (0, 6, 12)
    """
    if architecture is Architecture.ENCODER_DECODER:
        raise InputError("a single stack is encoder-only or decoder-only, got encoder-decoder")
    encoder, decoder = (layers, 0) if architecture is Architecture.ENCODER_ONLY else (0, layers)
    return ModelSpec(encoder, decoder, architecture=architecture, **settings)  # pyright: ignore[reportArgumentType]
