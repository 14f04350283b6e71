"""The network of Xiong et al. (ICML 2020), §3.3, at initialisation, built from our own modules.

An encoder with one head, d×d matrices with independent N(0, 1/d) entries, no biases, ReLU;
W_Q = W_K = 0, so that attention averages the tokens, and one matrix W_V (our W_o is the identity).
Layer norm has no gain, bias or ε. The input's tokens have ‖x‖² = d exactly.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.models import Architecture, ModelSpec, Transformer, Wiring
from numerics.models.roles import matrices
from theory.errors import require_positive


def xiong_encoder(
    layers: int, width: int, wiring: Wiring, generator: torch.Generator
) -> Transformer:
    """The encoder in float64, Post-LN, Pre-LN or without layer norm.

    Examples
    --------
    >>> from numerics.models import WIRINGS
    >>> model = xiong_encoder(2, 64, WIRINGS["post-ln"], torch.Generator().manual_seed(0))
    >>> w1 = model.encoder[0].mlp.branch.w1.detach()  # d² entries of variance 1/d
    >>> round(float(w1.square().sum()) / 64, 1)
    1.0
    """
    require_positive(layers=layers, width=width)
    spec = ModelSpec(
        layers,
        0,
        d_model=width,
        d_ff=width,
        heads=1,
        vocabulary=1,
        wiring=wiring,
        architecture=Architecture.ENCODER_ONLY,
    )
    model = Transformer(spec).double()
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 0.0
    redraw_(model, generator)
    return model


def redraw_(model: Transformer, generator: torch.Generator) -> None:
    """Draw every matrix of a `xiong_encoder` afresh, in place."""
    with torch.no_grad():
        for matrix in matrices(model):
            _draw_(matrix.role.rpartition(".")[2], matrix.tensor, generator)


def _draw_(kind: str, tensor: Tensor, generator: torch.Generator) -> None:
    if kind in ("q", "k"):
        tensor.zero_()
    elif kind == "out_proj":
        tensor.copy_(torch.eye(len(tensor), dtype=tensor.dtype))
    else:
        drawn = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        tensor.copy_(drawn * tensor.shape[-1] ** -0.5)


def unit_tokens(
    sequences: int, tokens: int, width: int, generator: torch.Generator
) -> Float[Tensor, "B T D"]:
    """Independent random tokens of mean 0 and ‖x‖² = d.

    Examples
    --------
    >>> x = unit_tokens(1, 2, 8, torch.Generator().manual_seed(0))
    >>> x.square().sum(-1).tolist()
    [[8.0, 8.0]]
    """
    drawn = torch.randn(sequences, tokens, width, generator=generator, dtype=torch.float64)
    return F.layer_norm(drawn, (width,), eps=0.0)
