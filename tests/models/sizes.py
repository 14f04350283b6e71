"""Small configurations for models of Hugging Face: built offline, in a tenth of a second."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from typing import Any

import torch
from torch import nn

WIDTH = 32
HEADS = 4
VOCABULARY = 100
LAYERS = 2


def ids(length: int = 8, seed: int = 0) -> torch.Tensor:
    """Random token ids, none of them special."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(5, VOCABULARY, (2, length), generator=generator)


def causal(name: str, **changes: Any) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """A causal language model of Hugging Face with the usual names of sizes."""
    sizes = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "vocab_size": VOCABULARY,
    }
    return model(name, "ForCausalLM", {"input_ids": ids()}, sizes | changes)


def masked(name: str, **changes: Any) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """A masked language model of Hugging Face."""
    sizes = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "vocab_size": VOCABULARY,
    }
    return model(name, "ForMaskedLM", {"input_ids": ids()}, sizes | changes)


def vision(name: str, task: str = "Model", **changes: Any) -> tuple[nn.Module, Any]:
    """A vision model of Hugging Face with four patches."""
    sizes = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "image_size": 16,
        "patch_size": 8,
    }
    return model(name, task, {"pixel_values": images()}, sizes | changes)


def images() -> torch.Tensor:
    """Random images."""
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def pair(name: str, task: str = "ForConditionalGeneration", **changes: Any) -> tuple[Any, Any]:
    """An encoder-decoder of Hugging Face with the names of sizes that BART has."""
    sizes = {
        "vocab_size": VOCABULARY,
        "d_model": WIDTH,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": HEADS,
        "decoder_attention_heads": HEADS,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 32,
        "pad_token_id": 0,
    }
    batch = {"input_ids": ids(), "decoder_input_ids": ids(seed=1)}
    return model(name, task, batch, sizes | changes)


def model(name: str, task: str, batch: Any, sizes: dict[str, Any]) -> tuple[nn.Module, Any]:
    """A model of Hugging Face by the name of its class and its configuration."""
    import transformers

    config = getattr(transformers, f"{name}Config")(**sizes)
    torch.manual_seed(0)
    return getattr(transformers, f"{name}{task}")(config), batch
