"""Mixtures of experts and state-space models of Hugging Face."""

from tests.models.decoders import GATED, SPLIT
from tests.models.expected import ForeignModel, by_head, every_second, parts
from tests.models.sizes import HEADS, LAYERS, VOCABULARY, WIDTH, causal, ids, model

ROUTED = SPLIT | {"*o_proj.weight": "out", "*experts.down_proj": "w_out"}

EXPERTS = [
    ForeignModel(
        "Mixtral",
        "mixtral",
        lambda: causal("Mixtral", num_key_value_heads=2, num_local_experts=3),
        "sgsg",
        roles=ROUTED
        | {
            "*experts.gate_up_proj": parts(0, gate=64, w_in=64),
            "*mlp.gate.weight": "other",
        },
        quick=True,
    ),
    ForeignModel(
        "Qwen2-MoE",
        "qwen2_moe",
        lambda: causal(
            "Qwen2Moe",
            moe_intermediate_size=16,
            shared_expert_intermediate_size=16,
            num_experts=4,
            num_experts_per_tok=2,
            num_key_value_heads=2,
        ),
        "sgsg",
        roles=ROUTED
        | GATED
        | {
            "*experts.gate_up_proj": parts(0, gate=16, w_in=16),
            "*shared_expert_gate.weight": "other",
        },
    ),
    ForeignModel(
        "gpt-oss",
        "gpt_oss",
        lambda: causal(
            "GptOss",
            num_local_experts=4,
            num_experts_per_tok=2,
            head_dim=8,
            num_key_value_heads=2,
        ),
        "sgsg",
        roles=ROUTED
        | {
            "*experts.gate_up_proj": every_second(1, 128, "gate", "w_in"),
            "*router.weight": "other",
        },
        quick=True,
    ),
    ForeignModel(
        "DeepSeek-V3",
        "deepseek_v3",
        lambda: causal(
            "DeepseekV3",
            moe_intermediate_size=16,
            n_routed_experts=4,
            n_group=2,
            topk_group=1,
            num_experts_per_tok=2,
            first_k_dense_replace=1,
            q_lora_rank=16,
            kv_lora_rank=12,
            qk_rope_head_dim=4,
            qk_nope_head_dim=8,
            v_head_dim=8,
            num_key_value_heads=4,
        ),
        "sgsg",
        roles=GATED
        | {
            "*q_a_proj.weight": "q",
            "*q_b_proj.weight": "q",
            "*kv_b_proj.weight": by_head(0, HEADS, k=8, v=8),
            "*kv_a_proj_with_mqa.weight": parts(0, other=12, k=4),
            "*o_proj.weight": "out",
            "*experts.gate_up_proj": parts(0, gate=16, w_in=16),
        },
        quick=True,
    ),
    ForeignModel(
        "Mamba",
        "mamba",
        lambda: model(
            "Mamba",
            "ForCausalLM",
            {"input_ids": ids()},
            {
                "hidden_size": WIDTH,
                "num_hidden_layers": LAYERS,
                "vocab_size": VOCABULARY,
                "state_size": 4,
            },
        ),
        "oo",
        roles={"*in_proj.weight": parts(0, w_in=64, gate=64), "*out_proj.weight": "w_out"},
    ),
    ForeignModel(
        "Mamba 2",
        "mamba2",
        lambda: model(
            "Mamba2",
            "ForCausalLM",
            {"input_ids": ids()},
            {
                "hidden_size": WIDTH,
                "num_hidden_layers": LAYERS,
                "vocab_size": VOCABULARY,
                "num_heads": 8,
                "head_dim": 8,
                "state_size": 4,
                "n_groups": 1,
                "chunk_size": 4,
            },
        ),
        "oo",
        roles={"*out_proj.weight": "w_out"},
    ),
    ForeignModel(
        "RWKV",
        "rwkv",
        lambda: model(
            "Rwkv",
            "ForCausalLM",
            {"input_ids": ids()},
            {
                "hidden_size": WIDTH,
                "num_hidden_layers": LAYERS,
                "vocab_size": VOCABULARY,
                "context_length": 16,
            },
        ),
        "omom",
        roles={
            "*attention.output.weight": "w_out",
            "*feed_forward.value.weight": "w_out",
            "*feed_forward.receptance.weight": "gate",
        },
    ),
    ForeignModel(
        "Jamba",
        "jamba",
        lambda: causal(
            "Jamba",
            num_key_value_heads=2,
            num_experts=2,
            attn_layer_period=2,
            attn_layer_offset=1,
            expert_layer_period=2,
            use_mamba_kernels=False,
            mamba_d_state=4,
            mamba_dt_rank=4,
            pad_token_id=0,
        ),
        "ogsg",
        roles={"*mamba.in_proj.weight": parts(0, w_in=64, gate=64), "*o_proj.weight": "out"},
    ),
]
