"""Sinusoidal positions of Vaswani et al. (2017): RMS 1/√2 per coordinate at every token."""

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoids(
    tokens: int, d_model: int, *, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "T D"]:
    """The table of sinusoidal positions (Vaswani et al., 2017).

    p[t, 2i] = sin(t / 10000^(2i/d)) and p[t, 2i+1] = cos(t / 10000^(2i/d)).

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


def rotated(x_BHTK: Float[Tensor, "B H T K"], base: float) -> Float[Tensor, "B H T K"]:
    """Rotary positions (Su et al., 2021): coordinates i and i + K/2 turn by t base^(-2i/K).

    The pairs are those of GPT-NeoX and of Hugging Face's Llama.

    Examples
    --------
    >>> x = torch.ones(1, 1, 3, 4, dtype=torch.float64)
    >>> rotated(x, 10000.0)[0, 0, 0].tolist()
    [1.0, 1.0, 1.0, 1.0]
    >>> round(float(rotated(x, 10000.0).square().sum()), 9)
    12.0
    """
    tokens, width = x_BHTK.shape[-2:]
    pair = torch.arange(0, width, 2, device=x_BHTK.device, dtype=x_BHTK.dtype)
    speed = torch.pow(torch.as_tensor(base, device=pair.device, dtype=pair.dtype), -pair / width)
    t = torch.arange(tokens, device=x_BHTK.device, dtype=x_BHTK.dtype)[:, None]
    cos_TK, sin_TK = ((t * speed).cos().repeat(1, 2), (t * speed).sin().repeat(1, 2))
    one, other = x_BHTK.chunk(2, dim=-1)
    return x_BHTK * cos_TK + torch.cat([-other, one], dim=-1) * sin_TK
