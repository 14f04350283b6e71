import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tyro

from numerics.cli.train import Train
from numerics.stores.files import jsonable
from numerics.training.config import USUAL_VOCABULARY, TrainConfig
from numerics.training.recorded import complete, differences
from theory.errors import InputError


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("layers", 0, "layers must be an integer of at least 1, got 0"),
        ("encoder_layers", 0, "encoder_layers must be an integer of at least 1, got 0"),
        ("validation_pairs", 0, "validation_pairs must be an integer of at least 1, got 0"),
        ("steps", 0, "steps must be an integer of at least 1, got 0"),
        ("tokens", -5, "tokens must be an integer of at least 1, got -5"),
        ("data", "text:", "needs a folder"),
        (
            "data",
            "corpus",
            "data must be generated or text:DIR, libreoffice or hub:NAME, got 'corpus'",
        ),
        ("lr", 0.0, "lr must be between 1e-12 and 1e\\+30, got 0.0"),
        ("lr", float("nan"), "lr must be between 1e-12 and 1e\\+30, got nan"),
        ("lr", float("inf"), "lr must be between 1e-12 and 1e\\+30, got inf"),
        ("warmup", -1, r"warmup must be between 0 and 1e\+09, got -1"),
        ("label_smoothing", 1.0, r"label_smoothing must lie in \[0, 1\), got 1.0"),
        ("dropout", -0.1, "dropout must be between 0 and 0.95, got -0.1"),
        ("data", "hub:", "data hub: needs a dataset's name after the colon, got 'hub:'"),
        ("data", "libreoffice:x", "data must be generated or text:DIR, libreoffice or hub:NAME"),
        ("decay_steps", 0, "decay_steps must be an integer of at least 1, got 0"),
        ("processes", 0, "processes must be an integer of at least 1, got 0"),
        ("average", 0, "average must be an integer of at least 1, got 0"),
        ("max_length", -1, r"max_length must be between 0 and 1e\+07, got -1"),
        ("clip", -1.0, r"clip must be between 0 and 1e\+12, got -1.0"),
        ("clip", float("nan"), r"clip must be between 0 and 1e\+12, got nan"),
        ("momentum", 0.9, "momentum needs the optimizer sgd, got adam"),
        ("weight_decay", 0.1, "weight_decay needs the optimizer adamw or .*, got adam"),
        ("betas", (0.9, 1.0), r"betas must lie in \[0, 1\), got 1.0"),
    ],
)
def test_broken_rules_are_named(field, value, message):
    with pytest.raises(InputError, match=message):
        replace(TrainConfig(), **{field: value}).check()


def test_defaults_are_valid():
    TrainConfig().check()


def test_no_path_is_stored():
    config = Train(data="text:/home/someone/corpus", out=Path("/home/someone/run"))
    text = json.dumps(jsonable(config.stored())) + config.command()
    assert "someone" not in text
    assert config.stored()["data"] == "text:DIR"


def test_the_command_says_what_differs_from_the_defaults():
    config = TrainConfig(scheme="post-ln", layers=12, lr=5e-4, betas=(0.9, 0.999))
    words = config.command().split()
    assert words[:2] == ["tfixup", "train"]
    assert tyro.cli(Train, args=words[2:]) == Train(**vars(config))
    assert "--heads" not in words


def test_the_usual_vocabulary_is_what_older_runs_and_commands_mean_without_a_number():
    unsaid, usual = TrainConfig(), TrainConfig(vocabulary=USUAL_VOCABULARY)
    assert unsaid.command() == usual.command()
    assert "--vocabulary 400" in TrainConfig(vocabulary=400).command()
    older = {name: value for name, value in usual.stored().items() if name != "vocabulary"}
    assert complete(older) == usual.stored()
    assert differences({"config": older}, {"config": usual.stored()}) == ""
    assert "vocabulary" in differences({"config": older}, {"config": {"vocabulary": 400}})


def test_every_option_has_help(capsys):
    with pytest.raises(SystemExit) as caught:
        tyro.cli(Train, args=["--help"])
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert all(f"--{name.replace('_', '-')}" in shown for name in Train.__dataclass_fields__)
    assert "own recipe has 5e-4" in shown


def test_the_command_line_module_imports_no_torch():
    script = "import sys, numerics.cli.train; print({'torch', 'numpy', 'sympy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
