"""Three sweeps through the stacks of our Transformer: forward, backward, and forward with tangents.

The first sweep keeps a tape per block. The second turns a cotangent on f into the gradients of all
parameters. The third takes an optimizer's steps and pushes the tangents of all parts side by side,
so that each block multiplies one tall matrix and adds its own J_θ s to its own slot. Memory is
linear in depth, and the time is about that of eight forward passes of matrix products.

G models of one shape, such as the seeds of a sweep, go through the sweeps side by side, so the
overhead of an operation is paid once for all of them. Suffixes as in ``mlp_and_norm.py``: N = B·T
rows of a stream, R = N·P rows of its tangents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numerics.linearization.closed_form.block_weights import StackWeights
from numerics.linearization.closed_form.gradients import Gradients, StackGradients, stepped
from numerics.linearization.closed_form.head_products import AttentionShape
from numerics.linearization.closed_form.mlp_and_norm import NormTape, Weights, slots_of
from numerics.linearization.closed_form.residual_block import (
    LinearizedBlock,
    Slots,
    apply_block,
    sum_gates,
)
from numerics.linearization.types import Cotangent
from numerics.linearization.update_directions import StepRule
from numerics.models.roles import EMBEDDINGS
from numerics.models.tokens import TokenBatch


@dataclass(frozen=True)
class StackTape:
    """One stack of all models, linearised at its parameters."""

    name: str
    blocks: list[LinearizedBlock]
    norm: NormTape | None
    out_GND: Tensor
    shape: tuple[int, int, int]
    """(B, T, D), the rows' layout in each model."""


@dataclass(frozen=True)
class Tapes:
    """The whole model linearised at its parameters."""

    encoder: StackTape | None
    decoder: StackTape | None

    @property
    def output_GBTD(self) -> Float[Tensor, "G B T D"]:
        """The output of the last stack, which is f."""
        last = self.decoder or self.encoder
        assert last is not None
        # (G, N, D) to (G, B, T, D).
        return last.out_GND.view(-1, *last.shape)

    @property
    def stacks(self) -> dict[str, StackTape]:
        """The stacks that the models have, by name."""
        return {tape.name: tape for tape in (self.encoder, self.decoder) if tape is not None}


def apply_stacks(
    stacks: Mapping[str, StackWeights],
    heads: int,
    batches: Sequence[TokenBatch],
    embedded: Mapping[str, Tensor],
) -> Tapes:
    """Go forward from the embedded inputs, (G, B, T, D) by name, and keep every block's tape."""
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
    # (G, B, T, D) to (G, N, D).
    y_GND, blocks, norm = y_GBTD.flatten(1, 2), [], stacks[name].norm
    for held in stacks[name].blocks:
        mask, seen = (memory_mask, memory_GMD) if held.crosses else (own_mask, None)
        y_GND, block = apply_block(held, y_GND, shape, mask, seen)
        blocks.append(block)
    tape = None
    if norm is not None:
        y_GND, tape = NormTape.apply(norm.weights, y_GND, norm.eps)
    return StackTape(name, blocks, tape, y_GND, (sequences, t, d))


def pull_stacks(tapes: Tapes, cotangents: Sequence[Cotangent]) -> Gradients:
    """Go backward from f: the gradients of all parameters and of the embedded inputs.

    Parameters
    ----------
    tapes
        The tapes of G models.
    cotangents
        A cotangent on f for each model.
    """
    outputs = zip(cotangents, tapes.output_GBTD, strict=True)
    # (G, B, T, D) to (G, N, D): sequence by sequence.
    c = torch.stack([cotangent(output) for cotangent, output in outputs]).flatten(1, 2)
    stacks: dict[str, StackGradients] = {}
    inputs: dict[str, Tensor] = {}
    if tapes.decoder is not None:
        inputs["target"], c_memory, stacks["decoder"] = _pull_stack(tapes.decoder, c)
        c = c if c_memory is None else c_memory
    if tapes.encoder is not None:
        inputs["source"], _, stacks["encoder"] = _pull_stack(tapes.encoder, c)
    return Gradients(stacks, inputs)


def _pull_stack(
    tape: StackTape, c_GND: Float[Tensor, "G N D"]
) -> tuple[Tensor, Tensor | None, StackGradients]:
    """Cotangents of a stack's input and of the memory that it read, if any, and its gradients."""
    norm: Weights = {}
    if tape.norm is not None:
        c_GND, norm = tape.norm.pull(c_GND)
    c_memory, pulled = None, []
    for block in reversed(tape.blocks):
        c_GND, c_memory, gradients = block.pull(c_GND, c_memory)
        pulled.append(gradients)
    blocks = pulled[::-1]
    slopes = [gradients.pop("alpha") for gradients in blocks if "alpha" in gradients]
    return c_GND, c_memory, StackGradients(tuple(blocks), norm, sum_gates(tape.blocks, slopes))


def push_stacks(
    tapes: Tapes,
    history: Sequence[Gradients],
    rule: StepRule,
    moves: Mapping[str, Tensor],
    slots: Slots,
) -> Float[Tensor, "G P B T D"]:
    """Go forward with the tangents of all parts side by side: what each part's step does to f.

    Steps are taken block by block, so that those of all blocks are never held together.

    Parameters
    ----------
    tapes
        The tapes of G models.
    history
        The gradients that the optimizer has seen, first to last; the last are the current ones.
    rule
        An elementwise rule.
    moves
        Tangents of the embedded inputs, (G, N, D) by name.
    slots
        Which tangent each part adds to.
    """
    d_GRD = None
    if tapes.encoder is not None:
        start = _start(moves["source"], slots, slots.memory)
        past = [seen.stacks["encoder"] for seen in history]
        d_GRD = _push_stack(tapes.encoder, past, rule, start, None, slots)
    if tapes.decoder is not None:
        start = _start(moves["target"], slots, slots.stream)
        past = [seen.stacks["decoder"] for seen in history]
        d_GRD = _push_stack(tapes.decoder, past, rule, start, d_GRD, slots)
    last = tapes.decoder or tapes.encoder
    assert d_GRD is not None
    assert last is not None
    # (G, R, D) to (G, B, T, P, D), as R = B·T·P, and the tangents to the front.
    return d_GRD.view(len(d_GRD), *last.shape[:2], -1, last.shape[2]).movedim(3, 1)


def _push_stack(
    tape: StackTape,
    history: Sequence[StackGradients],
    rule: StepRule,
    d_GRD: Float[Tensor, "G R D"],
    dmemory_GQD: Float[Tensor, "G Q D"] | None,
    slots: Slots,
) -> Float[Tensor, "G _ D"]:
    gates = {
        layer: stepped(rule, [{"alpha": seen.gates[layer]} for seen in history])
        for layer in history[-1].gates
    }
    for number, block in enumerate(tape.blocks):
        steps = stepped(rule, [seen.blocks[number] for seen in history])
        d_GRD = block.push(d_GRD, dmemory_GQD, steps | gates.get(block.layer, {}), slots)
    if tape.norm is None:
        return d_GRD
    # The last norm's own tangent is the first to enter behind all blocks: (G, N, P, D) grows by it.
    slot, each = slots[f"{tape.name}.norm"], slots_of(d_GRD, tape.out_GND)
    if slot >= each.shape[2]:
        d_GRD = nn.functional.pad(each, (0, 0, 0, slot + 1 - each.shape[2])).flatten(1, 2)
    return tape.norm.push(d_GRD, stepped(rule, [seen.norm for seen in history]), slot)


def _causal(y_GBTD: Tensor) -> Float[Tensor, "1 T T"]:
    """A mask with −∞ where a token would see its future."""
    t = y_GBTD.shape[2]
    return y_GBTD.new_full((t, t), float("-inf")).triu(1)[None]


def _padding(
    batches: Sequence[TokenBatch], shape: AttentionShape, like: Tensor
) -> Float[Tensor, "#X 1 S"]:
    """A mask with −∞ where a source token is padding."""
    if all(batch.padding_BS is None for batch in batches):
        return like.new_zeros(1, 1, batches[0].source_BS.shape[1])
    padded = [
        torch.zeros_like(batch.source_BS, dtype=torch.bool)
        if batch.padding_BS is None
        else batch.padding_BS
        for batch in batches
    ]
    hidden_YS = torch.stack(padded).flatten(0, 1)  # Y = G·B sequences
    padding_YS = like.new_zeros(hidden_YS.shape).masked_fill(hidden_YS, float("-inf"))
    # (X, 1, S): the same for every head, X = H·Y, and for every query.
    return padding_YS.repeat(shape.heads, 1)[:, None]


def _start(d_GND: Tensor, slots: Slots, count: int) -> Float[Tensor, "G R D"]:
    """``count`` tangents that are zero, except for those of the embeddings."""
    models, rows, d = d_GND.shape
    start = d_GND.new_zeros(models, rows, count, d)
    start[:, :, slots[EMBEDDINGS]] = d_GND
    return start.flatten(1, 2)  # (G, N, P, D) to (G, R, D)
