"""Measures the alignment of attention's products with the identity, and growth on the skip path.

Attention that only averages maps a token to W y with W = W_o W_v. Its *coherence*

    ρ = tr W / (√d ‖W‖_F)

is the cosine between W and the identity. It is 1 if W is a positive multiple of the identity, of
order 1/d for independent random matrices, and −1 if the block undoes the stream.
`theory.residual_stream.coherence` derives the growth of a stack of L blocks at mean coherence ρ.
``attention_stack`` is such a stack in real modules. With one token attention is linear, whatever q
and k are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numerics.models import ModelSpec, Transformer
from numerics.models.attention import Attention
from numerics.models.blocks import BlockPlace, Residual
from theory.errors import InputError, require_positive


@dataclass(frozen=True)
class ProductCoherence:
    """Coherence and strength of one attention block's product W = W_o W_v."""

    name: str
    """Module name, such as ``decoder.3.cross_attention``."""
    cosine: float
    """Coherence ρ = tr W/(√d ‖W‖_F)."""
    strength: float
    """Root mean square of the factor by which W changes a vector: ‖W‖_F/√d."""


def cosine_with_identity(product: Float[Tensor, "D D"]) -> float:
    """Cosine between a matrix and the identity: tr W/(√d ‖W‖_F); 0 for W = 0.

    Examples
    --------
    >>> cosine_with_identity(-3 * torch.eye(4)), cosine_with_identity(torch.zeros(4, 4))
    (-1.0, 0.0)
    """
    wide = product.detach().double()
    norm = torch.linalg.matrix_norm(wide) * len(wide) ** 0.5
    return float(wide.trace() / norm) if norm > 0 else 0.0


def product_coherence(model: nn.Module) -> tuple[ProductCoherence, ...]:
    """Coherence and strength of every attention block, in model order.

    Examples
    --------
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(1, 1), torch.Generator().manual_seed(0))
    >>> [found.name for found in product_coherence(model)][-1]
    'decoder.0.cross_attention'
    """
    return tuple(
        ProductCoherence(
            name.removesuffix(".branch"),
            cosine_with_identity(product),
            float(torch.linalg.matrix_norm(product.double()) / len(product) ** 0.5),
        )
        for name, part in _attentions(model)
        for product in [value_product(part)]
    )


@dataclass(frozen=True)
class Alignment:
    """Effect of the attention products W_1, …, W_L of one stack along the skip path."""

    coherence: float
    """Mean coherence weighted by strength: ρ = Σ_l tr W_l / Σ_l √d ‖W_l‖_F."""
    strength: float
    """Root mean square over blocks of ‖W_l‖_F/√d."""
    growth: float
    """‖Π_l (I + W_l)‖_F²/d: mean ‖y_L‖²/‖y_0‖² of a random token through the products alone."""


def alignment(model: nn.Module, stack: str) -> Alignment:
    """Mean coherence, strength and growth of the attention blocks of a stack, 0 and 1 without any.

    The products alone are meant: norms, factors on branches and on shortcuts are left out.

    Parameters
    ----------
    model
        A model, wrapped or not.
    stack
        ``encoder`` or ``decoder``.

    Examples
    --------
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(2, 2), torch.Generator().manual_seed(0))
    >>> align_(model)
    >>> alignment(model, "encoder").coherence > 0.5
    True
    """
    products = [
        value_product(part).double()
        for name, part in _attentions(model)
        if stack in name.split(".")
    ]
    if not products:
        return Alignment(0.0, 0.0, 1.0)
    W_LDD = torch.stack(products)
    d = W_LDD.shape[-1]
    norms_L = torch.linalg.matrix_norm(W_LDD) / d**0.5
    traces_L = W_LDD.diagonal(dim1=-2, dim2=-1).sum(-1) / d
    chain = torch.eye(d, dtype=W_LDD.dtype, device=W_LDD.device)
    for product in W_LDD:
        chain = chain + product @ chain
    total = norms_L.sum()
    return Alignment(
        float(traces_L.sum() / total) if total > 0 else 0.0,
        float(norms_L.square().mean() ** 0.5),
        float(chain.square().sum() / d),
    )


def value_product(attention: Attention) -> Float[Tensor, "D D"]:
    """Product W_o W_v summed over heads; attention to one token is y ↦ W y."""
    return (attention.out_proj @ attention.value_matrix).detach()


def _attentions(model: nn.Module) -> Iterator[tuple[str, Attention]]:
    for name, part in model.named_modules():
        if isinstance(part, Attention):
            yield name, part


def set_coherence_(
    attention: Attention, coherence: float, strength: float, generator: torch.Generator
) -> None:
    """Give an attention block a product of strength a and coherence ρ, in place.

    W_o W_v = a (ρ I + √(1 − ρ²) R), with W_o = √a I and R of N(0, 1/d) entries.

    Raises
    ------
    InputError
        If ρ is outside [−1, 1] or a is negative.
    """
    if not -1 <= coherence <= 1:
        raise InputError(f"coherence must lie in [−1, 1], got {coherence}")
    if strength < 0:
        raise InputError(f"strength must not be negative, got {strength}")
    attention.require_own_heads("a coherence that is set")
    d = attention.out_proj.shape[0]
    drawn = torch.randn(d, d, generator=generator, dtype=torch.float64) * d**-0.5
    eye = torch.eye(d, dtype=torch.float64)
    mixed = coherence * eye + (1 - coherence**2) ** 0.5 * drawn
    with torch.no_grad():
        attention.out_proj.copy_(strength**0.5 * eye)
        attention.in_proj[2 * d :].copy_(strength**0.5 * mixed)


def attention_stack(blocks: int, width: int) -> nn.Sequential:
    """A stack of L residual attention blocks without layer norm or MLP, in float64.

    Only the weights of q and k are set.

    Examples
    --------
    >>> len(attention_stack(3, 8))
    3
    """
    require_positive(blocks=blocks, width=width)
    spec = ModelSpec(1, 1, d_model=width, d_ff=width, heads=1)
    place = BlockPlace("encoder", 0, "attention")
    stack = nn.Sequential(
        *(Residual(Attention(width, 1, biases=False), spec, place) for _ in range(blocks))
    ).double()
    for _, attention in _attentions(stack):
        attention.in_proj.detach().zero_()
    return stack.requires_grad_(False)


def draw_stack_(stack: nn.Sequential, coherence: float, generator: torch.Generator) -> None:
    """Give every block coherence ρ and T-Fixup's strength (3L)^(-1/2), in place."""
    for _, attention in _attentions(stack):
        set_coherence_(attention, coherence, (3 * len(stack)) ** -0.5, generator)


def skip_growth(stack: nn.Sequential, generator: torch.Generator, *, streams: int = 32) -> float:
    """Mean growth ‖y_L‖²/‖y_0‖² over random one-token inputs.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> stack = attention_stack(75, 16)
    >>> draw_stack_(stack, 1.0, generator)
    >>> round(skip_growth(stack, generator) / (1 + 225**-0.5) ** 150, 9)
    1.0
    """
    width = next(iter(stack.parameters())).shape[-1]
    y_B1D = torch.randn(streams, 1, width, generator=generator, dtype=torch.float64)
    ratio = stack(y_B1D).square().sum((1, 2)) / y_B1D.square().sum((1, 2))
    return float(ratio.mean())


def align_(model: Transformer) -> None:
    """Turn every W_o in place so that ρ is as large as both factors allow.

    W_o W_v becomes symmetric and positive.

    With U Σ Vᵀ = W_v and W_o = P S Qᵀ in place, W_o becomes V S Uᵀ: its singular values, and so its
    norms, stay; only directions change.

    Raises
    ------
    InputError
        For grouped heads, whose values several heads of W_o share.
    """
    for _, attention in _attentions(model):
        attention.require_own_heads("an aligned product")
    with torch.no_grad():
        for _, attention in _attentions(model):
            d = attention.out_proj.shape[0]
            u, _, vh = torch.linalg.svd(attention.in_proj[2 * d :])
            values = torch.linalg.svdvals(attention.out_proj)
            attention.out_proj.copy_(vh.T @ torch.diag(values) @ u.T)
