"""Nonsense is refused in one line before any work, and never taken for something else."""

import pytest

from numerics.cli.main import run

SWEEP = ["sweep", "--d-model", "16", "--d-ff", "32", "--heads", "2", "--no-progress"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--depths", "1,,2"], "without gaps"),
        (["--depths", "1,1"], "without repetition"),
        (["--depths", "+2"], "plain digits"),
        (["--depths", "1_2"], "plain digits"),
        (["--depths", "٣"], "plain digits"),
        (["--depths", "nan"], "plain digits"),
        (["--depths", "1e9999999"], "plain digits"),
        (["--depths", "1" * 100_000], "plain digits"),
        (["--depths", "100001"], "between 1 and 100000"),
        (["--schemes", "tfixup,,"], "without gaps"),
        (["--schemes", "x" * 100_000], "unknown scheme"),
        (["--seeds", "100000000"], "between 1 and 10000"),
        (["--seeds", "0"], "at least 1"),
        (["--embedding-multiplier", "nan"], "between"),
        (["--embedding-multiplier", "inf"], "between"),
        (["--embedding-multiplier", "0"], "between"),
        (["--embedding-multiplier", "-1"], "between"),
        (["--d-ff", "10000000000"], "between 1 and"),
        (["--minutes", "-5"], "between"),
        (["--from-depth", "-5"], "between"),
        (["--workers", "1000000"], "between"),
        (["--out", ""], "out needs a value"),
        (["--out="], "out needs a value"),
        (["--out", "."], "out must be a folder"),
        (["--root-seed", "-1"], "between 0 and"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_sweep_refuses(monkeypatch, tmp_path, capsys, options, told):
    monkeypatch.chdir(tmp_path)
    assert run([*SWEEP, *options]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert told in shown
    assert len(shown) < 400
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_offers_the_nearest_and_not_the_whole_list(capsys):
    assert run([*SWEEP, "--schemes", "deepnrom"]) == 2
    shown = capsys.readouterr().err
    assert "did you mean 'deepnorm'" in shown
    assert len(shown) < 200


def test_a_sweep_prints_what_it_measured(capsys):
    options = ["--schemes", "tfixup,xavier", "--depths", "1,2", "--seeds", "1", "--workers", "1"]
    assert run([*SWEEP, *options, "--optimizers", "sgd", "--vocabulary", "50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (numbers,) = [line.split() for line in lines if line.startswith("tfixup, sgd")]
    assert all(float(number) > 0 for number in numbers[2:])
    assert len(numbers) == 4
    assert any("no exponents: they need 3 depths" in line for line in lines)


TRAIN = ["train", "--layers", "1", "--d-model", "16", "--d-ff", "32", "--heads", "2"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--layers", "1000000"], "between 1 and 10000"),
        (["--d-ff", "10000000000"], "between 1 and"),
        (["--layers", "10000", "--d-model", "4096"], "GiB are free"),
        (["--pairs", "100000000"], "between 2 and"),
        (["--pairs", "1"], "between 2 and"),
        (["--processes", "1000"], "between 1 and 64"),
        (["--threads", "2147483648"], "between 1 and 1024"),
        (["--vocabulary", "2147483648"], "between 2 and"),
        (["--seed", "1000000000000000000"], "between 0 and"),
        (["--lr", "1e-320"], "between 1e-12 and"),
        (["--lr", "nan"], "between 1e-12 and"),
        (["--clip", "inf"], "between 0 and"),
        (["--clip", "1e-320"], "must be 0 or at least"),
        (["--warmup", "1" + "0" * 30], "between 0 and"),
        (["--tokens", str(2**63)], "between 1 and"),
        (["--validate-every", "1" + "0" * 30], "between 1 and"),
        (["--evaluate", "validation", "--beam", "0"], "beam must be between"),
        (["--evaluate", "validation", "--beam", "100000"], "beam must be between"),
        (["--evaluate", "validation", "--length-penalty", "nan"], "length_penalty must be between"),
        (["--evaluate", "validation", "--average", "50"], "average must be at most 6"),
        (["--beam", "7"], "beam needs --evaluate"),
        (["--checkpoint-every", "0"], "checkpoint_every must be an integer of at least 1"),
        (["--dropout", "0.999999999"], "dropout must be between 0 and 0.95"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_training_refuses(monkeypatch, tmp_path, capsys, options, told):
    monkeypatch.chdir(tmp_path)
    assert run([*TRAIN, *options]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert told in shown
    assert len(shown) < 400
    assert list(tmp_path.iterdir()) == []


FACTORY = "benchmarks.faults.stack:stack"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        *((["solve", "--layers", name], "must be a symbol such as N") for name in ("nan", "E")),
        *((["solve", "--layers", name], "must be a symbol such as N") for name in ("oo", "lambda")),
        (["solve", "--layers", "_"], "must be a symbol such as N"),
        (["solve", "--layers", "०६"], "must be a symbol or an integer"),
        (["solve", "--layers", "a" * 100_000], "a name of at most"),
        (["solve", "--axis", "nope"], "--axis is read with"),
        (["solve", "--base-layers", "3"], "--base-layers is read with"),
        (["solve", "--recipe", "gpt2", "--base-layers", "0"], "base_layers must be between 1 and"),
        (["solve", "--architecture="], "architecture needs a value"),
        (["verify", "--workers", "1000000"], "workers must be between"),
        (["verify", "--claims", "eq1,eq1"], "without repetition"),
        (["reproduce", "fig4c", "--workers", "1000000"], "workers must be between"),
        (["check", FACTORY, "--seeds", "100000000"], "seeds must be between"),
        (["check", FACTORY, "--steps", "100000000"], "steps must be between"),
        (["check", FACTORY, "--lr", "inf"], "lr must be between"),
        (["check", FACTORY, "--optimizers", "sgd,sgd"], "without repetition"),
        (["check", FACTORY, "--values", "1,,2"], "without gaps"),
        (["check", FACTORY, "--depth", "1"], "depth is read over width alone"),
        (["check", FACTORY, "--out", "plain"], "cannot write to plain"),
        (["audit", FACTORY, "--seed", "-1"], "seed must be between"),
        (["audit", FACTORY, "--values", "1,1"], "without repetition"),
        (["audit", FACTORY, "--values", "٣"], "plain digits"),
        (["audit", FACTORY, "--names", "a,,b"], "without gaps"),
        (["audit", FACTORY, "--recipe", "gpt2:"], "without gaps"),
        (["audit", FACTORY, "--json", "missing/a.json"], "cannot write to missing"),
        (["plot", "plain", "--from-depth", "-1"], "from_depth must be between"),
        (["plot", "plain", "--out", "a.txt"], "a figure must end in"),
        (["plot", "plain", "--out", "missing/a.svg"], "cannot write to missing"),
        (["explain", ""], "an argument needs a value"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_the_other_commands_refuse(monkeypatch, tmp_path, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").write_text("text")
    assert run(words) == 2
    shown = capsys.readouterr().err
    assert told in shown
    assert shown.count("\n") == 1
    assert len(shown) < 400
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


def test_bad_data_are_refused_before_a_folder_is_made(capsys, tmp_path):
    out = str(tmp_path / "new")
    line = ["reproduce", "fig4c", "--quick", "--data", "nope", "--out", out]
    assert run(line) == 2
    assert "data must be" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_no_file_can_have_is_nonsense_and_no_fault_of_the_machine(capsys, tmp_path):
    out = str(tmp_path / ("n" * 300))
    assert run(["reproduce", "fig4c", "--quick", "--workers", "1", "--out", out]) == 2
    assert "File name too long" in capsys.readouterr().err
