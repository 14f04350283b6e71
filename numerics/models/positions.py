"""Sinusoidal positions of Vaswani et al. (2017): RMS 1/√2 per coordinate at every token."""

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoids(
    tokens: int, d_model: int, *, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "T D"]:
    """p[t, 2i] = sin(t / 10000^(2i/d)), p[t, 2i+1] = cos(t / 10000^(2i/d)).

    Examples
    --------
    >>> p = sinusoids(5, 8, device=torch.device("cpu"), dtype=torch.float64)
    >>> float(p.square().mean(-1).sub(0.5).abs().max()) < 1e-12
    True
    """
    t = torch.arange(tokens, device=device, dtype=dtype)[:, None]
    pair = torch.arange(0, d_model, 2, device=device, dtype=dtype)
    angle = t * torch.pow(torch.as_tensor(10000.0, device=device, dtype=dtype), -pair / d_model)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)[:, :d_model]
