"""A layer of either stack: residual blocks in sequence. Shape suffixes as in ``attention.py``.

Which blocks a layer has is said by `numerics.models.spec.ModelSpec.layer_blocks`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from numerics.models.attention import Attention
from numerics.models.blocks import Residual
from numerics.models.mlp import MLP
from numerics.models.spec import ModelSpec
from numerics.models.wiring import BranchFactor


class Layer(nn.Module):
    """The residual blocks of one layer of a stack, and what they share."""

    def __init__(self, spec: ModelSpec, stack: str) -> None:
        super().__init__()
        shortcut = spec.shortcut(stack)
        self.blocks = spec.layer_blocks(stack)
        for name in self.blocks:
            self.add_module(name, Residual(_branch(spec, name), spec, shortcut))
        gated = spec.wiring.branch is BranchFactor.LAYER_GATE
        self.alpha = nn.Parameter(torch.zeros(())) if gated else None

    def forward(
        self,
        y_BTD: Float[Tensor, "B T D"],
        own: Bool[Tensor, "*B1T T"] | None,
        memory_BSD: Float[Tensor, "B S D"] | None = None,
        padding: Bool[Tensor, "B 1 1 S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Add every block's branch in turn.

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
        contexts: dict[str, tuple[object, ...]] = {"cross_attention": (memory_BSD, padding)}
        for name in self.blocks:
            context = () if name == "mlp" else contexts.get(name, (None, own))
            y_BTD = self.get_submodule(name)(y_BTD, *context, gate=self.alpha)
        return y_BTD


def _branch(spec: ModelSpec, name: str) -> nn.Module:
    if name == "mlp":
        shifts = spec.wiring.branch is BranchFactor.SCALARS
        return MLP(spec.d_model, spec.d_ff, biases=spec.biases, shifts=shifts)
    return Attention(spec.d_model, spec.heads, biases=spec.biases)
