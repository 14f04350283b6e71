"""Vision Transformers of Hugging Face."""

from tests.models.decoders import SPLIT
from tests.models.expected import ForeignModel
from tests.models.sizes import model, vision

VIT = SPLIT | {
    "*o_proj.weight": "out",
    "*mlp.fc1.weight": "w_in",
    "*mlp.fc2.weight": "w_out",
    "*patch_embeddings.projection.weight": "embedding",
}


def _swin():
    import torch

    sizes = {
        "image_size": 16,
        "patch_size": 2,
        "embed_dim": 16,
        "depths": [1, 2],
        "num_heads": [2, 2],
        "window_size": 4,
    }
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return model("Swin", "Model", {"pixel_values": pixels}, sizes)


VISION = [
    ForeignModel(
        "ViT",
        "vit",
        lambda: vision("ViT", "ForImageClassification"),
        "smsm",
        roles=VIT | {"classifier.weight": "head", "*position_embeddings": "positions"},
        quick=True,
    ),
    ForeignModel("DeiT", "deit", lambda: vision("DeiT"), "smsm", roles=VIT),
    ForeignModel(
        "BEiT",
        "beit",
        lambda: vision("Beit"),
        "smsm",
        roles=VIT | {"*lambda_?": "scalar"},
        multipliers=(1.0, None),
        output=lambda o: o.last_hidden_state,
        final_norm=False,
    ),
    ForeignModel(
        "DINOv2, gated",
        "dinov2",
        lambda: vision("Dinov2", use_swiglu_ffn=True),
        "sgsg",
        roles=SPLIT | {"*lambda1": "scalar", "*o_proj.weight": "out"},
        multipliers=(1.0, None),
        quick=True,
    ),
    ForeignModel(
        "SigLIP, vision",
        "siglip",
        lambda: vision("SiglipVision"),
        "smsm",
        roles=SPLIT | {"encoder*mlp.fc1.weight": "w_in"},
        output=lambda o: o.last_hidden_state,
    ),
    ForeignModel(
        "Swin",
        "swin",
        _swin,
        "smsmsm",
        roles={
            "*q_proj.weight": "q",
            "*fc1.weight": "w_in",
            "*relative_position_bias_table": "positions",
            "*downsample.reduction.weight": "other",
        },
    ),
]
