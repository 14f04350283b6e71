"""Our Transformer against torch's, and without layer norm against a composition by hand."""

from typing import Any

import pytest
import torch
from torch import nn

from numerics.models import (
    WIRINGS,
    Architecture,
    ModelSpec,
    Positions,
    Transformer,
    architecture_named,
    single_stack,
)
from numerics.models.positions import sinusoids
from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

SPEC: dict[str, Any] = dict(
    encoder_layers=2, decoder_layers=3, d_model=16, d_ff=24, heads=4, vocabulary=30
)
MATRIX = {
    "in_proj": "in_proj_weight",
    "in_bias": "in_proj_bias",
    "out_proj": "out_proj.weight",
    "out_bias": "out_proj.bias",
}
LINEAR = {
    "w1": "linear1.weight",
    "bias1": "linear1.bias",
    "w2": "linear2.weight",
    "bias2": "linear2.bias",
}


def _random_model(**changes):
    spec = ModelSpec(**(SPEC | changes))
    model = Transformer(spec).to(torch.float64)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.3 * drawn)
    return model


def _torch_name(name):
    """Our parameter's name in `torch.nn.Transformer`, which numbers its layer norms."""
    if name.startswith(("encoder_norm", "decoder_norm")):
        stack, _, entry = name.replace("_norm", "").partition(".")
        return f"{stack}.norm.{entry}"
    stack, layer, block, *rest = name.split(".")
    order = (
        ["attention", "mlp"] if stack == "encoder" else ["self_attention", "cross_attention", "mlp"]
    )
    if rest[0] == "norm":
        return f"{stack}.layers.{layer}.norm{order.index(block) + 1}.{rest[1]}"
    if block == "mlp":
        return f"{stack}.layers.{layer}.{LINEAR[rest[1]]}"
    module = "multihead_attn" if block == "cross_attention" else "self_attn"
    return f"{stack}.layers.{layer}.{module}.{MATRIX[rest[1]]}"


def _torch_twin(model):
    spec = model.spec
    first = spec.wiring.norm_before
    twin = nn.Transformer(
        spec.d_model,
        spec.heads,
        spec.encoder_layers,
        spec.decoder_layers,
        spec.d_ff,
        dropout=0.0,
        batch_first=True,
        norm_first=first,
        dtype=torch.float64,
    )
    if not first:
        twin.encoder.norm = twin.decoder.norm = None
    state = {
        _torch_name(name): value
        for name, value in model.state_dict().items()
        if not name.endswith("embedding") and name != "output"
    }
    twin.load_state_dict(state, strict=True)
    return twin


def _inputs():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 7, 16, generator=generator, dtype=torch.float64)
    y = torch.randn(3, 5, 16, generator=generator, dtype=torch.float64)
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[0, 4:] = padding[2, 6:] = True
    return x, y, padding


def _against_torch(wiring, *, causal=True):
    model, (x, y, padding) = _random_model(wiring=wiring, biases=True), _inputs()
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    # In training mode, so that torch takes its reference path and not a fused one; no dropout.
    expected = _torch_twin(model).train()(
        x, y, tgt_mask=mask, src_key_padding_mask=padding, memory_key_padding_mask=padding
    )
    hidden = padding[:, None, None, :]
    found = model.decode(model.encode(x, hidden), y, hidden)
    return float((found - expected).detach().abs().max())


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("wiring", [WIRINGS["post-ln"], WIRINGS["pre-ln"]])
def test_agrees_with_torch_given_its_weights(wiring):
    assert _against_torch(wiring) <= tolerance("against-torch")


def test_the_comparison_rejects_a_missing_mask():
    assert _against_torch(WIRINGS["post-ln"], causal=False) > 1e-3


def _softmax_attention(y, memory, attention, blocked):
    """Eq. 5, head by head, token by token."""
    q, k, v = attention.in_proj.chunk(3)
    width, out = 4, torch.zeros_like(y)
    for head in range(4):
        rows = slice(head * width, (head + 1) * width)
        logits = (y @ q[rows].T) @ (memory @ k[rows].T).transpose(1, 2) / width**0.5
        if blocked is not None:
            logits = torch.where(blocked, torch.full_like(logits, -torch.inf), logits)
        weights = logits.exp() / logits.exp().sum(-1, keepdim=True)
        out = out + weights @ (memory @ v[rows].T) @ attention.out_proj[:, rows].T
    return out


def test_no_layer_norm_is_the_sum_of_the_branches():
    model: Any = _random_model()
    x, y, _ = _inputs()
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)

    def mlp(stream, branch):
        return (stream @ branch.w1.T).clamp(min=0) @ branch.w2.T

    memory, out = 0.1 * x, 0.1 * y
    for layer in model.encoder:
        memory = memory + _softmax_attention(memory, memory, layer.attention.branch, None)
        memory = memory + mlp(memory, layer.mlp.branch)
    for layer in model.decoder:
        out = out + _softmax_attention(out, out, layer.self_attention.branch, causal)
        out = out + _softmax_attention(out, memory, layer.cross_attention.branch, None)
        out = out + mlp(out, layer.mlp.branch)
    found = model.decode(model.encode(0.1 * x), 0.1 * y)
    torch.testing.assert_close(found, out, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(found, out - 0.1 * y, rtol=1e-3)


def test_no_token_sees_its_future_or_padding():
    model = _random_model(positions=Positions.SINUSOIDAL)
    generator = torch.Generator().manual_seed(2)
    source, target = torch.randint(30, (2, 2, 6), generator=generator)
    padding = torch.zeros(2, 6, dtype=torch.bool)
    padding[:, 4:] = True
    before = model.features(source, target, padding)
    later, hidden, seen = target.clone(), source.clone(), source.clone()
    later[:, 3:] = (later[:, 3:] + 1) % 30
    hidden[:, 4:] = (hidden[:, 4:] + 1) % 30
    seen[:, :4] = (seen[:, :4] + 1) % 30
    torch.testing.assert_close(model.features(source, later, padding)[:, :3], before[:, :3])
    torch.testing.assert_close(model.features(hidden, target, padding), before)
    assert not torch.allclose(model.features(source, later, padding), before)
    assert not torch.allclose(model.features(seen, target, padding), before)


def test_logits_use_the_output_table_or_the_tied_one():
    tokens = torch.arange(6).view(2, 3)
    for tied in (False, True):
        model: Any = _random_model(tied_output=tied)
        table = model.target_embedding if tied else model.output
        expected = model.features(tokens, tokens) @ table.T
        torch.testing.assert_close(model(tokens, tokens), expected)


def test_sinusoids_by_their_formula():
    found = sinusoids(4, 6, device=torch.device("cpu"), dtype=torch.float64)
    for t in range(4):
        for i in range(3):
            angle = torch.tensor(t / 10000 ** (2 * i / 6), dtype=torch.float64)
            pair = torch.stack([angle.sin(), angle.cos()])
            torch.testing.assert_close(found[t, 2 * i : 2 * i + 2], pair)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "heads must divide the width d_model, got heads=3, d_model=16"),
        ({"encoder_layers": 0}, "encoder_layers must be an integer of at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"padding_token": 30}, r"padding_token must lie in \[0, vocabulary = 30\), got 30"),
        ({"max_tokens": 0}, "max_tokens must be an integer of at least 1, got 0"),
        ({"architecture": Architecture.ENCODER_ONLY}, "decoder_layers must be 0 for encoder-only"),
        (
            {"architecture": Architecture.DECODER_ONLY, "encoder_layers": 0, "decoder_layers": 0},
            "decoder_layers must be an integer of at least 1, got 0",
        ),
        (
            {
                "architecture": Architecture.DECODER_ONLY,
                "encoder_layers": 0,
                "shared_embeddings": True,
            },
            "shared_embeddings needs encoder-decoder, got decoder-only",
        ),
    ],
)
def test_bad_specifications(changes, message):
    with pytest.raises(InputError, match=message):
        ModelSpec(**(SPEC | changes))


def test_blocks_by_architecture():
    assert ModelSpec(6, 4).blocks == 24
    assert single_stack(Architecture.ENCODER_ONLY, 6).blocks == 12
    assert single_stack(Architecture.DECODER_ONLY, 6).stack_blocks("decoder") == 12
    with pytest.raises(InputError, match="encoder-only or decoder-only"):
        single_stack(Architecture.ENCODER_DECODER, 6)


def test_unknown_architecture():
    assert architecture_named("decoder-only") is Architecture.DECODER_ONLY
    with pytest.raises(InputError, match="did you mean 'encoder-only'"):
        architecture_named("encodr-only")


def test_a_stack_alone_is_torchs_encoder():
    """Both sides alone against `torch.nn.TransformerEncoder`, the decoder with a causal mask."""
    for architecture in (Architecture.ENCODER_ONLY, Architecture.DECODER_ONLY):
        spec = single_stack(
            architecture, 2, d_model=16, d_ff=24, heads=4, vocabulary=30, wiring=WIRINGS["post-ln"]
        )
        model: Any = Transformer(spec).to(torch.float64)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(0.3 * drawn)
        layer = nn.TransformerEncoderLayer(
            16, 4, 24, 0.0, batch_first=True, bias=True, dtype=torch.float64
        )
        twin = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).train()
        for own, other in zip([*model.encoder, *model.decoder], twin.layers, strict=True):
            _copy_layer(own, other)
        tokens = torch.arange(10).view(2, 5)
        causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
        x = model.source_embedding[tokens] * 4
        masked = twin(x, mask=causal if spec.has_decoder else None)
        torch.testing.assert_close(model.features(tokens, tokens), masked, rtol=1e-10, atol=1e-12)
        other_mask = twin(x, mask=None if spec.has_decoder else causal)
        assert not torch.allclose(model.features(tokens, tokens), other_mask, rtol=1e-3)


@torch.no_grad()
def _copy_layer(own, other):
    attention = own.attention if hasattr(own, "attention") else own.self_attention
    for name, value in (
        ("self_attn.in_proj_weight", attention.branch.in_proj),
        ("self_attn.out_proj.weight", attention.branch.out_proj),
        ("linear1.weight", own.mlp.branch.w1),
        ("linear2.weight", own.mlp.branch.w2),
        ("norm1.weight", attention.norm.weight),
        ("norm1.bias", attention.norm.bias),
        ("norm2.weight", own.mlp.norm.weight),
        ("norm2.bias", own.mlp.norm.bias),
    ):
        other.get_parameter(name).copy_(value)
    for name in ("self_attn.in_proj_bias", "self_attn.out_proj.bias", "linear1.bias"):
        other.get_parameter(name).zero_()
    other.linear2.bias.zero_()
