"""The command as a user meets it: output, one line an error, exit codes."""

import json
import re

import pytest

from numerics.cli.main import run


def test_solve_prints_the_scales_as_json(capsys):
    assert run(["solve", "--encoder-layers", "12", "--decoder-layers", "6", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scales"]["encoder"]["value"] == pytest.approx(0.3305206911)
    assert document["scales"]["decoder"]["value"] == pytest.approx(54**-0.25)
    assert [document["conditions"][name]["value"] for name in ("encoder", "decoder")] == [1, 1]
    assert document["conditions"]["memory"]["value"] == pytest.approx(1 / 9)


def test_solve_under_adam_squares_the_scales(capsys):
    assert run(["solve", "--optimizer", "adam", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scales"]["encoder"]["value"] == pytest.approx(0.448403 * 6**-0.5, rel=1e-6)


def test_solve_gives_a_law_where_the_depth_is_a_symbol(capsys):
    assert run(["solve", "--architecture", "encoder-only", "--layers", "N", "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)["scales"]["encoder"]
    assert (entry["power"], entry["depth"], entry["value"]) == ("-1/4", "N", None)
    assert entry["constant"] == pytest.approx(0.638943, abs=5e-7)


def test_solve_under_adam_says_which_condition_is_not_met(capsys):
    assert run(["solve", "--optimizer", "adam", "--layers", "N", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scales"]["decoder"]["formula"] == "1/(3*sqrt(N))"
    assert document["scales"]["encoder"]["constant"] == pytest.approx(0.448403, abs=5e-7)
    assert document["conditions"]["memory"]["order"] == "Θ(N^(-1))"
    assert document["learning_rate"].endswith("η ∝ N^(-1/2)")


def test_solve_deepnorm_prints_exact_beside_published(capsys):
    wanted = ["solve", "--preset", "deepnorm", "--encoder-layers", "6", "--decoder-layers", "6"]
    assert run([*wanted, "--json"]) == 0
    scales = json.loads(capsys.readouterr().out)["scales"]
    found = {name: round(scales[name]["value"], 4) for name in scales}
    assert found == {"alpha_e": 1.4247, "beta_e": 0.4963, "alpha_d": 2.0598, "beta_d": 0.3433}
    assert round(scales["alpha_e"]["published"], 4) == 1.4179
    assert round(scales["beta_e"]["published"], 4) == 0.4970
    assert run(wanted) == 0
    assert "one-parameter family" in capsys.readouterr().out


def test_solve_without_ties_is_a_family(capsys):
    assert run(["solve", "--architecture", "encoder-only", "--no-ties", "--layers", "N"]) == 0
    assert "a family" in capsys.readouterr().out


def test_solve_prints_a_table(capsys):
    assert run(["solve"]) == 0
    out = capsys.readouterr().out
    assert "0.4278546549" in out
    assert "assumed" in out


def test_derive_reaches_the_constant(capsys):
    assert run(["derive", "tfixup.encoder-scale", "--format", "json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert "0.669628722978" in document["steps"][-1]["statement"]


def test_derive_says_how_each_line_was_checked(capsys):
    assert run(["derive", "eq1", "--format", "json"]) == 0
    documents = json.loads(capsys.readouterr().out)
    assert [document["claim"] for document in documents] == ["tfixup.eq1"] * 2
    steps = documents[0]["steps"]
    assert steps[0]["checked"] == "checked: every entry, at d = 3"
    assert [step["relation"] for step in steps[-2:]] == ["≔", "≍"]
    assert documents[0]["symbols"]["d"] == {"meaning": "width", "assumed": "positive integer"}
    assert steps[1]["given"] == ["U² = U, Y² = Y, U Y = Y U = 0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve", "--encoder-layers", "0"], "encoder layers must be .* got 0"),
        (["solve", "--layers", "-3"], "encoder layers must be .* got -3"),
        (["solve", "--layers", "2.5"], "encoder layers must be .* got '2.5'"),
        (["solve", "--layers", "6.0"], "encoder layers must be .* got '6.0'"),
        (["solve", "--layers", "12/2"], "encoder layers must be .* got '12/2'"),
        (["solve", "--seeds", "0"], "seeds must be between 2 and 1000, got 0"),
        (["solve", "--seeds", "3"], "--seeds is read with --measure alone, got 3"),
        (["solve", "--out", "solved"], "--out is read with --measure alone, got solved"),
        (["solve", "--decoder-layers", "six layers"], "decoder layers must be .* 'six layers'"),
        (["solve", "--architecture", "decoder-onyl"], "did you mean 'decoder-only'"),
        (["solve", "--preset", "deepnrom"], "did you mean 'deepnorm'"),
        (["solve", "--preset", "rezero"], "'residual' cannot be met"),
        (["solve", "--mlp", "gate"], "did you mean 'gated'"),
        (["slove"], "unknown command 'slove': did you mean 'solve' or 'prove'"),
        (["solve", "--optimizer", "radam"], "tfixup list optimizers shows which command"),
        (["solve", "--memories", "0"], "memories must be between 1 and 8, got 0"),
        (["solve", "--input-depth", "both"], "got 'both'"),
        (["sweep", "--depths", "N"], "N"),
        (["solve", "--optimizer", "adm"], "did you mean 'adam'"),
        (["derive", "tfixup.eq66"], "did you mean 'tfixup.eq6'"),
        (["derive", "tfixup.eq6", "--format", "tex"], "unknown format 'tex'"),
        (["derive", "tfixup.fig2"], "no derivation speaks about tfixup.fig2"),
        (["derive", "fig2"], "no derivation speaks about tfixup.fig2"),
        (["derive", "eq66"], "did you mean 'tfixup.eq6'"),
        (["derive", "no-warmup"], "'no-warmup' is ambiguous"),
        (["derive", "nope", "--all"], "not read with --all, got nope"),
        (["verify", "--claims", "eq66"], "did you mean 'tfixup.eq6'"),
        (["verify", "--claims", "tfixup.gaol"], "did you mean 'tfixup.goal'"),
        (["verify", "--seed", "-1"], "seed must be between 0 and .* got -1"),
        (["verify", "--recorded", "verdicts.json", "--seed", "1"], "--seed is not read with"),
        (["verify", "--recorded", "verdicts.json", "--workers", "2"], "--workers is not read with"),
        (["verify", "--recorded", "v.json", "--workers", "1000000"], "workers must be between"),
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


@pytest.mark.parametrize("arguments", [["sweep", "--device", "tpu"], []])
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
