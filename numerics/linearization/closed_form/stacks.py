"""lim ‖Δf‖/η by part, layer by layer, in closed form: the fast path for our own Transformer.

Three sweeps through the stacks: forward, keeping each block's tape; backward, turning every
gradient into its step at once; forward again with the tangents of all parts side by side, so that
each block multiplies one tall matrix and adds its own J_θ s to its own slot. Memory is linear in
depth, time about that of eight forward passes of matrix products; no automatic differentiation.

G models of one shape, such as the seeds of a sweep, go through the sweeps side by side: what every
operation costs beyond its arithmetic is then paid once. Rows of a stream are as in
``block_derivatives.py``: N = B·T, R = N·P.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numerics.linearization.autodiff import Cotangent, Linearization
from numerics.linearization.closed_form.block_weights import StackWeights, gather
from numerics.linearization.closed_form.head_products import AttentionShape
from numerics.linearization.closed_form.input_steps import input_steps
from numerics.linearization.closed_form.mlp_and_norm import NormTape, Weights, slots_of
from numerics.linearization.closed_form.residual_block import (
    LAYERED_WIRINGS,
    Block,
    GradientRecorder,
    Slots,
    StepLedger,
    apply_block,
    share_alpha,
)
from numerics.linearization.measured_function import Inputs, TokenBatch, check_inputs, embed_inputs
from numerics.linearization.update_directions import Rule
from numerics.models import ModelSpec, Transformer
from numerics.models.roles import EMBEDDINGS
from theory.errors import InputError


def has_closed_form(spec: ModelSpec) -> bool:
    """Whether the wiring is one that this module differentiates."""
    return spec.wiring in LAYERED_WIRINGS


def linearize_layered(
    model: Transformer,
    batch: TokenBatch,
    cotangent: Cotangent,
    rule: Rule,
    *,
    inputs: Inputs = "free",
    split: bool = True,
    earlier: Sequence[Cotangent] = (),
) -> Linearization:
    """f, J_p s_p and ‖J_pᵀu‖² of our Transformer.

    Parameters
    ----------
    model
        In evaluation mode.
    batch, inputs
        As for `numerics.measure.updates.measure_update`.
    cotangent
        f ↦ u.
    rule
        Gradients ↦ step, elementwise.
    split
        Whether to tell the parts apart; otherwise the one part is ``total``.
    earlier
        Cotangents whose gradients the optimizer has seen before, at the same weights.

    Raises
    ------
    InputError
        For a wiring without closed form, or a rule that is not elementwise.
    """
    past = [[before] for before in earlier]
    return linearize_side_by_side(
        [model], [batch], [cotangent], rule, inputs=inputs, split=split, earlier=past
    )[0]


def linearize_side_by_side(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    cotangents: Sequence[Cotangent],
    rule: Rule,
    *,
    inputs: Inputs = "free",
    split: bool = True,
    earlier: Sequence[Sequence[Cotangent]] = (),
) -> list[Linearization]:
    """`linearize_layered` of G models of one specification on batches of one shape, in one pass.

    Parameters
    ----------
    models, batches, cotangents
        One of each a model.
    rule, inputs, split
        As for `linearize_layered`.
    earlier
        For each earlier gradient, one cotangent a model.
    """
    check_inputs(inputs)
    _check(models, batches, rule)
    slots = Slots.of(models[0].spec, split)
    with torch.inference_mode():
        each = [embed_inputs(model, batch) for model, batch in zip(models, batches, strict=True)]
        embedded = {name: torch.stack([one[name] for one in each]) for name in each[0]}
        heads = models[0].spec.heads
        tapes = apply_stacks(gather(models), heads, batches, embedded)
        past = [_gradients(models, batches, tapes, before, inputs) for before in earlier]
        ledger = StepLedger(rule, past)
        steps = pull_stacks(tapes, cotangents, ledger)
        moves = input_steps(models, batches, steps.inputs, ledger, inputs)
        tangents_GPBTD = _push(tapes, steps, moves, slots)
        energies_GP = torch.stack([ledger.energy(part) for part in slots.parts], 1)
    parts = ("total",) if slots.merged else slots.parts
    if slots.merged:
        energies_GP = energies_GP.sum(1, keepdim=True)
    found = zip(tapes.output_GBTD, tangents_GPBTD, energies_GP, strict=True)
    return [Linearization(parts, *one) for one in found]


def _check(models: Sequence[Transformer], batches: Sequence[TokenBatch], rule: Rule) -> None:
    spec = models[0].spec
    if not has_closed_form(spec):
        known = ", ".join(wiring.value for wiring in LAYERED_WIRINGS)
        raise InputError(f"closed forms need a wiring of {known}, got {spec.wiring.value}")
    if not rule.elementwise:
        raise InputError(f"closed forms need an elementwise update rule, got {rule.name}")
    other = next((model.spec for model in models if model.spec != spec), None)
    if other is not None:
        raise InputError(f"models side by side must have one specification, got {spec}, {other}")
    shapes = sorted({(*b.source_BS.shape, *b.target_BT.shape) for b in batches})
    if len(shapes) > 1:
        raise InputError(f"batches side by side must have one shape, got {shapes}")


def _gradients(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    tapes: "Tapes",
    cotangents: Sequence[Cotangent],
    inputs: Inputs,
) -> list[Weights]:
    """The gradients of one backward sweep, in the order in which they turn up."""
    recorder = GradientRecorder()
    pulled = pull_stacks(tapes, cotangents, recorder)
    input_steps(models, batches, pulled.inputs, recorder, inputs)
    return recorder.gradients


@dataclass(frozen=True)
class StackTape:
    """One stack, of all models, linearised at its parameters."""

    name: str
    blocks: list[Block]
    norm: NormTape | None
    out_GND: Tensor
    shape: tuple[int, int, int]
    """(B, T, D), the rows' layout in each model."""


@dataclass(frozen=True)
class StackSteps:
    """Steps of a stack's blocks in order, and of its final layer norm."""

    blocks: list[Weights]
    norm: Weights


@dataclass(frozen=True)
class Tapes:
    """The whole model linearised at its parameters."""

    encoder: StackTape | None
    decoder: StackTape | None

    @property
    def output_GBTD(self) -> Float[Tensor, "G B T D"]:
        """f."""
        last = self.decoder or self.encoder
        assert last is not None
        return last.out_GND.view(-1, *last.shape)


@dataclass(frozen=True)
class ModelSteps:
    """Steps of both stacks, and the cotangents of the embedded inputs by name."""

    encoder: StackSteps | None
    decoder: StackSteps | None
    inputs: dict[str, Tensor]


def apply_stacks(
    stacks: Mapping[str, StackWeights],
    heads: int,
    batches: Sequence[TokenBatch],
    embedded: Mapping[str, Tensor],
) -> Tapes:
    """Forward from the embedded inputs, (G, B, T, D) by name: f, and every block's tape."""
    encoder = decoder = memory = None
    first = next(iter(embedded.values()))
    shape = AttentionShape.of(first, heads)
    padding = _padding(batches, shape, first)
    if "source" in embedded:
        y = embedded["source"]
        encoder = _apply_stack(stacks, "encoder", y, shape, padding, None, padding)
        memory = encoder.out_GND
    if "target" in embedded:
        y = embedded["target"]
        decoder = _apply_stack(stacks, "decoder", y, shape, _causal(y), memory, padding)
    return Tapes(encoder, decoder)


def _apply_stack(
    stacks: Mapping[str, StackWeights],
    name: str,
    y_GBTD: Tensor,
    shape: AttentionShape,
    own_mask: Tensor,
    memory_GMD: Tensor | None,
    memory_mask: Tensor,
) -> StackTape:
    _, sequences, t, d = y_GBTD.shape
    y_GND, blocks, norm = y_GBTD.flatten(1, 2), [], stacks[name].norm
    for held in stacks[name].blocks:
        mask, seen = (memory_mask, memory_GMD) if held.crosses else (own_mask, None)
        y_GND, block = apply_block(held, y_GND, shape, mask, seen)
        blocks.append(block)
    tape = None
    if norm is not None:
        y_GND, tape = NormTape.apply(norm.weights, y_GND, norm.eps)
    return StackTape(name, blocks, tape, y_GND, (sequences, t, d))


def pull_stacks(tapes: Tapes, cotangents: Sequence[Cotangent], ledger: StepLedger) -> ModelSteps:
    """Backward: each block's gradients become its steps at once."""
    outputs = zip(cotangents, tapes.output_GBTD, strict=True)
    c = torch.stack([cotangent(output) for cotangent, output in outputs]).flatten(1, 2)
    encoder = decoder = None
    inputs: dict[str, Tensor] = {}
    if tapes.decoder is not None:
        inputs["target"], c_memory, decoder = _pull_stack(tapes.decoder, c, ledger)
        c = c if c_memory is None else c_memory
    if tapes.encoder is not None:
        inputs["source"], _, encoder = _pull_stack(tapes.encoder, c, ledger)
    return ModelSteps(encoder, decoder, inputs)


def _pull_stack(
    tape: StackTape, c_GND: Tensor, ledger: StepLedger
) -> tuple[Tensor, Tensor | None, StackSteps]:
    """Cotangents of a stack's input and of the memory it read, if any, and its steps."""
    norm_steps: Weights = {}
    if tape.norm is not None:
        c_GND, gradients = tape.norm.pull(c_GND)
        norm_steps = ledger.steps(f"{tape.name}.norm", gradients)
    c_memory, pulled = None, []
    for block in reversed(tape.blocks):
        c_GND, c_memory, steps = block.pull(c_GND, c_memory, ledger)
        pulled.append(steps)
    return c_GND, c_memory, StackSteps(share_alpha(tape.blocks, pulled[::-1], ledger), norm_steps)


def _push(
    tapes: Tapes, steps: ModelSteps, moves: dict[str, Tensor], slots: Slots
) -> Float[Tensor, "G P B T D"]:
    """Forward: the tangents of all parts side by side."""
    d_GRD = None
    if tapes.encoder is not None and steps.encoder is not None:
        start = _start(moves["source"], slots, slots.memory)
        d_GRD = _push_stack(tapes.encoder, steps.encoder, start, None, slots)
    if tapes.decoder is not None and steps.decoder is not None:
        start = _start(moves["target"], slots, slots.stream)
        d_GRD = _push_stack(tapes.decoder, steps.decoder, start, d_GRD, slots)
    assert d_GRD is not None
    last = tapes.decoder or tapes.encoder
    assert last is not None
    return d_GRD.view(len(d_GRD), *last.shape[:2], -1, last.shape[2]).movedim(3, 1)


def _push_stack(
    tape: StackTape, steps: StackSteps, d_GRD: Tensor, dmemory_GQD: Tensor | None, slots: Slots
) -> Tensor:
    for block, own in zip(tape.blocks, steps.blocks, strict=True):
        d_GRD = block.push(d_GRD, dmemory_GQD, own, slots)
    if tape.norm is None:
        return d_GRD
    slot, each = slots[f"{tape.name}.norm"], slots_of(d_GRD, tape.out_GND)
    if slot >= each.shape[2]:
        d_GRD = nn.functional.pad(each, (0, 0, 0, slot + 1 - each.shape[2])).flatten(1, 2)
    return tape.norm.push(d_GRD, steps.norm, slot)


def _causal(y_GBTD: Tensor) -> Float[Tensor, "1 T T"]:
    """Minus infinity where a token would see its future."""
    t = y_GBTD.shape[2]
    return y_GBTD.new_full((t, t), float("-inf")).triu(1)[None]


def _padding(
    batches: Sequence[TokenBatch], shape: AttentionShape, like: Tensor
) -> Float[Tensor, "#X 1 S"]:
    """Minus infinity where a source token is padding."""
    if all(batch.padding_BS is None for batch in batches):
        return like.new_zeros(1, 1, batches[0].source_BS.shape[1])
    padded = [
        torch.zeros_like(batch.source_BS, dtype=torch.bool)
        if batch.padding_BS is None
        else batch.padding_BS
        for batch in batches
    ]
    hidden_GBS = torch.stack(padded).flatten(0, 1)
    padding = like.new_zeros(hidden_GBS.shape).masked_fill(hidden_GBS, float("-inf"))
    return padding.repeat(shape.heads, 1)[:, None]


def _start(d_GND: Tensor, slots: Slots, count: int) -> Float[Tensor, "G R D"]:
    """``count`` zero tangents, but for the embeddings' own."""
    models, rows, d = d_GND.shape
    start = d_GND.new_zeros(models, rows, count, d)
    start[:, :, slots[EMBEDDINGS]] = d_GND
    return start.flatten(1, 2)
