"""The training loop: teacher forcing, any schedule, one or several processes.

A run is a pure function of its config and data: weights come from the seed, the order of epoch e
from (seed, e), and dropout from (seed, step). The log has one row per step (`step.py`), with the
validation loss at the steps where it was taken. Lightning Fabric handles device, precision and
processes.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from numerics.data.batches import Encoded, TextBatch, batches
from numerics.linearization import closed_form
from numerics.models import Architecture, ModelSpec, Positions, Transformer
from numerics.models.attention import fuse_attention
from numerics.schemes import build, pinned, scheme_named
from numerics.schemes.user_scheme import require_prescription
from numerics.stores.files import atomically
from numerics.stores.provenance import provenance
from numerics.training import checkpoint, recorded
from numerics.training.checkpoint import LogRow, Progress
from numerics.training.config import USUAL_VOCABULARY, TrainConfig
from numerics.training.events import both, events, require_tensorboard
from numerics.training.memory import require_memory
from numerics.training.objective import sentence_losses
from numerics.training.optimizers import make_optimizer, rate_groups
from numerics.training.outcome import RunJudgement, RunOutcome, judge, outcome_so_far
from numerics.training.processes import strategy_of
from numerics.training.progress import Reporter, announce, reporter
from numerics.training.recorded import RecordedRun
from numerics.training.signals import COLUMNS
from numerics.training.step import training_step
from numerics.training.task import TrainingTask, load_corpus, prepare, with_vocabulary
from theory.errors import InputError, extra

DTYPES = {"32-true": "float32", "64-true": "float64"}
"""Number formats as stored results name them; mixed ones keep Fabric's name."""


def run_training(
    config: TrainConfig, out: Path, *, progress: bool = False, tensorboard: bool = False
) -> RecordedRun:
    """Train to the end, or go on from the checkpoint in ``out``, and record the run there.

    Parameters
    ----------
    config
        The run's settings; the same config and folder always mean the same run.
    out
        Folder of the run: new, or holding this very run. A finished run is read, not repeated; one
        of fewer steps is taken further.
    progress
        Whether to show a progress bar.
    tensorboard
        Whether to write TensorBoard events beside the log.

    Raises
    ------
    InputError
        If a setting breaks a rule, the data is unfit, ``out`` holds another run, or TensorBoard is
        asked for and not installed.
    """
    config.check()
    if tensorboard:
        require_tensorboard()
    # What is stored must say what a scheme of the user's own was when it was trained.
    config = replace(config, scheme=pinned(config.scheme))
    require_prescription(scheme_named(config.scheme), model_spec(config))
    device = resolve_device(config.device)
    require_memory(model_spec(config), config.tokens, device.type)
    recorded.require_same_settings(out, config, device.type)
    announce(_about_data(config), shown=progress)
    corpus = load_corpus(config)
    if config.vocabulary is None:
        config = with_vocabulary(config, corpus)
        announce(_about_vocabulary(config), shown=progress)
    spec = model_spec(config)
    own = recorded.identity(config, corpus.facts(), device.type)
    if recorded.is_done(out, own):
        return recorded.read_run(out)
    recorded.place(out).require_usable()
    with ExitStack() as held:
        held.enter_context(_threads(config.threads))
        held.enter_context(torch.random.fork_rng(_cuda_indices(device)))
        task = prepare(corpus, config, torch.device("cpu"))
        held.enter_context(recorded.place(out).exclusively())
        recorded.claim_folder(out, own)
        if recorded.is_finished(out):  # by the process that held the lock before
            return recorded.read_run(out)
        # Fabric searches launch's arguments for modules and fails at frozen dataclasses, so the
        # arguments are bound beforehand.
        run = partial(
            _run,
            config=config,
            spec=spec,
            task=task,
            own=own,
            out=out,
            progress=progress,
            tensorboard=tensorboard,
        )
        with strategy_of(config.processes) as strategy:
            make_fabric(config, device, strategy).launch(run)
    return recorded.read_run(out)


def _about_data(config: TrainConfig) -> str:
    if config.data_name != "generated":
        return f"reading the data {config.data}"
    return f"generating {config.pairs:,} pairs of sentences, the same at every start"


def _about_vocabulary(config: TrainConfig) -> str:
    fewer = config.vocabulary != USUAL_VOCABULARY
    why = f", the most that these data support (usually {USUAL_VOCABULARY:,})" if fewer else ""
    return f"vocabulary: {config.vocabulary:,} tokens{why}; --vocabulary sets it"


def make_fabric(config: TrainConfig, device: torch.device, strategy: Any = "auto") -> Any:
    """Lightning Fabric on one device, or on several as data-parallel processes."""
    return extra("lightning_fabric").Fabric(
        accelerator=device.type,
        devices=config.processes,
        precision=config.precision,
        strategy=strategy,
    )


def _run(
    fabric: Any,
    *,
    config: TrainConfig,
    spec: ModelSpec,
    task: TrainingTask,
    own: Mapping[str, Any],
    out: Path,
    progress: bool,
    tensorboard: bool,
) -> None:
    """The run in one process; the first of them records it."""
    with _threads(config.threads):
        model = build(config.scheme, spec, torch.Generator().manual_seed(config.seed))
        model = model.to(fabric.device)
        fuse_attention(model)
        shown, written = (asked and fabric.is_global_zero for asked in (progress, tensorboard))
        with (
            reporter(config.steps, config.run_name, shown=shown) as bar,
            events(out, written=written) as log,
        ):
            state, judgement = train(fabric, model, task, config, own, out, both(bar, log))
    if not fabric.is_global_zero:
        return
    seconds = sum(row["seconds"] for row in state.rows)
    made = provenance(
        command=config.command(),
        config=own["config"],
        seed=config.seed,
        device=fabric.device.type,
        dtype=DTYPES.get(config.precision, config.precision),
        seconds=seconds,
    )
    rate = sum(row["tokens"] for row in state.rows) / seconds if seconds else 0.0
    recorded.write_outcome(
        out,
        judgement,
        made,
        steps=state.step,
        tokens_per_second=rate,
        dropped=task.dropped,
    )


def model_spec(config: TrainConfig) -> ModelSpec:
    """The model's specification: embedding multiplier √d, and sinusoidal positions by default."""
    encoder, decoder = config.depths
    return ModelSpec(
        encoder_layers=encoder,
        decoder_layers=decoder,
        d_model=config.d_model,
        d_ff=config.d_ff,
        heads=config.heads,
        vocabulary=USUAL_VOCABULARY if config.vocabulary is None else config.vocabulary,
        positions=Positions(config.positions),
        max_tokens=max(ModelSpec.max_tokens, config.tokens),
        architecture=Architecture(config.architecture),
        dropout=config.dropout,
    )


def differentiated(model: Transformer, config: TrainConfig) -> torch.nn.Module:
    """Wrap the model for training, with closed forms of its gradients where they apply.

    Automatic differentiation serves other wirings, dropout, the signals' hooks, automatic mixed
    precision and several processes.
    """
    more = config.precision not in DTYPES or config.processes > 1 or config.signals
    closed = closed_form.serves(model.spec) and model.spec.dropout == 0 and not more
    return closed_form.ClosedGradient(model) if closed else model


def resolve_device(name: str) -> torch.device:
    """``auto`` is CUDA if there is any; asking for CUDA where there is none is an error."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda needs a CUDA device, and torch finds none: use auto or cpu")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def train(
    fabric: Any,
    model: Transformer,
    task: TrainingTask,
    config: TrainConfig,
    own: Mapping[str, Any],
    out: Path,
    report: Reporter,
) -> tuple[Progress, RunJudgement]:
    """Take the remaining steps and judge the result; a loss that is not finite ends the run."""
    wrapped = fabric.setup(differentiated(model, config), move_to_device=False)
    optimizer = make_optimizer(rate_groups(model, config), config)
    first = fabric.is_global_zero
    path = out / recorded.CHECKPOINT
    state = checkpoint.restore(path, model, optimizer, own, tidy=first)
    held_out = [batch.to(fabric.device) for batch in task.validation]
    _forget_an_earlier_end(state, config)
    finite, validated, tokens = True, None, task.tokenizer.vocabulary
    done = config.stop_when_trained and _ended_trained(wrapped, held_out, task, config, state)
    for batch in () if done else remaining_batches(task.train, config, state):
        row = training_step(fabric, wrapped, optimizer, batch, config, state.step)
        finite, verdict = bool(np.isfinite(row["loss"])), ""
        last = not finite or row["step"] == config.steps
        if last or row["step"] % config.validate_every == 0:
            validated = sentence_losses(wrapped, held_out, config.label_smoothing)
            row["validation_loss"] = validated.mean
            verdict = outcome_so_far(validated, task.unigram, tokens, finite=finite)
            last |= config.stop_when_trained and verdict is RunOutcome.TRAINED
        state.step = int(row["step"])
        state.rows.append(row)
        report(row, verdict)
        if first and (last or state.step % config.checkpoint_every == 0):
            write_log(out / recorded.LOG, state.rows)
            checkpoint.save(path, state, model, optimizer, own, keep=config.average)
        if last:
            break
    if validated is None:  # The checkpoint was of the last step.
        validated = sentence_losses(wrapped, held_out, config.label_smoothing)
        finite = bool(np.isfinite(state.rows[-1]["loss"]))
    return state, judge(validated, task.unigram, tokens, finite=finite)


def _forget_an_earlier_end(state: Progress, config: TrainConfig) -> None:
    """Remove the validation that only the last step of a run of fewer steps had."""
    ended = 0 < state.step < config.steps and state.step % config.validate_every
    if ended and np.isfinite(state.rows[-1]["loss"]):
        state.rows[-1].pop("validation_loss", None)


def _ended_trained(
    model: torch.nn.Module,
    held_out: list[TextBatch],
    task: TrainingTask,
    config: TrainConfig,
    state: Progress,
) -> bool:
    """Whether the checkpoint that the run goes on from is already that of a trained model."""
    if not state.rows or state.rows[-1].get("validation_loss") is None:
        return False
    found = sentence_losses(model, held_out, config.label_smoothing)
    verdict = outcome_so_far(found, task.unigram, task.tokenizer.vocabulary, finite=True)
    return verdict is RunOutcome.TRAINED


def remaining_batches(data: Encoded, config: TrainConfig, state: Progress) -> Iterator[TextBatch]:
    """Yield the batches that ``state`` has not seen and advance it; (seed, e) orders epoch e."""
    while state.step < config.steps and (not state.rows or np.isfinite(state.rows[-1]["loss"])):
        order = np.random.default_rng([config.seed, state.epoch])
        for batch in islice(batches(data, config.tokens, order), state.batch, None):
            state.batch += 1
            yield batch
        state.epoch, state.batch = state.epoch + 1, 0


def write_log(path: Path, rows: list[LogRow]) -> None:
    """Write the log as Parquet, one row per step, atomically."""
    schema: dict[str, Any] = {
        "step": pl.Int32,
        "loss": pl.Float64,
        "validation_loss": pl.Float64,
        "lr": pl.Float64,
        "gradient_norm": pl.Float64,
        "update_norm": pl.Float64,
        "tokens": pl.Int32,
        "seconds": pl.Float32,
    }
    if rows and COLUMNS[0] in rows[0]:
        schema |= dict.fromkeys(COLUMNS, pl.Float64)
    with atomically(path) as temporary:
        pl.DataFrame(rows, schema=schema, strict=False).write_parquet(temporary)


def _cuda_indices(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
