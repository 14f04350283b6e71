"""What today's schemes ask of a model beside its weights, from each one's own source."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch

from numerics.models import WIRINGS, Architecture, ModelSpec, single_stack
from numerics.models.attention import QKNorm
from numerics.models.mlp import SWIGLU, Activation
from numerics.models.norms import Gain, NormKind
from numerics.models.roles import MATRICES
from numerics.schemes import SCHEMES, build, scheme_named
from numerics.schemes.deepscalelm import DeepScaleLM, kernel
from numerics.schemes.draws import WRITERS, WeightDraw, by_matrix
from numerics.schemes.scheme import EVERY_ARCHITECTURE, Prescription, Scheme
from numerics.schemes.torchtitan import Torchtitan
from theory.errors import InputError

SPEC = single_stack(Architecture.DECODER_ONLY, 6, d_model=64, d_ff=192, heads=4, vocabulary=100)
PAIR = ModelSpec(4, 6, d_model=64, d_ff=192, heads=4, vocabulary=100)


class Traits(NamedTuple):
    """The wiring, and what differs from layer norm, ReLU, one attention and no norm of inputs."""

    wiring: str
    norm: NormKind = NormKind.LAYER
    gain: Gain = Gain.WEIGHT
    by_layer: bool = False
    gated: bool = False
    activation: Activation | None = None
    qk_norm: QKNorm | None = None
    embedding_norm: bool = False


TRAITS = {
    "flat": Traits("pre-ln"),
    "gpt2": Traits("pre-ln"),
    "small-init-wang": Traits("pre-ln"),
    "mitchell": Traits("pre-ln"),
    "torchtitan": Traits("pre-ln", NormKind.RMS, gated=True),
    "torchtitan-w2": Traits("pre-ln", NormKind.RMS, gated=True),
    "t5": Traits("pre-ln", NormKind.RMS),
    "sub-ln": Traits("sub-ln"),
    "sub-ln-torchscale": Traits("sub-ln"),
    "peri-ln": Traits("peri-ln", NormKind.RMS, embedding_norm=True),
    "olmo2": Traits("branch-norm", NormKind.RMS, gated=True, qk_norm=QKNorm.ALL),
    "layernorm-scaling": Traits("pre-ln", NormKind.RMS, by_layer=True),
    "mix-ln": Traits("mix-ln", NormKind.RMS),
    "dyt": Traits("pre-ln", NormKind.DYT),
    "layerscale": Traits("layerscale"),
    "zero-out": Traits(
        "pre-ln",
        NormKind.RMS,
        Gain.ABSENT,
        activation=Activation.RELU_SQUARED,
        qk_norm=QKNorm.HEAD,
        embedding_norm=True,
    ),
    "depth-mup": Traits("scaled-pre-ln", NormKind.RMS),
    "completep": Traits("scaled-pre-ln", NormKind.RMS),
    "u-mup": Traits("weighted-pre-ln", NormKind.RMS, Gain.ABSENT),
    "deepscalelm": Traits("weighted-pre-ln"),
    "deepscalelm-code": Traits("weighted-pre-ln"),
    "skip-init": Traits("skip-init"),
}
SOURCES = {
    **dict.fromkeys(["deepscalelm", "deepscalelm-code"], "2403.09635"),
    **dict.fromkeys(["torchtitan", "torchtitan-w2"], "pytorch/torchtitan"),
    **{"u-mup": "2407.17465", "completep": "2505.01618", "peri-ln": "2502.02732"},
    **{"mix-ln": "2412.13795", "layernorm-scaling": "2502.05795", "dyt": "2503.10622"},
    **{"sub-ln": "2210.06423", "zero-out": "modded-nanogpt", "olmo2": "OLMo-core"},
}


@pytest.mark.parametrize("name", TRAITS)
def test_traits(name: str) -> None:
    scheme, wanted = SCHEMES[name], TRAITS[name]
    single = name.startswith("deepscalelm")
    spec = scheme.adapt(SPEC)
    assert scheme.name == name
    assert spec.wiring == scheme.wiring == WIRINGS[wanted.wiring]
    assert (spec.norm.kind, spec.norm.gain) == (wanted.norm, wanted.gain)
    assert spec.norm.by_layer is wanted.by_layer
    assert (spec.mlp == SWIGLU) is wanted.gated
    assert spec.mlp.activation is (
        wanted.activation or (SWIGLU if wanted.gated else SPEC.mlp).activation
    )
    assert spec.attention.qk_norm is (wanted.qk_norm or SPEC.attention.qk_norm)
    assert spec.embedding_norm is wanted.embedding_norm
    assert SOURCES.get(name, "") in scheme.source
    assert len(scheme.source) > 8
    one_stack = frozenset({Architecture.ENCODER_ONLY, Architecture.DECODER_ONLY})
    assert scheme.architectures == (one_stack if single else EVERY_ARCHITECTURE)


def test_every_scheme_has_the_name_that_it_is_found_by() -> None:
    assert {name: scheme.name for name, scheme in SCHEMES.items()} == {n: n for n in SCHEMES}
    modern = {name for name, scheme in SCHEMES.items() if type(scheme) is not Scheme} & set(TRAITS)
    assert modern | {"skip-init"} == set(TRAITS)


def test_what_is_asked_of_a_model_is_kept_where_a_scheme_says_nothing() -> None:
    own = replace(SPEC, embedding_norm=True, mlp=SWIGLU)
    adapted = scheme_named("gpt2").adapt(own)
    assert (adapted.embedding_norm, adapted.mlp) == (True, SWIGLU)
    assert scheme_named("flat").adapt(SPEC).norm == SPEC.norm


def test_u_mups_multipliers_and_rates() -> None:
    for spec in (SPEC, PAIR):
        scheme = scheme_named("u-mup")
        adapted = scheme.adapt(spec)
        assert adapted.attention.power == -1
        assert adapted.logit_multiplier == 1 / 8
        blocks = {"encoder": 8, "decoder": 18} if spec is PAIR else {"decoder": 12}
        for stack, count in blocks.items():
            for number in range(count):
                square = 1 / (count / 2 + number)
                assert adapted.shortcut(stack, number) == pytest.approx((1 + square) ** -0.5)
                assert adapted.branch_factor(stack, number) == pytest.approx(
                    math.sqrt(square / (1 + square))
                )
        deepest = max(blocks.values())
        rates = scheme.prescribe(adapted).rates
        assert set(rates) == {*MATRICES, "output"}
        for role in MATRICES:
            fan_in = 192 if role.endswith("w2") else 64
            assert rates[role] == pytest.approx(1 / (fan_in * math.sqrt(deepest)))
        assert rates["output"] == 1 / 8
        draws = scheme.prescribe(adapted).draws
        assert draws["embeddings"] == draws["positions"] == WeightDraw(1.0)
        assert draws["output"] == WeightDraw(1 / 8)
        assert draws["decoder.mlp.w2"] == WeightDraw(192**-0.5)
        assert draws["decoder.self_attention.out_proj"] == WeightDraw(1 / 8)


@pytest.mark.parametrize("name", ["deepscalelm", "deepscalelm-code"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_deepscalelm_follows_the_correlation_from_block_to_block(
    name: str, dropout: float, stack: str
) -> None:
    spec = single_stack(Architecture(f"{stack}-only"), 5, d_model=64, d_ff=192, dropout=dropout)
    scheme: Any = scheme_named(name)
    beta = 1 / 10 if name == "deepscalelm" else 0.005
    adapted = scheme.adapt(spec)
    assert getattr(adapted, f"{stack}_shortcut") == pytest.approx(math.sqrt(1 - beta))
    assert getattr(adapted, f"{stack}_branch") == pytest.approx(math.sqrt(beta))
    # Attention leaves 1 − p of what tokens have in common, the MLP (1 − p) κ.
    r, wanted = 0.221, []
    for _ in range(5):
        wanted.append(r)
        r = (1 - beta) * r + beta * (1 - dropout)
        wanted.append(r)
        angle = math.acos(r)
        kappa = (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi
        r = (1 - beta) * r + beta * (1 - dropout) * kappa
    assert list(scheme.correlations(adapted)) == pytest.approx(wanted)
    draws = scheme.prescribe(adapted).draws
    attention = "attention" if stack == "encoder" else "self_attention"
    for layer in range(5):
        averaged = math.sqrt(math.sqrt((1 - dropout) / wanted[2 * layer]) / 64)
        for matrix, std in (("v", averaged), ("out_proj", averaged), ("q", 1 / 8), ("k", 1 / 8)):
            assert draws[f"{stack}.{attention}.{matrix}"][layer].std == pytest.approx(std)
        hidden = (2 * (1 - dropout) / (64 * 192)) ** 0.25
        for matrix, std in (("w1", hidden), ("w2", hidden), ("w3", 1 / 8)):
            assert draws[f"{stack}.mlp.{matrix}"][layer].std == pytest.approx(std)
    assert (draws["embeddings"], draws["positions"]) == (WeightDraw(1.0), WeightDraw(1.0))
    assert draws["output"] == WeightDraw(1 / 8)


def test_deepscalelms_branch_is_never_more_than_everything() -> None:
    shallow = replace(SPEC, decoder_layers=1)
    adapted = DeepScaleLM("own", WIRINGS["weighted-pre-ln"], "own", numerator=4.0).adapt(shallow)
    assert (adapted.decoder_shortcut, adapted.decoder_branch) == (0, 1)
    with pytest.raises(InputError, match="must be used on decoder-only, encoder-only"):
        scheme_named("deepscalelm").adapt(PAIR)


@pytest.mark.parametrize("r", [0.0, 0.221, 0.7, 1.0])
def test_the_kernel_is_what_relu_makes_of_a_correlation(r: float) -> None:
    g = torch.Generator().manual_seed(0)
    x, z = torch.randn(2, 400_000, generator=g, dtype=torch.float64)
    y = r * x + math.sqrt(1 - r * r) * z
    found = 2 * float((x.relu() * y.relu()).mean())
    assert kernel(r) == pytest.approx(found, abs=0.02)


def test_torchtitan_scales_the_up_projection_unless_told_otherwise() -> None:
    plain = Torchtitan("own", WIRINGS["pre-ln"], "own")
    assert plain.up_projection_scaled
    for scheme, w3 in ((plain, True), (scheme_named("torchtitan-w2"), False)):
        draws: Any = scheme.prescribe(SPEC).draws
        for layer in (1, 6):
            narrow, full = 0.02 / math.sqrt(2 * layer), 0.02
            for matrix, scaled in (("w1", False), ("w2", True), ("w3", w3)):
                own = draws[f"decoder.mlp.{matrix}"].at(layer - 1)
                assert own.std == pytest.approx(narrow if scaled else full)
        assert draws["embeddings"] == WeightDraw(1.0)
        assert draws["positions"] == WeightDraw(0.02)
        assert draws["output"] == WeightDraw(1 / 8, cut=3.0)


@pytest.mark.parametrize("name", ["depth-mup", "completep", "layerscale", "skip-init"])
def test_multipliers_are_by_each_stacks_own_depth(name: str) -> None:
    found = scheme_named(name).adapt(PAIR)
    wanted = {
        "depth-mup": (math.sqrt(2 / 4), math.sqrt(2 / 6)),
        "completep": (2 / 4, 2 / 6),
        "layerscale": (0.1, 0.1),
        "skip-init": (0.0, 0.0),
    }[name]
    assert (found.branch_factor("encoder"), found.branch_factor("decoder")) == pytest.approx(wanted)


def test_rates_are_by_the_deeper_stack() -> None:
    for pair in (PAIR, replace(PAIR, encoder_layers=6, decoder_layers=4)):
        assert scheme_named("depth-mup").prescribe(pair).rates == {
            "hidden": pytest.approx(math.sqrt(2 / 6))
        }
        found = scheme_named("completep").prescribe(pair)
        assert found.rates == {"matrices": pytest.approx(4), "vectors": pytest.approx(1)}
        assert found.weight_decays == {"matrices": pytest.approx(1 / 4)}
        assert found.epsilons == {"hidden": pytest.approx(4 / 3)}
        half = replace(scheme_named("completep"), power=0.5)  # pyright: ignore[reportCallIssue]
        rate = math.sqrt(1 / 3)
        assert half.prescribe(pair).rates == {
            "matrices": pytest.approx(4 * rate),
            "vectors": pytest.approx(rate),
        }
        assert half.prescribe(pair).epsilons == {"hidden": pytest.approx(4 * rate)}


def test_gpt2_and_wang_count_blocks_and_layers() -> None:
    draws: Any = scheme_named("gpt2").prescribe(PAIR).draws
    assert draws["encoder.mlp.w2"].std == pytest.approx(0.02 / math.sqrt(8))
    assert draws["decoder.cross_attention.out_proj"].std == pytest.approx(0.02 / math.sqrt(18))
    assert draws["decoder.cross_attention.q"] == WeightDraw(0.02)
    draws = scheme_named("small-init-wang").prescribe(PAIR).draws
    assert draws["encoder.mlp.w2"].std == pytest.approx(2 / (6 * 8))
    assert (
        draws["positions"].std == draws["encoder.mlp.w1"].std == pytest.approx(math.sqrt(1 / 160))
    )
    draws = scheme_named("flat:std=0.05").prescribe(PAIR).draws
    assert {draw.std for draw in draws.values()} == {0.05}
    own = replace(scheme_named("flat"), embedding_std=0.7)  # pyright: ignore[reportCallIssue]
    assert own.prescribe(PAIR).draws["embeddings"] == WeightDraw(0.7)
    assert own.prescribe(PAIR).draws["output"] == WeightDraw(0.02)


def test_t5_multiplies_the_logits_of_shared_tables() -> None:
    t5 = scheme_named("t5")
    for shared, multiplier in (({}, 1.0), ({"tied_output": True}, 1 / 8)):
        adapted = t5.adapt(replace(SPEC, **shared))
        assert (adapted.attention.power, adapted.logit_multiplier) == (0, multiplier)
    assert t5.adapt(replace(PAIR, shared_embeddings=True)).logit_multiplier == 1 / 8
    draws: Any = t5.prescribe(SPEC).draws
    assert draws["decoder.self_attention.q"].std == pytest.approx((64 * 16) ** -0.5)
    assert draws["decoder.self_attention.k"].std == draws["output"].std == 1 / 8
    assert draws["decoder.mlp.w2"].std == pytest.approx(192**-0.5)


def test_profiles_leave_the_generators_as_they_were() -> None:
    for name in ("admin", "admin-code", "dt-fixup"):
        state = torch.get_rng_state()
        model = build(name, PAIR, torch.Generator().manual_seed(0))
        assert torch.equal(torch.get_rng_state(), state)
        assert model.training
        again = build(name, PAIR, torch.Generator().manual_seed(0))
        torch.testing.assert_close(model.state_dict(), again.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("draw", "bound", "std"),
    [
        (WeightDraw(0.5), math.inf, 0.5),
        (WeightDraw(0.5, "uniform"), 0.5 * 3**0.5, 0.5),
        (WeightDraw(0.5, cut=1.0), 0.5, 0.5 * 0.53956),
        (WeightDraw(0.0), 1e-12, 0.0),
    ],
)
def test_draws_fill_what_they_say(draw: WeightDraw, bound: float, std: float) -> None:
    tensor = torch.empty(300, 300, dtype=torch.float64)
    draw.fill_(tensor, torch.Generator().manual_seed(0))
    assert float(tensor.abs().max()) <= bound
    assert float(tensor.std()) == pytest.approx(std, rel=0.01)
    assert abs(float(tensor.mean())) <= 0.01
    assert draw.depth_power == 0
    if draw.kind == "normal":
        assert draw.true_std == pytest.approx(std, rel=1e-4)
    deep = replace(draw, depth_power=-0.5).at(8)
    assert (deep.std, deep.kind, deep.cut, deep.depth_power) == (
        pytest.approx(draw.std / 3),
        draw.kind,
        draw.cut,
        0,
    )


def asked(name: str, role: str, factor: float) -> dict[str, Any]:
    return {name: {role: factor}}


def test_bad_draws_and_factors_are_refused() -> None:
    assert set(WRITERS) == {"out_proj", "w2"}
    assert set(by_matrix(lambda _: WeightDraw(1.0))) == set(MATRICES)
    for std in (-0.1, math.inf, math.nan):
        with pytest.raises(InputError, match="std must be at least 0 and finite"):
            WeightDraw(std)
    for cut in (0.0, -1.0, math.nan):
        with pytest.raises(InputError, match="cut must be positive"):
            WeightDraw(1.0, cut=cut)
    for name in ("rates", "weight_decays", "epsilons"):
        Prescription(factors={}, **asked(name, "hidden", 0.0))
        for bad in (-1.0, math.inf, math.nan):
            with pytest.raises(InputError, match=f"{name} must be finite and at least 0, got"):
                Prescription(factors={}, **asked(name, "hidden", bad))
        with pytest.raises(InputError, match="did you mean 'hidden'"):
            Prescription(factors={}, **asked(name, "hiden", 1.0))
    with pytest.raises(InputError, match="did you mean 'positions'"):
        Prescription(factors={}, draws={"position": WeightDraw(1.0)})
    plain = Prescription(factors={})
    assert (plain.source_factor, plain.target_factor, plain.depth_power) == (1, 1, 0)
    assert plain.embeddings == "normal"
    assert plain.draw("embeddings") is None


def test_what_is_uniform_is_uniform() -> None:
    draws: Any = scheme_named("zero-out").prescribe(SPEC).draws
    assert draws["decoder.mlp.w1"] == WeightDraw(0.5 / 8, "uniform")
    model = build("lri", PAIR, torch.Generator().manual_seed(0))
    bound = math.sqrt(2 / (64 + 100))
    for table in (model.source_embedding, model.target_embedding):
        assert 0.99 * bound < float(table.detach().abs().max()) <= bound * (1 + 1e-6)
