"""Products of attention's projections, head by head: x Wᵀ split into lanes, and lanes W summed.

A projection's rows stand head by head in its matrix, and a lane is one head's part of one sequence.
Two ways lead from rows of a stream to lanes and back. *Packed*: one product of all heads, and a
copy that sets the heads apart or together. *Apart*: one product a head, all reading the stream in
place, so that nothing is copied. Copies of long streams leave the cache, and apart is faster; of
short ones they cost less than the calls, and where rows are long or heads thin less than what the
narrower products lose. Several models side by side have no heads at one distance from each other.

Layout as in ``block_derivatives.py``, and X = H·G·B lanes, the lanes of a head together, K = D / H.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.closed_form.mlp_and_norm import add_product

FEWEST_ROWS = 256
"""N from which copies cost more than calls."""
LONGEST_ROW = 256
"""D up to which copies cost more than narrow products."""
THINNEST_HEAD = 16
"""K from which the products of single heads are worth their calls."""


@dataclass(frozen=True)
class AttentionShape:
    """How rows of a stream split into sequences and heads."""

    sequences: int
    """B"""
    heads: int
    """H"""
    apart: bool = False
    """Whether heads are multiplied one by one; with one model only."""

    @staticmethod
    def of(streams_GBTD: Tensor, heads: int) -> "AttentionShape":
        """The faster way for streams of this shape.

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

    def project(
        self, x_GND: Tensor, w_GCD: Tensor, bias_G1C: Tensor | None = None
    ) -> tuple[Float[Tensor, "X T K"], ...]:
        """x Wᵀ + b by lane; each D rows of W are one projection.

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
            lanes_JNK += bias_G1C.view(count * self.heads, 1, -1)
        t = rows // self.sequences
        return lanes_JNK.view(count, self.heads * self.sequences, t, -1).unbind()


@dataclass(frozen=True)
class Lanes:
    """Several projections by lane: q, k and v, what their cotangents are, or mixed values.

    J counts the heads of all of them, C = J·K.
    """

    shape: AttentionShape
    each: Float[Tensor, "count X T K"]

    @cached_property
    def rows_GNC(self) -> Float[Tensor, "G N C"]:
        """Projections and heads side by side in rows of the stream."""
        return self.shape.pack(self.each)

    def times(self, weight_GCD: Tensor, skip_GND: Tensor | None, *, keep: bool) -> Tensor:
        """skip + lanes W, in the skip's place unless that is to be kept.

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
        """Of W, where these are the cotangents of the lanes of x Wᵀ.

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
        return heads_JKD.view(1, -1, x_GND.shape[2])

    def sums(self) -> Float[Tensor, "G 1 C"]:
        """Over the rows: the gradient of a bias."""
        if not self.shape.apart:
            return self.rows_GNC.sum(1, keepdim=True)
        return self._lanes_JNK().sum(1).view(1, 1, -1)

    def _lanes_JNK(self) -> Tensor:
        """The lanes of each head one below the other, of one model."""
        count, lanes, t, k = self.each.shape
        rows = self.shape.sequences * t
        return self.each.view(count * lanes * t // rows, rows, k)


def _heads(weight_GCD: Tensor, k: int) -> Float[Tensor, "J K D"]:
    """The rows of each head, of one model."""
    _, rows, d = weight_GCD.shape
    return weight_GCD.view(rows // k, k, d)
