"""Cases D4, E1 and F1: stacks that read each other, unequal stacks, Post-LN beyond 12 layers."""

import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from numerics.cli.main import run
from numerics.own_model.audit.audit import audit
from numerics.own_model.check.check import check
from numerics.own_model.check.report import _sizes
from numerics.own_model.check.result import Check
from numerics.own_model.check.types import GroupCheck, SizeSeries
from numerics.own_model.measurement.groups import grouping
from numerics.statistics.exponents import Exponent
from numerics.structure.trace import trace_structure
from tests.numerics.own_model.check.models import HEADS, HIDDEN, VOCABULARY, WIDTH, tokens
from tests.numerics.own_model.check.planted_growth import deepnorm, sound

Made = tuple[nn.Module, tuple[Tensor, Tensor]]


class Stack(nn.Module):
    """Layers of torch, each with torch's own weights."""

    def __init__(self, layers: int, *, pre: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH, HEADS, HIDDEN, dropout=0.0, batch_first=True, norm_first=pre
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(WIDTH) if pre else nn.Identity()
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class Translator(nn.Module):
    """Layers of torch in a list each, so that every one is drawn for itself."""

    def __init__(
        self,
        encoder: int,
        decoder: int,
        *,
        pre: bool = True,
        encoder_norm: bool = True,
        decoder_norm: bool = True,
    ) -> None:
        super().__init__()
        self.source = nn.Embedding(VOCABULARY, WIDTH)
        self.target = nn.Embedding(VOCABULARY, WIDTH)

        def layer(kind: Callable[..., nn.Module]) -> nn.Module:
            return kind(WIDTH, HEADS, HIDDEN, dropout=0.0, batch_first=True, norm_first=pre)

        self.encoder = nn.ModuleList(layer(nn.TransformerEncoderLayer) for _ in range(encoder))
        self.decoder = nn.ModuleList(layer(nn.TransformerDecoderLayer) for _ in range(decoder))
        self.encoder_norm = nn.LayerNorm(WIDTH) if pre and encoder_norm else nn.Identity()
        self.decoder_norm = nn.LayerNorm(WIDTH) if pre and decoder_norm else nn.Identity()
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.xavier_normal_(p)
        nn.init.normal_(self.source.weight)
        nn.init.normal_(self.target.weight)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory = self.source(source)
        for layer in self.encoder:
            memory = layer(memory)
        memory = self.encoder_norm(memory)
        x = self.target(target)
        for layer in self.decoder:
            x = layer(x, memory)
        return self.head(self.decoder_norm(x))


def pair() -> tuple[Tensor, Tensor]:
    return tokens(), tokens(8)


def exponent(series: SizeSeries) -> float:
    fit = series.law.exponent
    assert isinstance(fit, Exponent)
    return fit.value


def group(found: Check, name: str) -> GroupCheck:
    (own,) = [g for g in found.optimizers[0].groups if g.name == name]
    return own


def totals(found: Check) -> SizeSeries:
    return found.optimizers[0].total


def solved(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, dict[str, float]]:
    assert run(["solve", *options, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["scales"]


@pytest.mark.slow
def test_case_d4_a_memory_that_nobody_normalised() -> None:
    """The step of the matrices that read the memory is proportional to its mean square.

    A norm before the head would cap that ratio, since it divides by what the memory adds.
    """

    def over_encoders(normed: bool) -> Check:
        def make(n: int) -> Made:
            return Translator(n, 1, encoder_norm=normed, decoder_norm=False), pair()

        return check(make, (2, 4, 8), ("sgd",), seeds=2)

    raw, normed = over_encoders(False), over_encoders(True)
    memory = raw.memories["encoder"]
    assert exponent(memory) == pytest.approx(1.0, abs=0.4)  # so that the RMS grows as √N_e
    for role in ("v", "out"):
        one, other = (group(found, f"cross-attention {role}") for found in (raw, normed))
        for depth in (2, 4, 8):
            ratio = one.series.at(depth) / other.series.at(depth)
            assert ratio == pytest.approx(memory.at(depth), rel=0.3)
    assert exponent(totals(raw)) > exponent(totals(normed)) + 0.3
    assert (raw.raw_memories, normed.raw_memories) == (("encoder",), ())
    assert any("no norm stands between it" in line for line in _sizes(raw))
    assert any("; a norm stands between it" in line for line in _sizes(normed))


@pytest.mark.parametrize("normed", [False, True])
def test_case_d4_audit_says_whether_the_memory_is_normalised(normed: bool) -> None:
    found = audit(Translator(2, 1, encoder_norm=normed), None, pair())
    said = [f for f in found.findings if "addition of the encoder" in f.text]
    assert len(said) == (not normed)


def test_case_d4_matrices_that_read_a_memory_are_a_group_of_their_own() -> None:
    model = Translator(2, 1)
    names = {
        group.name
        for group in grouping(
            dict(model.named_parameters()), trace_structure(model, pair())
        ).by_role
    }
    assert {"v", "cross-attention v", "out", "cross-attention out"} <= names
    alone = Stack(2)
    groups = grouping(dict(alone.named_parameters()), trace_structure(alone, tokens())).by_role
    assert not any("cross" in group.name for group in groups)


def test_case_e1_twelve_and_three(capsys: pytest.CaptureFixture[str]) -> None:
    depths = ("--encoder-layers", "12", "--decoder-layers", "3")
    code = solved(capsys, *depths, "--input-depth", "encoder")
    assert code["decoder"]["value"] == pytest.approx(0.438691, abs=1e-6)
    assert code["encoder"]["value"] == pytest.approx(0.359781, abs=1e-6)
    assert code["source"]["value"] == pytest.approx(0.310202, abs=1e-6)
    assert code["target"]["value"] == pytest.approx(0.438691, abs=1e-6)
    paper = solved(capsys, *depths)
    assert paper["source"]["value"] == paper["decoder"]["value"]
    deeper, shallower = solved(capsys, "--layers", "12"), solved(capsys, "--layers", "3")
    assert code["encoder"]["value"] == pytest.approx(deeper["encoder"]["value"])
    assert code["decoder"]["value"] == pytest.approx(shallower["decoder"]["value"])
    assert deeper["decoder"]["value"] == pytest.approx(0.310202, abs=1e-6)  # by the deeper stack


def test_case_e2_forty_and_six_layers_are_solved(capsys: pytest.CaptureFixture[str]) -> None:
    depths = ("--encoder-layers", "40", "--decoder-layers", "6")
    code = solved(capsys, *depths, "--input-depth", "encoder")
    right = {"decoder": 0.368894, "encoder": 0.266268, "source": 0.229575, "target": 0.368894}
    for slot, value in right.items():
        assert code[slot]["value"] == pytest.approx(value, abs=1e-6)
    assert run(["solve", *depths, "--optimizer", "adam"]) == 0
    out = capsys.readouterr().out
    assert "with T-Fixup's scales kept, η ∝ N^(-1/2)" in out
    squared = solved(capsys, *depths, "--optimizer", "adam")
    assert squared["decoder"]["value"] == pytest.approx(code["decoder"]["value"] ** 2)


def test_case_e3_an_encoder_alone_is_solved(capsys: pytest.CaptureFixture[str]) -> None:
    for architecture, stack in (("encoder-only", "encoder"), ("decoder-only", "decoder")):
        scales = solved(capsys, "--architecture", architecture, "--layers", "12")
        assert scales[stack]["value"] == pytest.approx(0.343295, abs=1e-6)
    both = solved(capsys, "--layers", "12")
    assert both["encoder"]["value"] != pytest.approx(0.343295, rel=0.01)


@pytest.mark.slow
def test_case_e1_post_ln_grows_in_both_shapes() -> None:
    for ratio in (1, 4):

        def make(n: int, ratio: int = ratio) -> Made:
            return Translator(n, n // ratio, pre=False), pair()

        found = check(make, (4, 8, 16, 24), ("sgd",), seeds=3)
        assert found.verdict == "grows"
        assert found.wiring.startswith("Post-LN")
        assert {"encoder 24", f"decoder {24 // ratio}"} <= set(found.optimizers[0].layers)


DEPTHS = (3, 6, 12, 24)


@pytest.mark.slow
def test_case_f1_post_ln_beyond_12_layers() -> None:
    def of(pre: bool) -> Check:
        return check(lambda n: (Stack(n, pre=pre), tokens()), DEPTHS, ("sgd",), seeds=3)

    post, pre = of(False), of(True)
    assert post.verdict == "grows"
    assert exponent(totals(post)) == pytest.approx(1.6, abs=0.4)
    assert 2 * totals(pre).at(24) < totals(post).at(24)
    assert any("x + F(norm(x))" in way and "DeepNorm" in way and "T-Fixup" in way
               for way in post.advice)  # fmt: skip
    assert post.optimizers[0].driver.count("N^1") == 3
    tfixup = check(sound, DEPTHS, ("sgd",), seeds=3)
    assert tfixup.verdict != "grows"
    assert exponent(totals(tfixup)) < 0.2


@pytest.mark.slow
def test_case_f1_deepnorms_matrices_are_bounded_and_its_norms_are_not() -> None:
    found = check(deepnorm, DEPTHS, ("sgd",), seeds=3)
    for role in ("v", "out", "w_in", "w_out"):
        assert group(found, role).series.law.unbounded is not True
        assert exponent(group(found, role).series) < 0.1
    assert exponent(group(found, "norm").series) == pytest.approx(1.0, abs=0.1)
    assert found.verdict == "grows"
    assert found.optimizers[0].driver.startswith("Driven by the norms' gains and biases")
    assert "whatever the matrices' scales are" in found.advice[0]


def test_case_f1_the_numbers_of_two_ways_out(capsys: pytest.CaptureFixture[str]) -> None:
    scales = solved(capsys, "--architecture", "encoder-only", "--layers", "12")
    assert scales["encoder"]["value"] == pytest.approx(0.343295, abs=1e-6)
    published = solved(capsys, "--preset", "deepnorm-single", "--layers", "12")
    assert published["alpha"]["value"] == pytest.approx(2.2134, abs=5e-5)
    assert published["beta"]["value"] == pytest.approx(0.3195, abs=5e-5)


def test_case_f1_the_bottom_has_a_gradient_at_initialisation() -> None:
    """Of 24 layers of torch's Post-LN: what ends at the bottom is a trait of training, not of this.

    Reported is a bottom without gradient; at initialisation its gradient is three quarters of the
    top's.
    """
    torch.manual_seed(0)
    model = Stack(24)
    model(tokens()).square().sum().backward()
    norms = [
        sum(float(p.grad.square().sum()) for p in layer.parameters() if p.grad is not None) ** 0.5
        for layer in model.layers
    ]
    assert norms[0] / norms[-1] == pytest.approx(0.75, abs=0.25)
