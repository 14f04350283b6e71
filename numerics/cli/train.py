"""``tfixup train``: train a Transformer from any scheme and say how the run ended."""

from dataclasses import dataclass
from pathlib import Path

from numerics.training.config import TrainConfig
from theory.errors import InputError, require_positive, require_within


@dataclass(frozen=True, kw_only=True)
class Train(TrainConfig):
    """Train a Transformer and classify the run as trained, stuck or diverged.

    The same command continues an interrupted run from its last checkpoint, with the same losses as
    if it had never stopped; a finished run is shown again, or taken further by more --steps.
    """

    out: Path | None = None
    """Folder of the run; runs/train/DATA/SCHEME-LAYERS-SEED unless given."""

    evaluate: str | None = None
    """Held-out set to translate when the run is finished: validation, or the name of a test set."""
    beam: int = 4
    """Hypotheses of the beam search; 1 is greedy."""
    length_penalty: float = 0.3
    """α of the score log p / length^α; T-Fixup's own recipe has 0.3."""

    tensorboard: bool = False
    """Write the log as TensorBoard events too, in the run's folder; needs the extra log."""

    def run(self) -> int:
        """Train and print the outcome; exit with 0 for every outcome, also stuck or diverged."""
        from numerics.training.loop import run_training

        self._check_translation()
        if self.evaluate is not None:
            self._check_held_out(self.evaluate)
        out = self.out or Path("runs/train") / self.data_name / self.run_name
        found = run_training(self, out, progress=True, tensorboard=self.tensorboard)
        low, high = found.interval
        print(f"{found.outcome}: {found.reason}")
        print(
            f"validation loss {found.validation_loss:.4f} [{low:.4f}, {high:.4f}], "
            f"unigram {found.unigram_loss:.4f}, log V {found.uniform_loss:.4f}, "
            f"{found.steps} steps, {found.tokens_per_second:,.0f} tokens/s, in {out}"
        )
        if found.dropped:
            print(f"{found.dropped} pairs left out, longer than max_length")
        if self.evaluate is not None:
            self._evaluate(out, self.evaluate)
        return 0

    def _check_translation(self) -> None:
        """Raise before anything is trained if the translation asked for cannot be made."""
        require_within(1, 1_000, beam=self.beam)
        require_within(-10, 10, length_penalty=self.length_penalty)
        if self.evaluate is not None and self.architecture != "encoder-decoder":
            raise InputError(
                f"evaluate needs the architecture encoder-decoder, which translates, got "
                f"{self.architecture}"
            )
        if self.evaluate is None:
            for name in ("beam", "length_penalty"):
                if getattr(self, name) != getattr(type(self), name):
                    raise InputError(f"{name} needs --evaluate, the set to translate")
        require_positive(steps=self.steps, checkpoint_every=self.checkpoint_every)
        # One checkpoint at each multiple, and one at the last step.
        kept = -(-self.steps // self.checkpoint_every)
        if self.evaluate is not None and self.average > kept:
            raise InputError(
                f"average must be at most {kept}, the checkpoints of {self.steps} steps with "
                f"checkpoint_every {self.checkpoint_every}, got {self.average}"
            )

    def _check_held_out(self, dataset: str) -> None:
        """Raise before anything is trained if there is no such set."""
        from numerics.training.evaluate import held_out
        from numerics.training.task import load_corpus

        self.check()
        held_out(load_corpus(self), dataset)

    def _evaluate(self, out: Path, dataset: str) -> None:
        from numerics.training.evaluate import evaluate_run

        found = evaluate_run(self, out, dataset, beam=self.beam, length_penalty=self.length_penalty)
        print(
            f"BLEU {found.bleu:.2f} [{found.low:.2f}, {found.high:.2f}] on {dataset}, "
            f"{found.pairs} pairs, {found.signature}"
        )
