"""A residual block of our Transformer, linearised: branch, skip path and layer norm together.

Also what every block shares on the way: how gradients become steps, and which tangent each part's
own J_θ s belongs to. Suffixes as in ``block_derivatives.py``.
"""

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
from numerics.linearization import Rule
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
        x_ND, tape = NormTape.apply(own_weights(norm), y_ND, norm.eps)
    if isinstance(branch, MLP):
        z_ND, linear = MLPTape.apply(own_weights(branch), x_ND, y_ND)
    else:
        assert isinstance(branch, Attention)
        weights = _packed(branch, fused=memory_MD is None)
        z_ND, linear = AttentionTape.apply(weights, shape, x_ND, memory_MD, mask, y_ND)
    if norm is not None and residual.wiring is Wiring.POST_LN:
        z_ND, tape = NormTape.apply(own_weights(norm), z_ND, norm.eps)
    return z_ND, Block(part, residual.wiring, linear, tape)


def own_weights(module: nn.Module) -> Weights:
    """A module's own parameters, by name."""
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
