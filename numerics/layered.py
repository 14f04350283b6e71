"""lim ‖Δf‖/η by part, layer by layer, in closed form: the fast path for our own Transformer.

Three sweeps through the stacks: forward, keeping each block's tape; backward, turning every
gradient into its step at once; forward again with the tangents of all parts side by side, so that
each block multiplies one tall matrix and adds its own J_θ s to its own slot. Memory is linear in
depth, time about that of nine forward passes of matrix products; no automatic differentiation.

Rows of a stream are position-major, as in ``block_derivatives.py``: N = T·B, R = P·N.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numerics.block_derivatives import AttentionShape, NormTape, Weights
from numerics.directions import Rule
from numerics.features import Inputs, TokenBatch, check_inputs, embed_inputs
from numerics.input_steps import input_steps
from numerics.linearization import Cotangent, Linearization
from numerics.models import ModelSpec, Transformer
from numerics.residual_blocks import (
    LAYERED_WIRINGS,
    Block,
    GradientRecorder,
    Place,
    Slots,
    StepLedger,
    apply_block,
    own_weights,
    share_alpha,
)
from numerics.roles import EMBEDDINGS
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
        As for `numerics.updates.measure_update`.
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
    check_inputs(inputs)
    if not has_closed_form(model.spec):
        known = ", ".join(wiring.value for wiring in LAYERED_WIRINGS)
        raise InputError(f"closed forms need a wiring of {known}, got {model.spec.wiring.value}")
    if not rule.elementwise:
        raise InputError(f"closed forms need an elementwise update rule, got {rule.name}")
    slots = Slots.of(model.spec, split)
    with torch.inference_mode():
        tapes = _apply(model, batch)
        ledger = StepLedger(rule, [_gradients(model, batch, tapes, u, inputs) for u in earlier])
        steps = _pull(tapes, cotangent, ledger)
        moves = input_steps(model, batch, steps.inputs, ledger, inputs)
        tangents_PBTD = _push(tapes, steps, moves, slots)
        energies = torch.stack([ledger.energy(part) for part in slots.parts])
    if slots.merged:
        return Linearization(("total",), tapes.output_BTD, tangents_PBTD, energies.sum()[None])
    return Linearization(slots.parts, tapes.output_BTD, tangents_PBTD, energies)


def _gradients(
    model: Transformer, batch: TokenBatch, tapes: "Tapes", cotangent: Cotangent, inputs: Inputs
) -> list[Weights]:
    """The gradients of one backward sweep, in the order in which they turn up."""
    recorder = GradientRecorder()
    pulled = _pull(tapes, cotangent, recorder)
    input_steps(model, batch, pulled.inputs, recorder, inputs)
    return recorder.gradients


@dataclass(frozen=True)
class StackTape:
    """One stack linearised at its parameters."""

    name: str
    blocks: list[Block]
    norm: NormTape | None
    out_ND: Tensor
    shape: tuple[int, int, int]
    """(T, B, D), the rows' layout."""


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
    def output_BTD(self) -> Float[Tensor, "B T D"]:
        """f."""
        last = self.decoder or self.encoder
        assert last is not None
        return last.out_ND.view(last.shape).transpose(0, 1)


@dataclass(frozen=True)
class ModelSteps:
    """Steps of both stacks, and the cotangents of the embedded inputs by name."""

    encoder: StackSteps | None
    decoder: StackSteps | None
    inputs: dict[str, Tensor]


def _apply(model: Transformer, batch: TokenBatch) -> Tapes:
    """Forward: f, and every block's tape."""
    embedded = embed_inputs(model, batch)
    encoder = decoder = memory = None
    sequences = batch.source_BS.shape[0]
    shape = AttentionShape(sequences, model.spec.heads)
    padding = _padding(batch, shape, next(iter(embedded.values())))
    if "source" in embedded:
        encoder = _apply_stack(model, "encoder", embedded["source"], shape, padding, None, padding)
        memory = encoder.out_ND
    if "target" in embedded:
        causal = _causal(embedded["target"])
        decoder = _apply_stack(model, "decoder", embedded["target"], shape, causal, memory, padding)
    return Tapes(encoder, decoder)


def _apply_stack(
    model: Transformer,
    name: str,
    y_BTD: Tensor,
    shape: AttentionShape,
    own_mask: Tensor,
    memory_MD: Tensor | None,
    memory_mask: Tensor,
) -> StackTape:
    sequences, t, d = y_BTD.shape
    stack = model.encoder if name == "encoder" else model.decoder
    norm = model.encoder_norm if name == "encoder" else model.decoder_norm
    y_ND, blocks = _rows(y_BTD), []
    for place, residual in _residuals(stack, name):
        crosses = place.part == "decoder.cross_attention"
        mask, seen = (memory_mask, memory_MD) if crosses else (own_mask, None)
        y_ND, block = apply_block(residual, place, y_ND, shape, mask, seen)
        blocks.append(block)
    tape = None
    if norm is not None:
        y_ND, tape = NormTape.apply(own_weights(norm), y_ND, norm.eps)
    return StackTape(name, blocks, tape, y_ND, (t, sequences, d))


def _pull(tapes: Tapes, cotangent: Cotangent, ledger: StepLedger) -> ModelSteps:
    """Backward: each block's gradients become its steps at once."""
    c = _rows(cotangent(tapes.output_BTD))
    encoder = decoder = None
    inputs: dict[str, Tensor] = {}
    if tapes.decoder is not None:
        like = None if tapes.encoder is None else tapes.encoder.out_ND
        inputs["target"], c_memory, decoder = _pull_stack(tapes.decoder, c, like, ledger)
        c = c if c_memory is None else c_memory
    if tapes.encoder is not None:
        inputs["source"], _, encoder = _pull_stack(tapes.encoder, c, None, ledger)
    return ModelSteps(encoder, decoder, inputs)


def _pull_stack(
    tape: StackTape, c_ND: Tensor, memory_MD: Tensor | None, ledger: StepLedger
) -> tuple[Tensor, Tensor | None, StackSteps]:
    """Cotangents of a stack's input and of the memory it read, and its steps."""
    norm_steps: Weights = {}
    if tape.norm is not None:
        c_ND, gradients = tape.norm.pull(c_ND)
        norm_steps = ledger.steps(f"{tape.name}.norm", gradients)
    c_memory = None if memory_MD is None else torch.zeros_like(memory_MD)
    pulled = []
    for block in reversed(tape.blocks):
        c_ND, c_seen, steps = block.pull(c_ND, ledger)
        pulled.append(steps)
        if c_memory is not None and c_seen is not None:
            c_memory += c_seen
    return c_ND, c_memory, StackSteps(share_alpha(tape.blocks, pulled[::-1], ledger), norm_steps)


def _push(
    tapes: Tapes, steps: ModelSteps, moves: dict[str, Tensor], slots: Slots
) -> Float[Tensor, "P B T D"]:
    """Forward: the tangents of all parts side by side."""
    d_RD = None
    if tapes.encoder is not None and steps.encoder is not None:
        start = _start(moves["source"], slots, slots.memory)
        d_RD = _push_stack(tapes.encoder, steps.encoder, start, None, slots)
    if tapes.decoder is not None and steps.decoder is not None:
        start = _start(moves["target"], slots, slots.stream)
        d_RD = _push_stack(tapes.decoder, steps.decoder, start, d_RD, slots)
    assert d_RD is not None
    last = tapes.decoder or tapes.encoder
    assert last is not None
    return d_RD.view(-1, *last.shape).transpose(1, 2)


def _push_stack(
    tape: StackTape, steps: StackSteps, d_RD: Tensor, dmemory_QD: Tensor | None, slots: Slots
) -> Tensor:
    for block, own in zip(tape.blocks, steps.blocks, strict=True):
        d_RD = block.push(d_RD, dmemory_QD, own, slots)
    if tape.norm is None:
        return d_RD
    slot, rows = slots[f"{tape.name}.norm"], tape.out_ND.shape[0]
    missing = (slot + 1) * rows - d_RD.shape[0]
    if missing > 0:
        d_RD = torch.cat([d_RD, d_RD.new_zeros(missing, d_RD.shape[1])])
    return tape.norm.push(d_RD, steps.norm, slot)


def _residuals(stack: nn.ModuleList, name: str) -> Iterator[tuple[Place, nn.Module]]:
    for number, layer in enumerate(stack):
        for block, residual in layer.named_children():
            yield Place(f"{name}.{block}", number, layer._parameters.get("alpha")), residual


def _rows(x_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "N D"]:
    return x_BTD.transpose(0, 1).reshape(-1, x_BTD.shape[-1])


def _causal(y_BTD: Tensor) -> Float[Tensor, "1 T T"]:
    """Minus infinity where a token would see its future."""
    t = y_BTD.shape[1]
    return y_BTD.new_full((t, t), float("-inf")).triu(1)[None]


def _padding(batch: TokenBatch, shape: AttentionShape, like: Tensor) -> Float[Tensor, "#X 1 S"]:
    """Minus infinity where a source token is padding."""
    if batch.padding_BS is None:
        return like.new_zeros(1, 1, batch.source_BS.shape[1])
    padding = like.new_zeros(batch.padding_BS.shape).masked_fill(batch.padding_BS, float("-inf"))
    return padding.repeat_interleave(shape.heads, 0)[:, None]


def _start(d_ND: Tensor, slots: Slots, count: int) -> Float[Tensor, "R D"]:
    """``count`` zero tangents, but for the embeddings' own."""
    rows, d = d_ND.shape
    start = d_ND.new_zeros(count * rows, d)
    first = slots[EMBEDDINGS] * rows
    start[first : first + rows] = d_ND
    return start
