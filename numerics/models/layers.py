"""A layer of either stack: its residual blocks. Shape suffixes as in ``attention.py``.

Which blocks per layer has is said by `numerics.models.spec.ModelSpec.layer_blocks`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.models.attention import Attention
from numerics.models.blocks import BlockPlace, Residual
from numerics.models.mlp import MLP
from numerics.models.spec import ModelSpec, Positions
from numerics.models.wiring import BranchFactor, Parallel


class Layer(nn.Module):
    """The residual blocks of one layer of a stack, and what they share."""

    def __init__(self, spec: ModelSpec, stack: str, layer: int) -> None:
        super().__init__()
        self.blocks = spec.layer_blocks(stack)
        self.parallel = spec.wiring.parallel
        places = [BlockPlace(stack, layer, kind) for kind in self.blocks]
        shared = self.parallel is Parallel.ONE_NORM
        self.norm = places[0].norm(spec) if shared else None
        for place in places:
            self.add_module(place.kind, Residual(_branch(spec, place), spec, place))
        gated = spec.wiring.branch is BranchFactor.LAYER_GATE
        self.alpha = nn.Parameter(torch.zeros(())) if gated else None
        self.damping = nn.Parameter(torch.zeros(())) if spec.wiring.damped else None

    def forward(
        self,
        y_BTD: Float[Tensor, "B T D"],
        own: Bool[Tensor, "*B1T T"] | None,
        memory_BSD: Float[Tensor, "B S D"] | None = None,
        padding: Bool[Tensor, "B 1 1 S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Add every block's branch, each to what the one before has left or all to one stream.

        Parameters
        ----------
        y_BTD
            The stream.
        own
            True where a token must not see another token of its own stream.
        memory_BSD
            The encoder's output, for encoder-attention.
        padding
            True where a token of the memory is padding.
        """
        attended: dict[str, tuple[object, ...]] = {
            "mlp": (),
            "cross_attention": (memory_BSD, padding),
        }
        read_BTD = y_BTD if self.norm is None else self.norm(y_BTD)
        for kind in self.blocks:
            block, context = self.get_submodule(kind), attended.get(kind, (None, own))
            if self.parallel is Parallel.NO:
                y_BTD = self._damped(block(y_BTD, *context, gate=self.alpha))
            else:
                y_BTD = block(read_BTD, *context, gate=self.alpha, onto=y_BTD)
        return y_BTD

    def _damped(self, y_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Damp a stream, y − silu(g) [y]: activations shrink, the gradient does not (GPAS)."""
        if self.damping is None:
            return y_BTD
        return y_BTD - F.silu(self.damping) * y_BTD.detach()


def _branch(spec: ModelSpec, place: BlockPlace) -> nn.Module:
    inside = spec.wiring.norm_inside
    if place.kind == "mlp":
        return MLP(
            spec.d_model,
            spec.d_ff,
            biases=spec.biases,
            shifts=spec.wiring.branch is BranchFactor.SCALARS,
            traits=spec.mlp,
            inner_norm=place.norm(spec, spec.d_ff) if inside else None,
        )
    return Attention(
        spec.d_model,
        spec.heads,
        biases=spec.biases,
        traits=spec.attention,
        rotary=spec.positions is Positions.ROTARY and place.kind != "cross_attention",
        inner_norm=place.norm(spec) if inside else None,
    )
