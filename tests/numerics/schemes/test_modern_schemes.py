"""Today's schemes: standard deviations, multipliers, rates and wirings against their sources."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from numerics.models import WIRINGS, Architecture, ModelSpec, single_stack
from numerics.models.attention import AttentionTraits, QKNorm
from numerics.models.blocks import residual_blocks, watch
from numerics.models.mlp import RELU_MLP, SWIGLU
from numerics.models.norms import RMS_NORM, Gain, NormKind
from numerics.models.roles import factors_of, matrices, roles_of
from numerics.models.tokens import random_batch
from numerics.schemes import SCHEMES, build, scheme_named
from numerics.schemes.draws import WeightDraw
from theory.errors import InputError

N = 8
D, FF = 64, 256
DECODER = single_stack(Architecture.DECODER_ONLY, N, d_model=D, d_ff=FF, heads=4, vocabulary=500)
GATED = replace(DECODER, mlp=SWIGLU)
READERS, WRITERS = ("q", "k", "v", "w1", "w3"), ("out_proj", "w2")


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _built(name: str, spec: ModelSpec = GATED) -> Any:
    return build(name, spec, _generator(), dtype=torch.float64)


def _cut(std: float, cut: float) -> float:
    """The standard deviation of N(0, std²) cut at ± cut std, from the distribution itself."""
    x = torch.linspace(-cut, cut, 200_001, dtype=torch.float64)
    density = torch.exp(-(x**2) / 2)
    return std * float((x**2 * density).sum() / density.sum()) ** 0.5


def _rule(reader: Any, writer: Any = None, **own: float) -> Any:
    """(matrix, layer from 1) ↦ σ."""

    def std(name: str, layer: int) -> float:
        if name in own:
            return own[name]
        chosen: Any = reader if writer is None or name not in WRITERS else writer
        return chosen if isinstance(chosen, float) else chosen(name, layer)

    return std


def _fan_in(name: str, layer: int) -> float:
    del layer
    return (FF if name == "w2" else D) ** -0.5


# scheme: σ by matrix and layer, σ of the embeddings, σ of the output.
EXPECTED: dict[str, tuple[Any, float, float]] = {
    "flat": (_rule(0.02), 0.02, 0.02),
    "gpt2": (_rule(0.02, 0.02 / 16**0.5), 0.02, 0.02),
    "small-init-wang": (_rule((2 / 320) ** 0.5, 2 / (8 * 8)), (2 / 320) ** 0.5, (2 / 320) ** 0.5),
    "mitchell": (
        _rule(
            _cut(1 / 8, 3),
            lambda name, layer: _cut((2 * (FF if name == "w2" else D) * layer) ** -0.5, 3),
        ),
        _cut(1 / 8, 3),
        _cut(1 / 8, 3),
    ),
    "torchtitan-w2": (_rule(0.02, lambda _, layer: 0.02 / (2 * layer) ** 0.5), 1, _cut(1 / 8, 3)),
    "t5": (_rule(_fan_in, _fan_in, q=(64 * 16) ** -0.5), 1, 1 / 8),
    "peri-ln": (_rule(0.02), 0.02, 0.02),
    "olmo2": (_rule(_cut(0.02, 3)), _cut(0.02, 3), _cut(0.02, 3)),
    "gpas": (_rule(0.02), 0.02, 0.02),
    "layernorm-scaling": (_rule(0.02), 0.02, 0.02),
    "mix-ln": (_rule(0.02), 0.02, 0.02),
    "dyt": (_rule(0.02), 0.02, 0.02),
    "layerscale": (_rule(0.02), 0.02, 0.02),
    "zero-out": (_rule(0.5 / 8, lambda *_: 0.0), 1, 0.005),
    "depth-mup": (_rule(_fan_in, _fan_in), 1, 1 / 8),
    "completep": (_rule(0.02 * (64 / 256) ** -0.5), 1, 0.02),
    "u-mup": (_rule(_fan_in, _fan_in), 1, 1 / 8),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_standard_deviations(name):
    rule, embeddings, output = EXPECTED[name]
    model = _built(name)
    seen = set()
    for matrix in matrices(model):
        letter = matrix.role.rpartition(".")[2]
        expected = rule(letter, matrix.layer + 1)
        entries = matrix.tensor.detach()
        seen.add(letter)
        if expected == 0:
            assert not entries.any()
            continue
        error = 4 / (2 * entries.numel()) ** 0.5
        assert float(entries.std()) == pytest.approx(expected, rel=error), matrix.role
        assert float(entries.std()) != pytest.approx(1.25 * expected, rel=error), matrix.role
    assert seen == {*READERS, *WRITERS} - ({"w3"} if name == "zero-out" else set())
    assert float(model.target_embedding.detach().std()) == pytest.approx(embeddings, rel=0.02)
    assert float(model.output.detach().std()) == pytest.approx(output, rel=0.02)


OTHERS = (
    "torchtitan",
    "sub-ln",
    "sub-ln-rms",
    "olmo2-relu",
    "sub-ln-torchscale",
    "deepscalelm",
    "deepscalelm-code",
    "skip-init",
)


def test_every_modern_scheme_is_tested():
    older = 21
    assert len(SCHEMES) == older + len(EXPECTED) + len(OTHERS)
    assert {*EXPECTED, *OTHERS} <= set(SCHEMES)


def test_as_shipped_torchtitan_scales_the_up_projection_too():
    shipped, mended = _built("torchtitan"), _built("torchtitan-w2")
    for one, other in zip(matrices(shipped), matrices(mended), strict=True):
        std, letter = float(one.tensor.detach().std()), one.role.rpartition(".")[2]
        scaled = 0.02 / (2 * (one.layer + 1)) ** 0.5
        wrong = letter == "w3"
        assert std == pytest.approx(scaled if letter in WRITERS or wrong else 0.02, rel=0.05)
        assert (abs(float(other.tensor.detach().std()) / std - 1) < 0.05) != wrong, one.role


@pytest.mark.parametrize(
    ("spec", "encoder", "decoder"),
    [
        (DECODER, 0.0, math.log(16) ** 0.5),
        (ModelSpec(6, 4), (math.log(12) * math.log(12) / 3) ** 0.5, math.log(12) ** 0.5),
    ],
)
def test_sub_ln_has_the_papers_gain(spec, encoder, decoder):
    factors = scheme_named("sub-ln").prescribe(spec).factors
    code = scheme_named("sub-ln-torchscale").prescribe(spec).factors
    assert factors["decoder.mlp.w1"] == pytest.approx(decoder)
    assert factors["decoder.self_attention.v"] == pytest.approx(decoder)
    assert "decoder.self_attention.q" not in factors
    assert code["decoder.self_attention.v"] == pytest.approx(decoder / 2**0.5)
    assert code["decoder.self_attention.q"] == pytest.approx(0.5**0.5)
    assert code["decoder.cross_attention.out_proj"] == 1
    if spec.has_encoder:
        assert factors["encoder.attention.out_proj"] == pytest.approx(encoder)
        assert factors["decoder.cross_attention.out_proj"] == pytest.approx(decoder)
    # The published number of 12 layers.
    alone = scheme_named("sub-ln").prescribe(single_stack(Architecture.ENCODER_ONLY, 12)).factors
    assert alone["encoder.mlp.w1"] == pytest.approx(1.783, abs=1e-3)


@pytest.mark.parametrize("name", ["deepscalelm", "deepscalelm-code", "u-mup"])
def test_weights_of_shortcut_and_branch_keep_the_variance(name):
    spec = scheme_named(name).adapt(DECODER)
    for block in range(2 * N):
        shortcut, branch = spec.shortcut("decoder", block), spec.branch_factor("decoder", block)
        assert shortcut**2 + branch**2 == pytest.approx(1)
        square = {"deepscalelm": 1 / 16, "deepscalelm-code": 0.005}.get(name)
        if square is not None:
            assert branch**2 == pytest.approx(square)
        else:
            assert (branch / shortcut) ** 2 == pytest.approx(1 / (N + block))


def test_deepscalelm_branches_start_at_variance_1():
    spec = replace(
        DECODER, architecture=Architecture.ENCODER_ONLY, encoder_layers=N, decoder_layers=0
    )
    ratios = []
    for seed in range(4):
        model: Any = build("deepscalelm", spec, _generator(seed)).eval()
        batch = random_batch(spec, _generator(9), tokens=64)
        with watch(model) as sites, torch.no_grad():
            model.features(batch.source_BS, batch.target_BT)
        ratios.append([float(site.branch.square().mean()) for site in sites])
    mlp = [sum(found[1::2]) / N for found in ratios]
    assert sum(mlp) / len(mlp) == pytest.approx(1, rel=0.15)
    plain = replace(scheme_named("deepscalelm"), name="plain")
    drawn = plain.prescribe(plain.adapt(spec)).draws["encoder.mlp.w1"]
    assert isinstance(drawn, tuple)
    assert drawn[0].std == pytest.approx((2 / (D * FF)) ** 0.25)
    first = plain.prescribe(plain.adapt(spec)).draws["encoder.attention.v"]
    assert isinstance(first, tuple)
    assert first[0].std == pytest.approx((0.221**-0.5 / D) ** 0.5)
    assert first[-1].std < first[0].std  # correlation grows, averaging costs less


def test_multipliers_by_depth():
    for layers in (2, 8, 32):
        spec = single_stack(Architecture.DECODER_ONLY, layers)
        mup, complete = (scheme_named(name).adapt(spec) for name in ("depth-mup", "completep"))
        assert mup.branch_factor("decoder") == pytest.approx((2 / layers) ** 0.5)
        assert complete.branch_factor("decoder") == pytest.approx(2 / layers)
        assert complete.logit_multiplier == pytest.approx(256 / 64)
        cait = scheme_named("layerscale").adapt(spec)
        assert cait.branch_factor("decoder") == (0.1 if layers <= 18 else 1e-6)
    assert scheme_named("layerscale").adapt(replace(DECODER, decoder_layers=24)).branch_factor(
        "decoder"
    ) == pytest.approx(1e-5)


def test_rates_by_role():
    spec = single_stack(Architecture.DECODER_ONLY, 32)
    rates = scheme_named("depth-mup").prescribe(spec).rates
    assert factors_of("decoder.3.mlp.branch.w1", rates) == (0.25,)
    assert factors_of("decoder.3.mlp.norm.weight", rates) == (0.25,)
    assert factors_of("decoder.3.self_attention.branch.in_proj", rates) == (0.25,) * 3
    assert factors_of("target_embedding", rates) == factors_of("decoder_norm.weight", rates) == (1,)
    complete = scheme_named("completep").prescribe(replace(spec, d_model=128))
    assert factors_of("decoder.3.mlp.branch.w1", complete.rates) == (2,)
    assert factors_of("decoder.3.mlp.norm.weight", complete.rates) == (1,)
    assert factors_of("decoder.3.mlp.branch.w1", complete.weight_decays) == (0.5,)
    assert factors_of("decoder.3.mlp.norm.weight", complete.epsilons) == (pytest.approx(2 / 16),)
    mup = scheme_named("u-mup").prescribe(spec).rates
    assert factors_of("decoder.0.mlp.branch.w2", mup) == (pytest.approx(1 / (128 * 64**0.5)),)
    assert factors_of("decoder.0.self_attention.branch.q_proj", mup) == (pytest.approx(1 / 512),)
    assert factors_of("target_embedding", mup) == (1,)


def test_names_of_factors_go_from_the_particular_to_the_general():
    model = _built("layerscale", replace(DECODER, attention=AttentionTraits(key_heads=2)))
    for name, parameter in model.named_parameters():
        for names in roles_of(name):
            assert len(set(names)) == len(names)
            hidden = name.startswith("decoder.")
            assert (names[-1] == "hidden") == hidden, name
            assert ("matrices" in names) == (hidden and parameter.ndim == 2), name


def test_traits_that_schemes_need():
    peri = _built("peri-ln")
    assert peri.decoder[0].mlp.branch_norm is not None
    assert peri.target_norm is not None
    assert peri.spec.norm.kind is NormKind.RMS
    olmo = _built("olmo2", DECODER)
    assert olmo.decoder[0].mlp.norm is None
    assert olmo.spec.attention.qk_norm is QKNorm.ALL
    assert olmo.spec.mlp == SWIGLU
    assert _built("olmo2-relu", DECODER).spec == replace(olmo.spec, mlp=RELU_MLP)
    sub = _built("sub-ln", DECODER).spec
    assert _built("sub-ln-rms", DECODER).spec == replace(sub, norm=RMS_NORM)
    assert _built("gpas").spec.wiring.damped
    mixed = _built("mix-ln")
    after = [block.wiring.norm_after for *_, block in residual_blocks(mixed)]
    assert after == [True] * 4 + [False] * 12
    scaled = _built("layernorm-scaling")
    assert scaled.decoder[3].mlp.norm.factor == pytest.approx(0.5)
    nano = _built("zero-out")
    assert nano.spec.norm.gain is Gain.ABSENT
    t5 = scheme_named("t5").adapt(replace(DECODER, tied_output=True))
    assert (t5.attention.power, t5.logit_multiplier) == (0.0, 1 / 8)
    assert scheme_named("dyt:attention_slope=0.8").adapt(DECODER).norm.attention_slope == 0.8
    assert {scheme_named(name).adapt(DECODER).multiplier for name in EXPECTED} == {1.0}
    asked = replace(DECODER, embedding_multiplier=3.0)
    assert scheme_named("gpt2").adapt(asked).multiplier == 3.0


def test_numbers_behind_a_colon_change_a_scheme():
    wide = _built("gpt2:std=0.07")
    w1 = wide.decoder[0].mlp.branch.w1.detach()
    assert float(w1.std()) == pytest.approx(0.07, rel=0.02)
    assert scheme_named("gpt2:std=0.07").name == "gpt2:std=0.07"
    for name, sentence in (
        ("gpt2:sdt=0.07", "did you mean 'std'"),
        ("gpt2:std", "unknown number of scheme gpt2"),
        ("gpt2:std=nan", "must be finite"),
        ("gpt2:std=inf", "must be finite"),
        ("gpt3:std=1", "did you mean 'gpt2'"),
        ("xavier:std=1", "has no number to change"),
    ):
        with pytest.raises(InputError, match=sentence):
            scheme_named(name)


@pytest.mark.parametrize("cut", [2.0, 3.0])
def test_cut_normals_shrink(cut):
    tensor = torch.empty(400, 400, dtype=torch.float64)
    draw = WeightDraw(0.5, cut=cut)
    draw.fill_(tensor, _generator())
    assert float(tensor.abs().max()) <= 0.5 * cut
    assert float(tensor.std()) == pytest.approx(draw.true_std, rel=0.01)
    assert draw.true_std == pytest.approx(_cut(0.5, cut), rel=1e-3)
    assert float(tensor.std()) != pytest.approx(0.5, rel=0.01)
    with pytest.raises(InputError, match="std must be"):
        WeightDraw(-1.0)


def test_t_fixup_says_that_gates_are_not_in_its_condition():
    with pytest.raises(InputError, match="tfixup is for MLPs without a gate"):
        build("tfixup", GATED, _generator())


def test_wirings_of_modern_schemes_have_names():
    assert {scheme.wiring.name for scheme in SCHEMES.values()} <= set(WIRINGS)
