"""What torch's own Transformer modules start from, against what their papers and pages say."""

from collections.abc import Mapping

import torch
from torch import nn

from numerics.evidence.libraries import (
    LAYERS,
    WIDTH,
    LibraryRow,
    Size,
    provider,
    redraw,
    share_beyond,
    std,
    xavier,
)

SEEN = "2.13.0"
HEADS = 4
NARROW = 0.02
"""A standard deviation as most models ask for it."""


def _layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0)


def _encoder() -> nn.Module:
    return nn.TransformerEncoder(_layer(), LAYERS, enable_nested_tensor=False)


class _Cut(nn.Module):
    """One matrix drawn by ``trunc_normal_`` with a standard deviation alone."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.trunc_normal_(torch.empty(WIDTH, WIDTH), std=NARROW))


def _attention_sizes(model: nn.Module) -> Mapping[str, Size]:
    parts = zip("qkv", model.get_parameter("in_proj_weight").chunk(3), strict=True)
    # Uniform with fan_in d and fan_out 3d in place of d: variance 2/(4d).
    return {name: Size(std(p), xavier(p), xavier(p) / 2**0.5) for name, p in parts}


def _layer_sizes(model: nn.Module) -> Mapping[str, Size]:
    names = ("self_attn.out_proj.weight", "linear1.weight", "linear2.weight")
    matrices = {name: model.get_parameter(name) for name in names}
    # Kaiming's uniform law at √5: bounds ±1/√fan_in.
    return {n: Size(std(p), xavier(p), (3 * p.shape[1]) ** -0.5) for n, p in matrices.items()}


def _bias_sizes(model: nn.Module) -> Mapping[str, Size]:
    return {name: Size(std(model.get_parameter(f"{name}.bias")), 0.0) for name in _MLP}


_MLP = ("linear1", "linear2")


def _distances(model: nn.Module) -> Mapping[str, Size]:
    """RMS of the difference to layer 1 over √2 std: 1 between independent draws, 0 in a copy."""
    first, *others = model.get_submodule("layers").children()
    return {
        f"layers.{n}.{name}": Size(std(p - own) / (2**0.5 * std(p)), 1.0, 0.0)
        for n, layer in enumerate(others, start=1)
        for (name, p), own in zip(layer.named_parameters(), first.parameters(), strict=True)
        if p.dim() == 2
    }


def _embedding_sizes(model: nn.Module) -> Mapping[str, Size]:
    table = model.get_parameter("weight")
    return {"weight": Size(std(table), table.shape[1] ** -0.5, 1.0)}


def _beyond(model: nn.Module) -> Mapping[str, Size]:
    """Share of the entries beyond two standard deviations."""
    return {"weight beyond 2σ": Size(share_beyond(model.get_parameter("weight"), 2 * NARROW), 0.0)}


def _unpacked(model: nn.Module) -> None:
    for part in model.get_parameter("in_proj_weight").detach().chunk(3):
        nn.init.xavier_uniform_(part)


def _as_transformer(model: nn.Module) -> None:
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)


def _no_biases(model: nn.Module) -> None:
    for name in _MLP:
        nn.init.zeros_(model.get_parameter(f"{name}.bias"))


def _cut(model: nn.Module) -> None:
    bound = 2 * NARROW
    nn.init.trunc_normal_(model.get_parameter("weight"), std=NARROW, a=-bound, b=bound)


ROWS = (
    LibraryRow(
        "libraries.torch-packed-attention",
        "torch",
        SEEN,
        lambda: nn.MultiheadAttention(WIDTH, HEADS),
        _attention_sizes,
        _unpacked,
        "q, k and v drawn by xavier_uniform_ one by one",
        repair="Xavier over √2, as the packed matrix has fan-out 3d",
    ),
    LibraryRow(
        "libraries.torch-encoder-layer",
        "torch",
        SEEN,
        _layer,
        _layer_sizes,
        _as_transformer,
        "matrices drawn again as nn.Transformer draws them",
        repair="1/√(3 fan_in), nn.Linear's own law",
    ),
    LibraryRow(
        "libraries.torch-biases",
        "torch",
        SEEN,
        _layer,
        _bias_sizes,
        _no_biases,
        "biases set to 0",
    ),
    LibraryRow(
        "libraries.torch-cloned-layers",
        "torch",
        SEEN,
        _encoder,
        _distances,
        _as_transformer,
        "every matrix drawn again, as in nn.Transformer",
        repair="every layer is a copy of the first",
    ),
    LibraryRow(
        "libraries.torch-embedding",
        "torch",
        SEEN,
        lambda: nn.Embedding(WIDTH, WIDTH),
        _embedding_sizes,
        lambda model: redraw(model.get_parameter("weight"), WIDTH**-0.5),
        "the table drawn again with std d^(-1/2)",
        repair="std 1, whatever the width",
    ),
    LibraryRow(
        "libraries.torch-truncation",
        "torch",
        SEEN,
        _Cut,
        _beyond,
        _cut,
        "bounds a and b of two standard deviations given",
    ),
)


shipped = provider(ROWS, __name__)
PROVIDERS = (shipped,)
