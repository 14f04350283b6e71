"""The residual branches linearised at a point, in closed form: forward, Jᵀ and J of each block.

Applying a block gives its output and a *tape*, the block linearised where it was applied:

- ``tape.pull(c)`` is Jᵀc: the cotangents of the block's inputs, and the gradients of its weights;
- ``tape.push(d, steps, slot)`` is J applied to P tangents at once, plus the block's own J_θ s in
  the one slot (0 … P − 1) that its weights belong to.

With A = softmax(α q kᵀ), α = d'^(-1/2), the derivative of the softmax is g ↦ A∘g − A Σ(A∘g), and
that of layer norm is γ Π with Π from `NormTape`: both are symmetric and serve both directions.

Layout: G models of one shape side by side, each with weights of its own, so that every product is
one batched product. A stream is a matrix of N = T·B rows, position-major, so that per-head blocks
of one model are strided views; tangents have R = P·N rows. M = S·B rows of the memory, X = G·B·H,
K = D / H, F = d_ff. Matrices are (G, out, in), vectors (G, 1, D), scalars (G, 1, 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Weights = Mapping[str, Tensor]
"""Weights, gradients or steps of one block, by name."""


def _affine(x_GNC: Tensor, weights: Weights, weight: str, bias: str, skip: Tensor | None) -> Tensor:
    """skip + x Wᵀ + b."""
    out = _times(x_GNC, weights[weight].mT, skip)
    return out.add_(weights[bias]) if bias in weights else out


def _times(left: Tensor, right: Tensor, skip: Tensor | None) -> Tensor:
    """skip + left @ right."""
    return torch.bmm(left, right) if skip is None else torch.baddbmm(skip, left, right)


def _add_own(
    d_GRC: Tensor, slot: int, x_GNC: Tensor, steps: Weights, weight: str, bias: str
) -> None:
    """x sᵀ + s_b into one slot of the tangents, in place."""
    rows = x_GNC.shape[1]
    own_GNC = d_GRC[:, slot * rows : (slot + 1) * rows].baddbmm_(x_GNC, steps[weight].mT)
    if bias in steps:
        own_GNC.add_(steps[bias])


def _linear_gradients(
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
    active_GNF: Tensor
    """1 where the ReLU passes, else 0."""

    @staticmethod
    def apply(
        weights: Weights, y_GND: Float[Tensor, "G N D"], skip_GND: Tensor | None
    ) -> tuple[Float[Tensor, "G N D"], "MLPTape"]:
        """skip + W₂ ReLU(W₁ y)."""
        hidden_GNF = _affine(y_GND, weights, "w1", "bias1", None).relu_()
        out_GND = _affine(hidden_GNF, weights, "w2", "bias2", skip_GND)
        return out_GND, MLPTape(weights, y_GND, hidden_GNF, hidden_GNF.sign())

    def pull(
        self, c_GND: Float[Tensor, "G N D"], skip_GND: Tensor | None
    ) -> tuple[Float[Tensor, "G N D"], None, dict[str, Tensor]]:
        """skip + Jᵀc, no memory, and the gradients of the weights."""
        c_GNF = torch.bmm(c_GND, self.weights["w2"]).mul_(self.active_GNF)
        gradients = _linear_gradients(c_GND, self.hidden_GNF, self.weights, "w2", "bias2")
        gradients |= _linear_gradients(c_GNF, self.y_GND, self.weights, "w1", "bias1")
        return _times(c_GNF, self.weights["w1"], skip_GND), None, gradients

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
        _add_own(d_GRF, slot, self.y_GND, steps, "w1", "bias1")
        _slots(d_GRF, self.active_GNF).mul_(self.active_GNF[:, None])
        out_GRD = _times(d_GRF, self.weights["w2"].mT, skip_GRD)
        _add_own(out_GRD, slot, self.hidden_GNF, steps, "w2", "bias2")
        return out_GRD


def _slots(d_GRC: Tensor, x_GNC: Tensor) -> Float[Tensor, "G P N C"]:
    """The tangents of a stream x, one by one."""
    return d_GRC.unflatten(1, (-1, x_GNC.shape[1]))


def heads_first(packed: Tensor, count: int, heads: int) -> Tensor:
    """Rows of a packed projection reordered from (count, H, K) to (H, count, K), in every model.

    Then the heads of all tokens are evenly spaced, and (T, B·H, K) is a view.

    Examples
    --------
    >>> heads_first(torch.arange(8)[None], 2, 2).tolist()
    [[0, 1, 4, 5, 2, 3, 6, 7]]
    """
    return packed.unflatten(1, (count, heads, -1)).transpose(1, 2).flatten(1, 3)


@dataclass(frozen=True)
class AttentionShape:
    """How rows of a stream split into sequences and heads."""

    sequences: int
    """B"""
    heads: int
    """H"""

    def split(self, packed_GNC: Tensor, count: int) -> tuple[Float[Tensor, "X T K"], ...]:
        """``count`` projections packed heads first: views of one model, copies of several."""
        models, rows, columns = packed_GNC.shape
        t, lanes = rows // self.sequences, self.sequences * self.heads
        view = packed_GNC.view(models, t, lanes, count, columns // (self.heads * count))
        return view.permute(3, 0, 2, 1, 4).flatten(1, 2).unbind(0)

    def pack(self, *parts_XTK: Tensor) -> Float[Tensor, "G N C"]:
        """The inverse of ``split``."""
        lanes, t, k = parts_XTK[0].shape
        each = self.sequences * self.heads
        swapped = [part.view(lanes // each, each, t, k).transpose(1, 2) for part in parts_XTK]
        packed = torch.stack(swapped, 3) if len(swapped) > 1 else swapped[0]
        return packed.reshape(lanes // each, t * self.sequences, -1)


@dataclass(frozen=True)
class AttentionTape:
    """softmax(α q kᵀ) v W_oᵀ at a point; over the stream itself when ``memory`` is ``None``."""

    weights: Weights
    """``q`` and ``kv``, or ``qkv``, packed heads first; ``out_proj``; and their biases."""
    shape: AttentionShape
    y_GND: Tensor
    memory_GMD: Tensor | None
    qkv: tuple[Tensor, Tensor, Tensor]
    """α q, α k and v, each (X, T or S, K)."""
    a_XTS: Tensor
    """The attention matrix A."""
    mixed_GND: Tensor
    """A v, heads side by side."""

    @staticmethod
    def apply(
        weights: Weights,
        shape: AttentionShape,
        y_GND: Float[Tensor, "G N D"],
        memory_GMD: Float[Tensor, "G M D"] | None,
        mask: Float[Tensor, "#X #T S"],
        skip_GND: Tensor | None,
    ) -> tuple[Float[Tensor, "G N D"], "AttentionTape"]:
        """skip + attention; ``mask`` is added to the logits."""
        if memory_GMD is None:
            q, k, v = shape.split(_affine(y_GND, weights, "qkv", "qkv_bias", None), 3)
        else:
            (q,) = shape.split(_affine(y_GND, weights, "q", "q_bias", None), 1)
            k, v = shape.split(_affine(memory_GMD, weights, "kv", "kv_bias", None), 2)
        alpha = q.shape[-1] ** -0.5
        q, scaled_k = q * alpha, k * alpha
        a_XTS = torch.baddbmm(mask, q, k.mT).softmax(-1)
        mixed_GND = shape.pack(torch.bmm(a_XTS, v))
        out_GND = _affine(mixed_GND, weights, "out_proj", "out_bias", skip_GND)
        qkv = (q, scaled_k, v)
        return out_GND, AttentionTape(weights, shape, y_GND, memory_GMD, qkv, a_XTS, mixed_GND)

    def pull(
        self, c_GND: Float[Tensor, "G N D"], skip_GND: Tensor | None
    ) -> tuple[Float[Tensor, "G N D"], Float[Tensor, "G M D"] | None, dict[str, Tensor]]:
        """skip + Jᵀc, the memory's cotangent, and the gradients of the weights."""
        weights, (q, k, v) = self.weights, self.qkv
        gradients = _linear_gradients(c_GND, self.mixed_GND, weights, "out_proj", "out_bias")
        (c_XTK,) = self.shape.split(torch.bmm(c_GND, weights["out_proj"]), 1)
        c_XTS = _softmax_derivative(torch.bmm(c_XTK, v.mT), self.a_XTS)
        c_q, c_k = torch.bmm(c_XTS, k), torch.bmm(c_XTS.mT, q)
        c_v = torch.bmm(self.a_XTS.mT, c_XTK)
        if self.memory_GMD is None:
            c_GN3D = self.shape.pack(c_q, c_k, c_v)
            gradients |= _linear_gradients(c_GN3D, self.y_GND, weights, "qkv", "qkv_bias")
            return _times(c_GN3D, weights["qkv"], skip_GND), None, gradients
        c_q, c_kv = self.shape.pack(c_q), self.shape.pack(c_k, c_v)
        gradients |= _linear_gradients(c_q, self.y_GND, weights, "q", "q_bias")
        gradients |= _linear_gradients(c_kv, self.memory_GMD, weights, "kv", "kv_bias")
        return _times(c_q, weights["q"], skip_GND), torch.bmm(c_kv, weights["kv"]), gradients

    def push(
        self,
        d_GRD: Float[Tensor, "G R D"],
        dmemory_GQD: Float[Tensor, "G Q D"] | None,
        skip_GRD: Tensor | None,
        steps: Weights,
        slot: int,
    ) -> Float[Tensor, "G R D"]:
        """skip + J (d, dmemory), and J_θ s in the slot.

        The memory's tangents fill the first Q / M slots; ``slot`` may be one of them or the next.
        """
        weights, (q, k, v) = self.weights, self.qkv
        lanes, t, s = self.a_XTS.shape
        slots = d_GRD.shape[1] // self.y_GND.shape[1]
        if self.memory_GMD is None:
            d_GR3D = torch.bmm(d_GRD, weights["qkv"].mT)
            _add_own(d_GR3D, slot, self.y_GND, steps, "qkv", "qkv_bias")
            dq, dk, dv = self.shape.split(d_GR3D, 3)
        else:
            assert dmemory_GQD is not None
            d_q = torch.bmm(d_GRD, weights["q"].mT)
            _add_own(d_q, slot, self.y_GND, steps, "q", "q_bias")
            (dq,) = self.shape.split(d_q, 1)
            dk, dv = self.shape.split(self._push_memory(dmemory_GQD, steps, slot), 2)
        fed = dk.shape[1] // s  # slots whose keys and values move
        d_XPTS = torch.bmm(dq, k.mT).view(lanes, slots, t, s)
        moved = torch.bmm(q, dk.mT).view(lanes, t, fed, s)
        d_XPTS[:, :fed] += moved.transpose(1, 2)
        d_XPTS = _softmax_derivative(d_XPTS, self.a_XTS[:, None])
        mixed_XPTK = torch.bmm(d_XPTS.view(lanes, slots * t, s), v).view(lanes, slots, t, -1)
        dv_XSC = dv.unflatten(1, (fed, s)).transpose(1, 2).flatten(2)
        moved = torch.bmm(self.a_XTS, dv_XSC).view(lanes, t, fed, -1)
        mixed_XPTK[:, :fed] += moved.transpose(1, 2)
        mixed_GRD = self.shape.pack(mixed_XPTK.flatten(1, 2))
        out_GRD = _times(mixed_GRD, weights["out_proj"].mT, skip_GRD)
        _add_own(out_GRD, slot, self.mixed_GND, steps, "out_proj", "out_bias")
        return out_GRD

    def _push_memory(self, dmemory_GQD: Tensor, steps: Weights, slot: int) -> Tensor:
        assert self.memory_GMD is not None
        rows, fed = self.memory_GMD.shape[1], dmemory_GQD.shape[1]
        kv = self.weights["kv"]
        moved = max(fed, (slot + 1) * rows)
        d_GQC = dmemory_GQD.new_empty(kv.shape[0], moved, kv.shape[1])
        d_GQC[:, :fed].baddbmm_(dmemory_GQD, kv.mT, beta=0)
        d_GQC[:, fed:].zero_()
        _add_own(d_GQC, slot, self.memory_GMD, steps, "kv", "kv_bias")
        return d_GQC


def _softmax_derivative(g: Float[Tensor, "X ... T S"], a: Float[Tensor, "X ... T S"]) -> Tensor:
    """A∘g − A Σ(A∘g)."""
    return torch.ops.aten._softmax_backward_data(g, a.expand_as(g), -1, g.dtype)


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
        centred_GND = x_GND - x_GND.mean(-1, keepdim=True)
        inverse_GN1 = centred_GND.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        xhat_GND = centred_GND.mul_(inverse_GN1)
        out_GND = torch.addcmul(weights["bias"], xhat_GND, weights["weight"])
        return out_GND, NormTape(weights, xhat_GND, inverse_GN1)

    def pull(
        self, c_GND: Float[Tensor, "G N D"]
    ) -> tuple[Float[Tensor, "G N D"], dict[str, Tensor]]:
        """Π(γ∘c), and the gradients of γ and β."""
        along_GND, scaled_GND = c_GND * self.xhat_GND, c_GND * self.weights["weight"]
        gradients = {"weight": along_GND.sum(1, keepdim=True), "bias": c_GND.sum(1, keepdim=True)}
        return self._project(scaled_GND[:, None]).squeeze(1), gradients

    def push(
        self, d_GRD: Float[Tensor, "G R D"], steps: Weights, slot: int
    ) -> Float[Tensor, "G R D"]:
        """γ∘Π(d), and J_θ s in the slot."""
        d_GPND = self._project(_slots(d_GRD, self.xhat_GND)).mul_(self.weights["weight"][:, None])
        d_GPND[:, slot] += self.own(steps)
        return d_GPND.view(d_GRD.shape)

    def own(self, steps: Weights) -> Float[Tensor, "G N D"]:
        """J_θ s."""
        return torch.addcmul(steps["bias"], self.xhat_GND, steps["weight"])

    def _project(self, g_GPND: Float[Tensor, "G P N D"]) -> Float[Tensor, "G P N D"]:
        xhat = self.xhat_GND[:, None]
        along = (g_GPND * xhat).mean(-1, keepdim=True)
        centred = g_GPND - g_GPND.mean(-1, keepdim=True)
        return centred.addcmul_(xhat, along, value=-1).mul_(self.inverse_GN1[:, None])
