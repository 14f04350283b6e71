"""Gradients per weight matrix: one row for each matrix of each layer, with q, k and v separated.

The loss enters as a cotangent u on the output of a call: g = ∂⟨u, f⟩/∂W.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.models import Transformer
from numerics.models.roles import RoleTensor, matrices
from numerics.signals.residual_stream import Call


@dataclass(frozen=True)
class MatrixGradient:
    """The gradient of one matrix."""

    role: str
    """For example ``encoder.mlp.w2``."""
    layer: int
    """Index of the layer within the stack, from 0."""
    value: Tensor
    """The gradient g, in the shape of the matrix."""

    @property
    def norm(self) -> float:
        """Frobenius norm ‖g‖_F of the gradient."""
        return float(torch.linalg.vector_norm(self.value, dtype=torch.float64))


def matrix_gradients(
    model: Transformer, call: Call, cotangent: Tensor
) -> tuple[MatrixGradient, ...]:
    """Gradient of every weight matrix that the call's output depends on, in model order.

    Examples
    --------
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("post-ln", ModelSpec(2, 1), generator)
    >>> batch = random_batch(model.spec, generator)
    >>> call = lambda: model.features(batch.source_BS, batch.target_BT)
    >>> rows = matrix_gradients(model, call, torch.ones(8, 16, 64))
    >>> [row.layer for row in rows if row.role == "encoder.mlp.w2"]
    [0, 1]
    """
    named = dict(model.named_parameters())
    found = list(matrices(model))
    names = list(dict.fromkeys(matrix.parameter for matrix in found))
    slopes = torch.autograd.grad(
        call(), [named[name] for name in names], cotangent, allow_unused=True
    )
    whole = {name: slope for name, slope in zip(names, slopes, strict=True) if slope is not None}
    return tuple(
        MatrixGradient(matrix.role, matrix.layer, _own(matrix, whole[matrix.parameter]))
        for matrix in found
        if matrix.parameter in whole
    )


def _own(matrix: RoleTensor, slope: Tensor) -> Tensor:
    letter = matrix.role.rpartition(".")[2]
    # Grouped heads have a parameter of its own for each of q, k and v.
    packed = matrix.parameter.endswith(".in_proj")
    return slope.chunk(3)["qkv".index(letter)] if packed else slope


def norms_by_layer(rows: Iterable[MatrixGradient], role: str) -> Sequence[float]:
    """Frobenius norms ‖g‖_F of one role's gradients, from the first layer to the last."""
    return [row.norm for row in sorted(rows, key=lambda row: row.layer) if row.role == role]
