"""What all tasks of a sweep share, as data: the command line, the manifest and the tasks' hashes.

This module imports neither torch nor numpy, so that ``tfixup --help`` stays fast.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

from theory.errors import InputError, nearest, require_positive, require_within

if TYPE_CHECKING:
    from numerics.models.spec import ModelSpec

Precision = Literal["auto", "float32", "float64"]
Detail = Literal["part", "matrix", "layer"]
DETAILS: tuple[str, ...] = get_args(Detail)
LOSSES = ("random", "cross-entropy")


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """Sizes, inputs and precision of every model in a sweep."""

    architecture: str = "encoder-decoder"
    """Which stacks there are: encoder-decoder, encoder-only, decoder-only."""
    d_model: int = 64
    """Width d of the residual stream."""
    d_ff: int = 128
    """Hidden width of the MLP blocks."""
    heads: int = 2
    """Attention heads."""
    vocabulary: int = 1000
    """Rows of each embedding table."""
    sequences: int = 8
    """Sequences in the batch."""
    tokens: int = 16
    """Tokens per sequence."""
    inputs: Literal["free", "table"] = "free"
    """Whether the embedded inputs (the paper's definition) or the tables' rows are parameters."""
    embedding_multiplier: float | None = None
    """Factor on the embedded tokens; the default is the square root of the width."""
    positions: str = "none"
    """What is added to the embedded tokens: none, sinusoidal, learned."""
    dtype: Precision = "auto"
    """Precision; auto is float32, then float64 where that is not finite."""
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """Where to measure; auto takes a CUDA device if there is one."""
    root_seed: int = 0
    """Root of every random stream."""
    detail: Detail = "part"
    """Rows by part alone, or also by kind of matrix, or by layer (time quadratic in depth)."""
    loss: str = "random"
    """What the gradient is of: random (a unit cotangent on f), or cross-entropy (next tokens)."""
    earlier: int = 0
    """Gradients of independent noise that the optimizer has seen before the measured step."""
    steps: int = 1
    """More than 1: that many real steps too, with f's change after each."""
    lr: float | None = None
    """Learning rate of the real steps."""

    def check(self) -> None:
        """Raise `InputError` at the first setting that no model has, whatever its depth."""
        from numerics.linearization.measured_function import check_inputs
        from numerics.models.spec import Positions

        require_positive(sequences=self.sequences, tokens=self.tokens)
        require_within(1, 1_000_000, sequences=self.sequences, tokens=self.tokens)
        require_within(1, 1_000_000, d_model=self.d_model, d_ff=self.d_ff, heads=self.heads)
        require_within(1, 100_000_000, vocabulary=self.vocabulary)
        require_within(0, 2**63 - 1, root_seed=self.root_seed)
        if self.embedding_multiplier is not None:
            require_within(1e-6, 1e6, embedding_multiplier=self.embedding_multiplier)
        check_inputs(self.inputs)
        self._check_steps()
        if self.dtype not in get_args(Precision):
            raise nearest(self.dtype, get_args(Precision), "dtype")
        if self.detail not in DETAILS:
            raise nearest(self.detail, DETAILS, "detail")
        kinds = [kind.value for kind in Positions]
        if self.positions not in kinds:
            raise nearest(self.positions, kinds, "kind of positions")
        self.spec(1)

    def _check_steps(self) -> None:
        if self.loss not in LOSSES:
            raise nearest(self.loss, LOSSES, "loss")
        require_within(0, 10_000, earlier=self.earlier)
        require_within(1, 10_000, steps=self.steps)
        if self.earlier and self.loss != "random":
            raise InputError(f"earlier needs the loss random, got {self.loss}")
        if self.earlier and self.steps > 1:
            raise InputError(f"earlier needs one step, got steps={self.steps}")
        if (self.lr is not None) != (self.steps > 1):
            raise InputError(
                f"lr is the rate of real steps and goes with steps above 1, got lr={self.lr}, "
                f"steps={self.steps}"
            )
        if self.lr is not None:
            require_within(1e-12, 1e30, lr=self.lr)

    def spec(self, depth: int) -> "ModelSpec":
        """The model with ``depth`` layers in each of its stacks.

        Examples
        --------
        >>> spec = SweepSettings(architecture="decoder-only").spec(6)
        >>> spec.encoder_layers, spec.decoder_layers
        (0, 6)
        """
        from numerics.models.spec import Architecture, ModelSpec, Positions, architecture_named

        architecture = architecture_named(self.architecture)
        return ModelSpec(
            encoder_layers=0 if architecture is Architecture.DECODER_ONLY else depth,
            decoder_layers=0 if architecture is Architecture.ENCODER_ONLY else depth,
            d_model=self.d_model,
            d_ff=self.d_ff,
            heads=self.heads,
            vocabulary=self.vocabulary,
            positions=Positions(self.positions),
            max_tokens=max(512, self.tokens),
            embedding_multiplier=self.embedding_multiplier,
            architecture=architecture,
        )

    def stored(self) -> dict[str, object]:
        """The settings as manifests and hashes have them.

        Defaults are omitted, so that hashes of sweeps recorded before these settings existed stay
        valid.
        """
        unsaid = {
            **{"architecture": "encoder-decoder", "detail": "part"},
            **{"loss": "random", "earlier": 0, "steps": 1, "lr": None},
        }
        return {k: v for k, v in asdict(self).items() if k not in unsaid or v != unsaid[k]}
