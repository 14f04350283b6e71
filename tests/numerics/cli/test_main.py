"""The command as a user meets it: output, one line an error, exit codes."""

import json
import re

import pytest

from numerics.cli.main import run


def test_solve_prints_the_scales_as_json(capsys):
    assert run(["solve", "--encoder-layers", "12", "--decoder-layers", "6", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scales"]["encoder"]["value"] == pytest.approx(0.669628722978 * 12**-0.25)
    assert document["scales"]["decoder"]["value"] == pytest.approx(54**-0.25)
    assert document["conditions"] == {"encoder": 1.0, "decoder": 1.0}


def test_solve_under_adam_squares_the_scales(capsys):
    assert run(["solve", "--optimizer", "adam", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scales"]["encoder"]["value"] == pytest.approx(0.448403 * 6**-0.5, rel=1e-6)


def test_solve_prints_a_table(capsys):
    assert run(["solve"]) == 0
    assert "0.4278546549" in capsys.readouterr().out


def test_derive_reaches_the_constant(capsys):
    assert run(["derive", "tfixup.encoder-scale", "--format", "json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert "0.669628722978" in document["steps"][-1]["statement"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve", "--encoder-layers", "0"], "encoder_layers must be .* got 0"),
        (["solve", "--optimizer", "adm"], "did you mean 'adam'"),
        (["derive", "tfixup.eq66"], "did you mean 'tfixup.eq6'"),
        (["derive", "tfixup.eq6", "--format", "tex"], "unknown format 'tex'"),
        (["derive", "tfixup.fig2"], "no derivation speaks about tfixup.fig2"),
        (["verify", "--claims", "tfixup.gaol"], "did you mean 'tfixup.goal'"),
        (["verify", "--results", "nowhere"], "folder of recorded runs, got nowhere"),
        (["sweep", "--schemes", "tfixp"], "did you mean 'tfixup'"),
        (["sweep", "--depths", "0,6"], "got 0"),
        (["sweep", "--heads", "3"], "heads=3"),
        (["train", "--scheme", "postln"], "did you mean 'post-ln'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("tfixup: error: ")
    assert re.search(message, line)


@pytest.mark.parametrize("arguments", [["sweep", "--device", "tpu"], ["nonsense"], []])
def test_malformed_options_exit_with_2(arguments):
    with pytest.raises(SystemExit) as stopped:
        run(arguments)
    assert stopped.value.code == 2


def test_verify_of_one_claim_writes_json_and_exits_0(capsys, tmp_path):
    path = tmp_path / "verdicts.json"
    wanted = ["verify", "--claims", "tfixup.eq3", "--workers", "1", "--json", str(path)]
    assert run(wanted) == 0
    assert "fails" in capsys.readouterr().out
    (claim,) = json.loads(path.read_text())["claims"]
    assert claim["verdict"] == "fails"
    assert "J_D J_Dᵀ + " in claim["summary"]


def test_verify_prints_json_alone_where_asked(capsys):
    assert run(["verify", "--claims", "tfixup.eq3", "--workers", "1", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"][0]["id"] == "tfixup.eq3"
