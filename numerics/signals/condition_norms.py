"""Measures the left sides of T-Fixup's Eqs. 6–8 on the matrices and streams of a real Transformer.

Let v and w be the two matrices of a block (W_v and W_o, or W₁ and W₂), and x, y, m its inputs. Over
the residual blocks of the model,

    Eq. 6  Σ over the encoder      v² x² + w² x² + v² w²
    Eq. 7  Σ over the decoder      the same with y; with m where it reads the memory
    Eq. 8  Σ over encoder-attention  v² w²

The printed Eq. 7 counts every decoder block twice, once with y and once with m. Its 2 is hence the
1 here. For d > 1 a norm has two readings:

    rms       of a vector its root mean square, of a matrix ‖W‖_F/√fan_out, the factor by which it
              changes the root mean square of an isotropic vector
    spectral  of a matrix its largest singular value, of a vector the largest of the tokens'
              root mean squares: the worst case over inputs
"""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from numerics.models.attention import Attention
from numerics.models.mlp import MLP
from numerics.signals.branches import BranchCall
from theory.errors import InputError, nearest

NormReading = Literal["rms", "spectral"]
READINGS: tuple[str, ...] = get_args(NormReading)


def left_sides(calls: tuple[BranchCall, ...], reading: str) -> Mapping[int, float]:
    """The left sides of Eqs. 6–8, by equation number.

    Parameters
    ----------
    calls
        Every branch of an encoder-decoder in one forward pass.
    reading
        ``rms`` or ``spectral``.

    Raises
    ------
    InputError
        For another reading.

    Examples
    --------
    >>> from numerics.signals.branches import branch_calls
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("tfixup", ModelSpec(24, 24, d_ff=64), generator)
    >>> batch = random_batch(model.spec, generator)
    >>> found = branch_calls(model, lambda: model.features(batch.source_BS, batch.target_BT))
    >>> [round(value, 1) for value in left_sides(found, "rms").values()]
    [1.0, 1.0, 0.1]
    """
    if reading not in READINGS:
        raise nearest(reading, READINGS, "reading of a norm")
    matrix, vector = _NORMS[reading]
    sums = {6: 0.0, 7: 0.0, 8: 0.0}
    for item in calls:
        v, w = (float(matrix(weight.double())) ** 2 for weight in _pair(item))
        x = float(vector(item.memory_BSD.double())) ** 2
        equation = 6 if item.part.startswith("encoder.") else 7
        sums[equation] += (v + w) * x + v * w
        if item.part == "decoder.cross_attention":
            sums[8] += v * w
    return sums


def _pair(called: BranchCall) -> tuple[Tensor, Tensor]:
    module = called.module
    if isinstance(module, MLP):
        if module.w3 is not None:
            raise InputError("Eqs. 6-8 are stated for MLPs without a gate, got a gated one")
        return module.w1.detach(), module.w2.detach()
    assert isinstance(module, Attention)
    return module.value_matrix.detach(), module.out_proj.detach()


def _rms_gain(weight: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(weight) / len(weight) ** 0.5


def _spectral(weight: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(weight, ord=2)


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()


def _largest_rms(x: Tensor) -> Tensor:
    return x.square().mean(-1).amax().sqrt()


_NORMS: Mapping[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "rms": (_rms_gain, _rms),
    "spectral": (_spectral, _largest_rms),
}
