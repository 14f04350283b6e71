"""The memory of one measurement, estimated from sizes before it starts; too large ones are refused.

The estimate is linear in depth. It counts the numbers kept at the peak per residual block, with
R = B·T rows, width D, F = d_ff and H heads:

    tape      closed forms: `numerics.linearization.closed_form.memory`. Automatic differentiation
              holds the graphs of the forward and of the reverse pass: 15RD + 3BHT² of attention,
              2RD + 4RF of an MLP, 8RD more with a layer norm, as measured
    weights   W = 4D² or 2DF: closed forms hold W and its gradients. Automatic differentiation holds
              W, gradients and steps, and up to 1.5 W of the steps of one pass
"""

from collections.abc import Iterable
from typing import Literal

from numerics.executors import Executors
from numerics.linearization import closed_form
from numerics.linearization.update_directions import step_rule_named
from numerics.models import ModelSpec
from numerics.models.roles import ALL_PARTS
from numerics.schemes import scheme_named
from numerics.sweeps.grid import SweepTask
from theory.errors import InputError

GIB = 2**30
PROCESS = 0.42 * GIB
"""Python with torch loaded and one small measurement made: 0.32 GiB in closed form, 0.42 GiB with
automatic differentiation, measured."""
ALLOCATOR = 1.25
"""Memory taken over numbers held without norms; 1.18 to 1.25 measured with glibc at 64-128-2."""


def measurement_bytes(
    spec: ModelSpec,
    *,
    sequences: int,
    tokens: int,
    dtype: Literal["float32", "float64"],
    closed: bool = True,
) -> int:
    """Bytes that a process needs to measure one model of ``spec``.

    ``closed`` is false where closed forms are not used although the wiring has them.

    Examples
    --------
    >>> whole = measurement_bytes(ModelSpec(1000, 1000), sequences=8, tokens=16, dtype="float32")
    >>> round(whole / GIB, 1)
    2.2
    """
    stacks = sum(
        spec.layers(stack)
        * sum(_block_numbers(spec, block, sequences, tokens, closed) for block in blocks)
        for stack, blocks in ((name, spec.layer_blocks(name)) for name in spec.stacks)
    )
    rows = sequences * tokens
    tables = 3 * 3 * spec.vocabulary * spec.d_model
    logits = sequences * spec.heads * tokens**2
    tangents = len(ALL_PARTS) * (rows * (8 * spec.d_model + 2 * spec.d_ff) + 2 * logits)
    numbers = stacks + tables + tangents
    # A float64 measurement keeps the float32 model that was drawn beside its own copy.
    size = {"float32": 4, "float64": 8 + 4 * _weights(spec) / numbers}[dtype]
    return round(PROCESS + ALLOCATOR * size * numbers)


def _block_weights(spec: ModelSpec, block: str) -> int:
    if block == "mlp":
        return (3 if spec.mlp.gated else 2) * spec.d_model * spec.d_ff
    keys = spec.key_heads / spec.heads
    return round((2 + 2 * keys) * spec.d_model**2)


def _weights(spec: ModelSpec) -> int:
    layers = (
        spec.layers(stack) * sum(_block_weights(spec, block) for block in spec.layer_blocks(stack))
        for stack in spec.stacks
    )
    return sum(layers) + 3 * spec.vocabulary * spec.d_model


def _block_numbers(spec: ModelSpec, block: str, sequences: int, tokens: int, closed: bool) -> int:
    weights = _block_weights(spec, block)
    if closed and closed_form.serves(spec):
        tape = closed_form.tape_numbers(spec, block, sequences=sequences, tokens=tokens)
        return tape + 2 * weights
    rows, d = sequences * tokens, spec.d_model
    if block == "mlp":
        tape = 2 * rows * (d + (4 if spec.mlp.gated else 2) * spec.d_ff)
    else:
        tape = 15 * rows * d + 3 * sequences * spec.heads * tokens**2
    tape += 8 * rows * d * spec.wiring.norms_per_block
    return tape + round(4.5 * weights)


def task_bytes(task: SweepTask, dtype: str | None = None) -> int:
    """Bytes of one task; dtype ``auto`` is float64, which it takes where float32 overflows."""
    settings = task.settings
    steps = settings.steps > 1
    wanted = "float32" if (dtype or settings.dtype) == "float32" and not steps else "float64"
    spec = scheme_named(task.scheme).adapt(settings.spec(task.depth))
    needed = measurement_bytes(
        spec,
        sequences=settings.sequences,
        tokens=settings.tokens,
        dtype=wanted,
        closed=settings.detail == "part"
        and step_rule_named(task.optimizer).elementwise
        and not steps,
    )
    # Real steps keep every gradient, as noise before a step does; in float64 at most.
    kept = settings.earlier + (settings.steps if steps else 0)
    return needed + kept * 8 * _weights(spec)


def check_memory(tasks: Iterable[SweepTask], engine: Executors) -> None:
    """Raise `InputError` with the estimate unless every task fits a worker's share."""
    tasks = list(tasks)
    if not tasks:
        return
    # All seeds take the same memory, so one task per point is estimated.
    different = {(task.scheme, task.optimizer, task.depth): task for task in tasks}
    largest = max(different.values(), key=task_bytes)
    room = engine.memory_each(len(tasks), largest.settings.device)
    needed = task_bytes(largest)
    if room is None or needed <= room:
        return
    single = task_bytes(largest, "float32")
    less = f" ({single / GIB:.1f} GiB with dtype float32)" if single < needed else ""
    raise InputError(
        f"depth {largest.depth} must fit the memory: scheme {largest.scheme} needs about "
        f"{needed / GIB:.1f} GiB{less} a worker, which has {room / GIB:.1f} GiB"
    )
