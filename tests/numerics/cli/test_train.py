from dataclasses import replace

import pytest

from numerics.cli.train import Train
from numerics.training import task
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import read_run
from theory.errors import InputError

TINY = Train(layers=1, d_model=16, d_ff=32, pairs=300, vocabulary=200, steps=3)


@pytest.fixture(autouse=True)
def _few_validation_pairs(monkeypatch):
    monkeypatch.setattr(task, "VALIDATION_PAIRS", 100)


def test_the_command_prints_the_outcome_and_records_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert TINY.run() == 0
    shown = capsys.readouterr().out
    run = read_run(tmp_path / "runs/train/generated/tfixup-1-0")
    assert run.outcome is RunOutcome.STUCK
    assert shown.startswith("stuck: ")
    assert f"validation loss {run.validation_loss:.4f}" in shown


def test_the_folder_can_be_chosen_and_a_second_run_does_not_fit_into_it(tmp_path, capsys):
    assert replace(TINY, out=tmp_path / "mine").run() == 0
    with pytest.raises(InputError, match="holds another run: config scheme"):
        replace(TINY, scheme="xavier", out=tmp_path / "mine").run()
    assert "diverged" not in capsys.readouterr().out


def test_an_unknown_held_out_set_is_noticed_before_training(tmp_path):
    with pytest.raises(InputError, match="unknown held-out set 'tset'"):
        replace(TINY, out=tmp_path / "run", evaluate="tset").run()
    assert not (tmp_path / "run").exists()
