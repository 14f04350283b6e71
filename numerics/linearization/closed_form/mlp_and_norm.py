"""The residual branches linearised at a point, in closed form: forward, Jᵀ and J of each block.

Applying a block gives its output and a *tape*, the block linearised where it was applied:

- ``tape.pull(c)`` is Jᵀc: the cotangents of the block's inputs, and the gradients of its weights;
- ``tape.push(d, steps, slot)`` is J applied to P tangents at once, plus the block's own J_θ s in
  the one slot (0 … P − 1) that its weights belong to.

Layer norm's derivative is γ Π with Π from `NormTape`: it is symmetric and serves both directions.
Attention stands in ``attention_derivatives.py``.

Layout: G models of one shape side by side, each with weights of its own, so that every product is
one batched product. A stream is a matrix of N = B·T rows, sequence by sequence; tangents have
R = N·P rows, the P of a stream's row together, so that one slot is a strided matrix and a sequence
of all tangents one block. M = B·S rows of the memory, Q of its tangents, F = d_ff. Matrices are
(G, out, in), vectors (G, 1, D), scalars (G, 1, 1). A ``skip`` or
``c_memory`` of ``pull`` and ``push`` is used up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Weights = Mapping[str, Tensor]
"""Weights, gradients or steps of one block, by name."""


def affine(
    x_GNC: Tensor, weights: Weights, weight: str, bias: str, skip_GNC: Tensor | None = None
) -> Tensor:
    """skip + x Wᵀ + b; the skip is left as it is."""
    right = weights[weight].mT
    out = torch.bmm(x_GNC, right) if skip_GNC is None else torch.baddbmm(skip_GNC, x_GNC, right)
    return out.add_(weights[bias]) if bias in weights else out


def add_product(skip: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """skip + left @ right, in the skip's place."""
    return torch.bmm(left, right) if skip is None else skip.baddbmm_(left, right)


def slots_of(d_GRC: Tensor, x_GNC: Tensor) -> Float[Tensor, "G N P C"]:
    """The tangents of a stream x, one by one."""
    return d_GRC.unflatten(1, (x_GNC.shape[1], -1))


def add_own(
    d_GRC: Tensor, slot: int, x_GNC: Tensor, steps: Weights, weight: str, bias: str
) -> None:
    """x sᵀ + s_b into one slot of the tangents, in place."""
    own_GNC = slots_of(d_GRC, x_GNC)[:, :, slot].baddbmm_(x_GNC, steps[weight].mT)
    if bias in steps:
        own_GNC.add_(steps[bias])


def linear_gradients(
    c_GNC: Tensor, x_GNC: Tensor, weights: Weights, weight: str, bias: str
) -> dict[str, Tensor]:
    """cᵀx for the matrix, Σc for the bias."""
    found = {weight: torch.bmm(c_GNC.mT, x_GNC)}
    return found | {bias: c_GNC.sum(1, keepdim=True)} if bias in weights else found


@dataclass(frozen=True)
class MLPTape:
    """W₂ ReLU(W₁ y) at a point."""

    weights: Weights
    y_GND: Tensor
    hidden_GNF: Tensor

    @staticmethod
    def apply(
        weights: Weights, y_GND: Float[Tensor, "G N D"], skip_GND: Tensor | None
    ) -> tuple[Float[Tensor, "G N D"], "MLPTape"]:
        """skip + W₂ ReLU(W₁ y)."""
        hidden_GNF = affine(y_GND, weights, "w1", "bias1").relu_()
        out_GND = affine(hidden_GNF, weights, "w2", "bias2", skip_GND)
        return out_GND, MLPTape(weights, y_GND, hidden_GNF)

    def pull(
        self,
        c_GND: Float[Tensor, "G N D"],
        skip_GND: Tensor | None,
        c_memory_GMD: Float[Tensor, "G M D"] | None = None,
    ) -> tuple[Float[Tensor, "G N D"], Float[Tensor, "G M D"] | None, dict[str, Tensor]]:
        """skip + Jᵀc, c_memory as it is, and the gradients of the weights."""
        c_GNF = torch.bmm(c_GND, self.weights["w2"])
        # c where the ReLU passes, else 0, in place.
        torch.ops.aten.threshold_backward.grad_input(c_GNF, self.hidden_GNF, 0, grad_input=c_GNF)
        gradients = linear_gradients(c_GND, self.hidden_GNF, self.weights, "w2", "bias2")
        gradients |= linear_gradients(c_GNF, self.y_GND, self.weights, "w1", "bias1")
        return add_product(skip_GND, c_GNF, self.weights["w1"]), c_memory_GMD, gradients

    def push(
        self,
        d_GRD: Float[Tensor, "G R D"],
        dmemory_GQD: Tensor | None,
        skip_GRD: Tensor | None,
        steps: Weights,
        slot: int,
    ) -> Float[Tensor, "G R D"]:
        """skip + J d, and J_θ s in the slot."""
        del dmemory_GQD
        d_GRF = torch.bmm(d_GRD, self.weights["w1"].mT)
        add_own(d_GRF, slot, self.y_GND, steps, "w1", "bias1")
        slots_of(d_GRF, self.hidden_GNF).mul_(self.hidden_GNF.sign()[:, :, None])
        out_GRD = add_product(skip_GRD, d_GRF, self.weights["w2"].mT)
        add_own(out_GRD, slot, self.hidden_GNF, steps, "w2", "bias2")
        return out_GRD


@dataclass(frozen=True)
class NormTape:
    """γ∘x̂ + β at a point; x̂ = (x − mean x)/σ and Π g = (g − mean g − x̂ mean(x̂∘g))/σ."""

    weights: Weights
    xhat_GND: Tensor
    inverse_GN1: Tensor
    """1/σ."""

    @staticmethod
    def apply(
        weights: Weights, x_GND: Float[Tensor, "G N D"], eps: float
    ) -> tuple[Float[Tensor, "G N D"], "NormTape"]:
        """Layer norm of every row."""
        xhat_GND, _, inverse_GN1 = torch.native_layer_norm(x_GND, x_GND.shape[-1:], None, None, eps)
        out_GND = torch.addcmul(weights["bias"], xhat_GND, weights["weight"])
        return out_GND, NormTape(weights, xhat_GND, inverse_GN1)

    def pull(
        self, c_GND: Float[Tensor, "G N D"]
    ) -> tuple[Float[Tensor, "G N D"], dict[str, Tensor]]:
        """Π(γ∘c), and the gradients of γ and β."""
        along_GND, scaled_GND = c_GND * self.xhat_GND, c_GND * self.weights["weight"]
        gradients = {"weight": along_GND.sum(1, keepdim=True), "bias": c_GND.sum(1, keepdim=True)}
        return self._project(scaled_GND[:, :, None]).squeeze(2), gradients

    def push(
        self, d_GRD: Float[Tensor, "G R D"], steps: Weights, slot: int
    ) -> Float[Tensor, "G R D"]:
        """γ∘Π(d), and J_θ s in the slot."""
        d_GNPD = self._project(slots_of(d_GRD, self.xhat_GND)).mul_(self.weights["weight"][:, None])
        d_GNPD[:, :, slot] += self.own(steps)
        return d_GNPD.view(d_GRD.shape)

    def own(self, steps: Weights) -> Float[Tensor, "G N D"]:
        """J_θ s."""
        return torch.addcmul(steps["bias"], self.xhat_GND, steps["weight"])

    def _project(self, g_GNPD: Float[Tensor, "G N P D"]) -> Float[Tensor, "G N P D"]:
        xhat = self.xhat_GND[:, :, None]
        along = (g_GNPD * xhat).mean(-1, keepdim=True)
        centred = g_GNPD - g_GNPD.mean(-1, keepdim=True)
        return centred.addcmul_(xhat, along, value=-1).mul_(self.inverse_GN1[:, :, None])
