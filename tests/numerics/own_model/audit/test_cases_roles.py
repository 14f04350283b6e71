"""Cases of group A and B: the right rule reaches the wrong tensor, fans, gains, signs."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from numerics.own_model.audit.audit import Audit, audit
from numerics.own_model.audit.finding import Finding
from numerics.recipes.initialize import initialize_
from tests.numerics.own_model.audit.decoder import Decoder, decoder, draw_gpt2_


def only(found: Audit, kind: str) -> Finding:
    (finding,) = [f for f in found.findings if f.kind == kind]
    return finding


def change_(model: nn.Module, chosen: Callable[[str], bool], factor: float) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if chosen(name):
                parameter.mul_(factor)


def draw_(model: nn.Module, chosen: Callable[[str], bool], std: float, seed: int = 1) -> None:
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if chosen(name):
                parameter.normal_(0.0, std, generator=g)


def writes(name: str) -> bool:
    return name.endswith(("wo.weight", "w2.weight"))


@pytest.mark.parametrize("layers", [12, 48])
def test_case_a1_writers_left_at_the_base(layers: int) -> None:
    model = draw_gpt2_(decoder(layers=layers, d=48, d_ff=64))
    assert audit(model, "gpt2").clean
    change_(model, writes, math.sqrt(2 * layers))
    found = audit(model, "gpt2")
    finding = only(found, "scale")
    assert len(found.findings) == 1
    assert len(finding.tensors) == 2 * layers
    assert finding.factor == pytest.approx(math.sqrt(2 * layers), rel=0.03)
    assert finding.wanted == pytest.approx(0.02 / math.sqrt(2 * layers))
    assert f"√{2 * layers}" in finding.text
    assert f"{layers} h.*.attn.wo.weight, {layers} h.*.mlp.w2.weight" in finding.text
    assert "other drawn tensors agree" in finding.text


def test_case_a3_the_factor_is_on_an_input_of_the_branch() -> None:
    model = draw_gpt2_(decoder(layers=12, d=48, gated=True))
    change_(model, lambda n: n.endswith("w2.weight"), math.sqrt(24))
    change_(model, lambda n: n.endswith("w3.weight"), 1 / math.sqrt(24))
    found = audit(model, "gpt2")
    finding = only(found, "wrong-tensor")
    assert [f.kind for f in found.findings] == ["wrong-tensor"]
    assert len(finding.tensors) == 24
    assert "w2.weight (w_out, the residual writer) is 4." in finding.text
    assert "w3.weight (w_in, an input of the branch) is 4." in finding.text
    assert finding.factor == pytest.approx(math.sqrt(24), rel=0.05)


def test_case_a4_both_matrices_have_the_layers_factor() -> None:
    model = decoder(layers=32, d=48, gated=True, tied=False)
    initialize_(model, "llama-depth", torch.Generator().manual_seed(0))
    assert audit(model, "llama-depth").clean
    for layer in range(1, 33):
        at = f"h.{layer - 1}.mlp.w3.weight"
        change_(model, lambda n, at=at: n == at, 1 / math.sqrt(2 * layer))
    found = audit(model, "llama-depth")
    scale = only(found, "scale")
    assert "1/√(2l)" in scale.text
    assert set(scale.tensors) == {f"h.{i}.mlp.w3.weight" for i in range(32)}


def test_case_a4_the_whole_branch_when_two_factors_are_there() -> None:
    """What is meant is flat inputs; w2 and w3 both at 0.02/√(2l)² makes the branch 1/(2l)."""
    model = decoder(layers=32, d=48, gated=True)
    initialize_(model, "llama-depth", torch.Generator().manual_seed(0))
    for layer in range(1, 33):
        for matrix in ("w3", "w2"):
            at = f"h.{layer - 1}.mlp.{matrix}.weight"
            change_(model, lambda n, at=at: n == at, (2 * layer) ** -0.25)
    finding = only(audit(model, "llama-depth"), "branch-factor")
    assert finding.factor == pytest.approx(1 / 8, rel=0.05)
    assert " = 1/64, meant 0.125 = 1/8" in finding.text
    assert "gated-mlp" in finding.text


def test_case_a5_the_same_name_in_another_role() -> None:
    """A down-projection drawn as 1/(L√f): 0.30 of Wang's; attention's output unscaled."""
    layers, d, f = 22, 64, 176
    model = decoder(layers=layers, d=d, d_ff=f, gated=True, bias=False)
    initialize_(model, "wang-init", torch.Generator().manual_seed(0))
    draw_(model, lambda n: n.endswith("w2.weight"), 1 / (layers * math.sqrt(f)))
    draw_(model, lambda n: n.endswith("wo.weight"), math.sqrt(2 / (5 * d)), seed=2)
    found = audit(model, "wang-init")
    factors = {f.tensors[0].rpartition(".")[0][-2:]: f for f in found.findings if f.kind == "scale"}
    assert factors["w2"].factor == pytest.approx(math.sqrt(d / f) / 2, rel=0.03)
    assert factors["wo"].factor == pytest.approx(math.sqrt(2 / 5) * layers / 2, rel=0.03)
    assert set(factors) == {"w2", "wo"}


class Forgetful(Decoder):
    """Defines an initialiser that nobody calls."""

    def init_weights(self) -> None:
        draw_gpt2_(self)


def test_case_a9_an_initialiser_that_nobody_calls() -> None:
    model = Forgetful(decoder().shape)
    finding = only(audit(model, "gpt2"), "torch-defaults")
    assert finding.text.startswith("All 27 drawn tensors")
    assert "Forgetful.init_weights" in finding.text
    nearest = audit(model).nearest
    assert nearest is not None
    assert "torch's defaults" in nearest.words


def test_case_a9_clip_is_a_false_alarm() -> None:
    model = decoder(layers=12, d=64, d_ff=256, packed=True)
    d, layers = 64, 12
    for ending, std in (
        ("qkv.weight", d**-0.5),
        ("wo.weight", (2 * layers * d) ** -0.5),
        ("w2.weight", (2 * layers * d) ** -0.5),
        ("w1.weight", (2 * d) ** -0.5),
        ("head.weight", d**-0.5),
        ("wte.weight", 0.02),
        ("wpe.weight", 0.01),
    ):
        draw_(model, lambda n, ending=ending: n.endswith(ending), std, seed=len(ending))
    assert audit(model, "clip").clean
    found = audit(model)
    assert found.recipe is not None
    assert found.recipe.name == "clip"
    assert found.clean


def test_case_a11_one_tensor_kept_its_default() -> None:
    model = decoder(layers=6, bias=False)
    default = model.head.weight.detach().clone()
    initialize_(model, "small-init", torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.head.weight.copy_(default)
    for recipe in ("small-init", None):
        found = audit(model, recipe)
        finding = only(found, "one-tensor")
        assert finding.tensors == ("head.weight",)
        assert finding.wanted == pytest.approx(math.sqrt(2 / (5 * 64)))
        defaults = [f for f in found.findings if f.kind == "torch-defaults"]
        assert [f.tensors for f in defaults] == [("head.weight",)]


def deeppost_(model: Decoder, exponent: float) -> Decoder:
    """The baseline of two repositories: Xavier with gain (8L)^exponent on v, out and the MLP."""
    gain = (8 * model.shape.layers) ** exponent
    torch.manual_seed(0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2 and name.startswith("h."):
                scaled = "wq" not in name and "wk" not in name
                nn.init.xavier_uniform_(p, gain if scaled else 1.0)
            elif p.dim() == 2:
                p.normal_(0.0, p.shape[1] ** -0.5)
    return model


@pytest.mark.parametrize(
    ("layers", "gain", "ratio"), [(12, 3.130, 9.80), (24, 3.722, 13.86), (32, 4.0, 16.0)]
)
def test_case_b7_the_exponents_sign_is_turned(layers: int, gain: float, ratio: float) -> None:
    alpha = 64**0.25
    shape = {"layers": layers, "gated": True, "bias": False, "norm": "on-stream"}
    model = deeppost_(decoder(shortcut=alpha, **shape), 0.25)
    found = audit(model, "deepnorm")
    scales = [f for f in found.findings if f.kind == "scale"]
    assert all(f.factor == pytest.approx(ratio, rel=0.03) for f in scales)
    found_gain = float(scales[0].text.partition("The gain ")[2].partition(" ")[0])
    assert found_gain == pytest.approx(gain, rel=0.02)
    assert all("exponent has the wrong sign" in f.text for f in scales)
    branch = [f for f in found.findings if f.kind == "branch-factor"]
    by_kind = {"gated" if "gated" in f.text else "attention": f.factor for f in branch}
    assert by_kind["attention"] == pytest.approx(ratio**2, rel=0.05)
    assert by_kind["gated"] == pytest.approx(ratio**3, rel=0.1)
    shortcut = [f for f in found.findings if f.kind == "shortcut"]
    if layers == 32:
        assert not shortcut
    else:
        assert "belongs to 32 layers" in shortcut[0].text
        assert shortcut[0].fault
        assert shortcut[0].wanted == pytest.approx((2 * layers) ** 0.25)
    right = deeppost_(decoder(shortcut=(2 * layers) ** 0.25, **shape), -0.25)
    assert audit(right, "deepnorm").clean


def test_case_b7_alpha_on_the_wrong_side() -> None:
    alpha = 8**0.25
    model = deeppost_(decoder(layers=4, norm="on-stream", bias=False, multiplier=alpha), -0.25)
    finding = only(audit(model, "deepnorm"), "shortcut")
    assert "wrong side" in finding.text
    assert finding.fault
    same = deeppost_(decoder(layers=4, norm="on-stream", bias=False, multiplier=1 / alpha), -0.25)
    assert not [f for f in audit(same, "deepnorm").findings if f.kind == "shortcut"]


@pytest.mark.parametrize("layers", [12, 24, 48])
def test_case_b8_a_gain_that_belongs_to_128_layers(layers: int) -> None:
    model = decoder(
        layers=layers, d=48, norm="on-stream", bias=False, shortcut=(2 * layers) ** 0.25
    )
    deeppost_(model, -0.25)
    torch.manual_seed(1)
    for name, p in model.named_parameters():
        if "wv" in name:
            nn.init.xavier_uniform_(p, 2**-2.5)
    finding = only(audit(model, "deepnorm"), "scale")
    beta = (8 * layers) ** -0.25
    assert finding.factor == pytest.approx(2**-2.5 / beta, rel=0.03)
    assert "N = 12" in finding.text  # 128, within the sampling error of a 48 × 48 matrix
    assert f"there are {layers}" in finding.text


def test_case_b10_outliers_and_scale_are_told_apart() -> None:
    model = draw_gpt2_(decoder(layers=2))
    weight: Tensor = model.h[0].attn.wq.weight  # pyright: ignore
    with torch.no_grad():
        weight.view(-1)[torch.randperm(4096, generator=torch.Generator().manual_seed(0))[:16]] = -2
    found = audit(model, "gpt2")
    assert [f.kind for f in found.findings] == ["outliers"]
    finding = found.findings[0]
    assert "16 of 4096 entries are outliers" in finding.text
    assert finding.factor == pytest.approx(0.1265 / 0.02, rel=0.05)


@pytest.mark.parametrize(
    ("multiplier", "scaled", "clean"),
    [(24**-0.5, True, False), (1.0, True, True), (24**-0.5, False, None)],
)
def test_case_b13_multiplier_and_std(multiplier: float, scaled: bool, clean: bool | None) -> None:
    model = draw_gpt2_(decoder(layers=12, d=48, multiplier=multiplier))
    if not scaled:
        change_(model, writes, math.sqrt(24))
    found = audit(model, "gpt2")
    if clean:
        assert found.clean
    if clean is False:
        findings = [f for f in found.findings if f.kind == "branch-factor"]
        assert len(findings) == 2
        assert all(f.factor == pytest.approx(24**-0.5, rel=0.05) for f in findings)
        assert all("1/24, meant" in f.text for f in findings)
    if clean is None:  # the product is right: only the place of the factor differs
        assert not [f for f in found.findings if f.kind == "branch-factor"]


def test_names_that_reach_nothing_are_said_first() -> None:
    found = audit(draw_gpt2_(decoder()), "gpt2", names=("v_proj.weight", "attn.wo", "h.*.mlp.w2.*"))
    assert [f.kind for f in found.findings] == ["asked-not-found"]
    assert "'v_proj.weight'" in found.findings[0].text
    assert "v in h.0.attn.wv.weight" in found.findings[0].text


def test_two_recipes_mixed() -> None:
    model = draw_gpt2_(decoder(layers=6, bias=False))
    torch.manual_seed(0)
    for name, p in model.named_parameters():
        if ".mlp." in name and p.dim() == 2:
            nn.init.xavier_uniform_(p)
    found = audit(model)
    assert found.nearest is not None
    assert found.nearest.other is not None
    assert found.findings[0].kind == "mixed-recipes"
    assert "w_in, w_out" in found.findings[0].text
