"""Cases A3, C9, D1, D2, D8, D10, E4 and H1: what `check` must say about them."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from numerics.own_model.check.check import check
from numerics.own_model.check.result import Check
from numerics.own_model.check.types import OptimizerCheck, SizeSeries
from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import module_function
from numerics.own_model.measurement.measure import measure_module
from numerics.own_model.measurement.probe import probe
from numerics.statistics.exponents import Exponent, power_law
from numerics.statistics.growth_laws import GrowthLaw, growth_law
from numerics.structure.trace import trace_structure
from tests.numerics.own_model.check.models import (
    Block,
    Model,
    copied_,
    gpt2_,
    tfixup_,
    tokens,
    xavier_,
)

DEPTHS = (2, 4, 8, 16)


def one(found: Check, optimizer: str = "sgd") -> OptimizerCheck:
    return next(o for o in found.optimizers if o.optimizer == optimizer)


def exponent(series: SizeSeries) -> float:
    fit = series.law.exponent
    assert isinstance(fit, Exponent)
    return fit.value


def totals(
    make: Callable[[int], Model], values: Sequence[int], optimizer: str = "sgd", seeds: int = 3
) -> SizeSeries:
    """The total alone, which takes one pass per model."""
    sizes: list[int] = []
    found: list[float] = []
    for size in values:
        for seed in range(seeds):
            torch.manual_seed(seed)
            update = measure_module(make(size), tokens(), (optimizer,), seed=seed, split=False)
            sizes.append(size)
            found.append(update[optimizer].total)
    return SizeSeries(tuple(sizes), tuple(found), growth_law(sizes, found))


def run(make: Callable[[int], Model], values: tuple[int, ...] = DEPTHS, **options: object) -> Check:
    settings = {"optimizers": ("sgd",), "seeds": 2} | options
    return check(lambda n: (make(n), tokens()), values, **settings)  # type: ignore[arg-type]


@pytest.mark.slow
def test_case_a3_the_wrong_matrix_scaled_leaves_the_total() -> None:
    parts: dict[str, list[dict[str, float]]] = {"w2": [], "w3": []}
    totals: dict[str, list[float]] = {"w2": [], "w3": []}
    for scaled in ("w2", "w3"):
        for seed in range(3):
            torch.manual_seed(seed)
            model = gpt2_(Model(12, gated=True), scaled=("o", scaled))
            structure = trace_structure(model, tokens())
            found = measure_module(model, tokens(), ("sgd",), seed=seed, structure=structure)["sgd"]
            parts[scaled].append(dict(found.by_role))
            totals[scaled].append(found.total)

    def mean(scaled: str, role: str) -> float:
        return sum(p[role] for p in parts[scaled]) / 3

    assert sum(totals["w3"]) == pytest.approx(sum(totals["w2"]), rel=0.05)
    # The shares of w2 (w_out) and w3 (w_in) are exchanged: 47.2 → 2.0 and 2.1 → 50.7.
    assert mean("w2", "w_out") / mean("w3", "w_out") == pytest.approx(24, rel=0.3)
    assert mean("w3", "w_in") / mean("w2", "w_in") == pytest.approx(24, rel=0.3)


def test_case_c9_rezeros_gates_grow_linearly() -> None:
    """One token of width 8: deeper than f has coordinates, the gates' changes add up."""
    ids = tokens(sequences=1, length=1)
    sizes: list[int] = []
    gates: dict[str, list[float]] = {"sgd": [], "adamw": []}
    for n in (16, 32, 64):
        for seed in range(6):
            torch.manual_seed(1000 * n + seed)
            found = measure_module(xavier_(Model(n, "rezero", d=8)), ids, tuple(gates), seed=seed)
            sizes.append(n)
            for optimizer, values in gates.items():
                values.append(found[optimizer].by_role["blocks.*.gate"])
    for values in gates.values():
        fit = power_law(sizes, values)
        assert isinstance(fit, Exponent)
        assert fit.value == pytest.approx(1.0, abs=0.25)


def test_case_c9_what_does_not_move() -> None:
    found = run(lambda n: gpt2_(Model(n, "rezero")), (2, 3, 4))
    shares = {g.name: g.share for g in one(found).groups}
    assert shares["scalar"] > 0.0
    assert shares["w_out"] == shares["out"] == shares["v"] == shares["w_in"] == 0.0
    for name in ("attention.q", "attention.k", "attention.v", "attention.o", "mlp.w1", "mlp.w2"):
        assert f"blocks.*.{name}.weight" in found.dead


def test_case_d1_copied_layers() -> None:
    values = (4, 8, 16, 32)

    def independent(n: int) -> Model:
        return tfixup_(Model(n, "none", causal=False))

    apart = totals(independent, values)
    copies = totals(lambda n: copied_(independent(n)), values)
    assert exponent(apart) < 0.2
    assert apart.law.unbounded is not True
    assert exponent(copies) > 1.2
    assert copies.law.unbounded
    assert copies.law.law == "exponential"


@pytest.mark.slow
def test_case_d1_check_says_that_layers_are_copies() -> None:
    copies = run(lambda n: copied_(tfixup_(Model(n, "none", causal=False))), (4, 8, 12, 16))
    assert copies.verdict == "grows"
    assert "copies of one another" in copies.copies
    assert any("independent draws" in sentence for sentence in copies.advice)
    assert run(lambda n: tfixup_(Model(n, "none")), (2, 3, 4)).copies == ""


def test_case_d1_copies_do_not_matter_for_gpt2() -> None:
    values = (2, 4, 8, 16, 32)
    apart = exponent(totals(lambda n: gpt2_(Model(n)), values))
    copies = exponent(totals(lambda n: copied_(gpt2_(Model(n))), values))
    assert copies == pytest.approx(apart, abs=0.2)


def test_case_d2_the_residual_is_taken_after_the_norm() -> None:
    pre, wrong, post = (
        totals(lambda n, w=w: xavier_(Model(n, w)), DEPTHS) for w in ("pre", "miswired", "post")
    )
    for depth in DEPTHS:
        assert wrong.at(depth) == pytest.approx(post.at(depth), rel=0.2)
    assert 10 * pre.at(16) < wrong.at(16)
    assert wrong.law.unbounded
    assert wrong.law.law != "log N"


@pytest.mark.slow
def test_case_d2_check_says_what_the_wiring_does() -> None:
    found = {
        w: run(lambda n, w=w: xavier_(Model(n, w)), (2, 4, 6, 8), seeds=2)
        for w in ("pre", "miswired", "post")
    }
    assert "no path from input to output is free of norms" in found["miswired"].wiring
    assert any("x + F(norm(x))" in sentence for sentence in found["miswired"].advice)
    assert found["pre"].wiring.startswith("Pre-LN")
    assert found["post"].wiring.startswith("Post-LN")
    assert not any("norms" in sentence for sentence in found["pre"].advice)


@pytest.mark.slow
def test_case_d8_zero_outputs_move_alone() -> None:
    def zero_out(n: int) -> Model:
        model = gpt2_(Model(n))
        with torch.no_grad():
            for block in model.blocks:
                block.attention.o.weight.zero_()
                block.mlp.w2.weight.zero_()
        return model

    found = run(zero_out, optimizers=("sgd",), steps=2, lr=0.1)
    shares = {g.name: g.share for g in one(found).groups}
    assert shares["q"] == shares["k"] == shares["v"] == shares["w_in"] == 0.0
    assert shares["out"] + shares["w_out"] + shares["embedding"] == pytest.approx(1, abs=0.05)
    assert "blocks.*.attention.v.weight" in found.waiting
    assert "blocks.*.mlp.w1.weight" in found.waiting
    assert found.dead == ()
    only_once = run(zero_out, (2, 3, 4, 5), seeds=1)
    assert "blocks.*.mlp.w1.weight" in only_once.dead  # one step cannot tell them apart


@pytest.mark.slow
def test_case_d10_gpt2_keeps_the_stream_and_not_the_update() -> None:
    found = run(lambda n: gpt2_(Model(n)), (2, 4, 8, 16, 32), optimizers=("sgd", "adamw"), lr=3e-4)
    sgd, adam = one(found), one(found, "adamw")
    for depth, right in zip((2, 4, 8, 16, 32), (99, 183, 347, 679, 1399), strict=True):
        assert sgd.total.at(depth) == pytest.approx(right, rel=0.2)
    assert exponent(sgd.total) == pytest.approx(0.98, abs=0.1)
    assert found.verdict == sgd.verdict == adam.verdict == "grows"
    assert sgd.total.law.law == "N^p"
    assert found.stream is not None
    assert found.stream.law.law == "bounded"
    assert found.exit_code == 1
    assert "out" in sgd.driver
    assert any("depth-μP" in sentence for sentence in found.advice)
    assert adam.predicted == pytest.approx(3e-4 * adam.relative)
    assert adam.largest_rate * adam.relative == pytest.approx(1.0)


def stream_law(
    factor: Callable[[int, int], float], values: Sequence[int], seeds: int = 3
) -> GrowthLaw:
    """The law of the stream's mean square, with a factor on what writes to it."""
    sizes: list[int] = []
    squares: list[float] = []
    for n in values:
        for seed in range(seeds):
            torch.manual_seed(100 * n + seed)
            model = xavier_(Model(n))
            with torch.no_grad():
                model.embedding.weight.mul_(0.1)
                for layer, block in enumerate(model.blocks, start=1):
                    block.attention.o.weight.mul_(factor(layer, n))
                    block.mlp.w2.weight.mul_(factor(layer, n))
            with measuring():
                f = module_function(model, tokens(sequences=64, length=1))
            sizes.append(n)
            squares.append(probe(f).stream[-1] ** 2)
    return growth_law(sizes, squares)


@pytest.mark.slow
def test_case_e4_a_harmonic_sum_is_a_logarithm() -> None:
    """Factors 1/√(2l) by layer give the stream the variance H_N, 1/√(2N) for all gives 1.

    Sequences of one token: averages over tokens that become alike would let later layers add more.
    """
    harmonic = stream_law(lambda layer, _: (2 * layer) ** -0.5, (4, 8, 16, 32, 64), seeds=6)
    assert harmonic.unbounded
    assert harmonic.law == "log N"
    flat = stream_law(lambda _, n: (2 * n) ** -0.5, DEPTHS)
    assert flat.law == "bounded"
    linear = stream_law(lambda _, __: 1.0, DEPTHS)
    assert linear.law == "N^p"


def _divided(module: nn.Module, _: object, output: Tensor) -> Tensor:
    """A linear layer's output over its fan-in."""
    assert isinstance(module, nn.Linear)
    return output / module.in_features


class Readout(nn.Module):
    """A decoder whose widths are parametrised, for one Adam rate, as standard or as μP.

    With μP under one rate for all tensors a hidden matrix is W/d with W of std √d: a step of Adam
    moves W x/d by η, whatever d. The readout's product carries 1/d likewise.
    """

    def __init__(self, width: int, layers: int, mup: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(64, width)
        self.blocks = nn.ModuleList(Block("pre", width) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 64, bias=False)
        nn.init.normal_(self.embedding.weight)
        self.mup = mup
        for name, p in self.blocks.named_parameters():
            if p.dim() == 2:
                fan_in = p.shape[1]
                nn.init.normal_(p, std=fan_in**0.5 if mup else fan_in**-0.5)
                if mup:
                    module = self.blocks.get_submodule(name.removesuffix(".weight"))
                    module.register_forward_hook(_divided)
        nn.init.normal_(self.head.weight, std=0.0 if mup else width**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        x = self.head(self.norm(x))
        return x / self.head.in_features if self.mup else x


@pytest.mark.slow
def test_case_h1_width() -> None:
    def make(mup: bool) -> Callable[[int], tuple[nn.Module, Tensor]]:
        return lambda width: (Readout(width, 2, mup), tokens())

    values = (16, 32, 64, 128)
    standard = check(make(False), values, ("adamw",), over="width", seeds=3)
    sites = one(standard, "adamw").sites
    assert set(sites) == {"embedding", "blocks", "readout"}
    assert sites["embedding"].law.law == "bounded"
    assert sites["blocks"].law.unbounded
    assert standard.verdict == "grows"
    assert any("μP" in sentence for sentence in standard.advice)
    mup = check(make(True), values, ("adamw",), over="width", seeds=3)
    sites = one(mup, "adamw").sites
    assert not sites["embedding"].law.unbounded
    assert not sites["blocks"].law.unbounded
    assert mup.verdict != "grows"
