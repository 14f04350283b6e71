"""What x-transformers, timm and torchscale start from, against the papers that they name."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

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

CAIT = 0.1
"""LayerScale's λ up to 18 layers."""
TIMM = 0.02
DEEPNORM = (8 * LAYERS) ** -0.25


def _decoder(**trait: bool) -> nn.Module:
    """An x-transformers decoder with one trait switched on."""
    from x_transformers import Decoder

    sizes: dict[str, Any] = {"dim": WIDTH, "depth": LAYERS, "heads": 4, "attn_dim_head": WIDTH // 4}
    return Decoder(**sizes, **trait)


def _vision() -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer  # pyright: ignore[reportMissingImports]

    return VisionTransformer(img_size=16, patch_size=8, embed_dim=WIDTH, depth=1, num_heads=4)


def _deepnorm() -> nn.Module:
    from torchscale.architecture.config import EncoderConfig  # pyright: ignore[reportMissingImports]
    from torchscale.architecture.encoder import Encoder  # pyright: ignore[reportMissingImports]

    sizes: dict[str, Any] = {
        "encoder_layers": LAYERS,
        "encoder_embed_dim": WIDTH,
        "encoder_attention_heads": 4,
    }
    inner: dict[str, Any] = {"encoder_ffn_embed_dim": 4 * WIDTH, "vocab_size": 64, "deepnorm": True}
    return Encoder(EncoderConfig(**sizes, **inner))


def _writers(model: nn.Module) -> Iterator[tuple[str, int, nn.Linear]]:
    """What writes to the stream, with the layer's number: attention and MLP are entries of 2N."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(("to_out", "ff.2")):
            yield name, int(name.split(".")[1]) // 2 + 1, module


def _mitchell_sizes(model: nn.Module) -> Mapping[str, Size]:
    return {
        name: Size(std(module.weight), (2 * module.in_features * layer) ** -0.5)
        for name, layer, module in _writers(model)
    }


def _unscaled(model: nn.Module) -> None:
    for _, _, module in _writers(model):
        redraw(module.weight, (2 * module.in_features) ** -0.5)


def _scaled_branches(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Branches with their LayerScale, whose gain is stored as λ − 1."""
    for name, module in model.named_modules():
        if hasattr(module, "fn") and hasattr(module, "gamma"):
            yield name, module


def _layerscale_sizes(model: nn.Module) -> Mapping[str, Size]:
    """What a branch adds with its λ, over what it adds without."""
    x = torch.randn(1, 4, WIDTH)

    def ratio(branch: nn.Module) -> float:
        with torch.no_grad():
            scaled, plain = branch(x), branch.get_submodule("fn")(x)
        first = (scaled[0] if isinstance(scaled, tuple) else scaled) + 0.0
        return std(first) / std(plain[0] if isinstance(plain, tuple) else plain)

    return {name: Size(ratio(branch), CAIT, 0.0) for name, branch in _scaled_branches(model)}


def _cait(model: nn.Module) -> None:
    for _, branch in _scaled_branches(model):
        nn.init.constant_(branch.get_parameter("gamma"), CAIT - 1)


def _matrices(model: nn.Module) -> dict[str, nn.Parameter]:
    return {n: p for n, p in model.named_parameters() if p.dim() == 2 and n.startswith("blocks")}


def _beyond(model: nn.Module) -> Mapping[str, Size]:
    """Share of each matrix's entries beyond two standard deviations."""
    return {name: Size(share_beyond(p, 2 * TIMM), 0.0) for name, p in _matrices(model).items()}


def _cut(model: nn.Module) -> None:
    for parameter in _matrices(model).values():
        nn.init.trunc_normal_(parameter, std=TIMM, a=-2 * TIMM, b=2 * TIMM)


def _deepnorm_tensors(model: nn.Module) -> dict[str, nn.Parameter]:
    ends = ("v_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")
    return {n: p for n, p in model.named_parameters() if n.endswith(ends)}


def _deepnorm_sizes(model: nn.Module) -> Mapping[str, Size]:
    return {
        name: Size(std(p), DEEPNORM * xavier(p), DEEPNORM * (3 * p.shape[1]) ** -0.5)
        for name, p in _deepnorm_tensors(model).items()
    }


def _from_xavier(model: nn.Module) -> None:
    for parameter in _deepnorm_tensors(model).values():
        nn.init.xavier_normal_(parameter, gain=DEEPNORM)


ROWS = (
    LibraryRow(
        "libraries.x-transformers-mitchell",
        "x-transformers",
        "2.31.10",
        partial(_decoder, depth_scale_residual=True),
        _mitchell_sizes,
        _unscaled,
        "writers of one std in every layer",
        accepted=False,
        module="x_transformers",
    ),
    LibraryRow(
        "libraries.x-transformers-layerscale",
        "x-transformers",
        "2.31.10",
        partial(_decoder, use_layerscale=True),
        _layerscale_sizes,
        _cait,
        "λ set to 0.1",
        repair="λ = 0: nothing is added at the start, as in ReZero",
        module="x_transformers",
    ),
    LibraryRow(
        "libraries.timm-truncation",
        "timm",
        "1.0.31",
        _vision,
        _beyond,
        _cut,
        "bounds of two standard deviations given",
    ),
    LibraryRow(
        "libraries.torchscale-deepnorm",
        "torchscale",
        "0.3.0",
        _deepnorm,
        _deepnorm_sizes,
        _from_xavier,
        "matrices drawn from Xavier's law with that gain",
        repair="(8N)^(-1/4)/√(3 fan_in): nn.Linear's own law takes the place of Xavier's",
    ),
)


shipped = provider(ROWS, __name__)
PROVIDERS = (shipped,)
