"""A residual block of our Transformer, linearised: branch, skip path and layer norm together.

The skip path is y, α y or ω∘y. The branch is G, or a_l G with ReZero's α of the block's layer l.
``Slots`` says to which of the tangents each part adds what its own step does. Suffixes as in
``mlp_and_norm.py``.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.closed_form.attention import AttentionTape
from numerics.linearization.closed_form.block_weights import BlockWeights
from numerics.linearization.closed_form.head_products import AttentionShape
from numerics.linearization.closed_form.mlp_and_norm import MLPTape, NormTape, Weights, slots_of
from numerics.models import WIRINGS, ModelSpec, Wiring
from numerics.models.roles import EMBEDDINGS
from numerics.models.wiring import BranchFactor

CLOSED_WIRINGS = tuple(
    WIRINGS[name] for name in ("none", "post-ln", "pre-ln", "admin", "deepnorm", "rezero")
)
"""Wirings that have closed forms; automatic differentiation serves the others."""


@dataclass(frozen=True)
class Slots:
    """Which of the P tangents each part adds what its own step does to, J_θ s.

    Parts are ordered by where they enter the forward pass: first those that reach the memory, then
    encoder-attention, whose keys and values see the memory, then the rest of the decoder.
    """

    parts: tuple[str, ...]
    """Names of the P parts."""
    memory: int
    """How many of the first tangents reach the memory."""
    merged: bool = False
    """Whether all parts share one tangent, the total."""

    @staticmethod
    def of(spec: ModelSpec, split: bool) -> "Slots":
        """The slots of a model's parts."""

        def of_stack(stack: str) -> tuple[str, ...]:
            alpha = (f"{stack}.alpha",) if spec.wiring.branch is BranchFactor.LAYER_GATE else ()
            return (*alpha, f"{stack}.norm") if spec.wiring.final_norm else alpha

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
class LinearizedBlock:
    """A residual block with all that its derivatives need, at the point where it was applied."""

    part: str
    layer: int
    wiring: Wiring
    branch: AttentionTape | MLPTape
    norm: NormTape | None
    y_GND: Tensor | None = None
    """The block's input, kept where ω needs it."""
    shortcut: Tensor | float | None = None
    """Factor on the skip path, DeepNorm's α or Admin's ω; ``None`` is 1."""
    alpha: Tensor | None = None
    """ReZero's factor on the branch."""
    g_GND: Tensor | None = None
    """The branch's output before the factor; kept where there is one."""

    @property
    def gate(self) -> str:
        """The part of this block's α."""
        return self.part.partition(".")[0] + ".alpha"

    def pull(
        self, c_GND: Float[Tensor, "G N D"], c_memory_GMD: Float[Tensor, "G M D"] | None
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """Go backward through the block.

        Parameters
        ----------
        c_GND
            The cotangent of the block's output; it may be overwritten.
        c_memory_GMD
            The cotangent of the memory from the blocks behind; it may be overwritten.

        Returns
        -------
        tuple
            The cotangents of the block's input and of the memory, and the gradients of the block's
            parameters by name. ReZero's α is shared by a layer: ``alpha`` is this block's term.
        """
        own: dict[str, Tensor] = {}
        if self.alpha is not None and self.g_GND is not None:
            # z = y + α G(y): the branch sees α c, the skip path c, and ∂/∂α = ⟨c, G⟩.
            own = {"alpha": (c_GND * self.g_GND).sum((1, 2), keepdim=True)}
            inner_GND, c_memory_GMD, gradients = self.branch.pull(
                c_GND * self.alpha, c_GND, c_memory_GMD
            )
            return inner_GND, c_memory_GMD, gradients | own
        if self.norm is not None and self.wiring.norm_after:
            c_GND, own = self.norm.pull(c_GND)
        if self.y_GND is not None:
            own = own | {"omega": (c_GND * self.y_GND).sum(1, keepdim=True)}
        # z = y + G(LN(y)): the skip path joins behind the norm's own derivative.
        skip = None if self.wiring.norm_before else self._skipped(c_GND)
        inner_GND, c_memory_GMD, gradients = self.branch.pull(c_GND, skip, c_memory_GMD)
        if self.norm is not None and self.wiring.norm_before:
            inner_GND, own = self.norm.pull(inner_GND)
            inner_GND = inner_GND.add_(c_GND)
        return inner_GND, c_memory_GMD, gradients | own

    def push(
        self, d_GRD: Tensor, dmemory_GQD: Tensor | None, steps: Weights, slots: Slots
    ) -> Float[Tensor, "G R D"]:
        """Take all tangents forward: J d, and each part's own J_θ s in its slot.

        ``d_GRD`` may be overwritten; ``steps`` are those of the block's parameters by name.
        """
        slot = slots[self.part]
        if self.alpha is not None and self.g_GND is not None:
            out_GRD = self.branch.push(d_GRD, dmemory_GQD, None, steps, slot).mul_(self.alpha)
            own_GND = steps["alpha"] * self.g_GND
            return _add_to_slot(out_GRD.add_(d_GRD), slots[self.gate], own_GND)
        before, after = self.wiring.norm_before, self.wiring.norm_after
        inner_GRD = self.norm.push(d_GRD, steps, slot) if self.norm and before else d_GRD
        out_GRD = self.branch.push(inner_GRD, dmemory_GQD, self._skipped(d_GRD), steps, slot)
        if self.y_GND is not None:
            out_GRD = _add_to_slot(out_GRD, slot, steps["omega"] * self.y_GND)
        return self.norm.push(out_GRD, steps, slot) if self.norm and after else out_GRD

    def _skipped(self, x: Tensor) -> Tensor:
        return x if self.shortcut is None else x * self.shortcut


def _add_to_slot(out_GRD: Tensor, slot: int, own_GND: Tensor) -> Tensor:
    slots_of(out_GRD, own_GND)[:, :, slot] += own_GND
    return out_GRD


def sum_gates(
    blocks: Sequence[LinearizedBlock], slopes: Sequence[Tensor]
) -> dict[int, Float[Tensor, "G 1 1"]]:
    """Sum the gradients of ReZero's α over the blocks of each layer, which share it.

    ``slopes`` are the blocks' own terms, in the order of the blocks; none for other wirings.
    """
    found: dict[int, list[Tensor]] = defaultdict(list)
    for block, slope in zip(blocks, slopes, strict=False):
        found[block.layer].append(slope)
    return {layer: torch.stack(each).sum(0) for layer, each in found.items()}


def apply_block(
    held: BlockWeights,
    y_GND: Tensor,
    shape: AttentionShape,
    mask: Tensor,
    memory_GMD: Tensor | None = None,
) -> tuple[Tensor, LinearizedBlock]:
    """Apply a block and keep what its derivatives need; only encoder-attention reads the memory."""
    tape, norm, wiring, alpha, shortcut = None, held.norm, held.wiring, held.alpha, held.shortcut
    x_GND = y_GND
    if norm is not None and wiring.norm_before:
        x_GND, tape = NormTape.apply(norm.weights, y_GND, norm.eps)
    skip_GND = None if alpha is not None else y_GND if shortcut is None else y_GND * shortcut
    if held.projections is None:
        z_GND, linear = MLPTape.apply(held.branch, x_GND, skip_GND)
    else:
        z_GND, linear = AttentionTape.apply(
            held.branch, held.projections, shape, x_GND, memory_GMD, mask, skip_GND
        )
    g_GND = None if alpha is None else z_GND
    if alpha is not None:
        z_GND = y_GND + alpha * z_GND
    if norm is not None and wiring.norm_after:
        z_GND, tape = NormTape.apply(norm.weights, z_GND, norm.eps)
    kept_GND = y_GND if isinstance(shortcut, Tensor) else None
    own = (held.part, held.layer, wiring, linear, tape)
    return z_GND, LinearizedBlock(*own, kept_GND, shortcut, alpha, g_GND)
