"""Real steps in a sweep: branches that start at 0, the real loss, and hashes that stay."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from numerics.cli.main import run
from numerics.linearization.cotangents import cross_entropy_cotangent
from numerics.models import Architecture, single_stack
from numerics.models.tokens import random_batch
from numerics.schemes import build
from numerics.sweeps.grid import SweepConfig, SweepSettings, SweepTask
from numerics.sweeps.run import run_sweep
from numerics.sweeps.task import drawn, loss_of, measure_task
from theory.errors import InputError

SMALL = SweepSettings(
    architecture="decoder-only",
    d_model=8,
    d_ff=12,
    vocabulary=20,
    sequences=2,
    tokens=4,
    inputs="table",
    positions="learned",
    steps=3,
    lr=0.01,
)


def values(settings=SMALL, scheme="zero-out", optimizer="sgd", depth=2):
    rows = measure_task(SweepTask(settings, scheme, optimizer, depth, 0))
    return {
        row["quantity"]: row["value"]
        for row in rows.filter(pl.col("part") == "total").iter_rows(named=True)
    }


@pytest.mark.parametrize("loss", ["random", "cross-entropy"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon", "momentum"])
def test_zero_writers_are_dead_at_the_first_step_and_alive_afterwards(optimizer, loss):
    found = values(replace(SMALL, loss=loss), optimizer=optimizer)
    # Of 2 layers: q, k, v in one tensor and W₁ each, and the gains of QK-norm.
    assert found["without_gradient_1"] > 0.3
    assert found["without_gradient_2"] == found["without_gradient_3"] == 0.0
    assert 0 < found["change_1"] < found["change_3"]


def test_a_scheme_with_drawn_writers_is_alive_at_once():
    found = values(scheme="pre-ln")
    assert found["without_gradient_1"] == 0.0


def test_the_first_step_of_a_small_rate_is_the_limit_and_k_steps_are_k_times_it():
    found = values(replace(SMALL, lr=1e-6), scheme="pre-ln")
    for t in (1, 2, 3):
        assert found[f"change_{t}"] / 1e-6 == pytest.approx(t * found["update"], rel=1e-3)
    other = values(replace(SMALL, lr=0.3), scheme="pre-ln")
    assert other["change_3"] / 0.3 != pytest.approx(3 * other["update"], rel=1e-3)


@pytest.mark.parametrize("name", ["sgd", "adamw:weight_decay=0.1:eps=1e-4", "momentum"])
def test_steps_on_the_real_loss_are_those_of_torchs_optimizer(name):
    settings = replace(SMALL, loss="cross-entropy", lr=0.05)
    found = values(settings, scheme="pre-ln", optimizer=name)
    model, batch = drawn(SweepTask(settings, "pre-ln", name, 2, 0))
    model = model.double()
    moved = [p for n, p in model.named_parameters() if n != "output"]
    optimizer = {
        "sgd": lambda: torch.optim.SGD(moved, lr=0.05),
        "momentum": lambda: torch.optim.SGD(moved, lr=0.05, momentum=0.9),
        "adamw:weight_decay=0.1:eps=1e-4": lambda: torch.optim.AdamW(
            moved, lr=0.05, weight_decay=0.1, eps=1e-4
        ),
    }[name]()
    start = model.features(batch.source_BS, batch.target_BT).detach()
    for t in (1, 2, 3):
        logits = model(batch.source_BS, batch.target_BT)
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), batch.target_BT.roll(-1, 1).flatten()).backward()
        optimizer.step()
        now = model.features(batch.source_BS, batch.target_BT).detach()
        assert found[f"change_{t}"] == pytest.approx(float((now - start).norm()), rel=1e-6)
        wrong = float((now - start).norm()) * 1.01
        assert found[f"change_{t}"] != pytest.approx(wrong, rel=1e-6)


@pytest.mark.parametrize("scheme", ["completep:base_width=4", "u-mup", "pre-ln"])
def test_the_real_losss_gradient_counts_the_logit_multiplier(scheme):
    spec = single_stack(Architecture.DECODER_ONLY, 1, d_model=8, d_ff=12, vocabulary=20)
    model = build(scheme, spec, torch.Generator().manual_seed(0), dtype=torch.float64)
    batch = random_batch(model.spec, torch.Generator().manual_seed(1), sequences=2, tokens=3)
    assert model.output is not None
    nn.init.normal_(model.output, generator=torch.Generator().manual_seed(2))
    features = model.features(batch.source_BS, batch.target_BT).detach().requires_grad_()
    logits = model.spec.logit_multiplier * features @ model.output.T
    labels = batch.target_BT.roll(-1, 1)
    F.cross_entropy(logits.flatten(0, 1), labels.flatten()).backward()
    assert features.grad is not None
    whole = cross_entropy_cotangent(model, labels, unit=False)(features.detach())
    torch.testing.assert_close(whole, features.grad)
    unit = cross_entropy_cotangent(model, labels)(features.detach())
    torch.testing.assert_close(unit, features.grad / features.grad.norm())


def test_settings_of_first_steps_have_the_hashes_of_recorded_sweeps():
    """Hashes of results/modern-64 and results/sweep, as their rows hold them."""
    for folder in ("modern-64", "sweep"):
        place = Path("results") / folder
        held = json.loads((place / "manifest.json").read_text())["settings"]
        row = pl.read_parquet(place / "rows.parquet").row(0, named=True)
        depth = max(row["n_encoder"], row["n_decoder"])
        own = SweepSettings(**held)
        task = SweepTask(own, row["scheme"], row["optimizer"], depth, row["seed"])
        assert task.hash == row["task"]
        assert own.stored() == held
        for changed in (replace(own, steps=2, lr=0.1), replace(own, earlier=3)):
            assert replace(task, settings=changed).hash != row["task"]


def test_earlier_noise_makes_momentum_larger_and_adam_smaller():
    first = replace(SMALL, steps=1, lr=None)
    later = replace(first, earlier=20)
    bigger = (
        values(later, "pre-ln", "momentum")["update"]
        / values(first, "pre-ln", "momentum")["update"]
    )
    smaller = (
        values(later, "pre-ln", "adamw")["update"] / values(first, "pre-ln", "adamw")["update"]
    )
    assert smaller < 0.6 < 1.2 < bigger


def test_by_layer_the_step_is_that_of_the_parts():
    settings = replace(SMALL, loss="cross-entropy", steps=1, lr=None, detail="layer")
    rows = measure_task(SweepTask(settings, "pre-ln", "sgd", 2, 0))
    energy = {
        row["part"]: row["value"]
        for row in rows.filter(pl.col("quantity") == "gradient_energy").iter_rows(named=True)
    }
    layers = energy["decoder.mlp.0"] + energy["decoder.mlp.1"]
    assert layers == pytest.approx(energy["decoder.mlp"], rel=1e-4)
    model, batch = drawn(SweepTask(settings, "pre-ln", "sgd", 2, 0))
    assert (
        loss_of(
            SweepTask(replace(settings, loss="random"), "pre-ln", "sgd", 2, 0),
            model,
            batch,
            unit=True,
        )
        is None
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 3, "lr": None}, "lr is the rate of real steps"),
        ({"steps": 1, "lr": 0.1}, "lr is the rate of real steps"),
        ({"steps": 0, "lr": None}, "steps must"),
        ({"steps": 2, "lr": -1.0}, "lr must"),
        ({"steps": 1, "lr": None, "earlier": -1}, "earlier must"),
        ({"earlier": 2}, "earlier needs one step"),
        ({"steps": 1, "lr": None, "earlier": 2, "loss": "cross-entropy"}, "loss random"),
        ({"loss": "cross-entrpy"}, "did you mean 'cross-entropy'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **changes).check()


def test_the_command_prints_what_the_steps_did(capsys, tmp_path):
    code = run(
        [
            *("sweep", "--architecture", "decoder-only", "--schemes", "zero-out"),
            *("--depths", "1,2", "--optimizers", "sgd", "--seeds", "2", "--steps", "2"),
            *("--lr", "0.01", "--d-model", "8", "--d-ff", "12", "--vocabulary", "20"),
            *("--sequences", "2", "--tokens", "4", "--no-progress", "--workers", "1"),
            *("--out", str(tmp_path / "kept")),
        ]
    )
    told = capsys.readouterr().out
    assert code == 0
    assert "after t real steps" in told
    assert "without a gradient" in told
    grid = SweepConfig(
        ("zero-out",), ("sgd",), (1, 2), 2,
        SweepSettings(
            architecture="decoder-only", d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4,
            steps=2, lr=0.01,
        ),
    )  # fmt: skip
    assert len(run_sweep(grid, tmp_path / "kept")["task"].unique()) == 4
