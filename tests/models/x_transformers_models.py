"""Variants of x-transformers: norms, gates, multipliers, and residuals that must be refused."""

from typing import Any

import torch
from torch import nn

from tests.models.expected import ForeignModel
from tests.models.sizes import HEADS, VOCABULARY, WIDTH, ids

ATTENTION = {
    "*to_q.weight": "q",
    "*to_k.weight": "k",
    "*to_v.weight": "v",
    "*to_out.weight": "out",
}
MLP = ATTENTION | {"*ff.0.0.weight": "w_in", "*ff.2.weight": "w_out"}


def _decoder(**changes: Any) -> tuple[nn.Module, Any]:
    from x_transformers import Decoder, TransformerWrapper

    torch.manual_seed(0)
    tied = changes.pop("tie_embedding", False)
    layers = Decoder(
        dim=WIDTH, depth=2, heads=HEADS, attn_dim_head=8, verbose=False, ff_mult=2, **changes
    )
    net = TransformerWrapper(
        num_tokens=VOCABULARY, max_seq_len=16, attn_layers=layers, tie_embedding=tied
    )
    return net, ids()


def _pair() -> tuple[nn.Module, Any]:
    from x_transformers import XTransformer

    torch.manual_seed(0)
    sides = {
        f"{side}_{name}": value
        for side in ("enc", "dec")
        for name, value in {
            "num_tokens": VOCABULARY,
            "depth": 2,
            "heads": HEADS,
            "max_seq_len": 16,
            "attn_dim_head": 8,
        }.items()
    }
    net = XTransformer(dim=WIDTH, **sides)
    return net, (ids(), ids(9, seed=1))


def _model(name: str, kinds: str, **rest: Any) -> ForeignModel:
    changes = rest.pop("changes", {})
    rest = {"roles": MLP} | rest
    return ForeignModel(
        f"x-transformers, {name}",
        f"x-transformers {name}",
        lambda: _decoder(**changes),
        kinds,
        library="x_transformers",
        **rest,
    )


X_TRANSFORMERS = [
    _model("plain", "smsm", quick=True),
    _model(
        "rotary, RMS norm, gated",
        "sgsg",
        changes={
            "use_rmsnorm": True,
            "ff_glu": True,
            "ff_swish": True,
            "ff_no_bias": True,
            "rotary_pos_emb": True,
            "attn_kv_heads": 2,
        },
        roles=ATTENTION | {"*ff.2.weight": "w_out"},
        quick=True,
    ),
    _model("ScaleNorm", "smsm", changes={"use_scalenorm": True}),
    _model("Post-LN", "smsm", wiring="post", changes={"pre_norm": False}),
    _model("sandwich norm", "smsm", wiring="sandwich", changes={"sandwich_norm": True}),
    _model("QK-norm", "smsm", changes={"attn_qk_norm": True}),
    _model(
        "dynamic tanh", "smsm", wiring="none", final_norm=False, changes={"use_dynamic_tanh": True}
    ),
    _model(
        "layer scale",
        "smsm",
        changes={"use_layerscale": True, "layerscale_init_value": 0.1},
        multipliers=(1.0, None),
    ),
    _model("trained shortcut", "smsm", changes={"scale_residual": True}, multipliers=(None, 1.0)),
    _model(
        "constant shortcut",
        "smsm",
        changes={"scale_residual_constant": 1.1},
        multipliers=(1.1, 1.0),
    ),
    _model("macaron", "msmmsm", changes={"macaron": True}, branch_multipliers=(0.5, 1.0, 0.5) * 2),
    _model("scores added to scores", "smsm", changes={"residual_attn": True}, quick=True),
    _model("values of the first layer", "smsm", changes={"add_value_residual": True}),
    _model("T5's positions", "smsm", changes={"rel_pos_bias": True}),
    _model("talking heads", "smsm", changes={"attn_pre_talking_heads": True}),
    _model(
        "gated values",
        "smsm",
        changes={"attn_gate_values": True},
        roles=ATTENTION | {"*to_v_gate.weight": "gate"},
    ),
    _model(
        "tied",
        "smsm",
        changes={"tie_embedding": True},
        roles=MLP | {"*token_emb.emb.weight": "embedding+head"},
    ),
    _model("shifted tokens", "smsm", changes={"shift_tokens": 1}, roles=ATTENTION),
    ForeignModel(
        "x-transformers, encoder and decoder",
        "x-transformers pair",
        _pair,
        "smsmscmscm",
        roles=MLP,
        streams="encoder 4, decoder 6",
        library="x_transformers",
    ),
    _model("gated residual", "", changes={"gate_residual": True}, quick=True),
    _model("hyper-connections", "", changes={"num_residual_streams": 4}, quick=True),
]
