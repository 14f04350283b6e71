"""Attention linearised at a point, in closed form: forward, Jᵀ, J, as in ``block_derivatives.py``.

With A = softmax(α q kᵀ), α = K^(-1/2), the derivative of the softmax is g ↦ A∘g − A Σ(A∘g): it is
symmetric and serves both directions. P tangents d of a stream move a head's logits by

    α d W_qᵀ kᵀ + α q W_k dᵀ

where ``push`` multiplies the pair without d first if the sequence is short: then queries and keys
of P tangents are never formed, and no tangent is copied from rows to heads.

Layout as there, and X = H·G·B lanes, the lanes of a head together, K = D / H.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.block_derivatives import Weights, add_own, add_product, affine, linear_gradients


@dataclass(frozen=True)
class AttentionShape:
    """How rows of a stream split into sequences and heads."""

    sequences: int
    """B"""
    heads: int
    """H"""

    def split(self, packed_GNC: Tensor, count: int) -> tuple[Float[Tensor, "X T K"], ...]:
        """``count`` projections, head by head.

        Examples
        --------
        >>> first, second = AttentionShape(1, 2).split(torch.arange(8.0).view(1, 1, 8), 2)
        >>> first.tolist(), second.tolist()
        ([[[0.0, 1.0]], [[2.0, 3.0]]], [[[4.0, 5.0]], [[6.0, 7.0]]])
        """
        models, rows, columns = packed_GNC.shape
        lanes, t = models * self.sequences, rows // self.sequences
        each = columns // (count * self.heads)
        view = packed_GNC.view(lanes, t, count, self.heads, each)
        apart = view.permute(2, 3, 0, 1, 4).reshape(count, self.heads * lanes, t, each)
        return apart.unbind()

    def pack(self, parts_CXTK: Tensor) -> Float[Tensor, "G N C"]:
        """The inverse of ``split``."""
        count, lanes, t, k = parts_CXTK.shape
        models = lanes // (self.heads * self.sequences)
        view = parts_CXTK.view(count, self.heads, models * self.sequences, t, k)
        packed = view.permute(2, 3, 0, 1, 4)
        return packed.reshape(models, self.sequences * t, count * self.heads * k)

    def by_head(self, lanes_XTK: Tensor) -> Float[Tensor, "H Y T K"]:
        """The lanes of each head, Y = G·B."""
        return lanes_XTK.unflatten(0, (self.heads, -1))


@dataclass(frozen=True)
class AttentionTape:
    """softmax(α q kᵀ) v W_oᵀ at a point; over the stream itself when ``memory`` is ``None``."""

    weights: Weights
    """``in_proj``, the rows of q, k and v one below the other, ``out_proj``, and their biases."""
    shape: AttentionShape
    y_GND: Tensor
    memory_GMD: Tensor | None
    qkv: tuple[Tensor, Tensor, Tensor]
    """q, k and v, each (X, T or S, K)."""
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
        inner = _projections(weights, crosses=memory_GMD is not None)
        q, k, v = _project(shape, y_GND, memory_GMD, inner)
        a_XTS = torch.baddbmm(mask, q, k.mT, alpha=_alpha(q)).softmax(-1)
        mixed_GND = shape.pack(torch.bmm(a_XTS, v)[None])
        out_GND = affine(mixed_GND, weights, "out_proj", "out_bias", skip_GND)
        tape = AttentionTape(weights, shape, y_GND, memory_GMD, (q, k, v), a_XTS, mixed_GND)
        return out_GND, tape

    def pull(
        self, c_GND: Float[Tensor, "G N D"], skip_GND: Tensor | None
    ) -> tuple[Float[Tensor, "G N D"], Float[Tensor, "G M D"] | None, dict[str, Tensor]]:
        """skip + Jᵀc, the memory's cotangent, and the gradients of the weights."""
        weights, (q, k, v) = self.weights, self.qkv
        crosses = self.memory_GMD is not None
        inner = _projections(weights, crosses=crosses)
        gradients = linear_gradients(c_GND, self.mixed_GND, weights, "out_proj", "out_bias")
        (c_XTK,) = self.shape.split(torch.bmm(c_GND, weights["out_proj"]), 1)
        c_XTS = _softmax_derivative(torch.bmm(c_XTK, v.mT), self.a_XTS)
        shapes = [(1, *q.shape), (2, *k.shape)] if crosses else [(3, *q.shape)]
        parts = [q.new_empty(shape) for shape in shapes]
        c_q, c_k, c_v = (each for part in parts for each in part.unbind())
        torch.baddbmm(c_q, c_XTS, k, beta=0, alpha=_alpha(q), out=c_q)
        torch.baddbmm(c_k, c_XTS.mT, q, beta=0, alpha=_alpha(q), out=c_k)
        torch.bmm(self.a_XTS.mT, c_XTK, out=c_v)
        c_GNC, *c_kv = (self.shape.pack(part) for part in parts)
        if self.memory_GMD is None:
            gradients |= linear_gradients(c_GNC, self.y_GND, inner, "qkv", "qkv_bias")
            return add_product(skip_GND, c_GNC, inner["qkv"]), None, gradients
        gradients |= linear_gradients(c_GNC, self.y_GND, inner, "q", "q_bias")
        gradients |= linear_gradients(c_kv[0], self.memory_GMD, inner, "kv", "kv_bias")
        return add_product(skip_GND, c_GNC, inner["q"]), torch.bmm(c_kv[0], inner["kv"]), gradients

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
        source = d_GRD if dmemory_GQD is None or self.memory_GMD is None else dmemory_GQD
        own_a, own_v = self._push_weights(steps)
        da = self._push_logits(d_GRD, source)
        da[:, :, :, slot] += own_a
        da = _softmax_derivative(da, self.shape.by_head(self.a_XTS)[:, :, :, None])
        mixed = self._push_values(source, da)
        k, out_GRD = mixed.shape[-1], skip_GRD
        mixed[:, :, :, slot] += own_v
        outer = self.weights["out_proj"].unflatten(2, (-1, k))
        for head, each in enumerate(mixed):
            moved_GRK = each.view(*d_GRD.shape[:2], k)
            out_GRD = add_product(out_GRD, moved_GRK, outer[:, :, head].mT)
        assert out_GRD is not None
        add_own(out_GRD, slot, self.mixed_GND, steps, "out_proj", "out_bias")
        return out_GRD

    def _push_weights(self, steps: Weights) -> tuple[Tensor, Tensor]:
        """How the steps of the projections alone move logits and mixed values, by head."""
        q, k, _ = self.qkv
        dq, dk, dv = _project(self.shape, self.y_GND, self.memory_GMD, steps)
        logits = torch.bmm(dq, k.mT).baddbmm_(q, dk.mT, beta=_alpha(q), alpha=_alpha(q))
        return self.shape.by_head(logits), self.shape.by_head(torch.bmm(self.a_XTS, dv))

    def _push_logits(self, d_GRD: Tensor, source_GQD: Tensor) -> Float[Tensor, "H Y T P S"]:
        """α d W_qᵀ kᵀ + α q W_k dᵀ, by head."""
        q, k = (self.shape.by_head(_alpha(x) * x) for x in self.qkv[:2])
        heads, lanes, s = k.shape[:3]
        t = q.shape[2]
        da = d_GRD.new_empty(heads, lanes, t, d_GRD.shape[1] // self.y_GND.shape[1], s)
        queries, keys = self._rows(0), self._rows(1)
        for head in range(heads):
            _through(d_GRD, queries[:, head], k[head], out=da[head].flatten(1, 2))
            moved = _through(source_GQD, keys[:, head], q[head])
            fed = moved.shape[1] // s
            da[head][:, :, :fed] += moved.view(lanes, s, fed, t).permute(0, 3, 2, 1)
        return da

    def _push_values(self, source_GQD: Tensor, da: Tensor) -> Float[Tensor, "H Y T P K"]:
        """A dv + dA v, by head."""
        a, v = self.shape.by_head(self.a_XTS), self.shape.by_head(self.qkv[2])
        mixed = da.new_empty(*da.shape[:4], v.shape[-1])
        for head, values in enumerate(self._rows(2).unbind(1)):
            dv = torch.bmm(source_GQD, values.mT).view(*v.shape[1:3], -1)
            moved = mixed[head].flatten(2)
            if moved.shape[2] == dv.shape[2]:
                torch.bmm(a[head], dv, out=moved)
            else:
                moved[:, :, dv.shape[2] :] = 0
                moved[:, :, : dv.shape[2]] = torch.bmm(a[head], dv)
            mixed[head].flatten(1, 2).baddbmm_(da[head].flatten(1, 2), v[head])
        return mixed

    def _rows(self, number: int) -> Float[Tensor, "G H K D"]:
        """The rows of q, k or v in the packed matrix, by head."""
        return self.weights["in_proj"].unflatten(1, (3, self.shape.heads, -1))[:, number]


def _through(
    d_GRD: Tensor, w_GKD: Tensor, x_YSK: Tensor, *, out: Tensor | None = None
) -> Float[Tensor, "Y L S"]:
    """d Wᵀ xᵀ, in the cheaper order; L of the R rows belong to a lane."""
    lanes, s, k = x_YSK.shape
    models, rows, d = d_GRD.shape
    own = rows * models // lanes
    if s * d * (k + own) < own * k * (d + s):
        xw_YSD = torch.bmm(x_YSK.reshape(models, -1, k), w_GKD).view(lanes, s, d)
        return torch.bmm(d_GRD.view(lanes, -1, d), xw_YSD.mT, out=out)
    dw_YLK = torch.bmm(d_GRD, w_GKD.mT).view(lanes, -1, k)
    return torch.bmm(dw_YLK, x_YSK.mT, out=out)


def _alpha(x_XTK: Tensor) -> float:
    """α = K^(-1/2)."""
    return x_XTK.shape[-1] ** -0.5


def _project(
    shape: AttentionShape, y_GND: Tensor, memory_GMD: Tensor | None, inner: Weights
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries of y, keys and values of the memory or of y, by lane."""
    if memory_GMD is None:
        q, k, v = shape.split(affine(y_GND, inner, "qkv", "qkv_bias"), 3)
    else:
        (q,) = shape.split(affine(y_GND, inner, "q", "q_bias"), 1)
        k, v = shape.split(affine(memory_GMD, inner, "kv", "kv_bias"), 2)
    return q, k, v


def _projections(held: Weights, *, crosses: bool) -> Weights:
    """Views of the packed projections: q, k, v together, or q apart from k, v."""
    d = held["out_proj"].shape[1]
    found = {}
    for suffix, name, rows in (("", "in_proj", 1), ("_bias", "in_bias", 2)):
        if name not in held:
            continue
        packed = held[name]
        if crosses:
            found["q" + suffix] = packed.narrow(rows, 0, d)
            found["kv" + suffix] = packed.narrow(rows, d, 2 * d)
        else:
            found["qkv" + suffix] = packed
    return found


def _softmax_derivative(g: Float[Tensor, "*X S"], a: Float[Tensor, "*#X S"]) -> Tensor:
    """A∘g − A Σ(A∘g)."""
    return torch.ops.aten._softmax_backward_data(g, a.expand_as(g), -1, g.dtype)
