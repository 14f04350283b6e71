"""Laws that every measured quantity obeys, on random small models in float64, by both engines."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from numerics.linearization.engines import LinearizationEngine
from numerics.linearization.types import Cotangent
from numerics.measure.report import UpdateReport
from numerics.measure.updates import measure_update
from numerics.models import Architecture, ModelSpec, Positions, Transformer
from numerics.models.attention import Attention
from numerics.models.tokens import TokenBatch, output_shape, random_batch
from numerics.schemes import build

# The first `torch.func.jvp` of a process compiles decompositions with the old compiler.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")

FEW = settings(deadline=None, max_examples=8, derandomize=True)
ENGINES: tuple[LinearizationEngine, ...] = ("closed-form", "autodiff")
CLOSED = ("tfixup", "pre-ln", "post-ln", "admin", "rezero", "deepnorm")
OTHERS = ("r-fixup", "dlcl-pre", "skip-init", "peri-ln")
PROPORTIONAL, SIGNED = ("sgd", "momentum"), ("sign", "lion")


@dataclass(frozen=True)
class Case:
    """A model away from its start, its batch, and the direction in which it is looked at."""

    model: Transformer
    batch: TokenBatch
    u: Tensor
    engine: LinearizationEngine

    def report(
        self, optimizer: str, cotangent: Cotangent | None = None, **options: Any
    ) -> UpdateReport:
        u = (lambda _: self.u) if cotangent is None else cotangent
        given: Mapping[str, Any] = {
            "dtype": "float64",
            "engine": self.engine,
            "cotangent": u,
        } | options
        return measure_update(
            self.model, self.batch, torch.Generator().manual_seed(7), optimizer=optimizer, **given
        )


@dataclass(frozen=True)
class Plan:
    """What is drawn of a case; the model itself is made inside the test."""

    scheme: str
    stacks: Architecture
    layers: tuple[int, int]
    heads: int
    d_ff: int
    positions: Positions
    seed: int
    engine: LinearizationEngine

    def made(self) -> Case:
        spec = ModelSpec(
            0 if self.stacks is Architecture.DECODER_ONLY else self.layers[0],
            0 if self.stacks is Architecture.ENCODER_ONLY else self.layers[1],
            d_model=6,
            d_ff=self.d_ff,
            heads=self.heads,
            vocabulary=9,
            architecture=self.stacks,
            positions=self.positions,
        )
        generator = torch.Generator().manual_seed(self.seed)
        model = build(self.scheme, spec, generator, dtype=torch.float64).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(0.2 * noise)
        batch = random_batch(model.spec, generator, sequences=3, tokens=4)
        u = torch.randn(output_shape(model.spec, batch), generator=generator, dtype=torch.float64)
        engine = self.engine if self.scheme in CLOSED else "autodiff"
        return Case(model, batch, u / u.norm(), engine)


def plans(
    positions: tuple[Positions, ...] = (Positions.NONE, Positions.SINUSOIDAL),
    stacks: tuple[Architecture, ...] = tuple(Architecture),
) -> st.SearchStrategy[Plan]:
    return st.builds(
        Plan,
        st.sampled_from((*CLOSED, *OTHERS)),
        st.sampled_from(stacks),
        st.tuples(st.integers(1, 2), st.integers(1, 2)),
        st.sampled_from((1, 2, 3)),
        st.integers(3, 8),
        st.sampled_from(positions),
        st.integers(0, 2**31),
        st.sampled_from(ENGINES),
    )


UNORDERED = (Positions.NONE,)


def same(found: UpdateReport, expected: UpdateReport, *, times: float = 1.0, energy: float = 1.0):
    """Both agree part by part, with the updates and energies of one multiplied."""
    for quantity, factor in (("update", times), ("gradient_energy", energy)):
        numbers, wanted = getattr(found, quantity), getattr(expected, quantity)
        floor = 1e-9 * factor * wanted["total"]
        for part, value in wanted.items():
            assert numbers[part] == pytest.approx(factor * value, rel=1e-7, abs=floor), part


@FEW
@given(plans(), st.floats(1e-3, 1e3), st.sampled_from((1.0, -1.0)))
def test_a_loss_times_c(plan: Plan, size: float, side: float):
    case = plan.made()
    c = size * side
    for optimizer in PROPORTIONAL:
        one = case.report(optimizer)
        same(case.report(optimizer, lambda _: c * case.u), one, times=size, energy=c**2)
    for optimizer in SIGNED:
        one = case.report(optimizer)
        same(case.report(optimizer, lambda _: c * case.u), one, energy=c**2)


@FEW
@given(plans(), st.floats(0.1, 10))
def test_orthogonal_and_layerwise_steps_do_not_follow_the_loss(plan: Plan, c: float):
    case = replace(plan.made(), engine="autodiff")
    for optimizer in ("muon", "lamb"):
        one, other = (case.report(optimizer, lambda _, c=c: c * case.u) for c in (1.0, c))
        # Adam's ε is 1e-8 of gradients of order one or less.
        assert other.update["total"] == pytest.approx(one.update["total"], rel=1e-3)
    assert case.report("sgd", lambda _: 2 * case.u).update["total"] != pytest.approx(
        case.report("sgd").update["total"], rel=1e-3
    )


@FEW
@given(plans(), st.permutations(range(3)))
def test_the_order_of_sequences_does_not_matter(plan: Plan, order: list[int]):
    case = plan.made()
    batch = TokenBatch(case.batch.source_BS[order], case.batch.target_BT[order])
    for optimizer in ("sgd", "sign"):
        same(replace(case, batch=batch, u=case.u[order]).report(optimizer), case.report(optimizer))


@FEW
@given(plans(UNORDERED, (Architecture.ENCODER_ONLY,)), st.permutations(range(4)))
def test_without_positions_or_a_mask_the_order_of_tokens_does_not_matter(
    plan: Plan, order: list[int]
):
    case = plan.made()
    batch = TokenBatch(case.batch.source_BS[:, order], case.batch.target_BT)
    for optimizer in ("sgd", "sign"):
        moved = replace(case, batch=batch, u=case.u[:, order])
        same(moved.report(optimizer), case.report(optimizer))


@FEW
@given(plans(UNORDERED, (Architecture.ENCODER_DECODER,)), st.permutations(range(4)))
def test_a_decoder_reads_a_memory_without_order(plan: Plan, order: list[int]):
    case = plan.made()
    batch = TokenBatch(case.batch.source_BS[:, order], case.batch.target_BT)
    same(replace(case, batch=batch).report("sgd"), case.report("sgd"))


@FEW
@given(plans(), st.permutations(range(9)))
def test_the_names_of_tokens_do_not_matter(plan: Plan, names: list[int]):
    case = plan.made()
    before = case.report("sgd", inputs="table")
    tables = {id(t): t for t in (case.model.source_embedding, case.model.target_embedding)}
    with torch.no_grad():
        for table in tables.values():
            table[names] = table.clone()
    renamed = torch.tensor(names)
    batch = TokenBatch(renamed[case.batch.source_BS], renamed[case.batch.target_BT])
    same(replace(case, batch=batch).report("sgd", inputs="table"), before)


@FEW
@given(plans(), st.randoms(use_true_random=False))
def test_the_order_of_heads_does_not_matter(plan: Plan, drawn):
    case = plan.made()
    before = {name: case.report(name) for name in ("sgd", "sign")}
    with torch.no_grad():
        for part in case.model.modules():
            if isinstance(part, Attention):
                order = drawn.sample(range(part.heads), part.heads)
                own = part.in_proj.unflatten(0, (3, part.heads, -1))
                part.in_proj.copy_(own[:, order].flatten(0, 2).clone())
                columns = part.out_proj.unflatten(1, (part.heads, -1))
                part.out_proj.copy_(columns[:, order].flatten(1).clone())
    for name, expected in before.items():
        same(case.report(name), expected)


@FEW
@given(plans(), st.sampled_from(("sgd", "sign")))
def test_rows_of_tokens_that_do_not_occur_change_nothing(plan: Plan, optimizer: str):
    case = plan.made()
    before = case.report(optimizer, inputs="table")
    seen = {
        id(case.model.source_embedding): case.batch.source_BS,
        id(case.model.target_embedding): case.batch.target_BT,
    }
    if case.model.source_embedding is case.model.target_embedding:
        seen = {id(case.model.source_embedding): _read(case)}
    with torch.no_grad():
        for table in (case.model.source_embedding, case.model.target_embedding):
            unused = sorted(set(range(9)) - set(seen[id(table)].flatten().tolist()))
            table[unused] = 100.0
        if case.model.output is not None:
            case.model.output.mul_(-3)
    same(case.report(optimizer, inputs="table"), before)


def _read(case: Case) -> Tensor:
    spec = case.model.spec
    both = [(spec.has_encoder, case.batch.source_BS), (spec.has_decoder, case.batch.target_BT)]
    return torch.cat([tokens.flatten() for there, tokens in both if there])


@FEW
@given(plans(), st.sampled_from(("sgd", "sign")))
def test_the_step_against_finite_differences(plan: Plan, optimizer: str):
    """f(θ ± ε s) by the model itself, and s from torch's own gradient of ⟨u, f⟩."""
    case = plan.made()
    model, batch = case.model, case.batch
    parameters = [p for p in model.parameters() if p is not model.output]
    slopes = torch.autograd.grad(
        (_features(model, batch) * case.u).sum(), parameters, materialize_grads=True
    )
    rule: Callable[[Tensor], Tensor] = torch.sign if optimizer == "sign" else torch.clone
    steps = [-rule(slope) for slope in slopes]
    size = 1e-5 / max(1.0, math.sqrt(sum(float(s.square().sum()) for s in steps)))
    ends = []
    with torch.no_grad():
        for side in (1, -2):
            for parameter, step in zip(parameters, steps, strict=True):
                parameter.add_(side * size * step)
            ends.append(_features(model, batch))
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.add_(size * step)
    moved = float((ends[0] - ends[1]).norm()) / (2 * size)
    found = case.report(optimizer, inputs="table")
    assert found.update["total"] == pytest.approx(moved, rel=1e-5)
    energy = sum(float(slope.square().sum()) for slope in slopes)
    assert found.gradient_energy["total"] == pytest.approx(energy, rel=1e-9)


def _features(model: Transformer, batch: TokenBatch) -> Tensor:
    return model.features(batch.source_BS, batch.target_BT)
