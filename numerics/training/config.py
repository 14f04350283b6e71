"""What a training run is, as data: the command line, the stored config and the resume check.

This module imports neither torch nor numpy, so that ``tfixup --help`` stays fast.
"""

from dataclasses import asdict, dataclass
from typing import Literal

from theory.errors import InputError, require_positive


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Every setting of a training run."""

    scheme: str = "tfixup"
    """Initialisation scheme, such as tfixup, xavier, post-ln, pre-ln."""
    layers: int = 6
    """Layers of the encoder and of the decoder."""
    encoder_layers: int | None = None
    """Layers of the encoder, where they differ from ``layers``."""
    decoder_layers: int | None = None
    """Layers of the decoder, where they differ from ``layers``."""
    d_model: int = 64
    """Width of the residual stream."""
    d_ff: int = 128
    """Hidden width of the MLP blocks."""
    heads: int = 2
    """Attention heads."""
    data: str = "generated"
    """``generated``, or ``text:DIR`` for a folder with train.de, train.en, val.de, val.en (.gz)."""
    pairs: int = 20_000
    """Generated training pairs; a text folder is read whole."""
    data_seed: int = 0
    """Seed of the generated sentences; the run's own seed leaves them alone."""
    vocabulary: int = 1_000
    """Tokens of the joint byte-pair vocabulary."""
    steps: int = 300
    """Optimizer steps."""
    lr: float = 1e-3
    """Learning rate; T-Fixup's own recipe has 5e-4."""
    warmup: int = 0
    """Steps over which the learning rate rises linearly from 0; 0 is no warm-up."""
    tokens: int = 2_048
    """Largest (sentences) × (longest side) of a batch."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Update rule; SGD is plain, without momentum."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Adam's averaging constants."""
    label_smoothing: float = 0.1
    """Share of the target probability that is spread over the whole vocabulary."""
    dropout: float = 0.0
    """Dropout probability on inputs and on each block's output."""
    seed: int = 0
    """Seed of initial weights, batch order and dropout."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes CUDA if there is any."""
    threads: int = 1
    """CPU threads; another number rounds differently, so it is part of the run's identity."""
    validate_every: int = 50
    """Steps between validations; the last step is always validated."""
    checkpoint_every: int = 50
    """Steps between checkpoints; the same command continues from the last one."""

    def check(self) -> None:
        """Raise `InputError` at the first setting that breaks a rule."""
        require_positive(
            layers=self.layers,
            encoder_layers=self.depths[0],
            decoder_layers=self.depths[1],
            pairs=self.pairs,
            vocabulary=self.vocabulary,
            steps=self.steps,
            tokens=self.tokens,
            threads=self.threads,
            validate_every=self.validate_every,
            checkpoint_every=self.checkpoint_every,
        )
        if self.data != "generated" and not self.data.removeprefix("text:"):
            raise InputError("data text:DIR needs a folder after the colon, got 'text:'")
        if self.data != "generated" and not self.data.startswith("text:"):
            raise InputError(f"data must be generated or text:DIR, got {self.data!r}")
        if not 0 < self.lr < float("inf"):
            raise InputError(f"lr must be positive and finite, got {self.lr}")
        for name in ("warmup", "seed", "data_seed"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name, value in (
            ("label_smoothing", self.label_smoothing),
            ("dropout", self.dropout),
            ("betas", self.betas[0]),
            ("betas", self.betas[1]),
        ):
            if not 0 <= value < 1:
                raise InputError(f"{name} must lie in [0, 1), got {value}")

    @property
    def depths(self) -> tuple[int, int]:
        """N_e and N_d.

        Examples
        --------
        >>> TrainConfig(layers=12, decoder_layers=6).depths
        (12, 6)
        """
        encoder = self.layers if self.encoder_layers is None else self.encoder_layers
        decoder = self.layers if self.decoder_layers is None else self.decoder_layers
        return encoder, decoder

    @property
    def data_name(self) -> str:
        """``generated`` or ``text``."""
        return self.data.partition(":")[0]

    @property
    def run_name(self) -> str:
        """``scheme-depth-seed``, the depth as ``12`` or ``12x6``.

        Examples
        --------
        >>> TrainConfig(scheme="post-ln", layers=12, seed=1).run_name
        'post-ln-12-1'
        """
        encoder, decoder = self.depths
        depth = f"{encoder}" if encoder == decoder else f"{encoder}x{decoder}"
        return f"{self.scheme}-{depth}-{self.seed}"

    def stored(self) -> dict[str, object]:
        """The settings as stored with a run: a user's folder becomes ``text:DIR``."""
        own = {name: value for name, value in asdict(self).items() if name in _FIELDS}
        return own | {
            "betas": list(self.betas),
            "data": "text:DIR" if self.data_name == "text" else self.data,
        }

    def command(self) -> str:
        """The command that repeats the run: what names it, and every setting not the default.

        Examples
        --------
        >>> TrainConfig(layers=12, data="text:/home/me/corpus", lr=5e-4).command()
        'tfixup train --scheme tfixup --layers 12 --data text:DIR --steps 300 --lr 0.0005 --seed 0'
        """
        default, stored = TrainConfig().stored(), self.stored()
        words = ["tfixup train"]
        for name, value in stored.items():
            if name in _NAMING or value != default[name]:
                shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
                words.append(f"--{name.replace('_', '-')} {shown}")
        return " ".join(words)


_NAMING = ("scheme", "layers", "data", "steps", "seed")
"""Settings that a command shows even where they are the defaults."""
_FIELDS = frozenset(TrainConfig.__dataclass_fields__)
"""Settings of a run; what a subclass adds (an output folder) does not identify the run."""
