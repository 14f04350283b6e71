"""Measurement and training evidence: the statistic decides, and its control can fail."""

from dataclasses import replace

import polars as pl
import pytest
import torch

from numerics.evidence import (
    PROVIDERS,
    conditions,
    depth,
    layer_norm,
    official_code,
    skip_path,
    theorem31,
)
from numerics.evidence.recorded_sweep import recorded_or_fresh, reproduced
from numerics.evidence.training import Comparison, comparisons, no_warmup, recorded
from numerics.models import ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build
from numerics.statistics.exponents import Exponent, NoExponent
from numerics.statistics.tolerances import tolerance
from numerics.sweeps.grid import SweepSettings
from numerics.sweeps.run import run_sweep
from numerics.training import task
from numerics.training.config import TrainConfig
from numerics.training.loop import run_training
from numerics.training.outcome import RunOutcome
from theory.claims import Context
from theory.ledger import LEDGER


def test_every_provider_speaks_about_rows_of_the_ledger():
    known = {claim.id for claim in LEDGER}
    assert {claim for provider in PROVIDERS for claim in provider.claims} <= known


@pytest.mark.parametrize(
    "provider",
    [
        layer_norm.layer_norm,
        official_code.code_init,
        theorem31.theorem,
        theorem31.bounded_upper,
        skip_path.skip,
    ],
    ids=lambda provider: provider.claims[0],
)
def test_cheap_evidence_is_admissible_at_another_seed(provider):
    for item in provider(Context(seed=7)):
        assert item.admissible, item.summary


def test_the_gain_by_automatic_differentiation_has_the_published_value():
    one = torch.ones(1, dtype=torch.float64)
    points = theorem31.Points(
        torch.tensor([[1.0, 2.0]], dtype=torch.float64),
        torch.tensor([[0.1, 0.1, 100.0, 0.0]], dtype=torch.float64),
        one,
    )
    length = 100.0
    published = (length**2 + 72 * length + 8) / (16 * length**2)
    assert float(theorem31.gains(points)) == pytest.approx(published, rel=1e-12)


def test_energies_are_squared_gradient_norms():
    generator = torch.Generator().manual_seed(0)
    model = build("tfixup", ModelSpec(1, 1, d_model=8, d_ff=8, vocabulary=10), generator).double()
    batch = random_batch(model.spec, generator, sequences=1, tokens=2)
    seed = 11
    found = conditions.energies(model, batch, torch.Generator().manual_seed(seed))
    x = model.embed(model.source_embedding, batch.source_BS).detach()
    drawn = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).double()
    drawn = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u = drawn / drawn.norm()
    name = "mlp.branch.w2"
    weight = model.encoder[0].get_parameter(name)
    total = 0.0
    for parameter in model.encoder.parameters():
        for position in range(parameter.numel()):
            total += _slope(model, parameter, position, x, u) ** 2
    assert found["encoder"] == pytest.approx(total, rel=1e-5)
    assert weight.shape == (8, 8)


def _slope(model, parameter, position, x, u, h=1e-6):
    flat = parameter.detach().reshape(-1)
    before = float(flat[position])
    values = []
    with torch.no_grad():
        for shifted in (before + h, before - h):
            flat[position] = shifted
            values.append(float((model.encode(x) * u).sum()))
        flat[position] = before
    return (values[0] - values[1]) / (2 * h)


def fit(value: float, half: float) -> Exponent:
    return Exponent(value, (value - half, value + half), (6.0, 12.0, 25.0), 9)


@pytest.mark.parametrize(
    ("fits", "decision"),
    [
        ({"total": fit(0.0, 0.01), "decoder": fit(0.01, 0.02)}, True),
        ({"total": fit(0.0, 0.01), "decoder": fit(0.25, 0.02)}, False),
        ({"total": fit(0.0, 0.01), "decoder": fit(0.03, 0.04)}, None),
        ({"total": fit(0.0, 0.01), "decoder": NoExponent("not finite from N = 50")}, False),
    ],
)
def test_one_part_that_is_not_flat_decides_against_the_goal(fits, decision):
    assert depth.all_equivalent(fits, 0.0, 0.05) is decision


def test_a_record_is_believed_only_where_it_can_be_repeated():
    settings = SweepSettings(d_model=8, d_ff=8, heads=1, vocabulary=20, sequences=1, tokens=4)
    rows = run_sweep(replace(depth.REPEATED, settings=settings))
    assert reproduced(rows, settings, depth.REPEATED) < tolerance("repeated-measurement")
    tampered = rows.with_columns(
        pl.when((pl.col("part") == "encoder.mlp") & (pl.col("n_encoder") == 25))
        .then(pl.col("value") * 1.01)
        .otherwise(pl.col("value"))
        .alias("value")
    )
    assert reproduced(tampered, settings, depth.REPEATED) > tolerance("repeated-measurement")


def test_a_record_that_cannot_be_repeated_decides_nothing_about_adam(monkeypatch):
    found = recorded_or_fresh(
        Context(), depth.RECORD, depth.REPEATED_SIGNS, lambda: pytest.fail("nothing is recorded")
    )
    assert found.believed
    for rows, decided in ((found, {True, False}), (replace(found, deviation=1.0), {None})):
        monkeypatch.setattr(depth, "recorded_or_fresh", lambda *_, rows=rows: rows)
        assert {item.passed for item in depth.adam(Context())} == decided


@pytest.mark.slow
def test_the_recorded_sweep_decides_the_goal():
    (item,) = depth.goal(Context())
    assert item.admissible, item.summary
    assert item.passed
    assert item.source.startswith("recorded")


TRAINED, STUCK, DIVERGED = RunOutcome.TRAINED, RunOutcome.STUCK, RunOutcome.DIVERGED


@pytest.mark.parametrize(
    ("outcomes", "decision"),
    [
        ([TRAINED, TRAINED], True),
        ([TRAINED, STUCK], False),
        ([TRAINED], None),
        ([], None),
    ],
)
def test_a_comparison_needs_two_seeds_that_agree(outcomes, decision):
    group = Comparison("d", 12, {"tfixup": outcomes}, {"tfixup": [1.0] * len(outcomes)}, {})
    assert group.all_are("tfixup", TRAINED) is decision


def test_runs_are_compared_only_where_everything_else_agrees():
    runs = recorded(Context())
    assert runs
    other = replace(runs[0], config={**runs[0].config, "lr": 0.5})
    assert len(comparisons([*runs, other])) == len(comparisons(runs)) + 1
    elsewhere = replace(runs[0], data={**runs[0].data, "sha256": "of another text"})
    assert len(comparisons([*runs, elsewhere])) == len(comparisons(runs)) + 1


@pytest.fixture
def recorded_results(tmp_path, monkeypatch):
    """Two schemes, two seeds each, trained for a moment on generated data."""
    monkeypatch.setattr(task, "VALIDATION_PAIRS", 100)
    for scheme in ("tfixup", "post-ln"):
        for seed in (0, 1):
            config = TrainConfig(
                scheme=scheme,
                layers=1,
                d_model=8,
                d_ff=8,
                heads=1,
                pairs=200,
                vocabulary=300,
                steps=2,
                seed=seed,
                validate_every=2,
            )
            run_training(config, tmp_path / f"train/generated/{scheme}-1-{seed}")
    return tmp_path


def test_recorded_runs_can_be_repeated_and_give_the_same_losses(recorded_results):
    before = {path.name: path.stat().st_mtime for path in recorded_results.rglob("*")}
    read = recorded(Context(results=recorded_results))
    repeated = recorded(Context(results=recorded_results, rerun=True))
    assert [run.validation_loss for run in read] == [run.validation_loss for run in repeated]
    assert before == {path.name: path.stat().st_mtime for path in recorded_results.rglob("*")}


def test_runs_that_did_not_train_are_evidence_against_the_claim(recorded_results):
    (item,) = no_warmup(Context(results=recorded_results))
    assert item.passed is False
    assert not list(no_warmup(Context(results=recorded_results / "nowhere")))
