"""Further models of Hugging Face: hybrids, vision with convolutions, speech, older decoders."""

import torch

from tests.models.decoders import GATED, SPLIT
from tests.models.expected import ForeignModel, parts
from tests.models.sizes import HEADS, LAYERS, VOCABULARY, WIDTH, causal, ids, masked, model, pair

TWO = "encoder 4, decoder 6"
KINDS = "smsmscmscm"
T5_SIZES = {
    "num_layers": 2,
    "d_model": WIDTH,
    "d_kv": 8,
    "d_ff": 64,
    "num_heads": HEADS,
    "vocab_size": VOCABULARY,
}
STATES = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_d_state": 4,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 4,
}
STAGES = {
    "num_encoder_blocks": 2,
    "depths": [1, 1],
    "hidden_sizes": [16, 32],
    "patch_sizes": [3, 3],
    "strides": [2, 2],
}
REDUCED = {"sr_ratios": [2, 1], "num_attention_heads": [2, 4], "mlp_ratios": [2, 2]}


def _images(size: int) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def _t5(name: str, **changes: object):
    batch = {"input_ids": ids(), "decoder_input_ids": ids(seed=1)}
    return model(name, "ForConditionalGeneration", batch, T5_SIZES | changes)


def _old(name: str, task: str, **sizes: object):
    return model(name, task, {"input_ids": ids()}, {"vocab_size": VOCABULARY} | sizes)


def _conformer():
    sizes = {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 64,
        "conv_dim": (16, 16),
        "conv_stride": (2, 2),
        "conv_kernel": (3, 3),
        "conv_depthwise_kernel_size": 3,
    }
    wave = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    return model("Wav2Vec2Conformer", "Model", {"input_values": wave}, sizes)


def _lxmert():
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "intermediate_size": 64,
        "l_layers": 2,
        "x_layers": 1,
        "r_layers": 1,
        "visual_feat_dim": 6,
        "visual_pos_dim": 4,
    }
    boxes = {"visual_feats": torch.randn(2, 3, 6), "visual_pos": torch.randn(2, 3, 4)}
    return model("Lxmert", "Model", {"input_ids": ids()} | boxes, sizes)


FURTHER = [
    ForeignModel(
        "OLMo 3",
        "olmo3",
        lambda: causal("Olmo3", num_key_value_heads=2),
        "sgsg",
        "post-branch",
        roles=SPLIT | GATED,
    ),
    ForeignModel(
        "GLM-4",
        "glm4",
        lambda: causal("Glm4", head_dim=8, pad_token_id=0, num_key_value_heads=2),
        "sgsg",
        "sandwich",
        roles=SPLIT | {"*gate_up_proj.weight": parts(0, gate=64, w_in=64)},
    ),
    ForeignModel(
        "Falcon-H1",
        "falcon_h1",
        lambda: causal("FalconH1", num_key_value_heads=2, head_dim=8, mamba_d_ssm=64, **STATES),
        "osgosg",  # attention and a state space side by side
        roles=SPLIT | {"*mamba.out_proj.weight": "w_out"},
        parallel=True,
    ),
    ForeignModel(
        "Bamba",
        "bamba",
        lambda: causal("Bamba", num_key_value_heads=2, attn_layer_indices=[1], **STATES),
        "ogsg",
        roles=SPLIT,
    ),
    ForeignModel(
        "RecurrentGemma",
        "recurrent_gemma",
        lambda: causal(
            "RecurrentGemma", lru_width=32, attention_window_size=8, num_key_value_heads=1
        ),
        "ogog",
        roles=GATED,
    ),
    ForeignModel(
        "Arcee", "arcee", lambda: causal("Arcee", num_key_value_heads=2), "smsm", roles=SPLIT
    ),
    ForeignModel("BioGPT", "biogpt", lambda: causal("BioGpt"), "smsm", roles=SPLIT),
    ForeignModel(
        "CTRL",
        "ctrl",
        lambda: _old(
            "CTRL", "LMHeadModel", n_positions=32, n_embd=WIDTH, dff=64, n_layer=2, n_head=4
        ),
        "smsm",
        roles={"*Wq.weight": "q", "*Wk.weight": "k", "*Wv.weight": "v"},
    ),
    ForeignModel(
        "ESM",
        "esm",
        lambda: masked("Esm", pad_token_id=1, mask_token_id=2, max_position_embeddings=40),
        "smsm",
        roles={"*self.query.weight": "q", "*intermediate.dense.weight": "w_in"},
    ),
    ForeignModel(
        "Longformer",
        "longformer",
        lambda: masked("Longformer", attention_window=4, max_position_embeddings=40),
        "smsm",
        "post",
        roles={"*self.query.weight": "q", "*self.key.weight": "k", "*self.value.weight": "v"},
    ),
    ForeignModel(
        "SqueezeBERT",
        "squeezebert",
        lambda: masked("SqueezeBert", embedding_size=WIDTH),
        "smsm",
        "post",
    ),
    ForeignModel("MPNet", "mpnet", lambda: masked("MPNet"), "smsm", "post"),
    ForeignModel("M2M-100", "m2m_100", lambda: pair("M2M100"), KINDS, roles=SPLIT, streams=TWO),
    ForeignModel(
        "ProphetNet",
        "prophetnet",
        lambda: model(
            "ProphetNet",
            "ForConditionalGeneration",
            {"input_ids": ids(), "decoder_input_ids": ids(seed=1)},
            {
                "vocab_size": VOCABULARY,
                "hidden_size": WIDTH,
                "encoder_ffn_dim": 64,
                "decoder_ffn_dim": 64,
                "num_encoder_layers": 2,
                "num_decoder_layers": 2,
                "num_encoder_attention_heads": HEADS,
                "num_decoder_attention_heads": HEADS,
                "max_position_embeddings": 40,
                "num_buckets": 8,
            },
        ),
        KINDS,
        "post",
        streams=TWO,
    ),
    ForeignModel(
        "LongT5",
        "longt5",
        lambda: _t5("LongT5", local_radius=4),
        KINDS,
        streams=TWO,
        roles={"*DenseReluDense.wo.weight": "w_out"},
    ),
    ForeignModel(
        "UMT5",
        "umt5",
        lambda: _t5("UMT5"),
        "sgsgscgscg",
        streams=TWO,
        roles={"*relative_attention_bias.weight": "positions"},
    ),
    ForeignModel(
        "SegFormer",
        "segformer",
        lambda: model("Segformer", "Model", {"pixel_values": _images(16)}, STAGES | REDUCED),
        "smsm",
        roles=SPLIT | {"*fc1.weight": "w_in", "*fc2.weight": "w_out"},
    ),
    ForeignModel(
        "PoolFormer",
        "poolformer",
        lambda: model(
            "PoolFormer",
            "Model",
            {"pixel_values": _images(16)},
            STAGES | {"padding": [1, 1], "mlp_ratio": 2.0},
        ),
        "omom",
        multipliers=(1.0, None),
        final_norm=False,
    ),
    ForeignModel(
        "wav2vec 2.0, conformer",
        "wav2vec2-conformer",
        _conformer,
        "msommsom",
        (
            "pre",
            "pre",
            "pre",
            "pre, on the stream",
            "pre, normalised shortcut",
            "pre",
            "pre",
            "pre, on the stream",
        ),
        roles={"*linear_q.weight": "q", "*linear_v.weight": "v", "*linear_pos.weight": "positions"},
        branch_multipliers=(0.5, 1.0, 1.0, 0.5) * 2,
    ),
    ForeignModel(
        "LXMERT",
        "lxmert",
        _lxmert,
        "smsmsmccssmm",
        "post",
        streams="stream 7, stream-2 5",
        output=lambda o: (o.language_output, o.vision_output),
    ),
    ForeignModel(
        "MobileBERT",
        "mobilebert",
        lambda: masked(
            "MobileBert", embedding_size=16, intra_bottleneck_size=16, true_hidden_size=16
        ),
        "",
    ),
    ForeignModel(
        "Reformer",
        "reformer",
        lambda: _old(
            "Reformer",
            "ModelWithLMHead",
            hidden_size=WIDTH,
            feed_forward_size=64,
            num_attention_heads=2,
            attention_head_size=16,
            attn_layers=["local", "local"],
            axial_pos_embds=False,
            is_decoder=True,
            local_attn_chunk_length=4,
            max_position_embeddings=32,
        ),
        "",
    ),
    ForeignModel(
        "Funnel",
        "funnel",
        lambda: _old(
            "Funnel",
            "Model",
            block_sizes=[1, 1],
            d_model=WIDTH,
            n_head=HEADS,
            d_head=8,
            d_inner=64,
            num_decoder_layers=1,
        ),
        "",
    ),
]
