"""Attention linearised at a point, in closed form: forward, Jᵀ and J, as in ``mlp_and_norm.py``.

The attention matrix is A = softmax(α q kᵀ) with α = K^(-1/2). The derivative of the softmax is g ↦
A∘g − A Σ(A∘g). It is symmetric, so one function serves both directions. P tangents d of a stream
move the logits of a head by

    α d W_qᵀ kᵀ + α q W_k dᵀ.

Where a sequence is short, ``push`` multiplies the pair without d first: then the queries and keys
of P tangents are never formed, and no tangent is copied from rows to heads.

Layout as in ``mlp_and_norm.py``. A *lane* is one head of one sequence of one model: X = H·G·B
lanes, those of one head together, and Y = G·B of each head. K = D / H is the width of a head.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.closed_form.head_products import AttentionShape, Lanes
from numerics.linearization.closed_form.mlp_and_norm import Weights, add_own, add_product


@dataclass(frozen=True)
class AttentionTape:
    """Attention at a point, with what its derivatives there need: softmax(α q kᵀ) v W_oᵀ.

    It reads the stream itself where ``memory`` is ``None``.
    """

    weights: Weights
    """``in_proj``, the rows of q, k and v one below the other, ``out_proj``, and their biases."""
    inner: Weights
    """The projections as they are multiplied: ``qkv``, or ``q`` and ``kv``; and their biases."""
    shape: AttentionShape
    y_GND: Tensor
    memory_GMD: Tensor | None
    qkv: tuple[Tensor, Tensor, Tensor]
    """q, k and v, each (X, T or S, K)."""
    a_XTS: Tensor
    """The attention matrix A."""
    mixed: Lanes
    """A v."""

    @staticmethod
    def apply(
        weights: Weights,
        inner: Weights,
        shape: AttentionShape,
        y_GND: Float[Tensor, "G N D"],
        memory_GMD: Float[Tensor, "G M D"] | None,
        mask: Float[Tensor, "#X #T S"],
        skip_GND: Tensor | None,
    ) -> tuple[Float[Tensor, "G N D"], "AttentionTape"]:
        """Apply attention and add it to the skip path.

        ``mask`` is added to the logits, −∞ where a key is hidden.
        """
        q, k, v = _project(shape, y_GND, memory_GMD, inner)
        a_XTS = torch.baddbmm(mask, q, k.mT, alpha=_alpha(q)).softmax(-1)
        mixed = Lanes(shape, torch.bmm(a_XTS, v)[None])
        out_GND = mixed.times(weights["out_proj"].mT, skip_GND, keep=True)
        if "out_bias" in weights:
            out_GND.add_(weights["out_bias"])
        tape = AttentionTape(weights, inner, shape, y_GND, memory_GMD, (q, k, v), a_XTS, mixed)
        return out_GND, tape

    def pull(
        self,
        c_GND: Float[Tensor, "G N D"],
        skip_GND: Tensor | None,
        c_memory_GMD: Float[Tensor, "G M D"] | None = None,
    ) -> tuple[Float[Tensor, "G N D"], Float[Tensor, "G M D"] | None, dict[str, Tensor]]:
        """Take a cotangent c backward: skip + Jᵀc, the memory's cotangent, the weights' gradients.

        The cotangent of the memory is added to ``c_memory``.
        """
        weights, inner, (q, k, v) = self.weights, self.inner, self.qkv
        crosses = self.memory_GMD is not None
        # W_o is (D, C) and the mixed values (N, C): its gradient is cᵀ mixed.
        gradients = {"out_proj": self.mixed.gradient(c_GND).mT}
        if "out_bias" in weights:
            gradients["out_bias"] = c_GND.sum(1, keepdim=True)
        (c_XTK,) = self.shape.project(c_GND, weights["out_proj"].mT)
        c_XTS = _softmax_derivative(torch.bmm(c_XTK, v.mT), self.a_XTS)
        # Cotangents of projections that share an input stand in one array, (1, 2 or 3, X, T, K).
        shapes = [(1, *q.shape), (2, *k.shape)] if crosses else [(3, *q.shape)]
        parts = [q.new_empty(shape) for shape in shapes]
        c_q, c_k, c_v = (each for part in parts for each in part.unbind())
        # Logits are α q kᵀ: (X, T, S) times (X, S, K), and transposed.
        torch.baddbmm(c_q, c_XTS, k, beta=0, alpha=_alpha(q), out=c_q)
        torch.baddbmm(c_k, c_XTS.mT, q, beta=0, alpha=_alpha(q), out=c_k)
        torch.bmm(self.a_XTS.mT, c_XTK, out=c_v)
        own, *kv = (Lanes(self.shape, part) for part in parts)
        name = "q" if crosses else "qkv"
        gradients |= _gradients(own, self.y_GND, inner, name)
        c_GND = own.times(inner[name], skip_GND, keep=False)
        if self.memory_GMD is None:
            return c_GND, c_memory_GMD, gradients
        gradients |= _gradients(kv[0], self.memory_GMD, inner, "kv")
        return c_GND, kv[0].times(inner["kv"], c_memory_GMD, keep=False), gradients

    def push(
        self,
        d_GRD: Float[Tensor, "G R D"],
        dmemory_GQD: Float[Tensor, "G Q D"] | None,
        skip_GRD: Tensor | None,
        steps: Weights,
        slot: int,
    ) -> Float[Tensor, "G R D"]:
        """Take tangents d forward: skip + J (d, dmemory), and the weights' own J_θ s in their slot.

        The memory's tangents fill the first Q / M slots; ``slot`` may be one of them or the next.
        """
        source = d_GRD if dmemory_GQD is None or self.memory_GMD is None else dmemory_GQD
        own_a, own_v = self._push_weights(steps)
        da = self._push_logits(d_GRD, source)
        da[:, :, :, slot] += own_a  # (H, Y, T, P, S)
        da = _softmax_derivative(da, self.shape.by_head(self.a_XTS)[:, :, :, None])
        mixed = self._push_values(source, da)
        k, out_GRD = mixed.shape[-1], skip_GRD
        mixed[:, :, :, slot] += own_v
        outer = self.weights["out_proj"].unflatten(2, (-1, k))  # (G, D, H, K)
        for head, each in enumerate(mixed):
            moved_GRK = each.view(*d_GRD.shape[:2], k)  # (Y, T, P, K) to (G, R, K)
            out_GRD = add_product(out_GRD, moved_GRK, outer[:, :, head].mT)
        assert out_GRD is not None
        add_own(out_GRD, slot, self.mixed.rows_GNC, steps, "out_proj", "out_bias")
        return out_GRD

    def _push_weights(self, steps: Weights) -> tuple[Tensor, Tensor]:
        """How the steps of the projections alone move logits and mixed values, by head."""
        q, k, _ = self.qkv
        dq, dk, dv = _project(self.shape, self.y_GND, self.memory_GMD, steps)
        logits = torch.bmm(dq, k.mT).baddbmm_(q, dk.mT, beta=_alpha(q), alpha=_alpha(q))
        return self.shape.by_head(logits), self.shape.by_head(torch.bmm(self.a_XTS, dv))

    def _push_logits(self, d_GRD: Tensor, source_GQD: Tensor) -> Float[Tensor, "H Y T P S"]:
        """How the tangents of the streams move the logits, by head: α d W_qᵀ kᵀ + α q W_k dᵀ."""
        q, k = (self.shape.by_head(_alpha(x) * x) for x in self.qkv[:2])
        heads, lanes, s = k.shape[:3]
        t = q.shape[2]
        da = d_GRD.new_empty(heads, lanes, t, d_GRD.shape[1] // self.y_GND.shape[1], s)
        queries, keys = self._rows(0), self._rows(1)
        for head in range(heads):
            # (Y, T, P, S) as (Y, T·P, S): the rows of a sequence and their tangents.
            _through(d_GRD, queries[:, head], k[head], out=da[head].flatten(1, 2))
            moved = _through(source_GQD, keys[:, head], q[head])
            fed = moved.shape[1] // s
            # (Y, S·P', T) to (Y, T, P', S), where only the first P' tangents reach the source.
            da[head][:, :, :fed] += moved.view(lanes, s, fed, t).permute(0, 3, 2, 1)
        return da

    def _push_values(self, source_GQD: Tensor, da: Tensor) -> Float[Tensor, "H Y T P K"]:
        """How moved values and moved logits move the mixed values, by head: A dv + dA v."""
        a, v = self.shape.by_head(self.a_XTS), self.shape.by_head(self.qkv[2])
        mixed = da.new_empty(*da.shape[:4], v.shape[-1])
        for head, values in enumerate(self._rows(2).unbind(1)):
            # (G, Q, K) to (Y, S, P'·K): the P' tangents of a token beside each other.
            dv = torch.bmm(source_GQD, values.mT).view(*v.shape[1:3], -1)
            moved = mixed[head].flatten(2)  # (Y, T, P, K) to (Y, T, P·K)
            if moved.shape[2] == dv.shape[2]:
                torch.bmm(a[head], dv, out=moved)
            else:
                moved[:, :, dv.shape[2] :] = 0
                moved[:, :, : dv.shape[2]] = torch.bmm(a[head], dv)
            # (Y, T·P, K) += (Y, T·P, S) (Y, S, K).
            mixed[head].flatten(1, 2).baddbmm_(da[head].flatten(1, 2), v[head])
        return mixed

    def _rows(self, number: int) -> Float[Tensor, "G H K D"]:
        """The rows of q, k or v in the packed matrix, by head."""
        # (G, 3·H·K, D) to (G, 3, H, K, D).
        return self.weights["in_proj"].unflatten(1, (3, self.shape.heads, -1))[:, number]


def _through(
    d_GRD: Tensor, w_GKD: Tensor, x_YSK: Tensor, *, out: Tensor | None = None
) -> Float[Tensor, "Y L S"]:
    """Multiply tangents by a projection and by the other operand, d Wᵀ xᵀ, in the cheaper order.

    L of the R rows belong to a lane.
    """
    lanes, s, k = x_YSK.shape
    models, rows, d = d_GRD.shape
    own = rows * models // lanes
    if s * d * (k + own) < own * k * (d + s):
        # (Y, S, K) as (G, B·S, K) meets the weights, and goes back to lanes as (Y, S, D).
        xw_YSD = torch.bmm(x_YSK.reshape(models, -1, k), w_GKD).view(lanes, s, d)
        return torch.bmm(d_GRD.view(lanes, -1, d), xw_YSD.mT, out=out)
    # (G, R, K) to (Y, L, K).
    dw_YLK = torch.bmm(d_GRD, w_GKD.mT).view(lanes, -1, k)
    return torch.bmm(dw_YLK, x_YSK.mT, out=out)


def _alpha(x_XTK: Tensor) -> float:
    """The factor on the logits, α = K^(-1/2)."""
    return x_XTK.shape[-1] ** -0.5


def _project(
    shape: AttentionShape, y_GND: Tensor, memory_GMD: Tensor | None, inner: Weights
) -> tuple[Tensor, Tensor, Tensor]:
    """Project to lanes: queries of y, keys and values of the memory, or of y without one."""
    if memory_GMD is None:
        q, k, v = shape.project(y_GND, inner["qkv"], inner.get("qkv_bias"))
    else:
        (q,) = shape.project(y_GND, inner["q"], inner.get("q_bias"))
        k, v = shape.project(memory_GMD, inner["kv"], inner.get("kv_bias"))
    return q, k, v


def _gradients(lanes: Lanes, x_GND: Tensor, inner: Weights, name: str) -> dict[str, Tensor]:
    """The gradients of a projection of x and of its bias, from the cotangents of its lanes."""
    found = {name: lanes.gradient(x_GND)}
    return found | {name + "_bias": lanes.sums()} if name + "_bias" in inner else found


def _softmax_derivative(g: Float[Tensor, "*X S"], a: Float[Tensor, "*#X S"]) -> Tensor:
    """Apply the derivative of the softmax, A∘g − A Σ(A∘g)."""
    return torch.ops.aten._softmax_backward_data(g, a.expand_as(g), -1, g.dtype)
