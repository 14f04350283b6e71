"""A residual block of our Transformer, linearised: branch, skip path and layer norm together.

The skip path is y, α y or ω∘y, the branch G or a_l G (ReZero's α of the block's layer l).

Also what every block shares on the way: how gradients become steps, and which tangent each part's
own J_θ s belongs to. Suffixes as in ``block_derivatives.py``.
"""

from collections import defaultdict
from collections.abc import Sequence
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
from numerics.directions import Rule, rule_named
from numerics.models import ModelSpec, Wiring
from numerics.models.attention import Attention
from numerics.models.spec import NORM_AFTER, NORM_BEFORE
from numerics.models.wiring import MLP, Residual
from numerics.roles import EMBEDDINGS

LAYERED_WIRINGS = (
    Wiring.NONE,
    Wiring.POST_LN,
    Wiring.PRE_LN,
    Wiring.ADMIN,
    Wiring.DEEPNORM,
    Wiring.REZERO,
)
"""Wirings with closed forms here; the others have automatic differentiation."""


class StepLedger:
    """Turns gradients into steps, and keeps the energy ‖g‖² of every part."""

    def __init__(self, rule: Rule, past: Sequence[Sequence[Weights]] = ()) -> None:
        self._rule = rule
        self._past = past
        self._calls = 0
        self._energies: dict[str, list[Tensor]] = {}

    def steps(self, part: str, gradients: Weights) -> Weights:
        """The steps of a part's gradients, which count towards its energy.

        Every backward sweep calls in one order, so the k-th call meets the k-th entry of each
        earlier sweep: the same tensors' earlier gradients.
        """
        energies = self._energies.setdefault(part, [])
        energies += [torch.dot(value.view(-1), value.view(-1)) for value in gradients.values()]
        past = [sweep[self._calls] for sweep in self._past]
        self._calls += 1
        return {
            name: self._rule(value, past=[before[name] for before in past])
            for name, value in gradients.items()
        }

    def energy(self, part: str) -> Float[Tensor, ""]:
        """Σ ‖g‖² of a part, in float64."""
        return torch.stack(self._energies[part]).to(torch.float64).sum()


class GradientRecorder(StepLedger):
    """Keeps the gradients of one backward sweep, for a later ledger's past."""

    def __init__(self) -> None:
        super().__init__(rule_named("sgd"))
        self.gradients: list[Weights] = []

    def steps(self, part: str, gradients: Weights) -> Weights:
        """Record, and return what has the right shapes."""
        del part
        self.gradients.append(gradients)
        return gradients


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
    def of(spec: ModelSpec, split: bool) -> "Slots":
        """The slots of a model's parts."""

        def of_stack(stack: str) -> tuple[str, ...]:
            alpha = (f"{stack}.alpha",) if spec.wiring is Wiring.REZERO else ()
            return (*alpha, f"{stack}.norm") if spec.wiring in NORM_BEFORE else alpha

        early, late = [EMBEDDINGS], []
        if spec.has_encoder:
            early += ["encoder.attention", "encoder.mlp", *of_stack("encoder")]
        if spec.has_decoder:
            late += ["decoder.cross_attention"] if spec.has_encoder else []
            late += ["decoder.self_attention", "decoder.mlp", *of_stack("decoder")]
        return Slots((*early, *late), len(early) if split else 1, merged=not split)

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
    layer: int
    wiring: Wiring
    branch: AttentionTape | MLPTape
    norm: NormTape | None
    y_ND: Tensor | None = None
    """The block's input, kept where ω needs it."""
    shortcut: Tensor | float | None = None
    """Factor on the skip path: DeepNorm's α, Admin's ω; ``None`` is 1."""
    alpha: Tensor | None = None
    """ReZero's factor on the branch."""
    g_ND: Tensor | None = None
    """G, before the factor; kept where there is one."""

    @property
    def gate(self) -> str:
        """The part of this block's α."""
        return self.part.partition(".")[0] + ".alpha"

    def pull(self, c_ND: Tensor, ledger: StepLedger) -> tuple[Tensor, Tensor | None, Weights]:
        """Cotangents of the stream and the memory, and the steps of the weights.

        ReZero's α is shared by a layer: its *gradient* from this block stands under ``alpha``.
        """
        if self.alpha is not None:
            return self._pull_gated(c_ND, ledger)
        own: dict[str, Tensor] = {}
        if self.norm is not None and self.wiring in NORM_AFTER:
            c_ND, own = self.norm.pull(c_ND)
        if self.y_ND is not None:
            own = own | {"omega": (c_ND * self.y_ND).sum(0)}
        skip = None if self.wiring in NORM_BEFORE else self._skipped(c_ND)
        inner_ND, memory_MD, gradients = self.branch.pull(c_ND, skip)
        if self.norm is not None and self.wiring in NORM_BEFORE:
            inner_ND, own = self.norm.pull(inner_ND)
            inner_ND = inner_ND.add_(c_ND)
        return inner_ND, memory_MD, ledger.steps(self.part, gradients | own)

    def _pull_gated(
        self, c_ND: Tensor, ledger: StepLedger
    ) -> tuple[Tensor, Tensor | None, Weights]:
        assert self.alpha is not None
        assert self.g_ND is not None
        slope = (c_ND * self.g_ND).sum()
        inner_ND, memory_MD, gradients = self.branch.pull(c_ND * self.alpha, c_ND)
        return inner_ND, memory_MD, {**ledger.steps(self.part, gradients), "alpha": slope}

    def push(self, d_RD: Tensor, dmemory_QD: Tensor | None, steps: Weights, slots: Slots) -> Tensor:
        """J d, and J_θ s in the part's slot."""
        slot = slots[self.part]
        if self.alpha is not None and self.g_ND is not None:
            out_RD = self.branch.push(d_RD, dmemory_QD, None, steps, slot).mul_(self.alpha)
            own_ND = steps["alpha"] * self.g_ND
            return _add_to_slot(out_RD.add_(d_RD), slots[self.gate], own_ND)
        before, after = self.wiring in NORM_BEFORE, self.wiring in NORM_AFTER
        inner_RD = self.norm.push(d_RD, steps, slot) if self.norm and before else d_RD
        out_RD = self.branch.push(inner_RD, dmemory_QD, self._skipped(d_RD), steps, slot)
        if self.y_ND is not None:
            out_RD = _add_to_slot(out_RD, slot, steps["omega"] * self.y_ND)
        return self.norm.push(out_RD, steps, slot) if self.norm and after else out_RD

    def _skipped(self, x: Tensor) -> Tensor:
        return x if self.shortcut is None else x * self.shortcut


def _add_to_slot(out_RD: Tensor, slot: int, own_ND: Tensor) -> Tensor:
    rows = own_ND.shape[0]
    out_RD[slot * rows : (slot + 1) * rows] += own_ND
    return out_RD


def share_alpha(
    blocks: Sequence[Block], pulled: Sequence[Weights], ledger: StepLedger
) -> list[Weights]:
    """Steps with each layer's α stepped by the sum of its blocks' gradients, where there are α."""
    if not blocks or blocks[0].alpha is None:
        return list(pulled)
    slopes: dict[int, list[Tensor]] = defaultdict(list)
    for block, steps in zip(blocks, pulled, strict=True):
        slopes[block.layer].append(steps["alpha"])
    moved = {
        layer: ledger.steps(blocks[0].gate, {"alpha": torch.stack(found).sum()})["alpha"]
        for layer, found in slopes.items()
    }
    return [
        {**steps, "alpha": moved[block.layer]} for block, steps in zip(blocks, pulled, strict=True)
    ]


@dataclass(frozen=True)
class Place:
    """Where a block stands."""

    part: str
    layer: int
    alpha: Tensor | None
    """ReZero's α of the layer."""


def apply_block(
    residual: nn.Module,
    place: Place,
    y_ND: Tensor,
    shape: AttentionShape,
    mask: Tensor,
    memory_MD: Tensor | None = None,
) -> tuple[Tensor, Block]:
    """The block's output, and its linearisation."""
    assert isinstance(residual, Residual)
    branch, norm, tape = residual.branch, residual.norm, None
    x_ND, wiring, alpha, shortcut = y_ND, residual.wiring, place.alpha, _shortcut(residual)
    if norm is not None and wiring in NORM_BEFORE:
        x_ND, tape = NormTape.apply(own_weights(norm), y_ND, norm.eps)
    skip_ND = None if alpha is not None else y_ND if shortcut is None else y_ND * shortcut
    if isinstance(branch, MLP):
        z_ND, linear = MLPTape.apply(own_weights(branch), x_ND, skip_ND)
    else:
        assert isinstance(branch, Attention)
        weights = _packed(branch, fused=memory_MD is None)
        z_ND, linear = AttentionTape.apply(weights, shape, x_ND, memory_MD, mask, skip_ND)
    g_ND = None if alpha is None else z_ND
    if alpha is not None:
        z_ND = y_ND + alpha * z_ND
    if norm is not None and wiring in NORM_AFTER:
        z_ND, tape = NormTape.apply(own_weights(norm), z_ND, norm.eps)
    kept_ND = y_ND if isinstance(shortcut, Tensor) else None
    block = Block(place.part, place.layer, wiring, linear, tape, kept_ND, shortcut, alpha, g_ND)
    return z_ND, block


def _shortcut(residual: Residual) -> Tensor | float | None:
    if residual.wiring is Wiring.ADMIN:
        return residual.omega
    return residual.shortcut if residual.wiring is Wiring.DEEPNORM else None


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
