"""Cases on torch's own modules, on transformers' models, and on ours."""

import math
import os
from typing import Any

import pytest
import torch
from torch import nn

from numerics.models.spec import Architecture, ModelSpec
from numerics.own_model.audit.audit import Audit, audit
from numerics.own_model.audit.finding import Finding
from numerics.recipes import RECIPES
from numerics.recipes.from_scheme import SchemeRecipe
from numerics.recipes.initialize import initialize_
from numerics.schemes import SCHEMES, build

os.environ.setdefault("HF_HUB_OFFLINE", "1")
pytestmark = pytest.mark.filterwarnings("ignore")


def only(found: Audit, kind: str) -> Finding:
    (finding,) = [f for f in found.findings if f.kind == kind]
    return finding


def factors(found: Audit) -> dict[str, float]:
    """The first layer's factors by role."""
    first: dict[str, float] = {}
    for row in found.rows:
        if row.factor is not None and row.place.layer == 1:
            first.setdefault(row.place.role, row.factor)
    return first


def encoder(layers: int = 6, d: int = 256, **options: Any) -> nn.TransformerEncoder:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(d, 4, 4 * d, dropout=0.0, batch_first=True, **options)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def test_case_a7_t_fixup_pasted_onto_torchs_encoder() -> None:
    model, scale = encoder(), 0.67 * 6**-0.25
    names = ("fc1", "fc2", "out_proj", "v_proj", "linear1", "linear2")
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("weight") and any(key in name for key in names):
                p.mul_(scale)
    found = audit(model, "tfixup", names=("self_attn.v_proj.weight", "linear1.weight"))
    assert found.findings[0].kind == "asked-not-found"
    assert "'self_attn.v_proj.weight'" in found.findings[0].text
    assert "v in layers.0.self_attn.in_proj_weight (rows of it)" in found.findings[0].text
    aim = scale / (0.638943 * 6**-0.25)  # the code's constant over the solved one
    measured = factors(found)
    assert measured["v"] == pytest.approx(1.65 * aim, rel=0.02)
    assert measured["out"] == pytest.approx(0.576 * aim, rel=0.02)
    assert measured["w_in"] == pytest.approx(0.913 * aim, rel=0.02)
    assert measured["w_out"] == pytest.approx(0.456 * aim, rel=0.02)
    assert measured["v"] * measured["out"] == pytest.approx(0.953 * aim**2, rel=0.02)
    assert measured["w_in"] * measured["w_out"] == pytest.approx(0.416 * aim**2, rel=0.02)
    assert only(found, "copies").text.startswith("Layers 2…6 equal layer 1")
    assert "without layer norm" in only(found, "wiring").text
    assert [f for f in found.findings if f.kind == "bias"]
    initialize_(model, "tfixup", torch.Generator().manual_seed(0))
    again = audit(model, "tfixup")
    assert again.clean, [f.text for f in again.faults]


class DeepNormLayer(nn.Module):
    """torchscale's encoder layer: apart q, k, v, plain linear layers, LN(αx + F(x))."""

    def __init__(self, d: int, f: int, alpha: float) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(d, f), nn.Linear(f, d)
        self.norm1, self.norm2, self.alpha = nn.LayerNorm(d), nn.LayerNorm(d), alpha

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            p(x).unflatten(-1, (4, -1)).transpose(1, 2)
            for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norm1(self.alpha * x + self.out_proj(mixed))
        return self.norm2(self.alpha * x + self.fc2(nn.functional.gelu(self.fc1(x))))


def test_case_a8_deepnorm_multiplied_onto_torchs_default() -> None:
    torch.manual_seed(0)
    layers, d = 12, 128
    alpha, beta = (2 * layers) ** 0.25, (8 * layers) ** -0.25
    model = nn.Sequential(*(DeepNormLayer(d, 4 * d, alpha) for _ in range(layers)))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if any(key in name for key in ("fc1", "fc2", "out_proj", "v_proj")):
                p.mul_(beta)
    found = audit(model, "deepnorm", torch.randn(2, 8, d))
    measured = factors(found)
    for role, ratio in (
        *(("v", 0.577), ("out", 0.577), ("q", 0.577), ("k", 0.577)),
        *(("w_in", 0.913), ("w_out", 0.456)),
    ):
        assert measured[role] == pytest.approx(ratio, rel=0.025), role
    assert not [f for f in found.findings if f.kind == "shortcut"]
    assert "the base is not Xavier's" in only(found, "wrong-base").text
    assert [f for f in found.findings if f.kind == "bias"]
    assert alpha == pytest.approx(2.2134, rel=1e-4)
    assert beta == pytest.approx(0.31947, rel=1e-4)


@pytest.mark.parametrize(("kdim", "ratio"), [(None, 0.7071), (128, 1.0)])
def test_case_b1_packed_q_k_v_have_half_the_variance(kdim: int | None, ratio: float) -> None:
    torch.manual_seed(0)
    model = nn.MultiheadAttention(256, 8, kdim=kdim, vdim=kdim)
    batch = (torch.randn(5, 2, 256), *(torch.randn(5, 2, kdim or 256) for _ in range(2)))
    found = audit(model, "xavier", batch)
    measured = factors(found)
    for role in ("q", "k", "v"):
        assert measured[role] == pytest.approx(ratio, rel=0.02)
    stds = {row.place.role: row.sample.std * 16 for row in found.rows}
    if kdim is None:
        assert stds["q"] == pytest.approx(0.7071, rel=0.02)
        packed = [f for f in found.findings if "multiply by √2" in f.text]
        assert len(packed) == 1
        assert "in_proj_weight" in packed[0].text
    else:
        assert stds["q"] == pytest.approx(1.0, rel=0.02)
        assert stds["k"] == pytest.approx(1.1547, rel=0.02)
        assert stds["v"] == pytest.approx(1.1547, rel=0.02)
    assert audit(model, "torch", batch).clean


def test_case_b2_the_two_meanings_of_torchs_default() -> None:
    single = audit(encoder(layers=1, d=64), "xavier")
    measured = factors(single)
    assert measured["out"] == pytest.approx(0.577, rel=0.04)
    assert measured["w_in"] * measured["w_out"] == pytest.approx(0.417, rel=0.05)
    assert measured["v"] * measured["out"] == pytest.approx(0.408, rel=0.06)
    torch.manual_seed(0)
    whole = nn.Transformer(64, 4, 2, 2, 256, dropout=0.0, batch_first=True)
    found = audit(whole, "xavier")
    assert factors(found)["out"] == pytest.approx(1.0, rel=0.04)
    assert factors(found)["q"] == pytest.approx(0.7071, rel=0.04)
    assert all("linear" in name for f in found.findings if f.kind == "bias" for name in f.tensors)
    for model, name in ((encoder(layers=1, d=64), "torch"), (whole, "torch-transformer")):
        nearest = audit(model).nearest
        assert nearest is not None
        assert nearest.recipe.name == name
        assert nearest.words.startswith("Recipe found: torch's defaults")


def test_case_d1_torchs_encoder_copies_and_torchs_transformer_does_not() -> None:
    assert only(audit(encoder(layers=3, d=32), "torch"), "copies").tensors
    torch.manual_seed(0)
    whole = nn.Transformer(32, 4, 3, 3, 64, dropout=0.0, batch_first=True)
    copied = only(audit(whole, "torch-transformer"), "copies").tensors
    assert all(name.endswith("bias") for name in copied)  # matrices are drawn again


WITH_RECIPES = sorted(n for n in SCHEMES if isinstance(RECIPES.get(n), SchemeRecipe))
ALONE = ("tfixup", "deepnorm", "pre-ln", "lri", "dt-fixup", "r-fixup")
"""Schemes that are tried on one stack as well."""


@pytest.mark.parametrize(
    ("scheme", "architecture"),
    [
        *((scheme, Architecture.ENCODER_DECODER) for scheme in WITH_RECIPES),
        *((scheme, Architecture.ENCODER_ONLY) for scheme in ALONE),
        *((scheme, Architecture.DECODER_ONLY) for scheme in ALONE),
    ],
)
def test_our_own_models_pass_the_audit_of_their_scheme(
    scheme: str, architecture: Architecture
) -> None:
    encoder_layers = 0 if architecture is Architecture.DECODER_ONLY else 2
    decoder_layers = 0 if architecture is Architecture.ENCODER_ONLY else 3
    spec = ModelSpec(
        encoder_layers, decoder_layers, vocabulary=200, architecture=architecture, padding_token=0
    )
    model = build(scheme, spec, torch.Generator().manual_seed(0))
    ids = torch.randint(1, 200, (2, 8), generator=torch.Generator().manual_seed(1))
    found = audit(model, scheme, (ids, ids))
    assert found.structure.depth == spec.blocks
    assert found.clean, [f.text for f in found.faults]
    done = initialize_(model, scheme, torch.Generator().manual_seed(2), (ids, ids))
    assert audit(model, scheme, (ids, ids)).clean
    assert not [name for name in done.left if name.endswith(("in_proj", "out_proj", "w1", "w2"))]


def test_the_wrong_scheme_is_no_pass() -> None:
    spec = ModelSpec(6, 6, vocabulary=200)
    model = build("tfixup", spec, torch.Generator().manual_seed(0))
    ids = torch.randint(200, (2, 8), generator=torch.Generator().manual_seed(1))
    found = audit(model, "xavier", (ids, ids))
    assert not found.clean
    assert len({n for f in found.findings if f.kind == "scale" for n in f.tensors}) > 30


def test_case_e7_torchscales_encoder_constant() -> None:
    spec = ModelSpec(18, 6, d_model=32, d_ff=64, vocabulary=50)
    model = build("deepnorm-torchscale", spec, torch.Generator().manual_seed(0))
    ids = torch.randint(50, (1, 4), generator=torch.Generator().manual_seed(1))
    found = audit(model, "deepnorm", (ids, ids))
    scales = [f for f in found.findings if f.kind == "scale"]
    writers = next(f for f in scales if f.tensors[0].endswith(("out_proj", "w1", "w2")))
    assert writers.factor == pytest.approx(1.3218, rel=0.03)
    assert not [f for f in found.findings if f.kind == "shortcut"]
    assert not any("decoder" in n for f in scales for n in f.tensors if "w1" in n or "w2" in n)


def test_an_alpha_near_1_is_not_found_on_the_wrong_side() -> None:
    torch.manual_seed(0)
    model = nn.Transformer(64, 4, 2, 2, 128, dropout=0.0, batch_first=True)
    x = torch.randn(2, 5, 64)
    (of_encoder, _) = [f for f in audit(model, "deepnorm", (x, x)).findings if f.kind == "shortcut"]
    assert of_encoder.wanted == pytest.approx(0.81 * 2 ** (5 / 16), abs=1e-4)
    assert of_encoder.found == 1
    assert not of_encoder.fault
    assert "wrong side" not in of_encoder.text


@pytest.fixture
def hugging() -> Any:
    return pytest.importorskip("transformers")


def test_case_a1_on_transformers(hugging: Any) -> None:
    torch.manual_seed(0)
    config = hugging.GPT2Config(
        n_layer=12, n_embd=96, n_head=4, vocab_size=300, bos_token_id=0, eos_token_id=0
    )
    model = hugging.GPT2LMHeadModel(config)
    ids = (torch.randint(300, (2, 8)),)
    version = tuple(int(part) for part in hugging.__version__.split(".")[:2])
    if version >= (5, 20):  # repaired in July 2026
        assert audit(model, "gpt2", ids).clean
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("c_proj.weight"):
                p.normal_(0.0, 0.02)
    finding = only(audit(model, "gpt2", ids), "scale")
    assert "12 transformer.h.*.attn.c_proj.weight, 12 transformer.h.*.mlp.c_proj.weight" in (
        finding.text
    )
    assert finding.factor == pytest.approx(4.899, rel=0.02)


def test_case_b12_interleaved_q_k_v(hugging: Any) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8}
    config = hugging.GPTNeoXConfig(
        **sizes, intermediate_size=128, vocab_size=100, bos_token_id=0, eos_token_id=0
    )
    model = hugging.GPTNeoXForCausalLM(config)
    ids = (torch.randint(100, (2, 8)),)
    initialize_(model, "tfixup", torch.Generator().manual_seed(0), ids)
    assert audit(model, "tfixup", ids).clean
    packed = model.gpt_neox.layers[0].attention.query_key_value.weight.detach()
    by_head = packed.unflatten(0, (8, 3, 8)).transpose(0, 1).flatten(1, 2)
    factor = 0.638943 * 2**-0.25
    for number, wanted in enumerate((1.0, 1.0, factor)):
        assert float(by_head[number].std()) * 8 == pytest.approx(wanted, rel=0.05)
    last_third = torch.zeros(8, 3, 8)
    last_third.view(-1)[128:] = 1
    assert [float(last_third[:, i].mean()) * 64 / 64 for i in range(3)] == pytest.approx(
        [0.25, 0.375, 0.375], abs=0.01
    )


def test_case_c1_t5s_untied_head(hugging: Any) -> None:
    torch.manual_seed(0)
    config = hugging.T5Config(
        d_model=256, d_ff=256, num_layers=2, num_heads=4, d_kv=64, vocab_size=2000
    )
    model = hugging.T5ForConditionalGeneration(config)
    ids = torch.randint(2000, (2, 8))
    batch = {"input_ids": ids, "decoder_input_ids": ids}
    tied = audit(model, "t5", batch)
    assert tied.clean, [f.text for f in tied.faults]
    model.config.tie_word_embeddings = False
    model.config.scale_decoder_outputs = False
    model.lm_head.weight = nn.Parameter(torch.randn(2000, 256))
    found = audit(model, "t5", batch)
    finding = only(found, "first-loss")
    assert finding.fault
    assert finding.factor == pytest.approx(16.0, rel=0.02)
    assert found.loss is not None
    assert found.loss.log_vocabulary == pytest.approx(math.log(2000))
    assert found.loss.loss == pytest.approx(55, rel=0.15)
    model.lm_head.weight = nn.Parameter(torch.randn(2000, 256) / 16)
    healed = audit(model, "t5", batch)
    assert healed.clean, [f.text for f in healed.faults]


def test_case_g6_llama_built_on_meta_and_initialised_by_its_own_method(hugging: Any) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = hugging.LlamaConfig(**sizes, intermediate_size=128, vocab_size=100)
    with torch.device("meta"):
        model = hugging.LlamaForCausalLM(config)
    model = model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
        parameter._is_hf_initialized = False
    for module in model.modules():
        if "inv_freq" in dict(module.named_buffers(recurse=False)):
            module.inv_freq = module.original_inv_freq = torch.ones(8)  # pyright: ignore
    model.apply(model._init_weights)
    ids = (torch.randint(100, (2, 8)),)
    found = audit(model, "llama-flat", ids)
    assert found.clean, [f.text for f in found.faults]
    gains = [row for row in found.rows if row.place.role == "norm_gain"]
    assert len(gains) == 5
    with torch.no_grad():
        model.model.norm.weight.fill_(0.5)
    assert only(audit(model, "llama-flat", ids), "gain").tensors == ("model.norm.weight",)


def test_gains_stored_as_gain_minus_one_are_no_fault(hugging: Any) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = hugging.Gemma2Config(
        **sizes, num_key_value_heads=2, intermediate_size=128, vocab_size=100, head_dim=16
    )
    model = hugging.Gemma2ForCausalLM(config)
    ids = (torch.randint(100, (2, 8)),)
    found = audit(model, "llama-flat", ids)
    assert found.clean, [f.text for f in found.faults]
    initialize_(model, "llama-flat", torch.Generator().manual_seed(0), ids)
    assert not bool(model.model.norm.weight.any())
