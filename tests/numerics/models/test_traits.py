"""Traits that no library model has in this form, by their formulas; and all of them through the
measurement, the fused kernel and the checks of a specification."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from numerics.measure.finite_updates import remainder_slope
from numerics.measure.updates import measure_update
from numerics.models import WIRINGS, Architecture, ModelSpec, Positions, Wiring, single_stack
from numerics.models.attention import AttentionTraits, QKNorm, fuse_attention
from numerics.models.mlp import ACTIVATIONS, GEGLU, SWIGLU, Activation, MLPTraits
from numerics.models.norms import RMS_NORM, Gain, NormKind, NormTraits, make_norm
from numerics.models.tokens import random_batch
from numerics.models.wiring import BranchFactor, Parallel, Shortcut
from numerics.schemes import build
from numerics.schemes.scheme import Scheme
from numerics.statistics.exponents import Exponent
from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")

SIZES: dict[str, Any] = dict(d_model=8, d_ff=12, vocabulary=20)
SPEC = ModelSpec(2, 2, **SIZES)
ENCODER = single_stack(Architecture.ENCODER_ONLY, 4, **SIZES)
DECODER = single_stack(Architecture.DECODER_ONLY, 2, **SIZES)
TOKENS = torch.arange(10).view(2, 5)


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _shaken(spec, wiring: Wiring | None = None) -> Any:
    """Xavier in any wiring, with every parameter away from where it starts."""
    model = build(Scheme("any", wiring or spec.wiring, ""), spec, _generator(), dtype=torch.float64)
    generator = _generator(5)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.1 * noise)
    return model.eval()


def _by_hand(model, block_by_hand) -> Any:
    """An encoder whose blocks are written out: ``block_by_hand(n, block, branch, x)``."""
    x = model.embed_source(TOKENS)
    for number, layer in enumerate(model.encoder):
        for block in (layer.attention, layer.mlp):
            x = block_by_hand(number, block, block.branch, x)
    return x if model.encoder_norm is None else model.encoder_norm(x)


def _agree(spec, wiring, block_by_hand) -> None:
    model = _shaken(spec, wiring)
    found, expected = model.features(TOKENS, TOKENS), _by_hand(model, block_by_hand)
    torch.testing.assert_close(found, expected)
    wrong = _by_hand(model, lambda _, __, branch, x: x + branch(x))
    assert not torch.allclose(found, wrong, rtol=1e-3)


def test_dyt_is_a_tanh_with_its_own_slope_before_attention():
    norm = NormTraits(NormKind.DYT, slope=0.3, attention_slope=0.8)
    start: Any = build(
        Scheme("any", WIRINGS["pre-ln"], ""), replace(ENCODER, norm=norm), _generator()
    )
    assert start.encoder[1].attention.norm.slope.item() == pytest.approx(0.8)
    assert start.encoder[1].mlp.norm.slope.item() == pytest.approx(0.3)
    assert start.encoder_norm.slope.item() == pytest.approx(0.3)

    def block_by_hand(_, block, branch, x):
        own = block.norm
        return x + branch(torch.tanh(own.slope * x) * own.weight + own.bias)

    _agree(replace(ENCODER, norm=norm), WIRINGS["pre-ln"], block_by_hand)


def test_layernorm_scaling_divides_both_norms_of_a_layer_by_the_root_of_its_number():
    def block_by_hand(n, block, branch, x):
        unit = F.layer_norm(x, (8,)) * block.norm.weight + block.norm.bias
        return x + branch(unit / (n + 1) ** 0.5)

    scaled = replace(ENCODER, norm=NormTraits(by_layer=True))
    _agree(scaled, WIRINGS["pre-ln"], block_by_hand)
    model = _shaken(scaled, WIRINGS["pre-ln"])
    assert model.encoder_norm.factor == 1  # the final norm is not in a layer


def test_mix_ln_is_post_ln_below_and_pre_ln_above():
    def block_by_hand(n, block, branch, x):
        return block.norm(x + branch(x)) if n < 1 else x + branch(block.norm(x))

    _agree(ENCODER, WIRINGS["mix-ln"], block_by_hand)


def test_layerscale_skip_init_and_numbers_per_block():
    blocks = tuple(0.1 * n for n in range(1, 9))

    def layerscale(_, block, branch, x):
        return x + block.branch_scale * branch(block.norm(x))

    def skip_init(_, block, branch, x):
        assert block.branch_scale.shape == ()
        return x + block.branch_scale * branch(x)

    _agree(ENCODER, WIRINGS["layerscale"], layerscale)
    _agree(ENCODER, WIRINGS["skip-init"], skip_init)
    spec = replace(ENCODER, encoder_branch=blocks, encoder_shortcut=blocks[::-1])
    counted = iter(range(8))

    def weighted(_, block, branch, x):
        number = next(counted) % 8
        return blocks[7 - number] * x + blocks[number] * branch(block.norm(x))

    model = _shaken(spec, WIRINGS["weighted-pre-ln"])
    torch.testing.assert_close(model.features(TOKENS, TOKENS), _by_hand(model, weighted))
    start: Any = build(
        Scheme("any", WIRINGS["layerscale"], ""),
        replace(ENCODER, encoder_branch=1e-3),
        _generator(),
    )
    assert torch.equal(start.encoder[0].mlp.branch_scale.detach(), torch.full((8,), 1e-3))


def test_sub_ln_has_a_norm_before_each_last_matrix():
    def block_by_hand(_, block, branch, x):
        read = block.norm(x)
        if hasattr(branch, "w1"):
            return x + branch.inner_norm(F.relu(read @ branch.w1.T)) @ branch.w2.T
        q, k, v = (
            part.unflatten(-1, (2, 4)).transpose(1, 2)
            for part in (read @ branch.in_proj.T).chunk(3, -1)
        )
        mixed = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
        return x + branch.inner_norm(mixed.transpose(1, 2).flatten(-2)) @ branch.out_proj.T

    _agree(ENCODER, WIRINGS["sub-ln"], block_by_hand)


@pytest.mark.parametrize("kind", list(Parallel))
def test_parallel_blocks_read_one_stream(kind):
    wiring = Wiring(norm_before=True, parallel=kind)
    model = _shaken(ENCODER, wiring)
    x = model.embed_source(TOKENS)
    for layer in model.encoder:
        first = layer.attention.norm if layer.norm is None else layer.norm
        second = layer.mlp.norm if layer.norm is None else layer.norm
        attended = layer.attention.branch(first(x))
        read = x + attended if kind is Parallel.NO else x
        x = x + attended + layer.mlp.branch(second(read))
    torch.testing.assert_close(model.features(TOKENS, TOKENS), model.encoder_norm(x))


@pytest.mark.parametrize("activation", list(Activation))
def test_activations_against_torch(activation):
    x = torch.linspace(-3, 3, 50, dtype=torch.float64)
    expected = {
        Activation.RELU: torch.nn.ReLU(),
        Activation.GELU: torch.nn.GELU(),
        Activation.GELU_TANH: torch.nn.GELU("tanh"),
        Activation.SILU: torch.nn.SiLU(),
        Activation.RELU_SQUARED: lambda x: torch.where(x > 0, x * x, 0),
    }[activation](x)
    torch.testing.assert_close(ACTIVATIONS[activation](x), expected)


@pytest.mark.parametrize("gain", list(Gain))
@pytest.mark.parametrize("kind", [NormKind.LAYER, NormKind.RMS])
def test_norms_against_torch(kind, gain):
    norm: Any = make_norm(NormTraits(kind, gain, bias=False, eps=1e-3), 6)
    x = torch.randn(4, 6, generator=_generator(), dtype=torch.float64) + 1
    weight = torch.rand(6, generator=_generator(1), dtype=torch.float64)
    norm = norm.double()
    if gain is not Gain.ABSENT:
        with torch.no_grad():
            norm.weight.copy_(weight - float(gain is Gain.ONE_PLUS))
    one = torch.ones_like(weight)
    theirs = {
        NormKind.LAYER: lambda: F.layer_norm(x, (6,), one, eps=1e-3),
        NormKind.RMS: lambda: F.rms_norm(x, (6,), one, eps=1e-3),
    }[kind]()
    torch.testing.assert_close(norm(x), theirs if gain is Gain.ABSENT else theirs * weight)
    norm.reset_parameters()
    torch.testing.assert_close(norm(x), theirs)
    assert make_norm(NormTraits(NormKind.NONE), 6) is None


TRAITS = {
    "rms": dict(norm=RMS_NORM),
    "1+w": dict(norm=NormTraits(gain=Gain.ONE_PLUS)),
    "dyt": dict(norm=NormTraits(NormKind.DYT)),
    "grouped": dict(attention=AttentionTraits(key_heads=1)),
    "qk-norm": dict(attention=AttentionTraits(qk_norm=QKNorm.HEAD)),
    "qk-norm-all": dict(attention=AttentionTraits(key_heads=1, qk_norm=QKNorm.ALL)),
    "no-scale": dict(attention=AttentionTraits(power=0.0)),
    "rotary": dict(positions=Positions.ROTARY),
    "swiglu": dict(mlp=SWIGLU),
    "geglu": dict(mlp=GEGLU, biases=True),
    "gelu": dict(mlp=MLPTraits(Activation.GELU)),
    "embedding-norm": dict(embedding_norm=True),
}
OWN_WIRINGS = [name for name in WIRINGS if "dlcl" not in name]


@pytest.mark.parametrize("trait", sorted(TRAITS))
def test_every_trait_has_an_exact_limit(trait):
    model = _shaken(replace(SPEC, **TRAITS[trait]), WIRINGS["pre-ln"])
    batch = random_batch(SPEC, _generator(1), sequences=2, tokens=4)
    slope = remainder_slope(model, batch, _generator(2), inputs="table")
    assert isinstance(slope, Exponent), slope
    assert slope.equivalent(1.0, tolerance("remainder-slope")), slope


@pytest.mark.parametrize("name", [name for name in OWN_WIRINGS[7:] if name != "gpas"])
def test_every_new_wiring_has_an_exact_limit(name):
    model = _shaken(SPEC, WIRINGS[name])
    batch = random_batch(SPEC, _generator(1), sequences=2, tokens=4)
    slope = remainder_slope(model, batch, _generator(2))
    assert isinstance(slope, Exponent), slope
    assert slope.equivalent(1.0, tolerance("remainder-slope")), slope


@pytest.mark.parametrize("trait", sorted(TRAITS))
def test_the_fused_kernel_has_every_trait(trait):
    model = _shaken(replace(DECODER, **TRAITS[trait]), WIRINGS["pre-ln"])
    with torch.no_grad():
        written = model.features(TOKENS, TOKENS)
        fuse_attention(model)
        torch.testing.assert_close(model.features(TOKENS, TOKENS), written)


@pytest.mark.parametrize("trait", sorted(TRAITS))
def test_no_target_token_sees_its_future(trait):
    model = _shaken(replace(DECODER, **TRAITS[trait]), WIRINGS["pre-ln"])
    later = TOKENS.clone()
    later[:, 3:] += 1
    before, after = model.features(TOKENS, TOKENS), model.features(TOKENS, later)
    torch.testing.assert_close(after[:, :3], before[:, :3])
    assert not torch.allclose(after, before)


def test_rotary_positions_depend_on_distances_alone():
    plain, turned = (
        _shaken(replace(DECODER, positions=positions), WIRINGS["pre-ln"])
        for positions in (Positions.NONE, Positions.ROTARY)
    )
    first = turned.decoder[0].self_attention.branch
    x = torch.randn(1, 1, 8, generator=_generator(), dtype=torch.float64).expand(1, 5, 8)
    q, k, _ = first.heads_of(x, None)
    logits = q @ k.transpose(-1, -2)
    for head in logits[0]:
        for distance in range(-4, 5):
            assert head.diagonal(distance).std(correction=0) < 1e-12
    assert logits.std() > 1e-3
    same = TOKENS[:, :1].expand(-1, 5).contiguous()
    # Without positions a sequence of one token attends to it alone, wherever it stands.
    torch.testing.assert_close(plain.features(same, same)[:, 0], plain.features(same, same)[:, -1])


@pytest.mark.parametrize("trait", sorted(TRAITS))
def test_closed_forms_are_refused_and_automatic_differentiation_is_taken(trait):
    model = _shaken(replace(SPEC, **TRAITS[trait]), WIRINGS["pre-ln"])
    batch = random_batch(SPEC, _generator(1), sequences=2, tokens=4)
    report = measure_update(model, batch, _generator(2), dtype="float64")
    assert report.finite
    assert report.update["total"] > 0
    assert model.spec.unusual
    with pytest.raises(InputError, match="closed forms have no"):
        measure_update(model, batch, _generator(2), engine="closed-form")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"attention": AttentionTraits(key_heads=3), "heads": 4}, "key_heads must divide heads"),
        ({"positions": Positions.ROTARY, "heads": 8}, "rotary positions need heads of even width"),
        ({"decoder_branch": (1.0, 2.0)}, "one per residual block, 6, got 2"),
        ({"encoder_shortcut": float("nan")}, "encoder_shortcut must be finite"),
    ],
)
def test_specifications_say_what_they_need(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(SPEC, **changes)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: AttentionTraits(key_heads=0), "key_heads must be at least 1"),
        (lambda: AttentionTraits(power=float("nan")), "power must be finite"),
        (lambda: NormTraits(eps=-1.0), "eps of a norm"),
        (lambda: NormTraits(NormKind.DYT, slope=0.0), "slope of a norm must be positive"),
        (lambda: Wiring(norm_before=True, after_share=2.0), "after_share must lie in"),
        (lambda: Wiring(after_share=0.5), "after_share needs norm_before"),
        (lambda: Wiring(norm_after=True, parallel=Parallel.OWN_NORMS), "no norm of the sum"),
        (lambda: Wiring(parallel=Parallel.ONE_NORM), "need norm_before"),
        (
            lambda: Wiring(shortcut=Shortcut.FIXED, parallel=Parallel.OWN_NORMS),
            "need a plain shortcut",
        ),
    ],
)
def test_choices_that_exclude_each_other_are_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def test_a_fixed_number_is_not_trained():
    scalar, fixed = (
        _shaken(replace(SPEC, encoder_branch=0.5), Wiring(norm_before=True, branch=branch))
        for branch in (BranchFactor.SCALAR, BranchFactor.FIXED)
    )
    counts = [sum(1 for _ in model.parameters()) for model in (scalar, fixed)]
    assert counts[0] - counts[1] == SPEC.blocks
