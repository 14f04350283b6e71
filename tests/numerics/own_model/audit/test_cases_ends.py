"""Cases of groups C, D, E, G: embeddings and ties, copies and wiring, what nobody wrote."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from numerics.own_model.audit.audit import Audit, audit
from numerics.own_model.audit.finding import Finding
from numerics.own_model.audit.written import changed, never_written, overwritten
from numerics.recipes import RECIPES, recipe_named
from numerics.recipes.initialize import initialize_
from numerics.structure.user_factory import call
from tests.numerics.own_model.audit.decoder import decoder, draw_gpt2_
from theory.errors import InputError


def only(found: Audit, kind: str) -> Finding:
    (finding,) = [f for f in found.findings if f.kind == kind]
    return finding


def test_case_c3_a_unit_embedding_is_the_head() -> None:
    model = decoder(layers=2, d=256, d_ff=256, vocabulary=1000, tied=True, positions=False)
    draw_gpt2_(model)
    with torch.no_grad():
        model.wte.weight.normal_(0.0, 1.0, generator=torch.Generator().manual_seed(0))
    found = audit(model, "gpt2")
    finding = only(found, "first-loss")
    assert found.loss is not None
    assert found.loss.log_vocabulary == pytest.approx(6.9078, rel=1e-4)
    assert found.loss.predicted == pytest.approx(50, rel=0.03)
    # The stream is the token's own row: its own logit is √d times √d.
    assert found.loss.loss == pytest.approx(256, rel=0.02)
    assert found.loss.logits == pytest.approx(16.0, rel=0.03)
    assert finding.wanted == pytest.approx(1 / 16)
    assert finding.factor == pytest.approx(16, rel=0.02)
    assert "multiply the embedded tokens by √d = 16" in finding.text
    right = decoder(
        layers=2, d=256, d_ff=256, vocabulary=1000, tied=True, positions=False,
        embedding_multiplier=16.0,
    )  # fmt: skip
    initialize_(right, "xavier", torch.Generator().manual_seed(0))
    healed = audit(right, "xavier")
    assert not [f for f in healed.findings if f.kind == "first-loss"]
    assert healed.loss is not None
    assert healed.loss.predicted == pytest.approx(6.9078 + 0.5, abs=0.1)


def test_case_c3_one_tensor_two_roles_and_what_each_asks() -> None:
    model = decoder(layers=2, tied=True)
    done = initialize_(model, "llama-depth", torch.Generator().manual_seed(0))
    assert "asks N(0, 1) of the embedding and N(0, 0.125) cut at 3σ of the head" in done.notes[0]
    assert audit(model, "llama-depth").clean
    assert float(model.wte.weight.detach().std()) == pytest.approx(0.125 * 0.98658, rel=0.02)


class WithSinusoids(nn.Module):
    """Tokens of std 1/√d, with or without √d, plus sinusoids of RMS 1/√2."""

    def __init__(self, d: int, multiplier: float) -> None:
        super().__init__()
        self.decoder = decoder(layers=2, d=d, d_ff=d, positions=False)
        with torch.no_grad():
            self.decoder.wte.weight.normal_(0.0, d**-0.5)
        angle = torch.arange(16.0)[:, None] / 10000 ** (torch.arange(0, d, 2) / d)
        self.register_buffer("sinusoids", torch.cat([angle.sin(), angle.cos()], -1))
        self.multiplier = multiplier

    def forward(self, ids: Tensor) -> Tensor:
        x = self.decoder.wte(ids) * self.multiplier + self.sinusoids
        for block in self.decoder.h:
            x = block(x)
        return self.decoder.head(self.decoder.norm(x))  # pyright: ignore


@pytest.mark.parametrize(("multiplier", "share"), [(1.0, 1 / 257), (512**0.5, 2 / 3)])
def test_case_c4_positions_drown_tokens(multiplier: float, share: float) -> None:
    from numerics.recipes.ends import watch_ends

    model = WithSinusoids(512, multiplier)
    ((tokens, positions),) = watch_ends(model, (torch.randint(200, (2, 16)),)).inputs
    assert tokens.name == "decoder.wte.weight"
    assert tokens.share == pytest.approx(share, rel=0.05)
    assert tokens.multiplier == multiplier
    assert positions.mean_square == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_case_c7_the_padding_row(tied: bool) -> None:
    model = decoder(layers=2, padding=3, tied=tied)
    draw_gpt2_(model)
    finding = only(audit(model, "gpt2"), "padding")
    assert finding.found == pytest.approx(0.02 * 8, rel=0.3)
    loss = call(model, (torch.tensor([[1, 2, 3, 4]]),))
    assert isinstance(loss, Tensor)
    loss.logsumexp(-1).sum().backward()
    gradient: Tensor = model.wte.weight.grad  # pyright: ignore
    assert bool(gradient[3].any()) is tied
    assert ("a gradient reaches the row" in finding.text) is tied
    done = initialize_(model, "gpt2", torch.Generator().manual_seed(0))
    assert not bool(model.wte.weight[3].any())
    assert any("row 3 is padding" in note for note in done.notes)
    assert audit(model, "gpt2").clean


def test_case_c8_embeddings_at_0_63() -> None:
    model = draw_gpt2_(decoder(layers=2, gated=True, bias=False))
    with torch.no_grad():
        model.wte.weight.normal_(0.0, math.sqrt(2 / 5), generator=torch.Generator().manual_seed(0))
    found = audit(model, "gpt2")
    finding = only(found, "one-tensor")
    assert finding.tensors == ("wte.weight",)
    assert finding.factor == pytest.approx(31.6, rel=0.03)


def test_case_d1_copied_layers() -> None:
    model = draw_gpt2_(decoder(layers=6))
    assert audit(model, "gpt2").clean
    for i in range(1, 6):
        model.h[i] = copy.deepcopy(model.h[0])
    finding = only(audit(model, "gpt2"), "copies")
    assert finding.text.startswith("Layers 2…6 equal layer 1")
    assert len(finding.tensors) == 36  # q, k, v, out, w_in, w_out of six layers
    initialize_(model, "gpt2", torch.Generator().manual_seed(0))
    assert audit(model, "gpt2").clean


def test_one_draw_used_twice_in_a_layer() -> None:
    model = draw_gpt2_(decoder(layers=3, gated=True))
    with torch.no_grad():
        for block in model.h:
            block.mlp.w3.weight.copy_(block.mlp.w1.weight)  # pyright: ignore
    finding = only(audit(model, "gpt2"), "copies")
    assert "generators in the same state" in finding.text


def test_case_h2_an_embedding_rescaled_for_its_tied_head() -> None:
    base, wide = 32, 128
    found: dict[int, float] = {}
    for width in (base, wide):
        model = decoder(layers=2, d=width, tied=True)
        torch.manual_seed(0)
        with torch.no_grad():
            table = next(p for p in model.parameters() if p.shape == (200, width))
            table.normal_(0.0, (width / base) ** 0.5)
        (row,) = [r for r in audit(model, "torch").rows if r.place.role == "embedding"]
        assert row.asked is not None
        assert row.asked.std == 1
        assert row.factor is not None
        found[width] = row.factor
    exponent = math.log(found[wide] / found[base]) / math.log(wide / base)
    assert exponent == pytest.approx(0.5, abs=0.02)


def test_case_d2_the_residual_is_taken_after_the_norm() -> None:
    right, wrong = (draw_gpt2_(decoder(norm=norm)) for norm in ("before", "mis-wired"))
    assert audit(right, "gpt2").clean
    finding = only(audit(wrong, "gpt2"), "no-norm-free-path")
    assert "no path from input to output free of norms" in finding.text
    assert "behaves as Post-LN" in finding.text
    assert finding.fault
    assert [f.kind for f in audit(wrong).findings][:1] == ["no-norm-free-path"]


def test_a_pre_ln_decoder_without_its_last_norm() -> None:
    found = audit(draw_gpt2_(decoder(final_norm=False)), "gpt2")
    assert "no norm after the last addition" in only(found, "norms").text


def test_a_recipe_for_another_wiring_is_a_remark() -> None:
    model = decoder(norm="on-stream")
    initialize_(model, "tfixup", torch.Generator().manual_seed(0))
    found = audit(model, "tfixup")
    assert found.clean
    assert "derived without layer norm" in only(found, "wiring").text


@pytest.mark.parametrize("rule", ["gpt2", "llama-depth"])
def test_case_e4_either_depth_rule_is_known_by_its_numbers(rule: str) -> None:
    model = decoder(layers=12, bias=False)
    initialize_(model, rule, torch.Generator().manual_seed(0))
    found = audit(model)
    assert found.recipe is not None
    assert found.recipe.name == rule
    other = {"gpt2": "llama-depth", "llama-depth": "gpt2"}[rule]
    scales = [f for f in audit(model, other).findings if f.kind == "scale"]
    law = "0.289 √l" if rule == "gpt2" else "3.46 /√l"
    writers = next(f for f in scales if "write to the stream" in f.text)
    assert "in layer l" in writers.text
    assert law.split()[1].lstrip("/") in writers.text


def test_case_g3_torchs_defaults_pass_by_std_alone() -> None:
    model = decoder(layers=2, d=768, d_ff=3072, heads=12, norm="on-stream", vocabulary=64)
    found = audit(model, "bert")
    by_name = {row.place.name: row for row in found.rows}
    query = by_name["h.0.attn.wq.weight"]
    assert query.factor == pytest.approx(1.0417, rel=2e-3)
    assert query.sample.largest == pytest.approx(1 / math.sqrt(768), rel=1e-3)
    assert query.sample.kurtosis == pytest.approx(1.8, abs=0.01)
    assert by_name["h.0.mlp.w2.weight"].factor == pytest.approx(0.52, rel=0.01)
    assert by_name["wte.weight"].factor == pytest.approx(50, rel=0.02)
    assert found.findings[0].kind == "torch-defaults"
    assert "uniform" in found.findings[0].text
    shape = only(found, "shape")
    assert "kurtosis 1.8" in shape.text
    bias = only(found, "bias")
    assert "±1/√fan_in" in bias.text


class Planted(nn.Module):
    """A parameter and a bias that nobody writes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = decoder(layers=1)
        self.scale = nn.Parameter(torch.empty(64))
        self.router = nn.Linear(8, 8)
        self.router.bias = nn.Parameter(torch.empty(8))


def test_case_g4_never_written_is_found_every_time() -> None:
    assert all(never_written(Planted, seed=seed) == ("scale", "router.bias") for seed in range(20))
    assert never_written(lambda: decoder(layers=2)) == ()
    assert not torch.are_deterministic_algorithms_enabled()


class Base(nn.Module):
    """A parent that draws every matrix again."""

    def post_init(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02)


class Gated(Base):
    """A constructor that writes a zero, before or after the parent's draw."""

    def __init__(self, *, late: bool = False) -> None:
        super().__init__()
        self.plain, self.gate = nn.Linear(32, 32), nn.Linear(32, 32)
        if late:
            self.post_init()
        nn.init.zeros_(self.gate.weight)
        if not late:
            self.post_init()


def test_case_g1_a_zero_that_is_drawn_again() -> None:
    assert overwritten(Gated) == ("gate.weight",)
    assert overwritten(lambda: Gated(late=True)) == ()
    assert overwritten(lambda: decoder(padding=0)) == ()
    model = Gated(late=True)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.post_init()
    assert changed(before, model) == ("gate.weight",)
    assert float(model.gate.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_case_g6_gains_that_are_not_one() -> None:
    model = draw_gpt2_(decoder())
    with torch.no_grad():
        model.h[1].norm1.weight.normal_(0.0, 0.02)  # pyright: ignore
    finding = only(audit(model, "gpt2"), "gain")
    assert finding.tensors == ("h.1.norm1.weight",)
    assert finding.wanted == 1.0


def test_case_d8_zero_writers_are_alive_and_two_zeros_are_dead() -> None:
    model = draw_gpt2_(decoder(layers=2))
    with torch.no_grad():
        model.h[0].mlp.w2.weight.zero_()  # pyright: ignore
    assert "alive after one step" in only(audit(model, "gpt2"), "zero").text
    with torch.no_grad():
        model.h[0].mlp.w1.weight.zero_()  # pyright: ignore
    assert "0 for ever" in only(audit(model, "gpt2"), "dead").text


@pytest.mark.parametrize("recipe", sorted(set(RECIPES) - {"tfixup-code"}))
@pytest.mark.parametrize(
    "dialect",
    [
        {},
        {"packed": True, "tied": True},
        {"gated": True, "bias": False, "norm": "on-stream"},
        {"norm": "none", "padding": 0},
    ],
    ids=["plain", "packed", "gated", "bare"],
)
def test_initialized_models_are_clean(recipe: str, dialect: dict[str, Any]) -> None:
    model = decoder(layers=2, d=32, d_ff=64, **dialect)
    done = initialize_(model, recipe, torch.Generator().manual_seed(0))
    found = audit(model, recipe)
    assert found.clean, [f.text for f in found.faults]
    assert not done.left
    assert recipe_named(recipe) is done.recipe


def test_tfixups_code_is_for_two_stacks() -> None:
    with pytest.raises(InputError, match="encoder-decoder"):
        initialize_(decoder(layers=1), "tfixup-code", torch.Generator())


def test_packed_and_split_layouts_get_the_same_numbers() -> None:
    split, packed = decoder(layers=3), decoder(layers=3, packed=True)
    for model in (split, packed):
        initialize_(model, "tfixup", torch.Generator().manual_seed(7))
    for one, two in zip(split.h, packed.h, strict=True):
        stacked = torch.cat([one.attn.wq.weight, one.attn.wk.weight, one.attn.wv.weight])  # pyright: ignore
        assert torch.equal(stacked, two.attn.qkv.weight)  # pyright: ignore
        assert torch.equal(one.mlp.w2.weight, two.mlp.w2.weight)  # pyright: ignore


def test_auditing_changes_nothing() -> None:
    model = decoder(padding=0).train()
    model.h[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    state = torch.get_rng_state()
    audit(model, "gpt2")
    assert modes == [m.training for m in model.modules()]
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
