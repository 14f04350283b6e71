"""lim ‖Δf‖/η by part, layer by layer, in closed form: the fast path for our own Transformer.

Three sweeps through the stacks: forward, keeping each block's tape; backward, turning every
gradient into its step at once; forward again with the tangents of all parts side by side, so that
each block multiplies one tall matrix and adds its own J_θ s to its own slot. Memory is linear in
depth, time about that of nine forward passes of matrix products; no automatic differentiation.

Rows of a stream are position-major, as in ``block_derivatives.py``: N = T·B, R = P·N.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numerics.block_derivatives import AttentionShape, NormTape, Weights
from numerics.features import Inputs, TokenBatch, check_inputs, embed
from numerics.linearization import Cotangent, Linearization, Rule
from numerics.models import Transformer
from numerics.residual_blocks import Block, Slots, StepLedger, apply_block, own_weights
from numerics.roles import EMBEDDINGS


def linearize_layered(
    model: Transformer,
    batch: TokenBatch,
    cotangent: Cotangent,
    rule: Rule,
    *,
    inputs: Inputs = "free",
    split: bool = True,
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
        Gradient ↦ step, elementwise.
    split
        Whether to tell the parts apart; otherwise the one part is ``total``.
    """
    check_inputs(inputs)
    slots = Slots.of(model, split)
    ledger = StepLedger(rule)
    with torch.inference_mode():
        tapes = _apply(model, batch)
        steps = _pull(tapes, cotangent, ledger)
        dx = _input_step(model, batch.source_BS, steps.source_ND, ledger, inputs)
        dy = _input_step(model, batch.target_BT, steps.target_ND, ledger, inputs)
        tangents_PBTD = _push(tapes, steps, dx, dy, slots)
        energies = torch.stack([ledger.energy(part) for part in slots.parts])
    if slots.merged:
        return Linearization(("total",), tapes.output_BTD, tangents_PBTD, energies.sum()[None])
    return Linearization(slots.parts, tapes.output_BTD, tangents_PBTD, energies)


@dataclass(frozen=True)
class Tapes:
    """The whole model linearised at its parameters."""

    output_BTD: Tensor
    memory_MD: Tensor
    encoder: list[Block]
    encoder_norm: NormTape | None
    decoder: list[Block]
    decoder_norm: NormTape | None


@dataclass(frozen=True)
class ModelSteps:
    """Steps of every block in order, and the cotangents of the embedded inputs."""

    encoder: list[Weights]
    encoder_norm: Weights
    decoder: list[Weights]
    decoder_norm: Weights
    source_ND: Tensor
    target_ND: Tensor


def _apply(model: Transformer, batch: TokenBatch) -> Tapes:
    """Forward: f, and every block's tape."""
    x_BSD, y_BTD = embed(model, batch)
    sequences, t, d = y_BTD.shape
    shape = AttentionShape(sequences, model.spec.heads)
    causal, padding = _masks(batch, shape, t, x_BSD)
    memory, encoder = _rows(x_BSD), []
    for part, residual in _residuals(model.encoder, "encoder"):
        memory, block = apply_block(residual, part, memory, shape, padding)
        encoder.append(block)
    memory, encoder_norm = _final(model.encoder_norm, memory)
    y, decoder = _rows(y_BTD), []
    for part, residual in _residuals(model.decoder, "decoder"):
        crosses = part == "decoder.cross_attention"
        mask, seen = (padding, memory) if crosses else (causal, None)
        y, block = apply_block(residual, part, y, shape, mask, seen)
        decoder.append(block)
    y, decoder_norm = _final(model.decoder_norm, y)
    output_BTD = y.view(t, sequences, d).transpose(0, 1)
    return Tapes(output_BTD, memory, encoder, encoder_norm, decoder, decoder_norm)


def _pull(tapes: Tapes, cotangent: Cotangent, ledger: StepLedger) -> ModelSteps:
    """Backward: each block's gradients become its steps at once."""
    c = _rows(cotangent(tapes.output_BTD))
    c, decoder_norm = _pull_final(tapes.decoder_norm, c, ledger, "decoder.norm")
    c_memory, decoder = torch.zeros_like(tapes.memory_MD), []
    for block in reversed(tapes.decoder):
        c, c_seen, steps = block.pull(c, ledger)
        decoder.append(steps)
        if c_seen is not None:
            c_memory += c_seen
    c_source, encoder_norm = _pull_final(tapes.encoder_norm, c_memory, ledger, "encoder.norm")
    encoder = []
    for block in reversed(tapes.encoder):
        c_source, _, steps = block.pull(c_source, ledger)
        encoder.append(steps)
    return ModelSteps(encoder[::-1], encoder_norm, decoder[::-1], decoder_norm, c_source, c)


def _push(
    tapes: Tapes, steps: ModelSteps, dx_ND: Tensor, dy_ND: Tensor, slots: Slots
) -> Float[Tensor, "P B T D"]:
    """Forward: the tangents of all parts side by side."""
    d_memory = _start(dx_ND, slots, slots.memory)
    for block, own in zip(tapes.encoder, steps.encoder, strict=True):
        d_memory = block.push(d_memory, None, own, slots)
    if tapes.encoder_norm is not None:
        slot = slots["encoder.norm"]
        d_memory = tapes.encoder_norm.push(d_memory, steps.encoder_norm, slot)
    d_y = _start(dy_ND, slots, slots.stream)
    for block, own in zip(tapes.decoder, steps.decoder, strict=True):
        d_y = block.push(d_y, d_memory, own, slots)
    if tapes.decoder_norm is not None:
        rows = 0 if slots.merged else dy_ND.shape[0]
        d_y = torch.cat([d_y, d_y.new_zeros(rows, d_y.shape[1])])
        d_y = tapes.decoder_norm.push(d_y, steps.decoder_norm, slots["decoder.norm"])
    sequences, t, d = tapes.output_BTD.shape
    return d_y.view(-1, t, sequences, d).transpose(1, 2)


def _residuals(stack: nn.ModuleList, name: str) -> Iterator[tuple[str, nn.Module]]:
    for layer in stack:
        for block, residual in layer.named_children():
            yield f"{name}.{block}", residual


def _rows(x_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "N D"]:
    return x_BTD.transpose(0, 1).reshape(-1, x_BTD.shape[-1])


def _masks(
    batch: TokenBatch, shape: AttentionShape, t: int, like: Tensor
) -> tuple[Float[Tensor, "1 T T"], Float[Tensor, "#X 1 S"]]:
    """Minus infinity where attention must not look: the future, and padding."""
    causal = like.new_full((t, t), float("-inf")).triu(1)[None]
    if batch.padding_BS is None:
        return causal, like.new_zeros(1, 1, batch.source_BS.shape[1])
    padding = like.new_zeros(batch.padding_BS.shape).masked_fill(batch.padding_BS, float("-inf"))
    return causal, padding.repeat_interleave(shape.heads, 0)[:, None]


def _final(norm: nn.LayerNorm | None, y_ND: Tensor) -> tuple[Tensor, NormTape | None]:
    return (y_ND, None) if norm is None else NormTape.apply(own_weights(norm), y_ND, norm.eps)


def _pull_final(
    norm: NormTape | None, c_ND: Tensor, ledger: StepLedger, part: str
) -> tuple[Tensor, Weights]:
    if norm is None:
        return c_ND, {}
    c_ND, gradients = norm.pull(c_ND)
    return c_ND, ledger.steps(part, gradients)


def _input_step(
    model: Transformer, tokens_BT: Tensor, c_ND: Tensor, ledger: StepLedger, inputs: Inputs
) -> Float[Tensor, "N D"]:
    """Tangent of the embedded inputs: their own step, or that of the rows they came from."""
    if inputs == "free":
        return ledger.steps(EMBEDDINGS, {"inputs": c_ND})["inputs"]
    tokens_N, scale = tokens_BT.T.flatten(), model.spec.multiplier
    table = c_ND.new_zeros(model.spec.vocabulary, c_ND.shape[1])
    table.index_add_(0, tokens_N, c_ND, alpha=scale)
    return ledger.steps(EMBEDDINGS, {"table": table})["table"][tokens_N] * scale


def _start(d_ND: Tensor, slots: Slots, count: int) -> Float[Tensor, "R D"]:
    """``count`` zero tangents, but for the embeddings' own."""
    rows, d = d_ND.shape
    start = d_ND.new_zeros(count * rows, d)
    first = slots[EMBEDDINGS] * rows
    start[first : first + rows] = d_ND
    return start
