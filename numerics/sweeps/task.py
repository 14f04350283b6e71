"""One task of a sweep, from its streams of random numbers to its rows.

A worker process imports only this module, because the statistics of a sweep are slow to load.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
import torch

from numerics.linearization.cotangents import cross_entropy_cotangent, random_cotangent
from numerics.linearization.engines import linearize
from numerics.linearization.measured_function import in_precision
from numerics.linearization.types import Cotangent
from numerics.linearization.update_directions import StepRule, step_rule_named
from numerics.measure.by_group import norms
from numerics.measure.report import UpdateReport
from numerics.measure.updates import measure_update
from numerics.models import ModelSpec, Transformer
from numerics.models.roles import ALL_PARTS
from numerics.models.tokens import TokenBatch, output_shape, random_batch
from numerics.schemes import Prescription, build, scheme_named
from numerics.signals.branches import branch_calls, logits_rms
from numerics.sweeps.grid import SweepTask
from numerics.sweeps.shard import task_rows
from numerics.sweeps.step_rows import step_values


def stream(task: SweepTask, purpose: str) -> torch.Generator:
    """Start one of a task's streams of random numbers: ``weights``, ``batch`` or ``cotangent``."""
    return torch.Generator().manual_seed(task.stream(purpose))


def drawn(task: SweepTask) -> tuple[Transformer, TokenBatch]:
    """Draw a task's model and batch from its streams."""
    settings, spec = task.settings, task.settings.spec(task.depth)
    model = build(task.scheme, spec, stream(task, "weights"), device=settings.device)
    batch = random_batch(
        spec,
        stream(task, "batch"),
        sequences=settings.sequences,
        tokens=settings.tokens,
        device=settings.device,
    )
    return model, batch


def prescribed(task: SweepTask) -> Prescription:
    """What the task's scheme prescribes, its factors for Adam and its like among it."""
    scheme = scheme_named(task.scheme)
    return scheme.prescribe(scheme.adapt(task.settings.spec(task.depth)))


def loss_of(
    task: SweepTask, model: Transformer, batch: TokenBatch, *, unit: bool
) -> Cotangent | None:
    """The gradient of the task's loss at f; ``None`` where it is the random cotangent.

    Labels are the next tokens, the first after the last; of an encoder alone its own.
    """
    if task.settings.loss == "random":
        return None
    spec = task.settings.spec(task.depth)
    labels = batch.target_BT.roll(-1, 1) if spec.has_decoder else batch.source_BS
    return cross_entropy_cotangent(model, labels, unit=unit)


def measure_task(task: SweepTask) -> pl.DataFrame:
    """Run one task: draw the model, measure, and return its rows.

    On the CPU it uses one thread. Sums that are split among threads differ in their last digits, so
    rows would otherwise depend on how many workers share the cores.
    """
    with one_thread():
        return _measured(task)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread; the former number of threads is restored afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _measured(task: SweepTask) -> pl.DataFrame:
    started = time.perf_counter()
    settings = task.settings
    model, batch = drawn(task)
    own = prescribed(task)
    rule = step_rule_named(task.optimizer).with_rates(own.rates, own.weight_decays, own.epsilons)
    report = measure_update(
        model,
        batch,
        stream(task, "cotangent"),
        optimizer=task.optimizer,
        inputs=settings.inputs,
        dtype=settings.dtype,
        cotangent=loss_of(task, model, batch, unit=True),
        earlier=settings.earlier,
        rates=own.rates,
        weight_decays=own.weight_decays,
        epsilons=own.epsilons,
    )
    values = list(_values(report, _parts(settings.spec(task.depth))))
    if settings.detail != "part":
        values += _details(task, model, batch, rule, report.dtype)
    if settings.steps > 1:
        u = loss_of(task, model, batch, unit=False) or _random(task, model, batch)[0]
        taken = step_values(model, batch, u, rule, settings)
        values += [_row("total", quantity, value) for quantity, value in taken]
    common = _common(task) | {
        "dtype": report.dtype,
        "accurate": report.accurate,
        "seconds": time.perf_counter() - started,
    }
    return task_rows(common, values)


def _random(task: SweepTask, model: Transformer, batch: TokenBatch) -> list[Cotangent]:
    """The random cotangent of the measured step, then earlier ones, as `measure_update` draws."""
    generator, shape = stream(task, "cotangent"), output_shape(model.spec, batch)
    return [random_cotangent(shape, generator) for _ in range(1 + task.settings.earlier)]


def _details(
    task: SweepTask, model: Transformer, batch: TokenBatch, rule: StepRule, dtype: str
) -> Iterator[dict[str, object]]:
    """Values of groups inside the parts, from the same step in the same precision.

    By layer these include ``logits_rms``, the root mean square of the attention logits.
    """
    drawn_u, *past = _random(task, model, batch)
    model = in_precision(model, getattr(torch, dtype)).eval()
    [found] = linearize(
        [model],
        [batch],
        [loss_of(task, model, batch, unit=True) or drawn_u],
        rule,
        groups=task.settings.detail,
        inputs=task.settings.inputs,
        earlier=[[one] for one in past],
    )
    columns = {"update": norms(found).tolist(), "gradient_energy": found.energies.tolist()}
    for quantity, numbers in columns.items():
        for part, value in zip(found.groups, numbers, strict=True):
            if part not in ALL_PARTS:
                yield _row(part, quantity, value)
    if task.settings.detail == "layer":
        calls = branch_calls(model, lambda: model.features(batch.source_BS, batch.target_BT))
        for part, value in logits_rms(calls).items():
            yield _row(part, "logits_rms", value)


def _common(task: SweepTask) -> dict[str, object]:
    settings, spec = task.settings, task.settings.spec(task.depth)
    return {
        "task": task.hash,
        "scheme": task.scheme,
        "optimizer": task.optimizer,
        "n_encoder": spec.encoder_layers,
        "n_decoder": spec.decoder_layers,
        "d_model": settings.d_model,
        "d_ff": settings.d_ff,
        "heads": settings.heads,
        "vocab": settings.vocabulary,
        "batch": settings.sequences,
        "tokens": settings.tokens,
        "inputs": settings.inputs,
        "embedding_multiplier": spec.multiplier,
        "seed": task.seed,
        "device": settings.device,
    }


def _parts(spec: ModelSpec) -> tuple[str, ...]:
    """The parts that the architecture has."""
    absent = {"encoder", "decoder"} - set(spec.stacks)
    if absent:
        absent.add("decoder.cross_attention")
    return tuple(part for part in ALL_PARTS if not {part, part.partition(".")[0]} & absent)


def _values(report: UpdateReport, parts: tuple[str, ...]) -> Iterator[dict[str, object]]:
    numbers = [
        (part, quantity, getattr(report, quantity)[part])
        for quantity in ("update", "gradient_energy")
        for part in parts
    ]
    for part, quantity, value in [*numbers, ("total", "output_rms_ratio", report.output_rms_ratio)]:
        yield _row(part, quantity, value)


def _row(part: str, quantity: str, value: float) -> dict[str, object]:
    finite = abs(value) < float("inf")
    return {"part": part, "quantity": quantity, "value": value, "finite": finite}


def failed_rows(task: SweepTask, error: BaseException) -> pl.DataFrame:
    """The one row of a task that failed."""
    value = {"part": "total", "quantity": "update", "value": None, "finite": False}
    first_line = next(iter(str(error).strip().splitlines()), "")
    common = _common(task) | {"error": f"{type(error).__name__}: {first_line}"}
    return task_rows(common, [value])
