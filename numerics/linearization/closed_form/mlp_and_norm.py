"""MLP and layer norm linearised at a point, in closed form: forward, Jᵀ and J of each.

Applying a piece gives its output and a *tape*, which holds what the derivatives at this point need:

- ``tape.pull(c)`` is Jᵀc: the cotangents of the inputs, and the gradients of the weights;
- ``tape.push(d, steps, slot)`` is J applied to P tangents at once, and adds the piece's own J_θ s
  to the one tangent, the *slot* 0 … P − 1, that its weights belong to.

``attention.py`` does the same for attention.

Layout. G models of one shape stand side by side, each with weights of its own, so that every
product is one batched product. A stream is a matrix of N = B·T rows, sequence by sequence. Its
tangents have R = N·P rows: the tangent p of row n is row n·P + p. So the tangent p of all rows is a
strided view, and all tangents of one sequence are contiguous. M = B·S counts the rows of the
memory, Q = M·P those of its tangents, and F = d_ff. Matrices are (G, out, in), vectors (G, 1, D)
and scalars (G, 1, 1). Arguments named ``skip`` or ``c_memory`` are overwritten: do not use them
after the call.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Weights = Mapping[str, Tensor]
"""The weights of one block by name, or their gradients, or their steps."""


def affine(
    x_GNC: Tensor, weights: Weights, weight: str, bias: str, skip_GNC: Tensor | None = None
) -> Tensor:
    """Apply a linear map and add it to a skip path, which is left as it is: skip + x Wᵀ + b."""
    right = weights[weight].mT
    out = torch.bmm(x_GNC, right) if skip_GNC is None else torch.baddbmm(skip_GNC, x_GNC, right)
    return out.add_(weights[bias]) if bias in weights else out


def add_product(skip: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """Add a matrix product to a skip path, in its place: skip + left @ right."""
    return torch.bmm(left, right) if skip is None else skip.baddbmm_(left, right)


def slots_of(d_GRC: Tensor, x_GNC: Tensor) -> Float[Tensor, "G N P C"]:
    """View the tangents of a stream x one by one."""
    return d_GRC.unflatten(1, (x_GNC.shape[1], -1))  # R = N·P


def add_own(
    d_GRC: Tensor, slot: int, x_GNC: Tensor, steps: Weights, weight: str, bias: str
) -> None:
    """Add what a linear map's own step does to one slot of the tangents, in place: x sᵀ + s_b."""
    own_GNC = slots_of(d_GRC, x_GNC)[:, :, slot].baddbmm_(x_GNC, steps[weight].mT)
    if bias in steps:
        own_GNC.add_(steps[bias])


def linear_gradients(
    c_GNC: Tensor, x_GNC: Tensor, weights: Weights, weight: str, bias: str
) -> dict[str, Tensor]:
    """The gradients of a linear map from the cotangent c of its output: cᵀx, and Σc of a bias."""
    found = {weight: torch.bmm(c_GNC.mT, x_GNC)}
    return found | {bias: c_GNC.sum(1, keepdim=True)} if bias in weights else found


@dataclass(frozen=True)
class MLPTape:
    """The MLP at a point, with what its derivatives there need: W₂ ReLU(W₁ y)."""

    weights: Weights
    y_GND: Tensor
    hidden_GNF: Tensor

    @staticmethod
    def apply(
        weights: Weights, y_GND: Float[Tensor, "G N D"], skip_GND: Tensor | None
    ) -> tuple[Float[Tensor, "G N D"], "MLPTape"]:
        """Apply the MLP and add it to the skip path: skip + W₂ ReLU(W₁ y)."""
        hidden_GNF = affine(y_GND, weights, "w1", "bias1").relu_()
        out_GND = affine(hidden_GNF, weights, "w2", "bias2", skip_GND)
        return out_GND, MLPTape(weights, y_GND, hidden_GNF)

    def pull(
        self,
        c_GND: Float[Tensor, "G N D"],
        skip_GND: Tensor | None,
        c_memory_GMD: Float[Tensor, "G M D"] | None = None,
    ) -> tuple[Float[Tensor, "G N D"], Float[Tensor, "G M D"] | None, dict[str, Tensor]]:
        """Take a cotangent c backward: skip + Jᵀc, c_memory unchanged, the weights' gradients."""
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
        """Take tangents d forward: skip + J d, and the weights' own J_θ s in their slot."""
        del dmemory_GQD
        d_GRF = torch.bmm(d_GRD, self.weights["w1"].mT)
        add_own(d_GRF, slot, self.y_GND, steps, "w1", "bias1")
        # ReLU's derivative is 1 where it passes; (G, N, 1, F) against (G, N, P, F).
        slots_of(d_GRF, self.hidden_GNF).mul_(self.hidden_GNF.sign()[:, :, None])
        out_GRD = add_product(skip_GRD, d_GRF, self.weights["w2"].mT)
        add_own(out_GRD, slot, self.hidden_GNF, steps, "w2", "bias2")
        return out_GRD


@dataclass(frozen=True)
class NormTape:
    """The layer norm at a point, with what its derivatives there need: γ∘x̂ + β.

    With x̂ = (x − mean x)/σ the derivative is γ Π, where Π g = (g − mean g − x̂ mean(x̂∘g))/σ. Π is
    symmetric, so one function serves both directions.
    """

    weights: Weights
    xhat_GND: Tensor
    mean_GN1: Tensor
    inverse_GN1: Tensor
    """1/σ."""

    @staticmethod
    def apply(
        weights: Weights, x_GND: Float[Tensor, "G N D"], eps: float
    ) -> tuple[Float[Tensor, "G N D"], "NormTape"]:
        """Normalise every row."""
        xhat_GND, mean_GN1, inverse_GN1 = torch.native_layer_norm(
            x_GND, x_GND.shape[-1:], None, None, eps
        )
        out_GND = torch.addcmul(weights["bias"], xhat_GND, weights["weight"])
        return out_GND, NormTape(weights, xhat_GND, mean_GN1, inverse_GN1)

    def pull(
        self, c_GND: Float[Tensor, "G N D"]
    ) -> tuple[Float[Tensor, "G N D"], dict[str, Tensor]]:
        """Take a cotangent c backward: Π(γ∘c), and the gradients of γ and β."""
        along_GND, scaled_GND = c_GND * self.xhat_GND, c_GND * self.weights["weight"]
        gradients = {"weight": along_GND.sum(1, keepdim=True), "bias": c_GND.sum(1, keepdim=True)}
        # A cotangent is one tangent, P = 1: (G, N, 1, D).
        return self._project(scaled_GND[:, :, None]).squeeze(2), gradients

    def push(
        self, d_GRD: Float[Tensor, "G R D"], steps: Weights, slot: int
    ) -> Float[Tensor, "G R D"]:
        """Take tangents d forward: γ∘Π(d), and the weights' own J_θ s in their slot."""
        d_GNPD = self._project(slots_of(d_GRD, self.xhat_GND)).mul_(self.weights["weight"][:, None])
        d_GNPD[:, :, slot] += self.own(steps)
        return d_GNPD.view(d_GRD.shape)  # (G, N, P, D) to (G, R, D)

    def own(self, steps: Weights) -> Float[Tensor, "G N D"]:
        """What the step of γ and β alone does: J_θ s = x̂∘s_γ + s_β."""
        return torch.addcmul(steps["bias"], self.xhat_GND, steps["weight"])

    def _project(self, g_GNPD: Float[Tensor, "G N P D"]) -> Float[Tensor, "G N P D"]:
        xhat = self.xhat_GND[:, :, None]
        along = (g_GNPD * xhat).mean(-1, keepdim=True)
        centred = g_GNPD - g_GNPD.mean(-1, keepdim=True)
        return centred.addcmul_(xhat, along, value=-1).mul_(self.inverse_GN1[:, :, None])
