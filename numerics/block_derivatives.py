"""The residual branches linearised at a point, in closed form: forward, Jᵀ and J of each block.

Applying a block gives its output and a *tape*, the block linearised where it was applied:

- ``tape.pull(c)`` is Jᵀc: the cotangents of the block's inputs, and the gradients of its weights;
- ``tape.push(d, steps, slot)`` is J applied to P tangents at once, plus the block's own J_θ s in
  the one slot (0 … P − 1) that its weights belong to.

With A = softmax(α q kᵀ), α = d'^(-1/2), the derivative of the softmax is g ↦ A∘g − A Σ(A∘g), and
that of layer norm is γ Π with Π from `NormTape`: both are symmetric and serve both directions.

Layout: a stream is a matrix of N = T·B rows, position-major, so that per-head blocks are strided
views; tangents have R = P·N rows. M = S·B rows of the memory, X = B·H, K = D / H, F = d_ff.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Weights = Mapping[str, Tensor]
"""Weights, gradients or steps of one block, by name."""


def _affine(x_NC: Tensor, weights: Weights, weight: str, bias: str, skip: Tensor | None) -> Tensor:
    """skip + x Wᵀ + b."""
    out = x_NC @ weights[weight].T if skip is None else torch.addmm(skip, x_NC, weights[weight].T)
    return out.add_(weights[bias]) if bias in weights else out


def _add_own(d_RC: Tensor, slot: int, x_NC: Tensor, steps: Weights, weight: str, bias: str) -> None:
    """x sᵀ + s_b into one slot of the tangents, in place."""
    rows = x_NC.shape[0]
    own_NC = d_RC[slot * rows : (slot + 1) * rows].addmm_(x_NC, steps[weight].T)
    if bias in steps:
        own_NC.add_(steps[bias])


def _linear_gradients(
    c_NC: Tensor, x_NC: Tensor, weights: Weights, weight: str, bias: str
) -> dict[str, Tensor]:
    """cᵀx for the matrix, Σc for the bias."""
    found = {weight: c_NC.T @ x_NC}
    return found | {bias: c_NC.sum(0)} if bias in weights else found


@dataclass(frozen=True)
class MLPTape:
    """W₂ ReLU(W₁ y) at a point."""

    weights: Weights
    y_ND: Tensor
    hidden_NF: Tensor
    active_NF: Tensor
    """1 where the ReLU passes, else 0."""

    @staticmethod
    def apply(
        weights: Weights, y_ND: Float[Tensor, "N D"], skip_ND: Tensor | None
    ) -> tuple[Float[Tensor, "N D"], "MLPTape"]:
        """skip + W₂ ReLU(W₁ y)."""
        hidden_NF = _affine(y_ND, weights, "w1", "bias1", None).relu_()
        out_ND = _affine(hidden_NF, weights, "w2", "bias2", skip_ND)
        return out_ND, MLPTape(weights, y_ND, hidden_NF, hidden_NF.sign())

    def pull(
        self, c_ND: Float[Tensor, "N D"], skip_ND: Tensor | None
    ) -> tuple[Float[Tensor, "N D"], None, dict[str, Tensor]]:
        """skip + Jᵀc, no memory, and the gradients of the weights."""
        c_NF = (c_ND @ self.weights["w2"]).mul_(self.active_NF)
        gradients = _linear_gradients(c_ND, self.hidden_NF, self.weights, "w2", "bias2")
        gradients |= _linear_gradients(c_NF, self.y_ND, self.weights, "w1", "bias1")
        return _times(c_NF, self.weights["w1"], skip_ND), None, gradients

    def push(
        self,
        d_RD: Float[Tensor, "R D"],
        dmemory_QD: Tensor | None,
        skip_RD: Tensor | None,
        steps: Weights,
        slot: int,
    ) -> Float[Tensor, "R D"]:
        """skip + J d, and J_θ s in the slot."""
        del dmemory_QD
        d_RF = d_RD @ self.weights["w1"].T
        _add_own(d_RF, slot, self.y_ND, steps, "w1", "bias1")
        d_RF.view(-1, *self.active_NF.shape).mul_(self.active_NF)
        out_RD = _times(d_RF, self.weights["w2"].T, skip_RD)
        _add_own(out_RD, slot, self.hidden_NF, steps, "w2", "bias2")
        return out_RD


def _times(left: Tensor, right: Tensor, skip: Tensor | None) -> Tensor:
    """skip + left @ right."""
    return left @ right if skip is None else torch.addmm(skip, left, right)


def heads_first(packed: Tensor, count: int, heads: int) -> Tensor:
    """Rows of a packed projection reordered from (count, H, K) to (H, count, K).

    Then the heads of all tokens are evenly spaced, and (T, B·H, K) is a view.

    Examples
    --------
    >>> heads_first(torch.arange(8), 2, 2).tolist()
    [0, 1, 4, 5, 2, 3, 6, 7]
    """
    return packed.unflatten(0, (count, heads, -1)).transpose(0, 1).flatten(0, 2)


@dataclass(frozen=True)
class AttentionShape:
    """How rows of a stream split into sequences and heads."""

    sequences: int
    """B"""
    heads: int
    """H"""

    def split(self, packed_NC: Tensor, count: int) -> tuple[Float[Tensor, "X T K"], ...]:
        """Views (B·H, T, K) of ``count`` projections packed heads first."""
        lanes = self.sequences * self.heads
        view = packed_NC.view(packed_NC.shape[0] // self.sequences, lanes, count, -1)
        return view.permute(2, 1, 0, 3).unbind(0)

    def pack(self, *parts_XTK: Tensor) -> Float[Tensor, "N C"]:
        """The inverse of ``split``."""
        swapped = [part.transpose(0, 1) for part in parts_XTK]
        packed = torch.stack(swapped, 2) if len(swapped) > 1 else swapped[0]
        return packed.reshape(parts_XTK[0].shape[1] * self.sequences, -1)


@dataclass(frozen=True)
class AttentionTape:
    """softmax(α q kᵀ) v W_oᵀ at a point; over the stream itself when ``memory`` is ``None``."""

    weights: Weights
    """``q`` and ``kv``, or ``qkv``, packed heads first; ``out_proj``; and their biases."""
    shape: AttentionShape
    y_ND: Tensor
    memory_MD: Tensor | None
    qkv: tuple[Tensor, Tensor, Tensor]
    """α q, α k and v, each (X, T or S, K)."""
    a_XTS: Tensor
    """The attention matrix A."""
    mixed_ND: Tensor
    """A v, heads side by side."""

    @staticmethod
    def apply(
        weights: Weights,
        shape: AttentionShape,
        y_ND: Float[Tensor, "N D"],
        memory_MD: Float[Tensor, "M D"] | None,
        mask: Float[Tensor, "#X #T S"],
        skip_ND: Tensor | None,
    ) -> tuple[Float[Tensor, "N D"], "AttentionTape"]:
        """skip + attention; ``mask`` is added to the logits."""
        if memory_MD is None:
            q, k, v = shape.split(_affine(y_ND, weights, "qkv", "qkv_bias", None), 3)
        else:
            (q,) = shape.split(_affine(y_ND, weights, "q", "q_bias", None), 1)
            k, v = shape.split(_affine(memory_MD, weights, "kv", "kv_bias", None), 2)
        alpha = q.shape[-1] ** -0.5
        q, scaled_k = q * alpha, k * alpha
        a_XTS = torch.baddbmm(mask, q, k.mT).softmax(-1)
        mixed_ND = shape.pack(torch.bmm(a_XTS, v))
        out_ND = _affine(mixed_ND, weights, "out_proj", "out_bias", skip_ND)
        qkv = (q, scaled_k, v)
        return out_ND, AttentionTape(weights, shape, y_ND, memory_MD, qkv, a_XTS, mixed_ND)

    def pull(
        self, c_ND: Float[Tensor, "N D"], skip_ND: Tensor | None
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, "M D"] | None, dict[str, Tensor]]:
        """skip + Jᵀc, the memory's cotangent, and the gradients of the weights."""
        weights, (q, k, v) = self.weights, self.qkv
        gradients = _linear_gradients(c_ND, self.mixed_ND, weights, "out_proj", "out_bias")
        (c_XTK,) = self.shape.split(c_ND @ weights["out_proj"], 1)
        c_XTS = _softmax_derivative(torch.bmm(c_XTK, v.mT), self.a_XTS)
        c_q, c_k = torch.bmm(c_XTS, k), torch.bmm(c_XTS.mT, q)
        c_v = torch.bmm(self.a_XTS.mT, c_XTK)
        if self.memory_MD is None:
            c_N3D = self.shape.pack(c_q, c_k, c_v)
            gradients |= _linear_gradients(c_N3D, self.y_ND, weights, "qkv", "qkv_bias")
            return _times(c_N3D, weights["qkv"], skip_ND), None, gradients
        c_q, c_kv = self.shape.pack(c_q), self.shape.pack(c_k, c_v)
        gradients |= _linear_gradients(c_q, self.y_ND, weights, "q", "q_bias")
        gradients |= _linear_gradients(c_kv, self.memory_MD, weights, "kv", "kv_bias")
        return _times(c_q, weights["q"], skip_ND), c_kv @ weights["kv"], gradients

    def push(
        self,
        d_RD: Float[Tensor, "R D"],
        dmemory_QD: Float[Tensor, "Q D"] | None,
        skip_RD: Tensor | None,
        steps: Weights,
        slot: int,
    ) -> Float[Tensor, "R D"]:
        """skip + J (d, dmemory), and J_θ s in the slot.

        The memory's tangents fill the first Q / M slots; ``slot`` may be one of them or the next.
        """
        weights, (q, k, v) = self.weights, self.qkv
        lanes, t, s = self.a_XTS.shape
        slots = d_RD.shape[0] // self.y_ND.shape[0]
        if self.memory_MD is None:
            d_R3D = d_RD @ weights["qkv"].T
            _add_own(d_R3D, slot, self.y_ND, steps, "qkv", "qkv_bias")
            dq, dk, dv = self.shape.split(d_R3D, 3)
        else:
            assert dmemory_QD is not None
            d_q = d_RD @ weights["q"].T
            _add_own(d_q, slot, self.y_ND, steps, "q", "q_bias")
            (dq,) = self.shape.split(d_q, 1)
            dk, dv = self.shape.split(self._push_memory(dmemory_QD, steps, slot), 2)
        fed = dk.shape[1] // s  # slots whose keys and values move
        d_XPTS = torch.bmm(dq, k.mT).view(lanes, slots, t, s)
        moved = torch.bmm(q, dk.mT).view(lanes, t, fed, s)
        d_XPTS[:, :fed] += moved.transpose(1, 2)
        d_XPTS = _softmax_derivative(d_XPTS, self.a_XTS[:, None])
        mixed_XPTK = torch.bmm(d_XPTS.view(lanes, slots * t, s), v).view(lanes, slots, t, -1)
        dv_XSC = dv.unflatten(1, (fed, s)).transpose(1, 2).flatten(2)
        moved = torch.bmm(self.a_XTS, dv_XSC).view(lanes, t, fed, -1)
        mixed_XPTK[:, :fed] += moved.transpose(1, 2)
        mixed_RD = self.shape.pack(mixed_XPTK.flatten(1, 2))
        out_RD = _times(mixed_RD, weights["out_proj"].T, skip_RD)
        _add_own(out_RD, slot, self.mixed_ND, steps, "out_proj", "out_bias")
        return out_RD

    def _push_memory(self, dmemory_QD: Tensor, steps: Weights, slot: int) -> Tensor:
        assert self.memory_MD is not None
        rows, fed = self.memory_MD.shape[0], dmemory_QD.shape[0]
        kv = self.weights["kv"]
        d_QC = dmemory_QD.new_empty(max(fed, (slot + 1) * rows), kv.shape[0])
        d_QC[fed:].zero_()
        torch.mm(dmemory_QD, kv.T, out=d_QC[:fed])
        _add_own(d_QC, slot, self.memory_MD, steps, "kv", "kv_bias")
        return d_QC


def _softmax_derivative(g: Float[Tensor, "X ... T S"], a: Float[Tensor, "X ... T S"]) -> Tensor:
    """A∘g − A Σ(A∘g)."""
    return torch.ops.aten._softmax_backward_data(g, a.expand_as(g), -1, g.dtype)


@dataclass(frozen=True)
class NormTape:
    """γ∘x̂ + β at a point; x̂ = (x − mean x)/σ and Π g = (g − mean g − x̂ mean(x̂∘g))/σ."""

    weights: Weights
    xhat_ND: Tensor
    inverse_N1: Tensor
    """1/σ."""

    @staticmethod
    def apply(
        weights: Weights, x_ND: Float[Tensor, "N D"], eps: float
    ) -> tuple[Float[Tensor, "N D"], "NormTape"]:
        """Layer norm of every row."""
        centred_ND = x_ND - x_ND.mean(-1, keepdim=True)
        inverse_N1 = centred_ND.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        xhat_ND = centred_ND.mul_(inverse_N1)
        out_ND = torch.addcmul(weights["bias"], xhat_ND, weights["weight"])
        return out_ND, NormTape(weights, xhat_ND, inverse_N1)

    def pull(self, c_ND: Float[Tensor, "N D"]) -> tuple[Float[Tensor, "N D"], dict[str, Tensor]]:
        """Π(γ∘c), and the gradients of γ and β."""
        gradients = {"weight": (c_ND * self.xhat_ND).sum(0), "bias": c_ND.sum(0)}
        return self._project(c_ND * self.weights["weight"]), gradients

    def push(self, d_RD: Float[Tensor, "R D"], steps: Weights, slot: int) -> Float[Tensor, "R D"]:
        """γ∘Π(d), and J_θ s in the slot."""
        d_PND = self._project(d_RD.view(-1, *self.xhat_ND.shape)).mul_(self.weights["weight"])
        d_PND[slot] += self.own(steps)
        return d_PND.view(d_RD.shape)

    def own(self, steps: Weights) -> Float[Tensor, "N D"]:
        """J_θ s."""
        return torch.addcmul(steps["bias"], self.xhat_ND, steps["weight"])

    def _project(self, g: Float[Tensor, "... N D"]) -> Float[Tensor, "... N D"]:
        along = (g * self.xhat_ND).mean(-1, keepdim=True)
        centred = g - g.mean(-1, keepdim=True)
        return centred.addcmul_(self.xhat_ND, along, value=-1).mul_(self.inverse_N1)
