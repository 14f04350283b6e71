"""Muon's step of a hidden matrix: the polar factor of its averaged gradient, in three scalings.

With g = U Σ Vᵀ the step is c(rows, columns) U Vᵀ, rows being fan-out and columns fan-in:

    original         c = √max(1, rows/columns)   Keller Jordan's Muon, and torch's ``original``
    match-rms-adamw  c = 0.2 √max(rows, columns) Liu et al., arXiv:2502.16982, and torch's
                                                 ``match_rms_adamw``: entries of RMS 0.2, as AdamW's
    spectral         c = √(rows/columns)         Bernstein and Newhouse, arXiv:2409.20325: the RMS
                                                 of what the matrix computes moves by 1

Singular values are exactly 1 here; torch's five Newton-Schulz iterations leave 0.7 to 1.2.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

MUON_MOMENTUM = 0.95


def original(rows: int, columns: int) -> float:
    """Enlarge matrices that are taller than wide: √max(1, rows/columns)."""
    return max(1.0, rows / columns) ** 0.5


def match_rms_adamw(rows: int, columns: int) -> float:
    """Give the entries of a full-rank step the RMS 0.2: 0.2 √max(rows, columns)."""
    return 0.2 * max(rows, columns) ** 0.5


def spectral(rows: int, columns: int) -> float:
    """Give the step the norm 1 between root mean squares: √(rows/columns)."""
    return (rows / columns) ** 0.5


SCALINGS: Mapping[str, Callable[[int, int], float]] = {
    "original": original,
    "match-rms-adamw": match_rms_adamw,
    "spectral": spectral,
}
"""Factors on the polar factor by name: (rows, columns) ↦ c."""


def orthogonal_step(
    history: Sequence[Float[Tensor, "m n"]], scaling: str = "original"
) -> Float[Tensor, "m n"]:
    """Turn a matrix's gradients into Muon's step ÷ −η: c U Vᵀ of their Nesterov average.

    Parameters
    ----------
    history
        Gradients, first to last.
    scaling
        A name in `SCALINGS`.

    Examples
    --------
    >>> orthogonal_step([torch.tensor([[3.0, 0.0], [0.0, -4.0]])], "match-rms-adamw")
    tensor([[ 0.2828,  0.0000],
            [ 0.0000, -0.2828]])
    """
    mean = torch.zeros_like(history[0])
    for gradient in history:
        mean = MUON_MOMENTUM * mean + (1 - MUON_MOMENTUM) * gradient
    return orthogonal(MUON_MOMENTUM * mean + (1 - MUON_MOMENTUM) * history[-1], scaling)


def orthogonal(ahead: Float[Tensor, "m n"], scaling: str = "original") -> Float[Tensor, "m n"]:
    """Give a matrix's directions the length of a scaling: c U Vᵀ of U Σ Vᵀ.

    Examples
    --------
    >>> orthogonal(torch.tensor([[3.0, 0.0], [0.0, -4.0]]))
    tensor([[ 1.,  0.],
            [ 0., -1.]])
    """
    u, values, v = torch.linalg.svd(ahead, full_matrices=False)
    # Directions without a gradient stay where they are, as Newton-Schulz leaves them.
    least = values.max() * max(ahead.shape) * torch.finfo(ahead.dtype).eps
    u = u * (values > least).to(u.dtype)
    return SCALINGS[scaling](*ahead.shape) * (u @ v)
