import json
import math
import shutil
from dataclasses import replace

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from numerics.schemes import build
from numerics.training import checkpoint, loop, outcome, step
from numerics.training.config import TrainConfig
from numerics.training.loop import run_training
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import CHECKPOINT, CONFIG, LOG, OUTCOME, read_run, read_runs
from tests.numerics.training.short_run import TINY, contents, interrupt, losses
from theory.errors import InputError

pytestmark = pytest.mark.usefixtures("few_validation_pairs")


def test_the_run_is_recorded(whole):
    run = read_run(whole)
    log = pl.read_parquet(whole / LOG)
    assert run.steps == 16
    assert run.config == TINY.stored() | {
        "device": "cpu" if not torch.cuda.is_available() else "cuda"
    }
    assert run.data["train_pairs"] == 300
    assert run.provenance["command"] == TINY.command()
    assert log["step"].to_list() == list(range(1, 17))
    assert log.filter(pl.col("validation_loss").is_not_null())["step"].to_list() == [6, 12, 16]
    assert log["validation_loss"][-1] == pytest.approx(run.validation_loss, rel=1e-12)
    assert run.interval[0] < run.validation_loss < run.interval[1]
    assert (log["gradient_norm"] > 0).all()
    assert (log["update_norm"] > 0).all()
    assert run.tokens_per_second > 0


def test_runs_below_a_folder(whole, tmp_path):
    interrupt(TINY, tmp_path / "unfinished", 4)
    shutil.copytree(whole, tmp_path / "data" / "b")
    shutil.copytree(whole, tmp_path / "data" / "a")
    assert [run.path.name for run in read_runs(tmp_path)] == ["a", "b"]


def test_adams_first_update_is_the_learning_rate_in_every_coordinate(whole):
    model = build("tfixup", loop.model_spec(TINY), torch.Generator())
    largest = TINY.lr * sum(parameter.numel() for parameter in model.parameters()) ** 0.5
    first = pl.read_parquet(whole / LOG)["update_norm"][0]
    assert 0.5 * largest < first <= largest * (1 + 1e-4)


@pytest.mark.parametrize("taken", [2, 5, 14])
def test_interrupted_and_resumed_is_bit_identical(whole, tmp_path, taken):
    out = tmp_path / "run"
    interrupt(TINY, out, taken)
    assert not (out / OUTCOME).exists()
    run = run_training(TINY, out)
    assert_frame_equal(losses(out), losses(whole), check_exact=True)
    assert run.validation_loss == read_run(whole).validation_loss


def test_a_resume_that_loses_one_batch_is_noticed(whole, tmp_path):
    out = tmp_path / "run"
    interrupt(TINY, out, 7)
    state = torch.load(out / CHECKPOINT, weights_only=True)
    state["progress"]["batch"] += 1
    torch.save(state, out / CHECKPOINT)
    run_training(TINY, out)
    assert losses(out)["loss"][:6].equals(losses(whole)["loss"][:6])
    assert not losses(out)["loss"].equals(losses(whole)["loss"])


def test_interrupted_after_the_last_step(whole, tmp_path):
    out = tmp_path / "run"
    interrupt(TINY, out, TINY.steps)
    assert run_training(TINY, out).validation_loss == read_run(whole).validation_loss


def test_a_finished_run_is_read_not_repeated(whole):
    before = contents(whole)
    assert run_training(TINY, whole) == read_run(whole)
    assert contents(whole) == before


def test_a_run_of_fewer_steps_is_taken_further_as_if_it_had_never_ended(
    whole, tmp_path, monkeypatch
):
    out, short = tmp_path / "run", replace(TINY, steps=7)  # no step of a checkpoint or a validation
    assert run_training(short, out).steps == 7
    (out / "bleu-validation.json").write_text("{}")
    shutil.copytree(out, tmp_path / "again")
    run = run_training(TINY, out)
    assert run == replace(read_run(whole), path=out, provenance=run.provenance, **rate(run))
    assert_frame_equal(losses(out), losses(whole))
    assert not (out / "bleu-validation.json").exists()
    with pytest.raises(InputError, match="config steps is 16 there and 7 here"):
        run_training(short, out)
    # The control: the validation of the earlier end is left in the log.
    monkeypatch.setattr(loop, "_forget_an_earlier_end", lambda *_: None)
    run_training(TINY, tmp_path / "again")
    assert not losses(tmp_path / "again").equals(losses(whole))


@pytest.mark.parametrize("taken", [3, 9])
def test_a_run_taken_further_and_interrupted_goes_on(whole, tmp_path, taken):
    """Of the short run, and of the long one: the folder is that of the long run from its start."""
    out = tmp_path / "run"
    run_training(replace(TINY, steps=7), out)
    interrupt(TINY, out, max(taken, 7))
    assert not (out / OUTCOME).exists()
    run_training(TINY, out)
    assert_frame_equal(losses(out), losses(whole))


def rate(run):
    return {"tokens_per_second": run.tokens_per_second}


def test_the_seed_matters(whole, tmp_path):
    run_training(replace(TINY, seed=1, steps=2), tmp_path / "run")
    assert losses(tmp_path / "run")["loss"][0] != losses(whole)["loss"][0]


def test_the_average_of_the_last_checkpoints(tmp_path):
    config = replace(TINY, average=3, steps=12)
    run_training(config, tmp_path / "run")
    path = tmp_path / "run" / CHECKPOINT
    states = [torch.load(file)["model"] for file in checkpoint.kept(path)]
    assert len(states) == 3
    averaged = checkpoint.averaged_weights(path, 3)
    for name, value in averaged.items():
        torch.testing.assert_close(value, sum(state[name] for state in states) / 3)
    assert checkpoint.averaged_weights(path, 1)["target_embedding"].equal(
        states[0]["target_embedding"]
    )
    with pytest.raises(InputError, match="must hold 4 checkpoints, and holds 3"):
        checkpoint.averaged_weights(path, 4)
    with pytest.raises(InputError, match="checkpoint_every is 3 there and 4 here"):
        run_training(replace(config, checkpoint_every=4), tmp_path / "run")


def test_long_sentences_are_dropped_and_counted_where_that_is_configured(tmp_path):
    config = replace(TINY, max_length=20, steps=1)
    with pytest.raises(
        InputError, match=r"max_length must be at least .*\d+, got 20; too_long drop"
    ):
        run_training(config, tmp_path / "run")
    run = run_training(replace(config, too_long="drop"), tmp_path / "run")
    assert 0 < run.dropped < 400
    assert read_run(tmp_path / "run").dropped == run.dropped
    with pytest.raises(InputError, match="max_length 2 leaves no training pair of 300"):
        run_training(replace(config, too_long="drop", max_length=2), tmp_path / "none")


def test_clipping_bounds_the_step_and_logs_the_whole_norm(whole, tmp_path):
    config = replace(TINY, optimizer="sgd", lr=1.0, clip=1e-3, steps=2)
    run_training(config, tmp_path / "run")
    log = losses(tmp_path / "run")
    assert log["gradient_norm"][0] == losses(whole)["gradient_norm"][0]
    assert log["update_norm"][0] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("precision", "rtol"), [("64-true", 1e-4), ("bf16-mixed", 2e-2), ("bf16-true", 5e-2)]
)
def test_precisions_agree_to_their_rounding(tmp_path, precision, rtol):
    config = replace(TINY, precision=precision, steps=2, dropout=0.0)
    run = run_training(config, tmp_path / precision)
    run_training(replace(config, precision="32-true"), tmp_path / "single")
    found, single = (losses(tmp_path / name) for name in (precision, "single"))
    torch.testing.assert_close(
        found["loss"].to_torch(), single["loss"].to_torch(), rtol=rtol, atol=0
    )
    assert not found["gradient_norm"].equals(single["gradient_norm"])
    assert run.provenance["dtype"] == {"64-true": "float64"}.get(precision, precision)


@pytest.mark.parametrize("change", [{"optimizer": "radam"}, {"optimizer": "lion"}])
def test_other_rules_resume_exactly_too(tmp_path, change):
    config = replace(TINY, **change, schedule="inverse-root", warmup=5, clip=1.0)
    run_training(config, tmp_path / "whole")
    interrupt(config, tmp_path / "run", 8)
    run_training(config, tmp_path / "run")
    assert_frame_equal(losses(tmp_path / "run"), losses(tmp_path / "whole"), check_exact=True)


def test_a_recorded_run_from_before_a_setting_existed_has_its_default(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    stored = json.loads((whole / CONFIG).read_text())
    del stored["config"]["schedule"], stored["config"]["precision"]
    del stored["sha256"]  # which there was not either
    (tmp_path / "run" / CONFIG).write_text(json.dumps(stored))
    outcome = json.loads((whole / OUTCOME).read_text())
    del outcome["files"], outcome["sha256"]  # nor these
    (tmp_path / "run" / OUTCOME).write_text(json.dumps(outcome))
    assert read_run(tmp_path / "run").config == read_run(whole).config
    assert run_training(TINY, tmp_path / "run").validation_loss == read_run(whole).validation_loss
    with pytest.raises(InputError, match="schedule is 'constant' there and 'tfixup' here"):
        run_training(replace(TINY, schedule="tfixup"), tmp_path / "run")


@pytest.mark.slow
def test_two_processes_give_the_single_process_result(tmp_path):
    config = TrainConfig(
        layers=1, d_model=16, d_ff=32, pairs=300, vocabulary=200, tokens=256, steps=8, clip=1.0
    )
    run_training(replace(config, processes=2), tmp_path / "two")
    run_training(replace(config, data_seed=0), tmp_path / "one")
    one, two = (losses(tmp_path / name) for name in ("one", "two"))
    for column in ("loss", "gradient_norm", "update_norm"):
        torch.testing.assert_close(
            two[column].to_torch(), one[column].to_torch(), rtol=1e-4, atol=1e-5
        )
    assert two["tokens"].equals(one["tokens"])


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(tmp_path, monkeypatch):
    def batch_loss(*args):
        calls.append(args)
        return real(*args) * (math.nan if len(calls) == 4 else 1.0)

    calls, real = [], step.batch_loss
    monkeypatch.setattr(step, "batch_loss", batch_loss)
    run = run_training(TINY, tmp_path / "run")
    assert run.outcome is RunOutcome.DIVERGED
    assert run.reason == "a loss was not finite"
    assert run.steps == 4
    assert math.isnan(losses(tmp_path / "run")["loss"][-1])
    assert run_training(TINY, tmp_path / "run") == run


def test_huge_learning_rate_diverges(tmp_path):
    config = replace(TINY, optimizer="sgd", lr=1e30)
    assert run_training(config, tmp_path / "run").outcome is RunOutcome.DIVERGED


def test_tfixup_learns_from_the_generated_data(tmp_path):
    config = TrainConfig(layers=1, pairs=3_000, vocabulary=400, steps=60, lr=3e-3, tokens=1024)
    run = run_training(config, tmp_path / "run")
    assert run.outcome is RunOutcome.TRAINED
    assert run.gain_interval[0] > 0.1 * run.unigram_loss
    short = run_training(replace(config, steps=2), tmp_path / "short")
    assert short.outcome is RunOutcome.STUCK


def test_threads_and_random_state_are_left_as_they_were(tmp_path, monkeypatch):
    def batch_loss(*args):
        seen.append((torch.get_num_threads(), torch.random.get_rng_state()))
        return real(*args)

    seen, real = [], step.batch_loss
    monkeypatch.setattr(step, "batch_loss", batch_loss)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    state = torch.random.get_rng_state()
    run_training(replace(TINY, steps=1), tmp_path / "run")
    assert torch.random.get_rng_state().equal(state)
    assert torch.get_num_threads() == 2
    assert seen[0][0] == TINY.threads == 1
    assert not seen[0][1].equal(state)
    torch.set_num_threads(before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_starts_where_the_cpu_does(tmp_path):
    for device in ("cpu", "cuda"):
        run_training(replace(TINY, steps=3, dropout=0.0, device=device), tmp_path / device)
    cpu, cuda = (losses(tmp_path / device)["loss"].to_torch() for device in ("cpu", "cuda"))
    torch.testing.assert_close(cpu, cuda, rtol=1e-4, atol=1e-4)


def test_a_run_may_end_once_it_is_trained(tmp_path, monkeypatch):
    """At the first validation if anything counts as trained, and resumed there it ends there."""
    stopping = replace(TINY, stop_when_trained=True)
    assert run_training(stopping, tmp_path / "stuck").steps == 16
    monkeypatch.setattr(outcome, "STUCK_MARGIN", -10.0)
    run = run_training(stopping, tmp_path / "run")
    assert (run.outcome, run.steps) == (RunOutcome.TRAINED, 6)
    interrupt(stopping, tmp_path / "again", 6)
    assert run_training(stopping, tmp_path / "again").steps == 6
    assert_frame_equal(losses(tmp_path / "again"), losses(tmp_path / "run"), check_exact=True)
    assert run_training(TINY, tmp_path / "plain").steps == 16
