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

from numerics.block_derivatives import (
    AttentionShape,
    AttentionTape,
    MLPTape,
    NormTape,
    Weights,
    heads_first,
)
from numerics.features import Inputs, TokenBatch, check_inputs, embed
from numerics.linearization import Cotangent, Linearization, Rule
from numerics.models import Transformer, Wiring
from numerics.models.attention import Attention
from numerics.models.wiring import MLP, Residual
from numerics.roles import EMBEDDINGS


class StepLedger:
    """Turns gradients into steps, and keeps the energy ‖g‖² of every part."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._energies: dict[str, list[Tensor]] = {}

    def steps(self, part: str, gradients: Weights) -> Weights:
        """The steps of a part's gradients, which count towards its energy."""
        energies = self._energies.setdefault(part, [])
        energies += [torch.dot(value.view(-1), value.view(-1)) for value in gradients.values()]
        return {name: self._rule(value) for name, value in gradients.items()}

    def energy(self, part: str) -> Float[Tensor, ""]:
        """Σ ‖g‖² of a part, in float64."""
        return torch.stack(self._energies[part]).to(torch.float64).sum()


@dataclass(frozen=True)
class Slots:
    """Which of the P tangents each part's own J_θ s is added to.

    Parts are ordered by where they enter: first those that reach the memory, then
    encoder-attention, whose keys and values see the memory, then the rest of the decoder.
    """

    parts: tuple[str, ...]
    memory: int
    """How many of the first tangents reach the memory."""
    merged: bool = False
    """Whether all parts share one tangent, the total."""

    @staticmethod
    def of(model: Transformer, split: bool) -> "Slots":
        """The slots of a model's parts."""
        final = model.encoder_norm is not None
        early = (EMBEDDINGS, "encoder.attention", "encoder.mlp", *(["encoder.norm"] * final))
        late = ("decoder.cross_attention", "decoder.self_attention", "decoder.mlp")
        parts = (*early, *late, *(["decoder.norm"] * final))
        return Slots(parts, len(early) if split else 1, merged=not split)

    def __getitem__(self, part: str) -> int:
        return 0 if self.merged else self.parts.index(part)

    @property
    def stream(self) -> int:
        """Tangents that travel through the decoder: all but its final layer norm's own."""
        return 1 if self.merged else len([part for part in self.parts if part != "decoder.norm"])


@dataclass(frozen=True)
class Block:
    """A residual block linearised where it was applied."""

    part: str
    wiring: Wiring
    branch: AttentionTape | MLPTape
    norm: NormTape | None

    def pull(self, c_ND: Tensor, ledger: StepLedger) -> tuple[Tensor, Tensor | None, Weights]:
        """Cotangents of the stream and the memory, and the steps of the weights."""
        norm_gradients = {}
        if self.norm is not None and self.wiring is Wiring.POST_LN:
            c_ND, norm_gradients = self.norm.pull(c_ND)
        skip = None if self.wiring is Wiring.PRE_LN else c_ND
        inner_ND, memory_MD, gradients = self.branch.pull(c_ND, skip)
        if self.norm is not None and self.wiring is Wiring.PRE_LN:
            inner_ND, norm_gradients = self.norm.pull(inner_ND)
            inner_ND = inner_ND.add_(c_ND)
        return inner_ND, memory_MD, ledger.steps(self.part, gradients | norm_gradients)

    def push(self, d_RD: Tensor, dmemory_QD: Tensor | None, steps: Weights, slots: Slots) -> Tensor:
        """J d, and J_θ s in the part's slot."""
        slot = slots[self.part]
        before, after = self.wiring is Wiring.PRE_LN, self.wiring is Wiring.POST_LN
        inner_RD = self.norm.push(d_RD, steps, slot) if self.norm and before else d_RD
        out_RD = self.branch.push(inner_RD, dmemory_QD, d_RD, steps, slot)
        return self.norm.push(out_RD, steps, slot) if self.norm and after else out_RD


def apply_block(
    residual: nn.Module,
    part: str,
    y_ND: Tensor,
    shape: AttentionShape,
    mask: Tensor,
    memory_MD: Tensor | None = None,
) -> tuple[Tensor, Block]:
    """y + G(y) with the wiring's layer norm, and its linearisation."""
    assert isinstance(residual, Residual)
    branch, norm, tape = residual.branch, residual.norm, None
    x_ND = y_ND
    if norm is not None and residual.wiring is Wiring.PRE_LN:
        x_ND, tape = NormTape.apply(_own(norm), y_ND, norm.eps)
    if isinstance(branch, MLP):
        z_ND, linear = MLPTape.apply(_own(branch), x_ND, y_ND)
    else:
        assert isinstance(branch, Attention)
        weights = _packed(branch, fused=memory_MD is None)
        z_ND, linear = AttentionTape.apply(weights, shape, x_ND, memory_MD, mask, y_ND)
    if norm is not None and residual.wiring is Wiring.POST_LN:
        z_ND, tape = NormTape.apply(_own(norm), z_ND, norm.eps)
    return z_ND, Block(part, residual.wiring, linear, tape)


def _own(module: nn.Module) -> Weights:
    return {name: value for name, value in module._parameters.items() if value is not None}


def _packed(attention: Attention, *, fused: bool) -> Weights:
    """The projections with their rows heads first, q, k, v together or q apart from k, v."""
    d, heads = attention.out_proj.shape[0], attention.heads
    weights: dict[str, Tensor] = {"out_proj": attention.out_proj}
    if attention.out_bias is not None:
        weights["out_bias"] = attention.out_bias
    for suffix, packed in (("", attention.in_proj), ("_bias", attention.in_bias)):
        if packed is None:
            continue
        if fused:
            weights["qkv" + suffix] = heads_first(packed, 3, heads)
        else:
            weights["q" + suffix] = packed[:d]
            weights["kv" + suffix] = heads_first(packed[d:], 2, heads)
    return weights


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
    with torch.inference_mode():
        return _linearize(model, batch, cotangent, StepLedger(rule), inputs, Slots.of(model, split))


def _linearize(
    model: Transformer,
    batch: TokenBatch,
    cotangent: Cotangent,
    ledger: StepLedger,
    inputs: Inputs,
    slots: Slots,
) -> Linearization:
    x_BSD, y_BTD = embed(model, batch)
    sequences, t, d = y_BTD.shape
    shape = AttentionShape(sequences, model.spec.heads)
    causal, padding = _masks(batch, shape, t, x_BSD)

    # Forward: f, and every block's tape.
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

    # Backward: steps, last block first.
    c = _rows(cotangent(output_BTD))
    c, decoder_norm_steps = _pull_final(decoder_norm, c, ledger, "decoder.norm")
    c_memory, decoder_steps = torch.zeros_like(memory), []
    for block in reversed(decoder):
        c, c_seen, steps = block.pull(c, ledger)
        decoder_steps.append(steps)
        if c_seen is not None:
            c_memory += c_seen
    c_target = c
    c, encoder_norm_steps = _pull_final(encoder_norm, c_memory, ledger, "encoder.norm")
    encoder_steps = []
    for block in reversed(encoder):
        c, _, steps = block.pull(c, ledger)
        encoder_steps.append(steps)
    dx = _input_step(model, batch.source_BS, c, ledger, inputs)
    dy = _input_step(model, batch.target_BT, c_target, ledger, inputs)

    # Forward: tangents of all parts side by side.
    d_memory = _start(dx, slots, slots.memory)
    for block in encoder:
        d_memory = block.push(d_memory, None, encoder_steps.pop(), slots)
    if encoder_norm is not None:
        d_memory = encoder_norm.push(d_memory, encoder_norm_steps, slots["encoder.norm"])
    d_y = _start(dy, slots, slots.stream)
    for block in decoder:
        d_y = block.push(d_y, d_memory, decoder_steps.pop(), slots)
    if decoder_norm is not None:
        own = 0 if slots.merged else 1
        d_y = torch.cat([d_y, d_y.new_zeros(own * y.shape[0], d)])
        d_y = decoder_norm.push(d_y, decoder_norm_steps, slots["decoder.norm"])

    energies = torch.stack([ledger.energy(part) for part in slots.parts])
    tangents = d_y.view(-1, t, sequences, d).transpose(1, 2)
    if slots.merged:
        return Linearization(("total",), output_BTD, tangents, energies.sum()[None])
    return Linearization(slots.parts, output_BTD, tangents, energies)


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
    return (y_ND, None) if norm is None else NormTape.apply(_own(norm), y_ND, norm.eps)


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
