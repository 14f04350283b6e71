"""Encoders and encoder-decoders against Hugging Face's T5 and BERT, given their weights."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from numerics.models import WIRINGS, Architecture, ModelSpec, Positions, Transformer, single_stack
from numerics.models.attention import AttentionTraits
from numerics.models.mlp import Activation, MLPTraits
from numerics.models.norms import RMS_NORM

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

D, FF, HEADS, LAYERS, V = 16, 24, 4, 2, 30
CLOSE, FAR = 2e-5, 1e-3


def _t5() -> Any:
    config = transformers.T5Config(
        vocab_size=V,
        d_model=D,
        d_kv=D // HEADS,
        d_ff=FF,
        num_layers=LAYERS,
        num_heads=HEADS,
        dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
    )
    config._attn_implementation = "eager"
    model = transformers.T5ForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            drawn = 0.3 * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(drawn + (1 if "norm" in name else 0))
            if "relative_attention_bias" in name:  # ours has no relative positions
                parameter.zero_()
    return model


def _t5_name(name: str) -> str:
    """Theirs of one of our parameters but the packed projections."""
    if name in ("source_embedding", "target_embedding"):
        return "shared.weight"
    if name in ("encoder_norm.weight", "decoder_norm.weight"):
        return f"{name.partition('_')[0]}.final_layer_norm.weight"
    stack, layer, kind, *rest = name.split(".")
    number = {"attention": 0, "self_attention": 0, "cross_attention": 1}.get(kind)
    number = {"encoder": 1, "decoder": 2}[stack] if number is None else number
    inside = f"{stack}.block.{layer}.layer.{number}"
    if rest[0] == "norm":
        return f"{inside}.layer_norm.weight"
    attends = "EncDecAttention" if kind == "cross_attention" else "SelfAttention"
    last = {"out_proj": f"{attends}.o", "w1": "DenseReluDense.wi_0"}
    last |= {"w3": "DenseReluDense.wi_1", "w2": "DenseReluDense.wo"}
    return f"{inside}.{last[rest[1]]}.weight"


@pytest.mark.parametrize("power", [0.0, -0.5])
def test_an_encoder_decoder_agrees_with_t5(power):
    theirs = _t5()
    state = theirs.state_dict()
    spec = ModelSpec(
        LAYERS,
        LAYERS,
        d_model=D,
        d_ff=FF,
        heads=HEADS,
        vocabulary=V,
        wiring=WIRINGS["pre-ln"],
        norm=RMS_NORM,
        attention=AttentionTraits(power=power),
        mlp=MLPTraits(Activation.GELU_TANH, gated=True),
        embedding_multiplier=1.0,
        shared_embeddings=True,
        logit_multiplier=D**-0.5,
    )
    ours = Transformer(spec).eval()
    source = torch.randint(V, (2, 6), generator=torch.Generator().manual_seed(1))
    target = torch.randint(V, (2, 5), generator=torch.Generator().manual_seed(2))
    padding = torch.zeros(2, 6, dtype=torch.bool)
    padding[1, 4:] = True
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            if name.endswith("in_proj"):
                base = _t5_name(name.replace("in_proj", "out_proj")).removesuffix("o.weight")
                value = torch.cat([state[f"{base}{letter}.weight"] for letter in "qkv"])
            else:
                value = state[_t5_name(name)]
            parameter.copy_(value)
        expected = theirs(
            input_ids=source, attention_mask=(~padding).long(), decoder_input_ids=target
        ).logits
        if not theirs.config.tie_word_embeddings:
            pytest.skip("this version unties the head of gated T5")
        found = ours(source, target, padding)
    difference = float((found - expected).abs().max() / expected.abs().max())
    assert (difference <= CLOSE) == (power == 0.0), difference


@pytest.mark.parametrize("normed", [True, False])
def test_an_encoder_with_a_norm_after_the_embedding_agrees_with_bert(normed):
    config = transformers.BertConfig(
        hidden_size=D,
        intermediate_size=FF,
        num_attention_heads=HEADS,
        num_hidden_layers=LAYERS,
        vocab_size=V,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-5,
    )
    config._attn_implementation = "eager"
    theirs = transformers.BertModel(config, add_pooling_layer=False).eval()
    generator = torch.Generator().manual_seed(0)
    spec = single_stack(
        Architecture.ENCODER_ONLY,
        LAYERS,
        d_model=D,
        d_ff=FF,
        heads=HEADS,
        vocabulary=V,
        wiring=WIRINGS["post-ln"],
        embedding_multiplier=1.0,
        positions=Positions.LEARNED,
        max_tokens=32,
        biases=True,
        mlp=MLPTraits(Activation.GELU),
        embedding_norm=normed,
    )
    ours = Transformer(spec).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            drawn = 0.3 * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(drawn + (1 if name.endswith("LayerNorm.weight") else 0))
            if "token_type" in name:
                parameter.zero_()
        state = theirs.state_dict()
        for name, parameter in ours.named_parameters():
            parameter.copy_(_bert(name, state))
        tokens = torch.randint(V, (2, 7), generator=torch.Generator().manual_seed(1))
        expected = theirs(input_ids=tokens).last_hidden_state
        found = ours.features(tokens, tokens)
    difference = float((found - expected).abs().max() / expected.abs().max())
    assert difference <= CLOSE if normed else difference > FAR


def _bert(name: str, state: Mapping[str, Any]) -> Any:
    outside = {
        "source_embedding": "embeddings.word_embeddings.weight",
        "source_positions": "embeddings.position_embeddings.weight",
        "source_norm.weight": "embeddings.LayerNorm.weight",
        "source_norm.bias": "embeddings.LayerNorm.bias",
        "output": "embeddings.word_embeddings.weight",
    }
    if name in outside:
        return state[outside[name]]
    _, layer, last = name.split(".", 2)
    inside = f"encoder.layer.{layer}"
    if ".in_" in last:
        kind = "weight" if last.endswith("in_proj") else "bias"
        words = ("query", "key", "value")
        return torch.cat([state[f"{inside}.attention.self.{word}.{kind}"] for word in words])
    names = {
        "attention.branch.out_proj": "attention.output.dense.weight",
        "attention.branch.out_bias": "attention.output.dense.bias",
        "attention.norm.weight": "attention.output.LayerNorm.weight",
        "attention.norm.bias": "attention.output.LayerNorm.bias",
        "mlp.branch.w1": "intermediate.dense.weight",
        "mlp.branch.bias1": "intermediate.dense.bias",
        "mlp.branch.w2": "output.dense.weight",
        "mlp.branch.bias2": "output.dense.bias",
        "mlp.norm.weight": "output.LayerNorm.weight",
        "mlp.norm.bias": "output.LayerNorm.bias",
    }
    return state[f"{inside}.{names[last]}"]
