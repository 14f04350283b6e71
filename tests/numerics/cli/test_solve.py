"""``tfixup solve`` as a user meets it."""

import json
import re

import pytest

from numerics.cli.main import run
from numerics.models.spec import ModelSpec
from numerics.schemes import SCHEMES


def answer(capsys, *options):
    assert run(["solve", *options, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", ["m", "y", "w_e", "w_d", "v_d", "x", "N_d", "S", "Q", "O"])
def test_the_name_of_a_depth_does_not_change_the_answer(capsys, name):
    document = answer(capsys, "--layers", name)
    entry = document["scales"]["decoder"]
    assert (entry["power"], entry["depth"]) == ("-1/4", name)
    assert entry["constant"] == pytest.approx(9**-0.25)
    assert document["scales"]["encoder"]["constant"] == pytest.approx(0.669628722978)


def test_r_fixup_with_a_depth_called_like_its_number_of_blocks(capsys):
    document = answer(capsys, "--preset", "r-fixup", "--layers", "L")
    assert document["scales"]["MLP first matrix"]["constant"] == pytest.approx(5**-0.5)
    assert not any("L = 5*L" in words for words in document["assumed"])


def test_a_depth_called_like_the_other_stacks_stays_apart(capsys):
    document = answer(capsys, "--encoder-layers", "N_d", "--decoder-layers", "6")
    assert document["scales"]["decoder"]["value"] == pytest.approx(54**-0.25)
    assert "N_d" not in document["scales"]["decoder"]["formula"]


@pytest.mark.parametrize(("encoder", "decoder"), [(37, 11), (2, 30), (12, 6), (6, 6), (1, 200)])
def test_the_solver_and_the_schemes_agree_on_unequal_stacks(capsys, encoder, decoder):
    depths = ("--encoder-layers", str(encoder), "--decoder-layers", str(decoder))
    paper = answer(capsys, *depths)["scales"]
    code = answer(capsys, *depths, "--input-depth", "encoder")["scales"]
    spec = ModelSpec(encoder, decoder)
    drawn = SCHEMES["tfixup"].prescribe(spec)
    assert paper["encoder"]["value"] == pytest.approx(drawn.factors["encoder.attention.v"])
    assert paper["decoder"]["value"] == pytest.approx(drawn.factors["decoder.mlp.w1"])
    assert paper["source"]["value"] == pytest.approx(drawn.source_factor)
    coded = SCHEMES["tfixup-code"].prescribe(spec)
    assert code["encoder"]["value"] == pytest.approx(coded.factors["encoder.mlp.w1"], rel=1e-3)
    assert code["source"]["value"] == pytest.approx(coded.source_factor)


def test_unequal_stacks_show_both_readings(capsys):
    depths = ("--encoder-layers", "37", "--decoder-layers", "11")
    document = answer(capsys, *depths)
    assert document["scales"]["encoder"]["value"] == pytest.approx(0.2306, abs=5e-5)
    other = document["other_reading"]
    assert (other["input_depth"], other["reading"]) == ("encoder", "the official code")
    assert other["scales"]["encoder"] == pytest.approx(0.2715, abs=5e-5)
    assert run(["solve", *depths]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert re.search(r"by the paper; by the official code .* 0\.2715", out)
    assert "other_reading" not in answer(capsys, "--layers", "6")
    by_code = answer(capsys, "--preset", "tfixup-code", *depths)
    assert by_code["other_reading"]["scales"]["encoder"] == pytest.approx(0.2306, abs=5e-5)


def test_a_condition_on_free_norms_claims_no_power_of_the_depth(capsys):
    document = answer(capsys, "--no-ties")
    assert document["conditions"]["memory"]["order"] == "free"
    assert run(["solve", "--no-ties", "--layers", "6"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "N^(5)" not in out
    assert "left to the choice of the free norms" in out
    assert "attention v, first MLP matrix" in out


def test_published_numbers_of_another_rule_are_not_shown(capsys):
    document = answer(capsys, "--preset", "deepnorm", "--optimizer", "adam")
    assert not any("published" in entry for entry in document["scales"].values())
    assert "for sgd" in document["unpublished"]
    kept = answer(capsys, "--preset", "deepnorm")
    assert all("published" in entry for entry in kept["scales"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoder-layers", "12", "--architecture", "decoder-only"], "not read by decoder-only"),
        (["--decoder-layers", "3", "--architecture", "encoder-only"], "not read by encoder-only"),
        (["--input-depth", "encoder", "--architecture", "encoder-only"], "not read by encoder-on"),
        (["--memories", "2", "--architecture", "decoder-only"], "only an encoder-decoder reads"),
        (["--preset", "deepnorm", "--mlp", "gated"], "--mlp is not read with a preset"),
        (["--preset", "tfixup", "--parallel"], "--parallel is not read"),
        (["--preset", "tfixup", "--no-ties"], "--no-ties is not read"),
        (["--preset", "tfixup", "--memories", "1"], "--memories is not read"),
        (["--preset", "tfixup", "--input-depth", "encoder"], "--input-depth is not read"),
        (["--preset", "r-fixup", "--architecture", "encoder-only"], "--architecture is not read"),
        (["--preset", "dt-fixup", "--decoder-layers", "3"], "not read by --preset dt-fixup"),
        (["--preset", "deepnorm-single", "--decoder-layers", "3"], "deepnorm-single, got 3"),
        (["--layers", "6", "--encoder-layers", "2", "--decoder-layers", "3"], "--layers is not re"),
        (["--no-ties", "--input-depth", "encoder"], "not read without ties"),
        (["--layers", "1e9999999"], "symbol or an integer"),
        (["--layers", "1/0"], "symbol or an integer"),
        (["--layers", "a" * 100], "at most 40 letters"),
    ],
)
def test_options_that_would_be_ignored_are_refused(capsys, options, message):
    assert run(["solve", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert message in line


def test_a_gated_mlp_is_seen_to_fall_behind(capsys):
    gated = ("--mlp", "gated", "--architecture", "decoder-only")
    document = answer(capsys, *gated, "--layers", "N")
    entry = document["scales"]["decoder"]
    assert (entry["power"], entry["exact"]) == ("-1/4", False)
    assert entry["constant"] == pytest.approx(0.760, abs=5e-4)
    assert "all three MLP matrices" in entry["meaning"]
    (share,) = (share for share in document["shares"] if share["block"] == "gated MLP")
    assert share["power"] == "-1"
    numbers = answer(capsys, *gated, "--layers", "96")["shares"]
    assert [round(100 * share["value"], 1) for share in numbers] == [99.2, 0.8]
    assert [share["power"] for share in numbers] == ["0", "-1"]


@pytest.mark.parametrize("layers", ["6", "N", "m"])
def test_a_gated_encoder_decoder_has_laws_where_it_has_no_closed_form(capsys, layers):
    document = answer(capsys, "--mlp", "gated", "--layers", layers)
    entry = document["scales"]["decoder"]
    assert (entry["power"], entry["exact"]) == ("-1/4", False)
    assert entry["constant"] == pytest.approx(6**-0.25)
    gated = [share for share in document["shares"] if share["block"] == "gated MLP"]
    assert [share["power"] for share in gated] == ["-1", "-1"]
    assert ("leading" in document) == (layers != "6")
    assert run(["solve", "--mlp", "gated", "--layers", layers]) == 0
    assert "falls as" in capsys.readouterr().out


def test_no_formula_is_cut_in_a_pipe_or_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert run(["solve", "--encoder-layers", "12", "--decoder-layers", "7"]) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    formula = answer(capsys, "--encoder-layers", "12", "--decoder-layers", "7")
    assert formula["scales"]["encoder"]["formula"] in out


FORMS = {
    "unequal": ("--encoder-layers", "12", "--decoder-layers", "6"),
    "gated": ("--layers", "N", "--architecture", "decoder-only", "--mlp", "gated"),
    "recipe": ("--recipe", "gpt2", "--optimizer", "adamw"),
    "complete": ("--recipe", "completep"),
    "preset": ("--preset", "deepnorm", "--layers", "12"),
    "family": ("--structure", "pre-norm", "--layers", "24"),
    "no ties": ("--no-ties",),
    "model": ("--model", "docs/tutorials/my_decoder.py:make", "--optimizer", "adamw"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_answer_fits_its_width_and_breaks_no_word(capsys, monkeypatch, form):
    words = {}
    for columns in ("60", "80", "100", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        assert run(["solve", *FORMS[form]]) == 0
        text = capsys.readouterr().out
        if form == "model":
            text = text.partition("solution = ")[0]  # code to copy is not broken
        # A pipe is never wider than 100 columns, and a formula may use all of them.
        formulas = {line for line in text.splitlines() if re.match(r"    \S*[*(]", line)}
        for line in set(text.splitlines()) - formulas:
            assert len(line) <= min(int(columns), 100), line
        assert all(len(line) <= 100 for line in formulas)
        assert "…" not in text
        words[columns] = set(re.findall(r"[\w.√^*()/\[\]-]+\d[\w.√^*()/\[\]-]*", text))
    assert words["60"] == words["80"] == words["100"] == words["200"]


@pytest.mark.parametrize(
    "query",
    [
        ["--layers", "12"],
        ["--preset", "tfixup", "--layers", "12"],
        ["--recipe", "tfixup"],
        ["--structure", "norm-free"],
        ["--model", "torch.nn:Identity", "--layers", "4"],
    ],
)
@pytest.mark.parametrize("numbers", ["eps=1e-3", "weight_decay=0.1", "betas=0.9,0.95"])
def test_numbers_behind_a_rule_are_refused_by_every_kind_of_query(capsys, query, numbers):
    """ε and decay enter no condition: the scales of the bare rule must not pass for theirs."""
    assert run(["solve", *query, "--optimizer", f"adamw:{numbers}"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "solved for the bare rule adamw, with ε = 0 and without weight decay" in line
    assert f"got 'adamw:{numbers}'" in line


@pytest.mark.parametrize(("kind", "said"), [("swiglu", True), ("gated", True), ("mlp", False)])
def test_a_gated_mlp_says_what_it_takes_for_granted(kind, said, capsys):
    assert run(["solve", "--mlp", kind, "--layers", "6"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert ("counts as linear, which SiLU and GELU are not" in out) is said
    assert ("no norm stands before a block" in out) is said
