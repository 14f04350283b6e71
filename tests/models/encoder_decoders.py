"""Encoder-decoders of Hugging Face, and pairs of encoders."""

import torch

from tests.models.decoders import FC, SPLIT
from tests.models.expected import ForeignModel
from tests.models.sizes import HEADS, VOCABULARY, WIDTH, ids, images, model, pair

TWO = "encoder 4, decoder 6"
KINDS = "smsmscmscm"
BART = FC | {"*out_proj.weight": "out"}
T5_SIZES = {
    "num_layers": 2,
    "d_model": WIDTH,
    "d_kv": 8,
    "d_ff": 64,
    "num_heads": HEADS,
    "vocab_size": VOCABULARY,
}
T5 = {
    "*Attention.q.weight": "q",
    "*Attention.k.weight": "k",
    "*Attention.v.weight": "v",
    "*Attention.o.weight": "out",
    "*DenseReluDense.wo.weight": "w_out",
    "*relative_attention_bias.weight": "positions",
}


def _t5(name: str = "T5", **changes: object):
    batch = {"input_ids": ids(), "decoder_input_ids": ids(seed=1)}
    return model(name, "ForConditionalGeneration", batch, T5_SIZES | changes)


def _whisper():
    sizes = {
        "max_source_positions": 8,
        "max_target_positions": 16,
        "num_mel_bins": 8,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 1,
        "suppress_tokens": None,
        "begin_suppress_tokens": None,
    }
    net, _ = pair("Whisper", **sizes)
    sound = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    return net, {"input_features": sound, "decoder_input_ids": ids()}


def _clip():
    side = {
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "intermediate_size": 64,
    }
    sizes = {
        "text_config": side | {"vocab_size": VOCABULARY, "eos_token_id": 99},
        "vision_config": side | {"num_hidden_layers": 3, "image_size": 16, "patch_size": 8},
        "projection_dim": 16,
    }
    return model("CLIP", "Model", {"input_ids": ids(), "pixel_values": images()}, sizes)


ENCODER_DECODERS = [
    ForeignModel(
        "T5",
        "t5",
        _t5,
        KINDS,
        streams=TWO,
        roles=T5 | {"*wi.weight": "w_in", "shared.weight": "embedding+head"},
        quick=True,
    ),
    ForeignModel(
        "T5, gated",
        "t5",
        lambda: _t5(feed_forward_proj="gated-gelu"),
        "sgsgscgscg",
        streams=TWO,
        roles=T5 | {"*wi_0.weight": "gate", "*wi_1.weight": "w_in"},
    ),
    ForeignModel(
        "BART",
        "bart",
        lambda: pair("Bart", decoder_layers=3),
        "smsmscmscmscm",
        "post",
        roles=BART,
        streams="encoder 4, decoder 9",
        quick=True,
    ),
    ForeignModel(
        "Marian",
        "marian",
        lambda: pair("Marian", "MTModel"),
        KINDS,
        "post",
        roles=BART,
        streams=TWO,
    ),
    ForeignModel("Pegasus", "pegasus", lambda: pair("Pegasus"), KINDS, roles=BART, streams=TWO),
    ForeignModel("mBART", "mbart", lambda: pair("MBart"), KINDS, roles=BART, streams=TWO),
    ForeignModel("Whisper", "whisper", _whisper, KINDS, roles=BART, streams=TWO, quick=True),
    ForeignModel(
        "CLIP",
        "clip",
        _clip,
        "smsmsmsmsm",
        streams="stream 6, stream-2 4",
        roles=SPLIT | {"*out_proj.weight": "out", "*_projection.weight": "head"},
    ),
]
