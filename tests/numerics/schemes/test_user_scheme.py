"""A scheme of the user's own: found by file or module, and pinned to what the file says."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from numerics.cli.main import run
from numerics.models.spec import ModelSpec
from numerics.models.user_code import UserCodeError
from numerics.own_model.audit.audit import audit
from numerics.recipes import recipe_named
from numerics.recipes.factors_by_parameter import require_factors
from numerics.recipes.initialize import initialize_
from numerics.schemes import build, is_scheme, pinned, scheme_named
from numerics.sweeps.run import SweepConfig, SweepSettings, run_sweep
from theory.errors import InputError

SCHEME = """
from dataclasses import dataclass

import tfixup

@dataclass(frozen=True)
class Halved(tfixup.Scheme):
    factor: float = 0.5

    def prescribe(self, spec):
        return tfixup.Prescription({"encoder.mlp.w2": self.factor})

class Misspelt(tfixup.Scheme):
    def prescribe(self, spec):
        return tfixup.Prescription({"encoder.mlp.w_2": 0.5})

class Broken(tfixup.Scheme):
    def prescribe(self, spec):
        return {}["there is none"]

HALVED = Halved("halved-outputs", tfixup.WIRINGS["pre-ln"], "an example")
MISSPELT = Misspelt("misspelt", tfixup.WIRINGS["pre-ln"], "an example")
BROKEN = Broken("broken", tfixup.WIRINGS["pre-ln"], "an example")
"""
SMALL = SweepSettings(d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my_own.py"
    path.write_text(SCHEME)
    return path


def with_path(folder: Path) -> dict[str, str]:
    paths = os.pathsep.join((str(folder), *sys.path))
    return {**os.environ, "PYTHONPATH": paths}


def weights(scheme: str) -> torch.Tensor:
    model = build(scheme, ModelSpec(1, 1, d_model=8, d_ff=12), torch.Generator().manual_seed(0))
    return model.encoder[0].mlp.branch.w2.detach()  # pyright: ignore


def test_a_scheme_is_found_by_file_or_module_and_drawn_as_it_says(file: Path) -> None:
    for name in ("my_own.py:HALVED", "my_own:HALVED", f"{file}:HALVED"):
        assert is_scheme(name)
        torch.testing.assert_close(weights(name), weights("pre-ln") / 2)
    torch.testing.assert_close(weights("my_own.py:HALVED:factor=0.1"), weights("pre-ln") / 10)
    assert scheme_named("my_own.py:HALVED:factor=0.1").name == "my_own.py:HALVED:factor=0.1"


def test_a_pinned_name_holds_the_content_of_the_file(file: Path) -> None:
    first = pinned("my_own.py:HALVED:factor=0.1")
    assert first == pinned(first)
    place, digest = first.removesuffix(":factor=0.1").split("@")
    assert (place, len(digest)) == ("my_own.py:HALVED", 8)
    assert scheme_named(first).name == first
    file.write_text(SCHEME.replace("0.5", "0.6"))
    assert pinned("my_own.py:HALVED:factor=0.1") != first
    with pytest.raises(InputError, match=f"SHA-256 {digest}…, and is now"):
        scheme_named(pinned(first.replace("0.1", "0.2")))
    # The control: the file as it was is taken again.
    file.write_text(SCHEME)
    assert pinned("my_own.py:HALVED:factor=0.1") == first


def test_a_module_is_its_source_as_it_is_too(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not what was imported before, nor the bytecode of a file of the same age and length."""
    monkeypatch.syspath_prepend(file.parent)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.delitem(sys.modules, "my_own", raising=False)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    importing = "import my_own; print(my_own.HALVED.factor)"
    subprocess.run([sys.executable, "-c", importing], check=True, env=with_path(file.parent))
    assert list(file.parent.glob("__pycache__/my_own.*.pyc"))
    imported = importlib.import_module("my_own")
    first = pinned("my_own:HALVED")
    file.write_text(SCHEME.replace("0.5", "0.9"))
    os.utime(file, (1_700_000_000, 1_700_000_000))
    # The control: Python itself takes the bytecode.
    subprocess.run([sys.executable, "-c", importing], check=True, env=with_path(file.parent))
    assert capfd.readouterr().out.split() == ["0.5", "0.5"]
    assert pinned("my_own:HALVED") != first
    assert scheme_named("my_own:HALVED").factor == 0.9  # pyright: ignore
    assert sys.modules["my_own"] is imported


def test_a_module_of_a_package_imports_beside_itself(file: Path) -> None:
    package = file.parent / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "numbers_of_mine.py").write_text("FACTOR = 0.25\n")
    (package / "schemes.py").write_text(
        SCHEME.replace(
            "import tfixup", "import tfixup\nfrom .numbers_of_mine import FACTOR", 1
        ).replace("factor: float = 0.5", "factor: float = FACTOR")
    )
    assert scheme_named("my_package.schemes:HALVED").factor == 0.25  # pyright: ignore


WRONG_KINDS = """
import torch
import tfixup
from my_own import HALVED, Halved

spec, generator = tfixup.ModelSpec(1, 1, d_model=8, d_ff=12), torch.Generator()
model = tfixup.build(HALVED, spec, generator)
for call in (
    lambda: tfixup.build(Halved, spec, generator),
    lambda: tfixup.build(3, spec, generator),
    lambda: tfixup.predict(Halved, spec),
    lambda: tfixup.initialize_(model, Halved, generator),
    lambda: tfixup.audit(model, 3),
    lambda: tfixup.SweepConfig((HALVED,)),
):
    try:
        call()
    except tfixup.InputError as error:
        print(error)
"""


def test_values_of_a_wrong_kind_are_named(file: Path) -> None:
    command = [sys.executable, "-c", WRONG_KINDS]
    ran = subprocess.run(command, capture_output=True, text=True, env=with_path(file.parent))
    scheme = "a scheme must be a name or a tfixup.Scheme object, got"
    recipe = "a recipe must be a name, or a tfixup.Recipe or tfixup.Scheme object, got"
    lines = ran.stdout.splitlines()
    assert lines[:5] == [
        f"{scheme} <class 'my_own.Halved'>",
        f"{scheme} 3",
        f"{scheme} <class 'my_own.Halved'>",
        f"{recipe} <class 'my_own.Halved'>",
        f"{recipe} 3",
    ], ran.stderr
    assert lines[5].startswith("the schemes of a sweep must be names, by which its processes find")


def test_a_scheme_counts_once_with_its_pin_and_without(file: Path) -> None:
    name = "my_own.py:HALVED"
    assert file.exists()
    with pytest.raises(InputError, match="schemes must be a list without repetition"):
        SweepConfig((name, pinned(name)), ("sgd",), (1,), 1, SMALL)
    assert len(SweepConfig((name, f"{name}:factor=0.1"), ("sgd",), (1,), 1, SMALL).schemes) == 2


def test_a_scheme_draws_any_model_by_role(file: Path) -> None:
    assert file.exists()
    own = scheme_named("my_own.py:HALVED")
    model = build(own, ModelSpec(1, 1, d_model=8, d_ff=12), torch.Generator())
    assert initialize_(model, own, torch.Generator().manual_seed(0)).drawn
    found = audit(model, own).recipe
    assert found is not None
    assert found.name == own.name == "my_own.py:HALVED"


def test_the_list_says_that_there_may_be_others(capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("schemes", "recipes"):
        assert run(["list", what]) == 0
        assert "PATH.py:NAME or MODULE:NAME" in capsys.readouterr().out
        assert run(["list", what, "--json"]) == 0
        json.loads(capsys.readouterr().out)
    assert run(["list", "experiments"]) == 0
    assert "PATH.py" not in capsys.readouterr().out


def test_a_change_within_a_second_and_of_the_same_length_is_seen(file: Path) -> None:
    before = weights("my_own.py:HALVED")
    file.write_text(SCHEME.replace("0.5", "0.9"))
    torch.testing.assert_close(weights("my_own.py:HALVED"), before * 0.9 / 0.5)
    assert not list(file.parent.glob("__pycache__"))


def test_a_sweep_measures_a_changed_scheme_anew_and_keeps_the_old_rows(
    file: Path, tmp_path: Path
) -> None:
    def swept() -> list[float]:
        config = SweepConfig(("my_own.py:HALVED", "pre-ln"), ("sgd",), (1,), 1, SMALL)
        rows = run_sweep(config, tmp_path / "out")
        total = rows.filter((rows["part"] == "total") & (rows["quantity"] == "update"))
        return total.sort("scheme")["value"].to_list()

    first = swept()
    assert swept() == first
    file.write_text(SCHEME.replace("0.5", "0.9"))
    assert swept()[0] != first[0]
    assert swept()[1] == first[1]
    file.write_text(SCHEME)
    assert swept() == first
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert "my_own.py:HALVED@" in json.dumps(manifest)


def test_processes_of_a_pool_find_the_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--depths 1,2 --seeds 1 --optimizers sgd --workers 2 --no-progress --d-model 8"
    sizes = "--d-ff 12 --vocabulary 20 --sequences 2 --tokens 4"
    line = ["sweep", "--schemes", "my_own.py:HALVED", *words.split(), *sizes.split()]
    assert run(line) == 0
    assert "HALVED@" in capsys.readouterr().out
    assert file.exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none.py:HALVED", "the file of a scheme must exist, got none.py"),
        ("no_module:HALVED", "there is no 'no_module'"),
        ("my_own.py:HALVE", "did you mean 'HALVED'"),
        ("my_own.py:Halved", "must be a tfixup.Scheme, got my_own.py:Halved of type type"),
        ("my_own.py:MISSPELT", "did you mean 'encoder.mlp.w2'"),
        ("my_own.py:BROKEN", "the scheme my_own.py:BROKEN"),
        ("my_own.py:HALVED:fakter=1", "did you mean 'factor'"),
        ("my_own.py:HALVED@00000000", "SHA-256 00000000…"),
    ],
)
def test_what_is_wrong_is_one_line_before_any_work(
    file: Path, name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in (
        ["sweep", "--schemes", name, "--depths", "1", "--out", "out"],
        ["train", "--scheme", name, "--layers", "1", "--out", "out"],
    ):
        assert run(line) == 2
        (error,) = [one for one in capsys.readouterr().err.splitlines() if "error:" in one]
        assert told in error
        assert not (file.parent / "out").exists()


def test_the_users_error_is_the_cause(file: Path) -> None:
    del file
    with pytest.raises(UserCodeError, match="KeyError") as raised:
        SweepConfig(("my_own.py:BROKEN",), ("sgd",), (1,), 1, SMALL)
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_scheme_of_ones_own_is_a_recipe_for_any_model(file: Path) -> None:
    del file
    assert recipe_named("my_own.py:HALVED").name == "halved-outputs"
    require_factors("my_own.py:HALVED")
    with pytest.raises(InputError, match=r"a recipe must be a tfixup\.Recipe or a tfixup\.Scheme"):
        recipe_named("my_own.py:Halved")
