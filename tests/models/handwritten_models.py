"""Decoders written by hand, as users write them, with their right structure."""

from functools import partial
from typing import Any

import torch
from torch import nn

from tests.models.expected import ForeignModel, every_second, parts
from tests.models.handwritten import (
    banked,
    batch_norm,
    compiled,
    cross_attention,
    custom_function,
    experts,
    gated,
    hyper_connections,
    llama2_c,
    nano_gpt,
    parallel,
    state_space,
    wirings,
)

LLAMA2 = {
    "*wq.weight": "q",
    "*wk.weight": "k",
    "*wv.weight": "v",
    "*wo.weight": "out",
    "*w1.weight": "gate",
    "*w3.weight": "w_in",
    "*w2.weight": "w_out",
    "tok_embeddings.weight": "embedding",
    "output.weight": "head",
}


def _torch_encoder(**changes: object):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, **changes)  # type: ignore
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.randn(2, 6, 32)


def _torch_transformer():
    torch.manual_seed(0)
    net = nn.Transformer(32, 4, 2, 2, 64, batch_first=True)
    return net, (torch.randn(2, 6, 32), torch.randn(2, 5, 32))


def _own(name: str, build, kinds: str, **rest) -> ForeignModel:
    return ForeignModel(name, name, build, kinds, library="torch", quick=True, **rest)


TORCH = {
    "*in_proj_weight": parts(0, q=32, k=32, v=32),
    "*out_proj.weight": "out",
    "*linear1.weight": "w_in",
    "*linear2.weight": "w_out",
}
PLAIN = {"*c_attn.weight": parts(0, q=32, k=32, v=32), "*c_proj.weight": "out"}

WIRED: dict[wirings.Order, dict[str, Any]] = {
    "pre": {"final_norm": False},
    "post": {"wiring": "post"},
    "mis-wired": {
        "wiring": ["mis-wired"] * 5 + ["none, normalised shortcut"],
        "final_norm": False,
    },
    "deepnorm": {"wiring": "post", "multipliers": (2.5, 1.0)},
    "rezero": {"wiring": "none", "multipliers": (1.0, None), "final_norm": False},
    "unused norm": {"wiring": "none", "final_norm": False},
    "cloned norm": {"wiring": "pre, normalised shortcut", "final_norm": False},
}
HANDWRITTEN = [
    _own(
        "nanoGPT-like",
        lambda: nano_gpt.make(2),
        "smsm",
        roles=PLAIN
        | {
            "*mlp.0.weight": "w_in",
            "*mlp.2.weight": "w_out",
            "wpe.*": "positions",
            "wte.weight": "embedding+head",
        },
    ),
    _own("llama2.c-like", lambda: llama2_c.make(2), "sgsg", roles=LLAMA2),
    _own("compiled", lambda: compiled.make(2), "sgsg", roles=LLAMA2),
    _own(
        "RMSNorm, SwiGLU, GQA and RoPE in banks",
        lambda: banked.make(3),
        "sgsgsg",
        roles={
            "qkv": parts(0, q=32, k=16, v=16),
            "out": "out",
            "up": parts(1, gate=64, w_in=64),
            "down": "w_out",
            "embed": "embedding",
            "head": "head",
        },
    ),
    _own(
        "parallel, fused",
        lambda: parallel.make(2),
        "pp",
        roles={
            "*fused_in.weight": parts(0, q=32, k=32, v=32, w_in=128),
            "*fused_out.weight": parts(1, out=32, w_out=128),
        },
    ),
    _own(
        "Mamba-like",
        lambda: state_space.make(2),
        "oo",
        roles={
            "*in_proj.weight": parts(0, w_in=32, gate=32),
            "*out_proj.weight": "w_out",
            "*D": "scalar",
            "embed.weight": "embedding+head",
        },
    ),
    _own(
        "experts in three axes",
        lambda: experts.make(2),
        "sgsg",
        roles=PLAIN
        | {
            "*w1": parts(1, w_in=24, gate=24),
            "*w2": "w_out",
            "*router.weight": "other",
            "*shared_in.weight": "w_in",
            "*shared_out.weight": "w_out",
        },
    ),
    _own("GRU-gated", lambda: gated.make(2), ""),
    _own("hyper-connections", lambda: hyper_connections.make(2), ""),
    _own("reversible, two streams", lambda: hyper_connections.make_reversible(2), ""),
    _own(
        "cross-attention of another width",
        lambda: cross_attention.make(2),
        "scmscm",
        roles={
            "*self_attention.in_proj_weight": parts(0, q=32, k=32, v=32),
            "*q_proj_weight": "q",
            "*k_proj_weight": "k",
            "*v_proj_weight": "v",
            "*linear2.weight": "w_out",
            "positions": "positions",
        },
    ),
    _own(
        "BatchNorm",
        lambda: batch_norm.make(2),
        "smsm",
        wiring="post",
        roles=PLAIN | {"enter.weight": "embedding", "head.weight": "head"},
    ),
    _own(
        "custom autograd.Function",
        lambda: custom_function.make(2),
        "sgsg",
        wiring="none",
        final_norm=False,
        multipliers=(1.0, None),
        roles={
            "*kqv": parts(0, k=32, q=32, v=32),
            "*out": "out",
            "*up": every_second(0, 256, "w_in", "gate"),
            "*down": "w_out",
            "*alpha": {"scalar": ((0, (0,)), (0, (1,)))},
        },
    ),
    _own("nn.TransformerEncoder", _torch_encoder, "smsm", wiring="post", roles=TORCH),
    _own(
        "nn.TransformerEncoder, norm first",
        lambda: _torch_encoder(norm_first=True),
        "smsm",
        final_norm=False,
        roles=TORCH,
    ),
    _own(
        "nn.Transformer",
        _torch_transformer,
        "smsmscmscm",
        wiring="post",
        roles=TORCH,
        streams="encoder 4, decoder 6",
    ),
    *(
        _own(f"wiring {order}", partial(wirings.make, order, 3), "smsmsm", **rest)
        for order, rest in WIRED.items()
    ),
]
