"""The wheel, installed outside the checkout: it holds its records, and verdicts read them."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("build")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
CLAIM = "tfixup.fig2"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    made = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(made, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_index_would_take_the_distributions(wheel):
    pytest.importorskip("twine")
    files = sorted(map(str, wheel.parent.iterdir()))
    assert len(files) == 2
    told = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout
    assert "PASSED" in told.stdout


def test_it_holds_the_records_without_their_figures(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    recorded = [name for name in names if name.startswith("tfixup/records/")]
    assert "tfixup/records/sweep/rows.parquet" in recorded
    assert not [name for name in recorded if name.endswith(".svg")]
    assert wheel.stat().st_size < 20e6  # the records of 1,400 runs, whose logs verdicts read


def test_a_recorded_verdict_is_the_same_outside_the_checkout(wheel, tmp_path):
    home = tmp_path / "venv"
    venv.EnvBuilder(with_pip=True).create(home)
    python = home / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([python, *install], check=True, capture_output=True)
    # The libraries of this environment, after the installed package on the path.
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    paths = [
        own,
        *(p for p in sys.path if p.endswith("site-packages")),
        sysconfig.get_path("purelib"),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}

    def verdict(interpreter, folder):
        out = folder / "verdicts.json"
        subprocess.run(
            [interpreter, "-m", "tfixup", "verify", "--claims", CLAIM, "--json", str(out)],
            cwd=folder,
            env=environment if interpreter == python else os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
            capture_output=True,
        )
        return json.loads(out.read_text())["claims"]

    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (outside,) = verdict(python, tmp_path / "there")
    (inside,) = verdict(sys.executable, tmp_path / "here")
    assert outside["evidence"]
    assert outside["verdict"] == inside["verdict"]
    assert [e["summary"] for e in outside["evidence"]] == [e["summary"] for e in inside["evidence"]]
