"""Every scheme's draws against its formulas, published numbers, and the solver's constants."""

import dataclasses
import math
from typing import Any

import pytest
import sympy as sp
import torch

from numerics.models import WIRINGS, Architecture, ModelSpec, Positions, single_stack
from numerics.models.roles import matrices
from numerics.schemes import SCHEMES, build, scheme_named, schemes_for
from numerics.schemes.profiling import profiling_batch
from numerics.schemes.scheme import Prescription
from theory.errors import InputError
from theory.scales.architectures import layout_named
from theory.scales.presets import MU, PRESETS, A, B, T
from theory.scales.solver import solve
from theory.scales.stacks import V_D, V_E
from theory.scales.update_rules import SGD

N_E, N_D = 5, 3
SPEC = ModelSpec(N_E, N_D, d_model=64, d_ff=128, vocabulary=400, positions=Positions.SINUSOIDAL)
SMALL = ModelSpec(3, 2, d_model=16, d_ff=24, vocabulary=40)
SCALED = ("v", "out_proj", "w1", "w2")
ENCODER_ONLY, DECODER_ONLY = Architecture.ENCODER_ONLY, Architecture.DECODER_ONLY


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _model(name, seed=0, spec=SPEC):
    return build(name, spec, _generator(seed), dtype=torch.float64)


def _paper_encoder(n_e, n_d):
    """√a for the positive root of 2 N_e (2 a x² + a²) = 1 with x = (9 N_d)^(-1/4)."""
    x2 = (9 * n_d) ** -0.5
    return (-x2 + (x2**2 + 1 / (2 * n_e)) ** 0.5) ** 0.5


def _by_letter(q, k, v, out_proj, w1, w2):
    return {"q": q, "k": k, "v": v, "out_proj": out_proj, "w1": w1, "w2": w2}


def _stacks(encoder, decoder, qk=1.0):
    """Factors of a scheme with one scale per stack."""
    return {
        stack: _by_letter(qk, qk, scale, scale, scale, scale)
        for stack, scale in (("encoder", encoder), ("decoder", decoder))
    }


def _alike(**letters):
    return {"encoder": letters, "decoder": letters}


# scheme: factors on Xavier by stack and letter, then those of the source and target tables.
X = (9 * N_D) ** -0.25
HALF = 0.5**0.5
L = 2 * N_E + 3 * N_D
PLAIN = (_stacks(1, 1), 1, 1)
BETA_E, BETA_D = 0.87 * (N_E**4 * N_D) ** (-1 / 16), (12 * N_D) ** -0.25
SCALE_E = 1.15 * (N_E**4 * N_D) ** (-1 / 16)
LRI_TABLE = math.sqrt(2 / (64 + 400) / 3 * 64)
PACKED = L ** (-1 / 6) * HALF
EXPECTED = {
    **dict.fromkeys(
        ["xavier", "post-ln", "pre-ln", "rezero", "dlcl-pre", "dlcl-post", "ds-init"], PLAIN
    ),
    **dict.fromkeys(["ds-init-code", "admin", "admin-code"], PLAIN),
    **dict.fromkeys(["admin-log", "admin-sqrt", "admin-one", "dt-fixup"], PLAIN),
    "tfixup": (_stacks(_paper_encoder(N_E, N_D), X), X, X),
    "tfixup-adam": (_stacks(_paper_encoder(N_E, N_D) ** 2, X**2), X**2, X**2),
    "tfixup-code": (_stacks(0.67 * N_E**-0.25, X, HALF), (9 * N_E) ** -0.25, X),
    "r-fixup": (_alike(**_by_letter(PACKED, PACKED, PACKED, 0, L**-0.5, 0)), 1, 1),
    # U(±√(1/fan_in)) against U(±√(6/(fan_in + fan_out))), d = 64, hidden 128.
    "lri": (
        _alike(
            **dict.fromkeys(("q", "k", "v", "out_proj"), (1 / 3) ** 0.5),
            w1=(192 / 384) ** 0.5,
            w2=(192 / 768) ** 0.5,
        ),
        LRI_TABLE,
        LRI_TABLE,
    ),
    "deepnorm": (_stacks(BETA_E, BETA_D), 1, 1),
    "deepnorm-torchscale": (
        {
            stack: _by_letter(HALF, HALF, HALF * beta, beta, beta, beta)
            for stack, beta in (("encoder", SCALE_E), ("decoder", BETA_D))
        },
        1,
        1,
    ),
}
LAYER_POWER = {"ds-init": -1 / 2, "ds-init-code": -1 / 4}


def _largest_norms(model):
    """μ by stack, of the batch that DT-Fixup draws after the weights."""
    generator = _generator()
    scheme_named("xavier").initialize_(_model("xavier"), generator)
    batch = profiling_batch(model, generator)
    inputs = {"encoder": model.embed_source(batch.source_BS)}
    inputs["decoder"] = model.embed_target(batch.target_BT)
    return {stack: float(x.detach().norm(dim=-1).max()) for stack, x in inputs.items()}


def _profiled(name, model):
    """Factors that depend on a forward pass."""
    if name != "dt-fixup":
        return {}
    return {
        stack: ((N_E if stack == "encoder" else N_D) * (4 * mu**2 + 2 * mu + 2)) ** -0.5
        for stack, mu in _largest_norms(model).items()
    }


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_variances(name):
    factors, source, target = EXPECTED[name]
    model = _model(name)
    profiled, squares = _profiled(name, model), {}
    for matrix in matrices(model):
        stack, letter = matrix.role.partition(".")[0], matrix.role.rpartition(".")[2]
        factor = factors[stack][letter] * (matrix.layer + 1) ** LAYER_POWER.get(name, 0)
        factor *= profiled.get(stack, 1) if letter in SCALED else 1
        entries = matrix.tensor.detach()
        if factor == 0:
            assert not entries.any(), matrix.role
            continue
        unit = sum(entries.shape) ** 0.5 / factor
        rms, bound = entries.square().mean() / 2 * unit**2, entries.abs().max() * unit / 6**0.5
        squares.setdefault(matrix.role, []).append(float(rms))
        assert 0.98 < float(bound) <= 1 + 1e-12, matrix.role
    for role, found in squares.items():
        rms = (sum(found) / len(found)) ** 0.5
        assert rms == pytest.approx(1, rel=0.02), role
        assert rms != pytest.approx(1.1, rel=0.02), role
    for table, factor in ((model.source_embedding, source), (model.target_embedding, target)):
        assert float(table.detach().std()) * 8 == pytest.approx(factor, rel=0.02)


def test_every_scheme_is_tested():
    """Those of today are in ``test_modern_schemes.py``."""
    assert set(EXPECTED) == set(EXPECTED_WIRINGS) <= set(SCHEMES)


EXPECTED_WIRINGS = {
    **dict.fromkeys(
        ["xavier", "tfixup", "tfixup-adam", "tfixup-code", "dt-fixup"], WIRINGS["none"]
    ),
    **dict.fromkeys(["post-ln", "ds-init", "ds-init-code", "lri"], WIRINGS["post-ln"]),
    "pre-ln": WIRINGS["pre-ln"],
    **dict.fromkeys(
        ["admin", "admin-code", "admin-log", "admin-sqrt", "admin-one"], WIRINGS["admin"]
    ),
    **dict.fromkeys(["deepnorm", "deepnorm-torchscale"], WIRINGS["deepnorm"]),
    "rezero": WIRINGS["rezero"],
    "r-fixup": WIRINGS["r-fixup"],
    "dlcl-pre": WIRINGS["dlcl-pre"],
    "dlcl-post": WIRINGS["dlcl-post"],
}


@pytest.mark.parametrize("name", sorted(EXPECTED_WIRINGS))
def test_wiring_and_positions(name):
    spec = scheme_named(name).adapt(SPEC)
    assert spec.wiring == EXPECTED_WIRINGS[name]
    scale = {"tfixup": X, "tfixup-adam": X**2}.get(name, 1)
    assert spec.position_scale == pytest.approx(scale)


def test_equal_depths_have_the_papers_constants():
    for n in (1, 6, 200):
        factors = scheme_named("tfixup").prescribe(ModelSpec(n, n)).factors
        assert factors["encoder.mlp.w1"] == pytest.approx(0.669628722978 * n**-0.25, rel=1e-11)
        assert factors["decoder.mlp.w1"] == pytest.approx((9 * n) ** -0.25, rel=1e-12)


@pytest.mark.parametrize(
    ("depth", "published"),
    [(6, (1.4179, 0.4970, 2.0598, 0.3433)), (200, (4.2419, 0.1661, 4.9492, 0.1429))],
)
def test_deepnorms_published_numbers(depth, published):
    scheme = scheme_named("deepnorm")
    spec = scheme.adapt(ModelSpec(depth, depth))
    factors = scheme.prescribe(spec).factors
    found = (
        spec.encoder_shortcut,
        factors["encoder.mlp.w1"],
        spec.decoder_shortcut,
        factors["decoder.cross_attention.v"],
    )
    assert found == pytest.approx(published, abs=5e-5)


def test_torchscales_encoder_is_wider_than_the_paper():
    spec = ModelSpec(12, 6)
    paper, code = (
        scheme_named(name).prescribe(spec).factors for name in ("deepnorm", "deepnorm-torchscale")
    )
    assert code["encoder.mlp.w2"] / paper["encoder.mlp.w2"] == pytest.approx(1.322, abs=5e-4)
    assert code["decoder.mlp.w2"] == paper["decoder.mlp.w2"]
    assert code["decoder.self_attention.v"] == pytest.approx(HALF * paper["decoder.mlp.w2"])


def test_the_solver_finds_the_same_constants():
    """Published constants are the solver's to their rounding; Fixup's and DT-Fixup's exactly."""
    n, m = sp.Integer(N_E), sp.Integer(N_D)
    deepnorm = solve(PRESETS["deepnorm"].build(n, m), SGD)
    scheme = scheme_named("deepnorm")
    factors = scheme.prescribe(SPEC).factors
    assert factors["encoder.mlp.w1"] == pytest.approx(float(deepnorm[V_E]), rel=5e-3)
    assert factors["encoder.mlp.w1"] != pytest.approx(float(deepnorm[V_E]), rel=1e-6)
    assert factors["decoder.mlp.w1"] == pytest.approx(float(deepnorm[V_D]), rel=1e-12)
    fixup = solve(PRESETS["r-fixup"].build(n, m), SGD)
    factors = scheme_named("r-fixup").prescribe(SPEC).factors
    assert factors["encoder.attention.v"] == pytest.approx(float(fixup[A]) * HALF, rel=1e-12)
    assert factors["encoder.mlp.w1"] == pytest.approx(float(fixup[B]), rel=1e-12)
    tfixup = solve(PRESETS["tfixup-paper"].build(n, m), SGD)
    factors = scheme_named("tfixup").prescribe(SPEC).factors
    assert factors["encoder.mlp.w1"] == pytest.approx(float(tfixup[V_E]), rel=1e-12)
    assert factors["decoder.mlp.w1"] == pytest.approx(float(tfixup[V_D]), rel=1e-12)


def test_dt_fixup_divides_by_the_solvers_scale():
    drawn, plain = _model("dt-fixup"), _model("xavier")
    scale = solve(PRESETS["dt-fixup"].build(sp.Integer(N_E), sp.Integer(1)), SGD)[T]
    ratio = float(scale.subs(MU, _largest_norms(drawn)["encoder"]))
    w1, base = (model.get_parameter("encoder.1.mlp.branch.w1") for model in (drawn, plain))
    torch.testing.assert_close(w1, base * ratio, rtol=1e-9, atol=0)
    q = [model.get_parameter("encoder.1.attention.branch.in_proj")[:64] for model in (drawn, plain)]
    torch.testing.assert_close(q[0], q[1], rtol=0, atol=0)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_a_stack_alone_has_the_solvers_scale(stack):
    architecture = layout_named(f"{stack}-only", sp.Integer(7), sp.Integer(7))
    exact = float(solve(architecture, SGD)[V_E if stack == "encoder" else V_D])
    spec = single_stack(Architecture(f"{stack}-only"), 7)
    prescribed = scheme_named("tfixup").prescribe(spec)
    assert prescribed.factors[f"{stack}.mlp.w1"] == pytest.approx(exact, rel=1e-12)
    assert prescribed.factors[f"{stack}.mlp.w1"] == pytest.approx((6 * 7) ** -0.25)
    assert prescribed.source_factor == prescribed.target_factor == pytest.approx(exact)
    alone = solve(PRESETS["deepnorm-single"].build(sp.Integer(7), sp.Integer(7)), SGD)
    deepnorm = scheme_named("deepnorm")
    assert getattr(deepnorm.adapt(spec), f"{stack}_shortcut") == pytest.approx(14**0.25)
    assert deepnorm.prescribe(spec).factors[f"{stack}.mlp.w1"] == pytest.approx(float(alone[V_E]))


def test_which_schemes_profile():
    profiled = {name for name, scheme in SCHEMES.items() if scheme.profiled}
    assert profiled == {"admin", "admin-code", "dt-fixup"}


@pytest.mark.parametrize("name", ["rezero", "r-fixup"])
def test_branches_that_start_at_zero_leave_the_inputs(name):
    model = _model(name, spec=SMALL)
    tokens = torch.arange(12).view(3, 4)
    embedded = model.embed_target(tokens)
    torch.testing.assert_close(model.features(tokens, tokens), embedded, rtol=0, atol=0)
    assert not torch.equal(_model("xavier", spec=SMALL).features(tokens, tokens), embedded)


def test_r_fixup_has_scalars_and_no_biases():
    model = _model("r-fixup", spec=dataclasses.replace(SMALL, biases=True))
    names = {name.rpartition(".")[2] for name, _ in model.decoder[0].named_parameters()}
    assert names == {"in_proj", "out_proj", "w1", "w2", "shift", "shift1", "shift2", "scale"}


def test_shared_embeddings_are_one_table_at_the_encoders_scale():
    spec = dataclasses.replace(SPEC, shared_embeddings=True)
    model = _model("tfixup-code", spec=spec)
    names = [name for name, _ in model.named_parameters() if "." not in name]
    assert names == ["source_embedding"]
    assert model.target_embedding is model.source_embedding
    scale = float(model.source_embedding.detach().std()) * 8
    assert scale == pytest.approx((9 * N_E) ** -0.25, rel=0.02)
    assert scale != pytest.approx((9 * N_E) ** -0.25 * X, rel=0.02)
    tokens = torch.arange(6).view(2, 3)
    logits = model.features(tokens, tokens) @ model.source_embedding.T
    torch.testing.assert_close(model(tokens, tokens), logits)
    apart = _model("tfixup-code")
    torch.testing.assert_close(apart.source_embedding, model.source_embedding, rtol=0, atol=0)
    assert not torch.equal(apart.target_embedding, apart.source_embedding)


@pytest.mark.parametrize("name", ["tfixup-code", "lri"])
def test_the_padding_row_is_zero(name):
    model = _model(name, spec=dataclasses.replace(SMALL, padding_token=0))
    for table in (model.source_embedding, model.target_embedding):
        assert not table[0].any()
        assert table[1:].all()
    assert _model(name, spec=SMALL).source_embedding[0].all()


def test_learned_positions_are_drawn_and_scaled():
    spec = dataclasses.replace(SPEC, positions=Positions.LEARNED, max_tokens=64)
    model: Any = _model("tfixup", spec=spec)
    for table in (model.source_positions, model.target_positions):
        assert float(table.detach().std()) * 8 == pytest.approx(1, rel=0.03)
    tokens = torch.zeros(1, 3, dtype=torch.long)
    moved = model.embed_source(tokens) - model.source_embedding[0] * 8
    torch.testing.assert_close(moved[0], X * model.source_positions[:3])
    with pytest.raises(InputError, match="at most max_tokens = 64, got 65"):
        model.embed_source(torch.zeros(1, 65, dtype=torch.long))


def test_drawn_afresh_whatever_was_there():
    for name in schemes_for(Architecture.ENCODER_DECODER):
        once, twice = _model(name, spec=SMALL), _model(name, seed=7, spec=SMALL)
        with torch.no_grad():
            for parameter in twice.parameters():
                parameter.fill_(3.0)
        scheme_named(name).initialize_(twice, _generator())
        torch.testing.assert_close(twice.state_dict(), once.state_dict(), rtol=0, atol=0)
        other = _model(name, seed=1, spec=SMALL).state_dict()
        assert not torch.equal(other["output"], once.state_dict()["output"])


@pytest.mark.parametrize("architecture", [ENCODER_ONLY, DECODER_ONLY])
@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_a_stack_alone_or_an_error_that_names_both(name, architecture):
    spec = single_stack(architecture, 2, d_model=16, d_ff=24, vocabulary=40)
    if name == "tfixup-code":
        with pytest.raises(InputError, match=f"tfixup-code .* encoder-decoder, got {architecture}"):
            build(name, spec, _generator())
        return
    model = _model(name, spec=spec)
    stacks = {parameter.partition(".")[0] for parameter, _ in model.named_parameters()}
    own, other = ("encoder", "decoder") if spec.has_encoder else ("decoder", "encoder")
    assert own in stacks
    assert other not in stacks
    assert not any("cross_attention" in parameter for parameter, _ in model.named_parameters())
    tokens = torch.arange(12).view(3, 4)
    assert model(tokens, tokens).shape == (3, 4, 40)


def test_unknown_scheme():
    with pytest.raises(InputError, match="did you mean 'tfixup'"):
        build("tfixpu", SPEC, torch.Generator())
    with pytest.raises(InputError, match="did you mean 'deepnorm'"):
        build("deepnrm", SPEC, torch.Generator())


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"encoder.mlp.w_1": 0.1}, "did you mean 'encoder.mlp.w1'"),
        ({"decoder.attention.v": 0.0}, "unknown role 'decoder.attention.v'"),
        ({"encoder.mlp.w1": float("nan")}, "finite"),
        ({"encoder.mlp.w1": -1.0}, "at least 0"),
    ],
)
def test_a_misspelt_role_or_a_bad_factor_is_refused(factors, message):
    with pytest.raises(InputError, match=message):
        Prescription(factors=factors)
