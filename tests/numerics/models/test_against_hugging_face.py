"""Today's traits against Hugging Face's models with copied weights, and each against a wrong trait.

Both sides run in float32: their RMS norms and rotary tables are float32 whatever the model is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from numerics.models import WIRINGS, Architecture, ModelSpec, Positions, Transformer
from numerics.models.attention import AttentionTraits, QKNorm
from numerics.models.mlp import GEGLU, RELU_MLP, SWIGLU, Activation, MLPTraits
from numerics.models.norms import RMS_NORM, Gain, NormKind, NormTraits

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

D, FF, HEADS, LAYERS, V = 16, 24, 4, 2, 30
CLOSE, FAR = 2e-5, 1e-3
SIZES: dict[str, Any] = dict(
    hidden_size=D,
    intermediate_size=FF,
    num_attention_heads=HEADS,
    num_hidden_layers=LAYERS,
    vocab_size=V,
    max_position_embeddings=32,
)


@dataclass(frozen=True)
class Family:
    """A model of another library, ours beside it, and where our parameters come from."""

    config: Callable[[], Any]
    spec: ModelSpec
    names: Mapping[str, str]
    """Ours, by their last words, and theirs within a layer."""
    outside: Mapping[str, str]
    """Ours and theirs outside the layers."""
    layers: str
    """Their name of the list of layers."""
    wrong: Mapping[str, Any]
    """A change of our specification that must be seen."""
    transposed: bool = False
    packed: bool = False
    """Whether q, k, v are interleaved by head."""


def _spec(wiring: str, **changes: Any) -> ModelSpec:
    common: dict[str, Any] = dict(
        d_model=D, d_ff=FF, heads=HEADS, vocabulary=V, embedding_multiplier=1.0
    )
    common |= dict(architecture=Architecture.DECODER_ONLY, positions=Positions.ROTARY)
    return ModelSpec(0, LAYERS, wiring=WIRINGS[wiring], **(common | changes))


SPLIT = {
    "self_attention.branch.q_proj": "self_attn.q_proj.weight",
    "self_attention.branch.k_proj": "self_attn.k_proj.weight",
    "self_attention.branch.v_proj": "self_attn.v_proj.weight",
    "self_attention.branch.out_proj": "self_attn.o_proj.weight",
    "mlp.branch.w1": "mlp.gate_proj.weight",
    "mlp.branch.w3": "mlp.up_proj.weight",
    "mlp.branch.w2": "mlp.down_proj.weight",
}
PRE = {
    "self_attention.norm.weight": "input_layernorm.weight",
    "mlp.norm.weight": "post_attention_layernorm.weight",
}
OUTSIDE = {
    "target_embedding": "model.embed_tokens.weight",
    "decoder_norm.weight": "model.norm.weight",
    "output": "lm_head.weight",
}
GROUPED = AttentionTraits(key_heads=2)
QK = {
    "self_attention.branch.q_norm.weight": "self_attn.q_norm.weight",
    "self_attention.branch.k_norm.weight": "self_attn.k_norm.weight",
}


def _config(name: str, **changes: Any) -> Callable[[], Any]:
    return lambda: getattr(transformers, name)(**(SIZES | changes))


FAMILIES: dict[str, Family] = {
    "llama": Family(
        _config("LlamaConfig", num_key_value_heads=2),
        _spec("pre-ln", norm=RMS_NORM, attention=GROUPED, mlp=SWIGLU),
        SPLIT | PRE,
        OUTSIDE,
        "model.layers",
        {"positions": Positions.NONE},
    ),
    "qwen3": Family(
        _config("Qwen3Config", num_key_value_heads=2, head_dim=D // HEADS),
        _spec("pre-ln", norm=RMS_NORM, attention=replace(GROUPED, qk_norm=QKNorm.HEAD), mlp=SWIGLU),
        SPLIT | PRE | QK,
        OUTSIDE,
        "model.layers",
        {"mlp": GEGLU},
    ),
    "olmo2": Family(
        _config("Olmo2Config", num_key_value_heads=2, rms_norm_eps=1e-6),
        _spec(
            "branch-norm",
            norm=RMS_NORM,
            attention=replace(GROUPED, qk_norm=QKNorm.ALL),
            mlp=SWIGLU,
        ),
        SPLIT
        | QK
        | {
            "self_attention.branch_norm.weight": "post_attention_layernorm.weight",
            "mlp.branch_norm.weight": "post_feedforward_layernorm.weight",
        },
        OUTSIDE,
        "model.layers",
        {"wiring": WIRINGS["none"]},
    ),
    "gemma2": Family(
        _config(
            "Gemma2Config",
            num_key_value_heads=2,
            head_dim=D // HEADS,
            query_pre_attn_scalar=D // HEADS,
            final_logit_softcapping=None,
            attn_logit_softcapping=None,
        ),
        _spec(
            "peri-ln",
            norm=NormTraits(NormKind.RMS, Gain.ONE_PLUS),
            attention=GROUPED,
            mlp=MLPTraits(Activation.GELU_TANH, gated=True),
            embedding_multiplier=D**0.5,
            tied_output=True,
        ),
        SPLIT
        | {
            "self_attention.norm.weight": "input_layernorm.weight",
            "self_attention.branch_norm.weight": "post_attention_layernorm.weight",
            "mlp.norm.weight": "pre_feedforward_layernorm.weight",
            "mlp.branch_norm.weight": "post_feedforward_layernorm.weight",
        },
        {key: OUTSIDE[key] for key in ("target_embedding", "decoder_norm.weight")},
        "model.layers",
        {"norm": RMS_NORM},
    ),
    "granite": Family(
        _config(
            "GraniteConfig",
            num_key_value_heads=2,
            embedding_multiplier=12.0,
            residual_multiplier=0.22,
            attention_multiplier=HEADS / D,
            logits_scaling=8.0,
        ),
        _spec(
            "scaled-pre-ln",
            norm=RMS_NORM,
            attention=replace(GROUPED, power=-1.0),
            mlp=SWIGLU,
            embedding_multiplier=12.0,
            decoder_branch=0.22,
            logit_multiplier=1 / 8,
        ),
        SPLIT | PRE,
        OUTSIDE,
        "model.layers",
        {"decoder_branch": 1.0},
    ),
    "nemotron": Family(
        _config("NemotronConfig", num_key_value_heads=2, partial_rotary_factor=1.0),
        _spec(
            "pre-ln",
            norm=NormTraits(gain=Gain.ONE_PLUS),
            attention=GROUPED,
            mlp=MLPTraits(Activation.RELU_SQUARED),
        ),
        {key: value for key, value in SPLIT.items() if "mlp" not in key}
        | {"mlp.branch.w1": "mlp.up_proj.weight", "mlp.branch.w2": "mlp.down_proj.weight"}
        | PRE
        | {
            key.replace("weight", "bias"): value.replace("weight", "bias")
            for key, value in PRE.items()
        },
        OUTSIDE | {"decoder_norm.bias": "model.norm.bias"},
        "model.layers",
        {"mlp": RELU_MLP},
    ),
    "gpt2": Family(
        lambda: transformers.GPT2Config(
            vocab_size=V, n_positions=32, n_embd=D, n_layer=LAYERS, n_head=HEADS, n_inner=FF
        ),
        _spec(
            "pre-ln",
            positions=Positions.LEARNED,
            max_tokens=32,
            biases=True,
            mlp=MLPTraits(Activation.GELU_TANH),
            tied_output=True,
        ),
        {
            "self_attention.branch.in_proj": "attn.c_attn.weight",
            "self_attention.branch.in_bias": "attn.c_attn.bias",
            "self_attention.branch.out_proj": "attn.c_proj.weight",
            "self_attention.branch.out_bias": "attn.c_proj.bias",
            "mlp.branch.w1": "mlp.c_fc.weight",
            "mlp.branch.bias1": "mlp.c_fc.bias",
            "mlp.branch.w2": "mlp.c_proj.weight",
            "mlp.branch.bias2": "mlp.c_proj.bias",
            **{f"self_attention.norm.{last}": f"ln_1.{last}" for last in ("weight", "bias")},
            **{f"mlp.norm.{last}": f"ln_2.{last}" for last in ("weight", "bias")},
        },
        {
            "target_embedding": "transformer.wte.weight",
            "target_positions": "transformer.wpe.weight",
            "decoder_norm.weight": "transformer.ln_f.weight",
            "decoder_norm.bias": "transformer.ln_f.bias",
        },
        "transformer.h",
        {"mlp": RELU_MLP},
        transposed=True,
    ),
    "gpt-neox": Family(
        _config("GPTNeoXConfig", rotary_pct=1.0),
        _spec("parallel-two-norms", biases=True, mlp=MLPTraits(Activation.GELU)),
        {
            "self_attention.branch.in_proj": "attention.query_key_value.weight",
            "self_attention.branch.in_bias": "attention.query_key_value.bias",
            "self_attention.branch.out_proj": "attention.dense.weight",
            "self_attention.branch.out_bias": "attention.dense.bias",
            "mlp.branch.w1": "mlp.dense_h_to_4h.weight",
            "mlp.branch.bias1": "mlp.dense_h_to_4h.bias",
            "mlp.branch.w2": "mlp.dense_4h_to_h.weight",
            "mlp.branch.bias2": "mlp.dense_4h_to_h.bias",
            **{f"self_attention.norm.{x}": f"input_layernorm.{x}" for x in ("weight", "bias")},
            **{f"mlp.norm.{x}": f"post_attention_layernorm.{x}" for x in ("weight", "bias")},
        },
        {
            "target_embedding": "gpt_neox.embed_in.weight",
            "decoder_norm.weight": "gpt_neox.final_layer_norm.weight",
            "decoder_norm.bias": "gpt_neox.final_layer_norm.bias",
            "output": "lm_head.weight",
        },
        "gpt_neox.layers",
        {"wiring": WIRINGS["pre-ln"]},
        packed=True,
    ),
    "phi": Family(
        _config("PhiConfig", num_key_value_heads=2, partial_rotary_factor=1.0),
        _spec(
            "parallel",
            biases=True,
            attention=GROUPED,
            mlp=MLPTraits(Activation.GELU_TANH),
        ),
        {
            **{
                f"self_attention.branch.{letter}_{ours}": f"self_attn.{letter}_proj.{theirs}"
                for letter in "qkv"
                for ours, theirs in (("proj", "weight"), ("bias", "bias"))
            },
            "self_attention.branch.out_proj": "self_attn.dense.weight",
            "self_attention.branch.out_bias": "self_attn.dense.bias",
            "mlp.branch.w1": "mlp.fc1.weight",
            "mlp.branch.bias1": "mlp.fc1.bias",
            "mlp.branch.w2": "mlp.fc2.weight",
            "mlp.branch.bias2": "mlp.fc2.bias",
            "norm.weight": "input_layernorm.weight",
            "norm.bias": "input_layernorm.bias",
        },
        {
            "target_embedding": "model.embed_tokens.weight",
            "decoder_norm.weight": "model.final_layernorm.weight",
            "decoder_norm.bias": "model.final_layernorm.bias",
            "output": "lm_head.weight",
        },
        "model.layers",
        {"attention": replace(GROUPED, power=0.0)},
    ),
}


def _theirs(family: Family) -> Any:
    """Their model with every parameter drawn, none of them near a value that hides a fault."""
    config = family.config()
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            drawn = 0.3 * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(drawn + (1 if "norm" in name and name.endswith("weight") else 0))
            if name == "lm_head.bias":
                parameter.zero_()
    return model


def _by_head(tensor: Any) -> Any:
    """Rows interleaved by head, (H, 3, K), as q, k, v one after another."""
    return tensor.unflatten(0, (HEADS, 3, D // HEADS)).transpose(0, 1).flatten(0, 2)


def _copied(family: Family, theirs: Any, spec: ModelSpec) -> Transformer:
    model = Transformer(spec).eval()
    state = theirs.state_dict()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in family.outside:
                parameter.copy_(state[family.outside[name]])
                continue
            _, layer, last = name.split(".", 2)
            if last not in family.names:
                parameter.fill_(1.0)  # only where the specification is wrong on purpose
                continue
            value = state[f"{family.layers}.{layer}.{family.names[last]}"]
            if family.packed and ".in_" in last:
                value = _by_head(value)
            matrix = family.transposed and value.ndim == 2
            parameter.copy_(value.T if matrix else value)
    return model


def _difference(family: Family, spec: ModelSpec) -> float:
    theirs = _theirs(family)
    tokens = torch.randint(V, (2, 7), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(input_ids=tokens, use_cache=False).logits
        found = _copied(family, theirs, spec)(tokens, tokens)
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_decoders_agree_given_their_weights(name):
    family = FAMILIES[name]
    assert _difference(family, family.spec) <= CLOSE
    used = {
        parameter.split(".", 2)[-1] for parameter, _ in Transformer(family.spec).named_parameters()
    }
    assert set(family.names) <= used


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_wrong_trait_is_seen(name):
    family = FAMILIES[name]
    assert _difference(family, replace(family.spec, **family.wrong)) > FAR
