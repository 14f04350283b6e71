"""Every wiring by its formula, both engines against each other, and every scheme's exact limit
against finite learning rates."""

from typing import Any

import pytest
import torch

from numerics.linearization.closed_form import serves
from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.engines import check_engine
from numerics.measure.finite_updates import remainder_slope
from numerics.measure.updates import measure_update as measure_in
from numerics.models import WIRINGS, Architecture, ModelSpec, Positions, single_stack
from numerics.models.history import row_averages
from numerics.models.roles import ALL_PARTS, contains, part_named, part_of, rescalers, role_named
from numerics.models.tokens import TokenBatch, random_batch
from numerics.schemes import SCHEMES, build, scheme_named, schemes_for
from numerics.statistics.exponents import Exponent
from numerics.statistics.tolerances import tolerance
from tests.numerics.linearized import linearized
from theory.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")

SPEC = ModelSpec(2, 2, d_model=8, d_ff=12, vocabulary=20)
ENCODER = single_stack(Architecture.ENCODER_ONLY, 2, d_model=8, d_ff=12, vocabulary=20)
DECODER = single_stack(Architecture.DECODER_ONLY, 2, d_model=8, d_ff=12, vocabulary=20)
CLOSED = ("tfixup", "post-ln", "pre-ln", "admin", "deepnorm", "rezero")


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _shaken(scheme, spec) -> Any:
    """A model with every parameter away from its starting value."""
    model = build(scheme, spec, _generator(), dtype=torch.float64)
    generator = _generator(5)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.1 * noise)
    return model.eval()


def measure_update(*arguments, **options):
    return measure_in(*arguments, dtype="float64", **options)


def _batch(spec):
    batch = random_batch(spec, _generator(1), sequences=3, tokens=5)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[1, 3:] = True
    return TokenBatch(batch.source_BS, batch.target_BT[:, :4], padding)


def _mlp(branch, y):
    return (y @ branch.w1.T).clamp(min=0) @ branch.w2.T


def _block_by_hand(layer, block, y):
    """One block from its line of `WIRINGS`' docstring."""
    wiring = block.wiring.name

    def branch(z):
        return _mlp(block.branch, z) if block is layer.mlp else block.branch(z)

    if wiring == "r-fixup":
        if block is layer.mlp:
            inner = ((y + block.shift) @ block.branch.w1.T + block.branch.shift1).clamp(min=0)
            return y + block.scale * ((inner + block.branch.shift2) @ block.branch.w2.T)
        return y + block.scale * branch(y + block.shift)
    if wiring == "none":
        return y + branch(y)
    if wiring == "rezero":
        return y + layer.alpha * branch(y)
    if wiring in ("pre-ln", "dlcl-pre"):
        return y + branch(block.norm(y))
    factor = {"admin": block.omega, "deepnorm": 4**0.25}.get(wiring, 1)
    return block.norm(factor * y + branch(y))


def _by_hand(model, x) -> Any:
    """An encoder of two layers alone, DLCL's sums written out."""
    outputs, history = [x], model.encoder_history

    def reads(below):
        if history is None:
            return outputs[-1]
        weights = history.weights[below]
        if model.spec.wiring.name == "dlcl-pre":
            return sum(weights[k] * history.norms[k](outputs[k]) for k in range(below + 1))
        return history.norms[below](sum(weights[k] * outputs[k] for k in range(below + 1)))

    for below, layer in enumerate(model.encoder):
        y = reads(below)
        for block in (layer.attention, layer.mlp):
            y = _block_by_hand(layer, block, y)
        outputs.append(y)
    y = reads(len(model.encoder))
    return y if model.encoder_norm is None else model.encoder_norm(y)


ONE_A_WIRING = (*CLOSED, "r-fixup", "dlcl-pre", "dlcl-post")


@pytest.mark.parametrize("scheme", ONE_A_WIRING)
def test_wirings_by_their_formulas(scheme):
    model = _shaken(scheme, ENCODER)
    tokens = torch.arange(10).view(2, 5)
    x = model.embed_source(tokens)
    torch.testing.assert_close(model.features(tokens, tokens), _by_hand(model, x))
    moved: Any = build("xavier", ENCODER, _generator(), dtype=torch.float64)
    assert not torch.allclose(moved.features(tokens, tokens), _by_hand(model, x), rtol=1e-3)


def test_every_wiring_is_tested():
    """The others have their formulas in ``test_traits.py`` or their twins in Hugging Face."""
    others = {"sub-ln", "mix-ln", "weighted-pre-ln", "layerscale", "skip-init", "gpas"}
    twins = {"branch-norm", "peri-ln", "scaled-pre-ln", "parallel", "parallel-two-norms"}
    here = {scheme_named(scheme).wiring.name for scheme in ONE_A_WIRING}
    assert here | others | twins == set(WIRINGS)
    assert {scheme.wiring.name for scheme in SCHEMES.values()} <= set(WIRINGS)


@pytest.mark.parametrize(("layers", "post"), [(3, 0), (4, 1), (8, 2), (11, 2)])
def test_mix_ln_has_a_quarter_of_post_ln_layers_at_the_bottom(layers, post):
    found = [WIRINGS["mix-ln"].at(layer, layers) for layer in range(layers)]
    assert [one.norm_after for one in found] == [layer < post for layer in range(layers)]
    assert [one.norm_before for one in found] == [layer >= post for layer in range(layers)]


def test_dlcl_starts_at_row_averages():
    model: Any = build("dlcl-pre", SPEC, _generator(), dtype=torch.float64)
    for history in (model.encoder_history, model.decoder_history):
        expected = torch.tensor([[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]])
        torch.testing.assert_close(history.weights.detach(), expected.double())
    assert torch.equal(row_averages(1), torch.ones(1, 1, dtype=torch.float64))


@pytest.mark.parametrize("spec", [SPEC, DECODER])
@pytest.mark.parametrize("scheme", ONE_A_WIRING)
def test_no_target_token_sees_its_future(scheme, spec):
    model = _shaken(scheme, spec)
    tokens = torch.arange(10).view(2, 5)
    later = tokens.clone()
    later[:, 3:] += 1
    before, after = model.features(tokens, tokens), model.features(tokens, later)
    torch.testing.assert_close(after[:, :3], before[:, :3])
    assert not torch.allclose(after, before)


def test_an_encoder_alone_sees_every_token():
    model = _shaken("post-ln", ENCODER)
    tokens = torch.arange(10).view(2, 5)
    later = tokens.clone()
    later[:, 3:] += 1
    assert not torch.allclose(
        model.features(later, tokens)[:, :3], model.features(tokens, tokens)[:, :3]
    )


@pytest.mark.parametrize("spec", [SPEC, ENCODER, DECODER])
@pytest.mark.parametrize(("inputs", "optimizer"), [("free", "sign"), ("table", "sgd")])
@pytest.mark.parametrize("scheme", CLOSED)
def test_engines_agree(scheme, optimizer, inputs, spec):
    model, batch = _shaken(scheme, spec), _batch(spec)
    plain, layered = (
        measure_update(
            model, batch, _generator(2), optimizer=optimizer, inputs=inputs, engine=engine
        )
        for engine in ("autodiff", "closed-form")
    )
    for field in ("update", "gradient_energy"):
        assert getattr(layered, field) == pytest.approx(
            getattr(plain, field), rel=tolerance("closed-form")
        )
    assert layered.output_rms_ratio == pytest.approx(plain.output_rms_ratio, rel=1e-12)
    stacks = {part.partition(".")[0] for part, value in layered.update.items() if value > 0}
    assert stacks == {"total", "embeddings", *spec.stacks}


@pytest.mark.parametrize("scheme", ["admin", "deepnorm", "rezero"])
def test_tangents_of_multipliers_are_vectors_not_only_norms(scheme):
    model, batch = _shaken(scheme, SPEC), _batch(SPEC)
    u = random_cotangent((3, 4, 8), _generator(2))
    plain, layered = (
        linearized(model, batch, u, engine=engine, optimizer="sign")
        for engine in ("autodiff", "closed-form")
    )
    assert set(layered.groups) == set(plain.groups)
    order = [layered.groups.index(part) for part in plain.groups]
    torch.testing.assert_close(layered.tangents[order], plain.tangents, rtol=1e-10, atol=1e-12)
    total = linearized(model, batch, u, optimizer="sign", groups="total")
    torch.testing.assert_close(total.tangents[0], layered.tangents.sum(0))
    assert not torch.allclose(total.tangents[0], layered.tangents[1:].sum(0), rtol=1e-3)


@pytest.mark.parametrize("scheme", ["admin", "rezero"])
def test_multipliers_take_part_in_the_step(scheme):
    """Frozen at their values they would leave a smaller energy: the check that they are seen."""
    model, batch = _shaken(scheme, SPEC), _batch(SPEC)
    u = random_cotangent((3, 4, 8), _generator(2))
    features = model.features(batch.source_BS, batch.target_BT, batch.padding_BS)
    owned = [(m.role, m.tensor) for m in rescalers(model)]
    slopes = torch.autograd.grad((features * u(features)).sum(), [tensor for _, tensor in owned])
    report = measure_update(model, batch, _generator(2))
    energy = sum(float(slope.square().sum()) for slope in slopes)
    assert 0 < energy < report.gradient_energy["total"]
    with torch.no_grad():
        without = measure_update(_frozen(model), batch, _generator(2), engine="autodiff")
    lost = report.gradient_energy["total"] - without.gradient_energy["total"]
    assert lost == pytest.approx(energy, rel=1e-9)


def _frozen(model):
    """The same function with multipliers that the measurement cannot move."""
    copy = _shaken(model.spec.wiring.name, model.spec)
    for module in copy.modules():
        for name in ("omega", "alpha"):
            held = module._parameters.pop(name, None)
            if held is not None:
                module.register_buffer(name, held.detach())
    copy.eval()
    return copy


@pytest.mark.parametrize(("heads", "tokens"), [(1, 3), (2, 8), (2, 9), (4, 12)])
def test_engines_agree_whichever_order_the_logits_take(heads, tokens):
    # The order changes where tokens (D − K) = D K: at 8 tokens for D = 8 and two heads.
    spec = ModelSpec(2, 2, d_model=8, d_ff=12, heads=heads, vocabulary=20)
    model, generator = _shaken("tfixup", spec), _generator(1)
    batch = random_batch(spec, generator, sequences=2, tokens=tokens)
    plain, layered = (
        measure_update(model, batch, _generator(2), engine=engine)
        for engine in ("autodiff", "closed-form")
    )
    assert layered.update == pytest.approx(plain.update, rel=tolerance("closed-form"))


@pytest.mark.parametrize("inputs", ["free", "table"])
@pytest.mark.parametrize("changes", [{"shared_embeddings": True}, {"tied_output": True}, {}])
def test_engines_agree_on_shared_tables_and_learned_positions(changes, inputs):
    spec = ModelSpec(
        2, 1, d_model=8, d_ff=12, vocabulary=20, positions=Positions.LEARNED, **changes
    )
    model, batch = _shaken("tfixup", spec), _batch(spec)
    plain, layered = (
        measure_update(model, batch, _generator(2), optimizer="sign", inputs=inputs, engine=engine)
        for engine in ("autodiff", "closed-form")
    )
    assert layered.update == pytest.approx(plain.update, rel=tolerance("closed-form"))
    assert layered.gradient_energy == pytest.approx(plain.gradient_energy, rel=1e-10)


def test_one_shared_table_has_one_gradient():
    shared = ModelSpec(2, 1, d_model=8, d_ff=12, vocabulary=20, shared_embeddings=True)
    model = _shaken("tfixup", shared)
    batch = _batch(shared)
    apart = _shaken("tfixup", ModelSpec(2, 1, d_model=8, d_ff=12, vocabulary=20))
    with torch.no_grad():
        for name, value in model.named_parameters():
            apart.get_parameter(name).copy_(value)
        apart.target_embedding.copy_(model.target_embedding)
    one, two = (
        measure_update(m, batch, _generator(2), inputs="table", optimizer="sgd")
        for m in (model, apart)
    )
    assert one.output_rms_ratio == pytest.approx(two.output_rms_ratio)
    assert one.update["decoder.mlp"] == pytest.approx(two.update["decoder.mlp"])
    assert one.update["embeddings"] != pytest.approx(two.update["embeddings"], rel=1e-3)


@pytest.mark.parametrize("scheme", ["r-fixup", "dlcl-pre", "dlcl-post"])
def test_wirings_without_closed_form_are_differentiated_automatically(scheme):
    model, batch = _shaken(scheme, SPEC), _batch(SPEC)
    assert not serves(model.spec)
    auto, plain = (
        measure_update(model, batch, _generator(2), engine=engine)
        for engine in ("auto", "autodiff")
    )
    assert auto == plain
    with pytest.raises(InputError, match=f"closed forms need a wiring of .*, got {scheme}"):
        measure_update(model, batch, _generator(2), engine="closed-form")


@pytest.mark.parametrize("scheme", schemes_for(Architecture.ENCODER_DECODER))
def test_every_scheme_stays_on_the_models_device(scheme):
    """The meta device holds no numbers: a tensor made elsewhere, or a read, is an error."""
    model = build(scheme, SPEC, _generator(), device="meta")
    u = random_cotangent((3, 4, 8), _generator())
    found = linearized(model, _batch(SPEC).to("meta"), u)
    assert found.tangents.device.type == found.energies.device.type == "meta"


@pytest.mark.parametrize("optimizer", ["sgd", "sign"])
@pytest.mark.parametrize("scheme", schemes_for(Architecture.ENCODER_DECODER))
def test_every_schemes_exact_limit_against_finite_rates(scheme, optimizer):
    if scheme == "dyt":  # on its small stream tanh is straight, and the remainder rounding alone
        scheme = "dyt:embedding_std=1:std=0.3"
    # Of a draw whose largest step crosses no ReLU's kink: that of seed 0 does under DeepNorm.
    seed = 2 if scheme == "admin" else 1
    model = build(scheme, SPEC, _generator(seed), dtype=torch.float64)
    batch = random_batch(SPEC, _generator(seed + 1), sequences=2, tokens=4)
    slope = remainder_slope(model, batch, _generator(seed + 2), optimizer=optimizer)
    assert isinstance(slope, Exponent), slope
    assert slope.equivalent(1.0, tolerance("remainder-slope")), slope


@pytest.mark.parametrize("spec", [ENCODER, DECODER])
@pytest.mark.parametrize("scheme", ONE_A_WIRING)
def test_a_stack_alone_against_finite_rates(scheme, spec):
    model = _shaken(scheme, spec)
    batch = random_batch(spec, _generator(1), sequences=2, tokens=4)
    slope = remainder_slope(model, batch, _generator(2), inputs="table")
    assert isinstance(slope, Exponent), slope
    assert slope.equivalent(1.0, tolerance("remainder-slope")), slope


@pytest.mark.parametrize(("scheme", "dropped"), [("admin", "decoder"), ("dlcl-post", "encoder")])
def test_a_dropped_part_leaves_a_constant(scheme, dropped):
    model = build(scheme, SPEC, _generator(), dtype=torch.float64)
    batch = random_batch(SPEC, _generator(1), sequences=2, tokens=4)
    slope = remainder_slope(model, batch, _generator(2), dropped=dropped)
    assert isinstance(slope, Exponent)
    assert slope.equivalent(1.0, tolerance("remainder-slope")) is False


@pytest.mark.parametrize(
    ("scheme", "part", "others"),
    [("rezero", "encoder", 4), ("r-fixup", "decoder.mlp", 0)],
)
def test_parts_can_be_zero(scheme, part, others):
    """ReZero moves nothing but its α and the inputs; R-Fixup only the last matrices."""
    model = build(scheme, SPEC, _generator(), dtype=torch.float64)
    report = measure_update(model, random_batch(SPEC, _generator(1)), _generator(2))
    assert report.finite
    leaves = [name for name in ALL_PARTS if "." in name]
    assert sum(report.update[name] == 0 for name in leaves) >= others
    assert report.update["total"] > 0
    assert part in report.update


@pytest.mark.parametrize(
    ("scheme", "roles"),
    [
        ("admin", {"encoder.attention.omega", "decoder.cross_attention.omega"}),
        ("rezero", {"encoder.alpha", "decoder.alpha"}),
        ("r-fixup", {"encoder.attention.shift", "encoder.mlp.shift2", "decoder.mlp.scale"}),
        ("tfixup", set()),
    ],
)
def test_scalars_and_vectors_have_roles_in_their_parts(scheme, roles):
    model = build(scheme, SPEC, _generator())
    found = {item.role: item for item in rescalers(model)}
    assert roles <= set(found)
    assert bool(found) == bool(roles)
    for item in found.values():
        part = part_of(item.parameter)
        assert item.role.startswith(part)
        assert contains(item.role.partition(".")[0], part)
        assert item.tensor is model.get_parameter(item.parameter)


def test_unknown_names_offer_the_nearest():
    with pytest.raises(InputError, match=r"unknown part 'decoder.mpl': did you mean 'decoder.mlp'"):
        part_named("decoder.mpl")
    with pytest.raises(InputError, match=r"unknown role .* did you mean 'encoder.attention.v'"):
        role_named("encoder.atention.v")
    with pytest.raises(InputError, match=r"did you mean 'closed-form'"):
        check_engine("closed-from")
    with pytest.raises(InputError, match=r"did you mean 'encoder.mlp'"):
        remainder_slope(_shaken("tfixup", SPEC), _batch(SPEC), _generator(), dropped="encoder.mpl")
