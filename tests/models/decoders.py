"""Causal language models of Hugging Face: dense ones, all layouts of q, k and v."""

from tests.models.expected import ForeignModel, by_head, parts
from tests.models.sizes import HEADS, LAYERS, VOCABULARY, WIDTH, causal, ids, model

SPLIT = {"*q_proj.weight": "q", "*k_proj.weight": "k", "*v_proj.weight": "v"}
GATED = {"*gate_proj.weight": "gate", "*up_proj.weight": "w_in", "*down_proj.weight": "w_out"}
LLAMA = SPLIT | GATED | {"*o_proj.weight": "out", "*embed_tokens.weight": "embedding"}
UNTIED = LLAMA | {"lm_head.weight": "head"}
TIED = LLAMA | {"*embed_tokens.weight": "embedding+head"}
NEOX = {
    "*query_key_value.weight": by_head(0, HEADS, q=8, k=8, v=8),
    "*attention.dense.weight": "out",
    "*dense_h_to_4h.weight": "w_in",
    "*dense_4h_to_h.weight": "w_out",
}
FALCON = {
    "*self_attention.dense.weight": "out",
    "*dense_h_to_4h.weight": "w_in",
    "*dense_4h_to_h.weight": "w_out",
}
GPT2_SIZES = {"n_layer": LAYERS, "n_embd": WIDTH, "n_head": HEADS, "vocab_size": VOCABULARY}
GPT2 = {
    "*wte.weight": "embedding+head",
    "*wpe.weight": "positions",
    "*c_attn.weight": parts(1, q=32, k=32, v=32),
    "*attn.c_proj.weight": "out",
    "*c_fc.weight": "w_in",
    "*mlp.c_proj.weight": "w_out",
}
FC = SPLIT | {"*fc1.weight": "w_in", "*fc2.weight": "w_out"}


def _gpt2(name: str, task: str = "LMHeadModel", **changes: object):
    return model(name, task, {"input_ids": ids()}, GPT2_SIZES | changes)


DECODERS = [
    ForeignModel("GPT-2", "gpt2", lambda: _gpt2("GPT2"), "smsm", roles=GPT2, quick=True),
    ForeignModel(
        "GPT-2, eager attention",
        "gpt2",
        lambda: _gpt2("GPT2", attn_implementation="eager"),
        "smsm",
        roles=GPT2,
        quick=True,
    ),
    ForeignModel(
        "ImageGPT",
        "imagegpt",
        lambda: _gpt2("ImageGPT", "ForCausalImageModeling", n_positions=32),
        "smsm",
        roles=GPT2 | {"*wte.weight": "embedding"},
    ),
    ForeignModel(
        "OpenAI GPT",
        "openai-gpt",
        lambda: _gpt2("OpenAIGPT"),
        "smsm",
        "post",
        roles={k: v for k, v in GPT2.items() if "wte" not in k and "wpe" not in k},
    ),
    ForeignModel(
        "GPT-BigCode",
        "gpt_bigcode",
        lambda: _gpt2("GPTBigCode", "ForCausalLM"),
        "smsm",
        roles=GPT2 | {"*c_attn.weight": parts(0, q=32, k=8, v=8)},
        quick=True,
    ),
    ForeignModel(
        "GPT-Neo",
        "gpt_neo",
        lambda: model(
            "GPTNeo",
            "ForCausalLM",
            {"input_ids": ids()},
            {
                "hidden_size": WIDTH,
                "num_layers": LAYERS,
                "num_heads": HEADS,
                "vocab_size": VOCABULARY,
                "attention_types": [[["global", "local"], 1]],
                "max_position_embeddings": 32,
            },
        ),
        "smsm",
        roles=SPLIT | {"*out_proj.weight": "out", "*c_fc.weight": "w_in"},
    ),
    ForeignModel(
        "GPT-NeoX",
        "gpt_neox",
        lambda: causal("GPTNeoX"),
        "smsm",
        roles=NEOX | {"*embed_in.weight": "embedding", "lm_head.weight": "head"},
        parallel=True,
        quick=True,
    ),
    ForeignModel(
        "GPT-NeoX, in sequence",
        "gpt_neox",
        lambda: causal("GPTNeoX", use_parallel_residual=False),
        "smsm",
        roles=NEOX,
    ),
    ForeignModel(
        "GPT-J",
        "gptj",
        lambda: _gpt2("GPTJ", "ForCausalLM", rotary_dim=4),
        "smsm",
        roles=SPLIT | {"*out_proj.weight": "out", "*fc_in.weight": "w_in"},
        parallel=True,
        quick=True,
    ),
    ForeignModel(
        "CodeGen",
        "codegen",
        lambda: _gpt2("CodeGen", "ForCausalLM", rotary_dim=4),
        "smsm",
        roles={
            "*qkv_proj.weight": by_head(0, HEADS, q=8, v=8, k=8),
            "*out_proj.weight": "out",
        },
        parallel=True,
    ),
    ForeignModel(
        "BLOOM",
        "bloom",
        lambda: model(
            "Bloom",
            "ForCausalLM",
            {"input_ids": ids()},
            {
                "n_layer": LAYERS,
                "hidden_size": WIDTH,
                "n_head": HEADS,
                "vocab_size": VOCABULARY,
            },
        ),
        "smsm",
        roles=NEOX | {"*word_embeddings.weight": "embedding+head"},
    ),
    ForeignModel(
        "Falcon",
        "falcon",
        lambda: causal("Falcon"),
        "msms",
        roles=FALCON | {"*query_key_value.weight": parts(0, q=32, k=8, v=8)},
        parallel=True,
    ),
    ForeignModel(
        "Falcon, new architecture",
        "falcon",
        lambda: causal("Falcon", new_decoder_architecture=True, num_kv_heads=2),
        "smsm",
        roles=FALCON | {"*query_key_value.weight": by_head(0, 2, q=16, k=8, v=8)},
        parallel=True,
        quick=True,
    ),
    ForeignModel(
        "MPT",
        "mpt",
        lambda: model(
            "Mpt",
            "ForCausalLM",
            {"input_ids": ids()},
            {
                "n_layers": LAYERS,
                "d_model": WIDTH,
                "n_heads": HEADS,
                "vocab_size": VOCABULARY,
                "max_seq_len": 32,
            },
        ),
        "smsm",
        roles={"*Wqkv.weight": parts(0, q=32, k=32, v=32), "*attn.out_proj.weight": "out"},
    ),
    ForeignModel(
        "OPT",
        "opt",
        lambda: causal("OPT", ffn_dim=64, word_embed_proj_dim=32, max_position_embeddings=32),
        "smsm",
        roles=FC | {"*out_proj.weight": "out", "*embed_positions.weight": "positions"},
        quick=True,
    ),
    ForeignModel(
        "OPT, Post-LN",
        "opt",
        lambda: causal(
            "OPT",
            ffn_dim=64,
            word_embed_proj_dim=32,
            max_position_embeddings=32,
            do_layer_norm_before=False,
        ),
        "smsm",
        "post",
        roles=FC,
    ),
    ForeignModel(
        "Llama",
        "llama",
        lambda: causal("Llama", num_key_value_heads=2),
        "sgsg",
        roles=UNTIED,
        quick=True,
    ),
    ForeignModel(
        "Mistral", "mistral", lambda: causal("Mistral", num_key_value_heads=2), "sgsg", roles=UNTIED
    ),
    ForeignModel(
        "Qwen2", "qwen2", lambda: causal("Qwen2", num_key_value_heads=2), "sgsg", roles=UNTIED
    ),
    ForeignModel(
        "Qwen3",
        "qwen3",
        lambda: causal("Qwen3", num_key_value_heads=2, head_dim=8),
        "sgsg",
        roles=UNTIED,
    ),
    ForeignModel(
        "Gemma",
        "gemma",
        lambda: causal("Gemma", num_key_value_heads=1, head_dim=16),
        "sgsg",
        roles=TIED,
    ),
    ForeignModel(
        "Gemma 2",
        "gemma2",
        lambda: causal("Gemma2", num_key_value_heads=2, head_dim=8),
        "sgsg",
        "sandwich",
        roles=TIED,
        quick=True,
    ),
    ForeignModel(
        "OLMo 2", "olmo2", lambda: causal("Olmo2"), "sgsg", "post-branch", roles=UNTIED, quick=True
    ),
    ForeignModel(
        "Granite",
        "granite",
        lambda: causal("Granite", residual_multiplier=0.22),
        "sgsg",
        roles=UNTIED,
        multipliers=(1.0, 0.22),
    ),
    ForeignModel(
        "Cohere",
        "cohere",
        lambda: causal("Cohere", num_key_value_heads=2),
        "sgsg",
        roles=TIED,
        parallel=True,
        quick=True,
    ),
    ForeignModel(
        "StableLM",
        "stablelm",
        lambda: causal("StableLm", num_key_value_heads=4),
        "sgsg",
        roles=UNTIED,
    ),
    ForeignModel(
        "StarCoder 2",
        "starcoder2",
        lambda: causal("Starcoder2", num_key_value_heads=2),
        "smsm",
        roles=SPLIT | {"*c_fc.weight": "w_in", "*mlp.c_proj.weight": "w_out"},
    ),
    ForeignModel(
        "Nemotron",
        "nemotron",
        lambda: causal("Nemotron", num_key_value_heads=2, head_dim=8),
        "smsm",
        roles=SPLIT | {"*up_proj.weight": "w_in", "*down_proj.weight": "w_out"},
    ),
    ForeignModel(
        "Persimmon",
        "persimmon",
        lambda: causal("Persimmon"),
        "smsm",
        roles={k.replace("attention.dense", "self_attn.dense"): v for k, v in NEOX.items()},
    ),
    ForeignModel(
        "Phi",
        "phi",
        lambda: causal("Phi"),
        "smsm",
        roles=FC | {"*self_attn.dense.weight": "out"},
        parallel=True,
    ),
    ForeignModel(
        "Phi-3",
        "phi3",
        lambda: causal("Phi3", num_key_value_heads=2, pad_token_id=0),
        "sgsg",
        roles={
            "*qkv_proj.weight": parts(0, q=32, k=16, v=16),
            "*gate_up_proj.weight": parts(0, gate=64, w_in=64),
            "*o_proj.weight": "out",
        },
        quick=True,
    ),
    ForeignModel(
        "GLM",
        "glm",
        lambda: causal("Glm", num_key_value_heads=2, head_dim=8, pad_token_id=0),
        "sgsg",
        roles=SPLIT | {"*gate_up_proj.weight": parts(0, gate=64, w_in=64)},
    ),
]
