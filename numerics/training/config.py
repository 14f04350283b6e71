"""What a training run is, as data: the command line, the stored config and the resume check.

This module imports neither torch nor numpy, so that ``tfixup --help`` stays fast.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from theory.errors import InputError, require_positive, require_within
from theory.scales.muon_scalings import MUONS


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Every setting of a training run."""

    scheme: str = "tfixup"
    """Initialisation scheme, such as tfixup, xavier, post-ln, pre-ln. A scheme of your own is
    FILE.py:NAME or MODULE:NAME."""
    architecture: Literal["encoder-decoder", "decoder-only"] = "encoder-decoder"
    """Translation from both sides of the data, or a language model of the target side alone."""
    layers: int = 6
    """Layers of each stack."""
    encoder_layers: int | None = None
    """Layers of the encoder, where they differ from --layers."""
    decoder_layers: int | None = None
    """Layers of the decoder, where they differ from --layers."""
    d_model: int = 64
    """Width of the residual stream."""
    d_ff: int = 128
    """Hidden width of the MLP blocks."""
    heads: int = 2
    """Attention heads."""
    positions: Literal["sinusoidal", "learned", "rotary", "none"] = "sinusoidal"
    """What tells tokens their places; a decoder alone can do without."""
    data: str = "generated"
    """generated, libreoffice (Debian's help pages), hub:NAME (Hugging Face), or
    text:DIR for a folder with train.de, train.en, val.de, val.en (.gz)."""
    pairs: int = 20_000
    """Generated training pairs; a text folder is read whole."""
    validation_pairs: int | None = None
    """Generated validation pairs, 1,000 unless given."""
    data_seed: int = 0
    """Seed of the generated sentences; the run's own seed leaves them alone."""
    vocabulary: int | None = None
    """Tokens of the joint byte-pair vocabulary; 1,000, or as many as the data support where those
    are fewer, unless given."""
    steps: int = 300
    """Optimizer steps; more of them take a finished run further."""
    lr: float = 1e-3
    """Learning rate; T-Fixup's own recipe has 5e-4."""
    warmup: int = 0
    """Steps over which the learning rate rises linearly from 0; 0 is no warm-up."""
    schedule: Literal["constant", "inverse-root", "tfixup"] = "constant"
    """The rate after the warm-up: constant, falling as 1/√t, or T-Fixup's √(s/(s + t))."""
    decay_steps: int = 4_000
    """s of the schedule tfixup, and where inverse-root begins to fall without warm-up."""
    tokens: int = 2_048
    """Largest (sentences) × (longest side) of a batch."""
    max_length: int = 0
    """Longest sentence in tokens, its end included; 0 is as many as a batch may hold."""
    too_long: Literal["error", "drop"] = "error"
    """What longer sentences are: an error, or dropped and counted."""
    optimizer: Literal[
        "adam",
        "adamw",
        "radam",
        "sgd",
        "lion",
        "adafactor",
        "muon",
        "muon-match-rms-adamw",
        "muon-spectral",
    ] = "adam"
    """Update rule; momentum is sgd with --momentum. tfixup list optimizers says what each is."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Averaging constants of Adam, AdamW, RAdam and Lion, and of what Muon leaves to AdamW."""
    radam: Literal["paper", "torch", "authors"] = "paper"
    """Whose RAdam: they differ in when they adapt, and in what they do before."""
    momentum: float = 0.0
    """Momentum of SGD."""
    weight_decay: float = 0.0
    """Decoupled weight decay of all but Adam and SGD; T-Fixup's own recipe has 1e-4 (AdamW)."""
    clip: float = 0.0
    """Largest norm of the gradient, longer ones are scaled down; 0 is no clipping."""
    label_smoothing: float = 0.1
    """Share of the target probability that is spread over the whole vocabulary."""
    dropout: float = 0.0
    """Dropout probability on inputs and on each block's output."""
    seed: int = 0
    """Seed of initial weights, batch order and dropout."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes CUDA if there is any."""
    precision: Literal["32-true", "64-true", "bf16-mixed", "bf16-true"] = "32-true"
    """Number format of weights and activations, as Lightning Fabric names it."""
    processes: int = 1
    """Data-parallel processes, each with its share of every batch."""
    threads: int = 1
    """CPU threads; another number rounds differently, so it is part of the run's identity."""
    signals: bool = False
    """Log gradients and updates of the embeddings and norms at layer norms too (Figs. 2 and 3)."""
    validate_every: int = 50
    """Steps between validations; the last step is always validated."""
    stop_when_trained: bool = False
    """End at the first validation at which the run counts as trained; --steps is the most."""
    checkpoint_every: int = 50
    """Steps between checkpoints; the same command continues from the last one."""
    average: int = 1
    """How many of the last checkpoints are averaged for translation."""

    def check(self) -> None:
        """Raise `InputError` at the first setting that breaks a rule."""
        require_positive(
            layers=self.layers,
            encoder_layers=1 if self.encoder_layers is None else self.encoder_layers,
            decoder_layers=self.depths[1],
            pairs=self.pairs,
            validation_pairs=1 if self.validation_pairs is None else self.validation_pairs,
            vocabulary=1 if self.vocabulary is None else self.vocabulary,
            steps=self.steps,
            tokens=self.tokens,
            threads=self.threads,
            processes=self.processes,
            decay_steps=self.decay_steps,
            average=self.average,
            validate_every=self.validate_every,
            checkpoint_every=self.checkpoint_every,
        )
        self._check_data()
        self._check_architecture()
        for name, (low, high) in RANGES.items():
            if (value := getattr(self, name)) is not None:
                require_within(low, high, **{name: value})
        if 0 < self.clip < LEAST_RATE:
            raise InputError(f"clip must be 0 or at least {LEAST_RATE:g}, got {self.clip:g}")
        for name, value in (
            ("label_smoothing", self.label_smoothing),
            ("dropout", self.dropout),
            ("betas", self.betas[0]),
            ("betas", self.betas[1]),
            ("momentum", self.momentum),
        ):
            if not 0 <= value < 1:
                raise InputError(f"{name} must lie in [0, 1), got {value}")
        for name, rules in (("weight_decay", DECAYING), ("momentum", ("sgd",))):
            if getattr(self, name) and self.optimizer not in rules:
                raise InputError(
                    f"{name} needs the optimizer {' or '.join(rules)}, got {self.optimizer}"
                )

    def _check_architecture(self) -> None:
        if self.architecture == "encoder-decoder":
            return
        if self.encoder_layers is not None:
            raise InputError(
                f"encoder_layers needs the architecture encoder-decoder, got {self.architecture}"
            )
        if self.signals:
            raise InputError(
                f"signals are those of encoder and decoder, got the architecture "
                f"{self.architecture}"
            )

    def _check_data(self) -> None:
        name, colon, rest = self.data.partition(":")
        if name not in DATA or bool(colon) != (name in ("text", "hub")):
            raise InputError(
                f"data must be generated or text:DIR, libreoffice or hub:NAME, got {self.data!r}"
            )
        if colon and not rest:
            needed = "a folder" if name == "text" else "a dataset's name"
            raise InputError(f"data {name}: needs {needed} after the colon, got {self.data!r}")

    @property
    def depths(self) -> tuple[int, int]:
        """Layers of encoder and decoder, N_e and N_d; 0 for a stack that there is not.

        Examples
        --------
        >>> TrainConfig(layers=12, decoder_layers=6).depths
        (12, 6)
        >>> TrainConfig(layers=12, architecture="decoder-only").depths
        (0, 12)
        """
        encoder = self.layers if self.encoder_layers is None else self.encoder_layers
        decoder = self.layers if self.decoder_layers is None else self.decoder_layers
        return (encoder if self.architecture == "encoder-decoder" else 0), decoder

    @property
    def data_name(self) -> str:
        """``generated``, ``text``, ``libreoffice`` or ``hub``."""
        return self.data.partition(":")[0]

    @property
    def run_name(self) -> str:
        """``scheme-depth-seed``, the depth as ``12`` or ``12x6``.

        Examples
        --------
        >>> TrainConfig(scheme="post-ln", layers=12, seed=1).run_name
        'post-ln-12-1'
        >>> TrainConfig(scheme="gpt2", layers=12, architecture="decoder-only").run_name
        'gpt2-decoder-only-12-0'
        """
        encoder, decoder = self.depths
        alone = self.architecture != "encoder-decoder"
        depth = f"{decoder}" if alone or encoder == decoder else f"{encoder}x{decoder}"
        kind = f"{self.architecture}-" if alone else ""
        # A scheme of the user's own may be named by its file, in another folder.
        return f"{self.scheme.replace('/', '-')}-{kind}{depth}-{self.seed}"

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
        default, stored = TrainConfig(vocabulary=USUAL_VOCABULARY).stored(), self.stored()
        words = ["tfixup train"]
        for name, value in stored.items():
            if name in _NAMING or value not in (None, default[name]):
                shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
                words.append(f"--{name.replace('_', '-')} {shown}")
        return " ".join(words)


USUAL_VOCABULARY = 1_000
"""Tokens of the vocabulary unless a number is given; data that support fewer get fewer."""
LEAST_RATE = 1e-12
"""A rate or a clipped gradient below this changes no weight in float32 within a run."""
RANGES: Mapping[str, tuple[float, float]] = {
    "layers": (1, 10_000),
    "encoder_layers": (1, 10_000),
    "decoder_layers": (1, 10_000),
    "d_model": (1, 65_536),
    "d_ff": (1, 1_000_000),
    "heads": (1, 65_536),
    "pairs": (2, 10_000_000),
    "validation_pairs": (2, 1_000_000),
    "vocabulary": (2, 1_000_000),
    "steps": (1, 100_000_000),
    "tokens": (1, 10_000_000),
    "max_length": (0, 10_000_000),
    "lr": (LEAST_RATE, 1e30),
    "warmup": (0, 1_000_000_000),
    "decay_steps": (1, 1_000_000_000),
    "weight_decay": (0, 1e3),
    "clip": (0, 1e12),
    "dropout": (0, 0.95),
    "seed": (0, 2**40),
    "data_seed": (0, 2**40),
    "threads": (1, 1_024),
    "processes": (1, 64),
    "validate_every": (1, 1_000_000_000),
    "checkpoint_every": (1, 1_000_000_000),
    "average": (1, 1_000),
}
"""Least and largest value of each number: beyond it a run is nonsense or cannot end."""
DATA = ("generated", "text", "libreoffice", "hub")
"""Where sentences come from."""
DECAYING = ("adamw", "radam", "lion", "adafactor", *MUONS)
"""Update rules with decoupled weight decay."""
_NAMING = ("scheme", "layers", "data", "steps", "seed")
"""Settings that a command shows even where they are the defaults."""
_FIELDS = frozenset(TrainConfig.__dataclass_fields__)
"""Settings of a run; what a subclass adds (an output folder) does not identify the run."""
