"""Products of attention's projections, head by head: x Wᵀ split into lanes, and lanes W summed.

A projection's rows stand head by head in its matrix, and a lane is one head's part of one sequence.
There are two ways to multiply by a projection. *Packed*: one product for all heads, then a copy
that regroups rows by head. *Separate* (``apart``): one product per head, and no copy. Packed is
faster while the copy fits the cache (fewer than 256 rows), for wide rows (D > 256) and for narrow
heads (K < 16). With several models side by side only packed is possible, because their heads are
not equally spaced in memory.

Layout as in ``mlp_and_norm.py``, and X = H·G·B lanes, the lanes of a head together, K = D / H.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.closed_form.mlp_and_norm import add_product

FEWEST_ROWS = 256
"""Rows N from which the copy of packed products costs more than the calls of separate ones."""
LONGEST_ROW = 256
"""Width D up to which the copy costs more than what separate, narrower products lose."""
THINNEST_HEAD = 16
"""Width K of a head from which its own product is worth a call."""


@dataclass(frozen=True)
class AttentionShape:
    """How the rows of a stream split into sequences and heads."""

    sequences: int
    """Sequences of a batch, B."""
    heads: int
    """Heads of an attention, H."""
    apart: bool = False
    """Whether heads are multiplied separately, which is possible with one model only."""

    @staticmethod
    def of(streams_GBTD: Tensor, heads: int) -> "AttentionShape":
        """Choose the faster way for streams of this shape.

        Examples
        --------
        >>> [AttentionShape.of(torch.zeros(1, 8, t, 64), 2).apart for t in (16, 64)]
        [False, True]
        """
        models, sequences, t, d = streams_GBTD.shape
        wide = d <= LONGEST_ROW and d // heads >= THINNEST_HEAD
        return AttentionShape(
            sequences, heads, models == 1 and wide and sequences * t >= FEWEST_ROWS
        )

    def split(self, packed_GNC: Tensor, count: int) -> tuple[Float[Tensor, "X T K"], ...]:
        """Split packed rows into ``count`` projections, head by head.

        Examples
        --------
        >>> first, second = AttentionShape(1, 2).split(torch.arange(8.0).view(1, 1, 8), 2)
        >>> first.tolist(), second.tolist()
        ([[[0.0, 1.0]], [[2.0, 3.0]]], [[[4.0, 5.0]], [[6.0, 7.0]]])
        """
        models, rows, columns = packed_GNC.shape
        lanes, t = models * self.sequences, rows // self.sequences
        each = columns // (count * self.heads)
        # (G, N, C) to (Y, T, count, H, K), Y = G·B; then projections and heads to the front.
        view = packed_GNC.view(lanes, t, count, self.heads, each)
        apart = view.permute(2, 3, 0, 1, 4).reshape(count, self.heads * lanes, t, each)
        return apart.unbind()

    def pack(self, parts_CXTK: Tensor) -> Float[Tensor, "G N C"]:
        """Undo ``split``."""
        count, lanes, t, k = parts_CXTK.shape
        models = lanes // (self.heads * self.sequences)
        # (count, X, T, K) to (count, H, Y, T, K); then projections and heads into the row.
        view = parts_CXTK.view(count, self.heads, models * self.sequences, t, k)
        packed = view.permute(2, 3, 0, 1, 4)
        return packed.reshape(models, self.sequences * t, count * self.heads * k)

    def by_head(self, lanes_XTK: Tensor) -> Float[Tensor, "H Y T K"]:
        """Group lanes by head, with Y = G·B lanes of each."""
        return lanes_XTK.unflatten(0, (self.heads, -1))

    def project(
        self, x_GND: Tensor, w_GCD: Tensor, bias_G1C: Tensor | None = None
    ) -> tuple[Float[Tensor, "X T K"], ...]:
        """Project a stream to lanes, x Wᵀ + b; each D rows of W are one projection.

        Examples
        --------
        >>> x, w = torch.randn(1, 6, 32), torch.randn(1, 64, 32)
        >>> shape = AttentionShape(3, 2, apart=True)  # three sequences of two tokens
        >>> q, k = shape.project(x, w)
        >>> q.shape
        torch.Size([6, 2, 16])
        >>> expected = shape.split(x @ w.mT, 2)
        >>> torch.allclose(torch.stack([q, k]), torch.stack(expected), atol=1e-5)
        True
        """
        _, rows, d = x_GND.shape
        count = w_GCD.shape[1] // d
        if not self.apart:
            packed_GNC = torch.bmm(x_GND, w_GCD.mT)
            return self.split(packed_GNC if bias_G1C is None else packed_GNC.add_(bias_G1C), count)
        heads_JKD = _heads(w_GCD, d // self.heads)
        lanes_JNK = torch.bmm(x_GND.expand(count * self.heads, -1, -1), heads_JKD.mT)
        if bias_G1C is not None:
            lanes_JNK += bias_G1C.view(count * self.heads, 1, -1)  # (1, 1, J·K) to (J, 1, K)
        # J = count·H heads of N = B·T rows: (J, N, K) to (count, X, T, K).
        t = rows // self.sequences
        return lanes_JNK.view(count, self.heads * self.sequences, t, -1).unbind()


@dataclass(frozen=True)
class Lanes:
    """Several projections by lane, such as q, k and v, their cotangents, or the mixed values.

    J counts the heads of all of them, and C = J·K.
    """

    shape: AttentionShape
    each: Float[Tensor, "count X T K"]

    @cached_property
    def rows_GNC(self) -> Float[Tensor, "G N C"]:
        """Projections and heads side by side in rows of the stream."""
        return self.shape.pack(self.each)

    def times(self, weight_GCD: Tensor, skip_GND: Tensor | None, *, keep: bool) -> Tensor:
        """Multiply the lanes by a weight and add them to a skip path, skip + lanes W.

        The sum is written into the skip path unless ``keep`` is set.

        Examples
        --------
        >>> w, skip = torch.randn(1, 32, 32), torch.randn(1, 6, 32)
        >>> lanes = Lanes(AttentionShape(3, 2, apart=True), torch.randn(1, 6, 2, 16))
        >>> expected = skip + lanes.rows_GNC @ w
        >>> torch.allclose(lanes.times(w, skip, keep=True), expected, atol=1e-5)
        True
        """
        if not self.shape.apart:
            if keep and skip_GND is not None:
                return torch.baddbmm(skip_GND, self.rows_GNC, weight_GCD)
            return add_product(skip_GND, self.rows_GNC, weight_GCD)
        heads_JKD = _heads(weight_GCD, self.each.shape[-1])
        pieces = list(zip(self._lanes_JNK().unbind(), heads_JKD.unbind(), strict=True))
        if skip_GND is None:
            out_ND = torch.mm(*pieces.pop())
        else:
            out_ND = torch.addmm(skip_GND[0], *pieces.pop()) if keep else skip_GND[0]
        for lanes_NK, head_KD in pieces:
            out_ND.addmm_(lanes_NK, head_KD)
        return out_ND[None]

    def gradient(self, x_GND: Tensor) -> Float[Tensor, "G C D"]:
        """The gradient of W, where these lanes are the cotangents of x Wᵀ.

        Examples
        --------
        >>> x, shape = torch.randn(1, 6, 32), AttentionShape(3, 2, apart=True)
        >>> found = Lanes(shape, torch.ones(2, 6, 2, 16)).gradient(x)
        >>> torch.allclose(found, x.sum(1).expand(1, 64, 32), atol=1e-5)
        True
        """
        if not self.shape.apart:
            return torch.bmm(self.rows_GNC.mT, x_GND)
        lanes_JNK = self._lanes_JNK()
        heads_JKD = torch.bmm(lanes_JNK.mT, x_GND.expand(lanes_JNK.shape[0], -1, -1))
        return heads_JKD.view(1, -1, x_GND.shape[2])  # (J, K, D) to (1, C, D)

    def sums(self) -> Float[Tensor, "G 1 C"]:
        """The sum over the rows, which is the gradient of a bias."""
        if not self.shape.apart:
            return self.rows_GNC.sum(1, keepdim=True)
        return self._lanes_JNK().sum(1).view(1, 1, -1)  # (J, K) to (1, 1, C)

    def _lanes_JNK(self) -> Tensor:
        """The lanes of one model, those of each head one below the other."""
        count, lanes, t, k = self.each.shape
        rows = self.shape.sequences * t
        # (count, X, T, K) to (J, N, K).
        return self.each.view(count * lanes * t // rows, rows, k)


def _heads(weight_GCD: Tensor, k: int) -> Float[Tensor, "J K D"]:
    """The rows of each head, of one model."""
    _, rows, d = weight_GCD.shape
    # (1, J·K, D) to (J, K, D).
    return weight_GCD.view(rows // k, k, d)
