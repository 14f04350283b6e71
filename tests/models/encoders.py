"""Encoders of Hugging Face for text and speech, most of them Post-LN."""

from tests.models.decoders import SPLIT
from tests.models.expected import ForeignModel, parts
from tests.models.sizes import HEADS, LAYERS, VOCABULARY, WIDTH, ids, masked, model

BERT = {
    "*attention.self.query.weight": "q",
    "*attention.self.key.weight": "k",
    "*attention.self.value.weight": "v",
    "*attention.output.dense.weight": "out",
    "*intermediate.dense.weight": "w_in",
    "*.?.output.dense.weight": "w_out",
    "*position_embeddings.weight": "positions",
    "*token_type_embeddings.weight": "embedding",
    "*word_embeddings.weight": "embedding+head",
}


def _speech(name: str, **changes: object):
    import torch

    sizes = {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 64,
        "conv_dim": (16, 16),
        "conv_stride": (2, 2),
        "conv_kernel": (3, 3),
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    }
    wave = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    return model(name, "Model", {"input_values": wave}, sizes | changes)


ENCODERS = [
    ForeignModel("BERT", "bert", lambda: masked("Bert"), "smsm", "post", roles=BERT, quick=True),
    ForeignModel(
        "BERT, eager attention",
        "bert",
        lambda: masked("Bert", attn_implementation="eager"),
        "smsm",
        "post",
        roles=BERT,
    ),
    ForeignModel(
        "RoBERTa",
        "roberta",
        lambda: masked("Roberta", max_position_embeddings=40),
        "smsm",
        "post",
        roles=BERT,
    ),
    ForeignModel(
        "RoBERTa, PreLayerNorm",
        "roberta-prelayernorm",
        lambda: masked("RobertaPreLayerNorm", max_position_embeddings=40),
        "smsm",
        "pre",
        roles={k: v for k, v in BERT.items() if "token_type" not in k},
    ),
    ForeignModel(
        "ALBERT",
        "albert",
        lambda: masked("Albert", embedding_size=16),
        "smsm",
        "post",
        roles={
            "*attention.query.weight": "q",
            "*attention.key.weight": "k",
            "*attention.dense.weight": "out",
            "*ffn.weight": "w_in",
            "*ffn_output.weight": "w_out",
            "*embedding_hidden_mapping_in.weight": "other",
        },
        quick=True,
    ),
    ForeignModel(
        "ELECTRA",
        "electra",
        lambda: masked("Electra", embedding_size=16),
        "smsm",
        "post",
        roles={k: v for k, v in BERT.items() if "word" not in k},
    ),
    ForeignModel(
        "DistilBERT",
        "distilbert",
        lambda: model(
            "DistilBert",
            "ForMaskedLM",
            {"input_ids": ids()},
            {
                "dim": WIDTH,
                "n_layers": LAYERS,
                "n_heads": HEADS,
                "hidden_dim": 64,
                "vocab_size": VOCABULARY,
            },
        ),
        "smsm",
        "post",
        roles={
            "*q_lin.weight": "q",
            "*k_lin.weight": "k",
            "*v_lin.weight": "v",
            "*out_lin.weight": "out",
            "*lin1.weight": "w_in",
            "*lin2.weight": "w_out",
        },
    ),
    ForeignModel(
        "DeBERTa v2",
        "deberta-v2",
        lambda: masked(
            "DebertaV2",
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
            position_buckets=8,
            max_relative_positions=16,
        ),
        "smsm",
        "post",
        roles={
            "*self.query_proj.weight": "q",
            "*self.key_proj.weight": "k",
            "*self.value_proj.weight": "v",
            "*pos_*_proj.weight": "positions",
            "*intermediate.dense.weight": "w_in",
        },
    ),
    ForeignModel(
        "ModernBERT",
        "modernbert",
        lambda: masked(
            "ModernBert",
            pad_token_id=0,
            cls_token_id=1,
            sep_token_id=2,
            bos_token_id=1,
            eos_token_id=2,
        ),
        "sgsg",
        ("none", "pre", "pre", "pre"),  # its first layer reads the embedding's norm
        roles={
            "*Wqkv.weight": parts(0, q=32, k=32, v=32),
            "*Wi.weight": parts(0, gate=64, w_in=64),
            "*attn.Wo.weight": "out",
            "*mlp.Wo.weight": "w_out",
        },
        quick=True,
    ),
    ForeignModel(
        "XLNet",
        "xlnet",
        lambda: model(
            "XLNet",
            "LMHeadModel",
            {"input_ids": ids()},
            {
                "vocab_size": VOCABULARY,
                "d_model": WIDTH,
                "n_layer": LAYERS,
                "n_head": HEADS,
                "d_inner": 64,
            },
        ),
        "smsm",
        "post",
        roles={
            "*rel_attn.q": "q",
            "*rel_attn.k": "k",
            "*rel_attn.v": "v",
            "*rel_attn.o": "out",
            "*rel_attn.r": "positions",
            "*layer_1.weight": "w_in",
        },
    ),
    ForeignModel(
        "FNet",
        "fnet",
        lambda: model(
            "FNet",
            "ForMaskedLM",
            {"input_ids": ids()},
            {
                "hidden_size": WIDTH,
                "num_hidden_layers": LAYERS,
                "intermediate_size": 64,
                "vocab_size": VOCABULARY,
            },
        ),
        "omom",
        "post",
        roles={"*intermediate.dense.weight": "w_in", "*.?.output.dense.weight": "w_out"},
    ),
    ForeignModel(
        "wav2vec 2.0",
        "wav2vec2",
        lambda: _speech("Wav2Vec2"),
        "osmsm",  # the first addition is the convolution of positions
        "post",
        roles=SPLIT | {"*attention.out_proj.weight": "out", "*intermediate_dense.weight": "w_in"},
    ),
    ForeignModel(
        "wav2vec 2.0, stable layer norm",
        "wav2vec2",
        lambda: _speech("Wav2Vec2", do_stable_layer_norm=True, feat_extract_norm="layer"),
        "osmsm",
        ("none", "pre", "pre", "pre", "pre"),
        roles=SPLIT,
    ),
]
