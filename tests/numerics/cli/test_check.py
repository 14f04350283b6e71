"""``tfixup check``: its output, its exit codes, and one line for everything that is wrong."""

import json
from pathlib import Path

import pytest

from numerics.cli.main import run

HERE = Path(__file__).parents[1] / "own_model" / "check" / "newcomer_decoder.py"
MODEL = f"{HERE}:make"
SMALL = ["--values", "2,3,4,6", "--optimizers", "sgd", "--seeds", "2"]

MODELS = '''
import torch
from torch import nn

def flat(n):
    """One matrix that matters and n that nothing reads."""
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Linear(64, 64)
            self.unread = nn.ModuleList(nn.Linear(2, 2) for _ in range(n))
        def forward(self, x):
            return torch.tanh(self.w(x))
    return Flat(), torch.randn(16, 64, generator=torch.Generator().manual_seed(0))

def deaf(n):
    return nn.Linear(3, 3), torch.ones(2, 3)

def raises(n):
    class Bad(nn.Linear):
        def forward(self, x):
            raise KeyError("mine")
    return Bad(n, n), torch.ones(1, n)

def words(n):
    class Words(nn.Linear):
        def forward(self, x):
            return "text"
    return Words(n, n), torch.ones(1, n)

def random(n):
    class Random(nn.Linear):
        def forward(self, x):
            return super().forward(x) + torch.rand(())
    return Random(n, n), torch.ones(1, n)

def misfit(n):
    return nn.Linear(n, n), torch.ones(1, n + 1)

def number(n):
    return n

def detached(n):
    class Detached(nn.Linear):
        @torch.no_grad()
        def forward(self, x):
            return super().forward(x)
    return Detached(n, n), torch.ones(1, n)

def half(n):
    return nn.Linear(n, n).half(), torch.ones(1, n)

def nan(n):
    model = nn.Linear(n, n)
    nn.init.constant_(model.weight, float("nan"))
    return model, torch.ones(1, n)

def meta(n):
    return nn.Linear(n, n, device="meta"), torch.ones(1, n)
'''


@pytest.fixture
def models(tmp_path: Path) -> Path:
    path = tmp_path / "models.py"
    path.write_text(MODELS)
    return path


def test_newcomers_decoder_grows(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small = ["--values", "2,4,8,16", "--optimizers", "sgd", "--seeds", "2"]
    arguments = ["check", MODEL, *small, "--lr", "3e-4", "--out", str(tmp_path)]
    assert run(arguments) == 1
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "grows with depth (sgd" in " ".join(said.split())
    assert "dropout" not in said
    assert "Pre-LN: 32 residual additions in 16 layers, a norm before the head." in " ".join(
        said.split()
    )
    for words in ("Driven by", "What to change:", "First loss", "ln V", "One step changes f by"):
        assert words in said
    document = json.loads((tmp_path / "check.json").read_text())
    assert document["verdict"] == "grows"
    assert document["provenance"]["command"]
    assert (tmp_path / "check.png").stat().st_size > 1000
    assert "<svg" in (tmp_path / "check.svg").read_text()


def test_json_github_and_exit_0(capsys: pytest.CaptureFixture[str], models: Path) -> None:
    arguments = ["check", f"{models}:flat", "--values", "2,4,8,16", "--optimizers", "sgd"]
    assert run([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "bounded"
    assert document["optimizers"][0]["total"]["law"]["law"] == "bounded"
    assert any("unread" in name for name in document["dead"])
    assert run([*arguments, "--format", "github"]) == 0
    assert capsys.readouterr().out.startswith("::notice title=tfixup check::")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("deaf", "must use its depth"),
        ("raises", "raised KeyError: 'mine'"),
        ("words", "must return a floating"),
        ("random", "same output twice"),
        ("misfit", "the forward of Linear raised RuntimeError"),
        ("number", "must return a torch.nn.Module"),
        ("detached", "carries no gradient"),
        ("half", "float16"),
        ("nan", "must be finite"),
        ("meta", "meta device"),
        ("absent", "absent"),
    ],
)
def test_bad_models_are_refused_in_one_line(
    name: str, words: str, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", f"{models}:{name}", *SMALL]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert words in said.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--values", "2,4"], "at least 3 different sizes"),
        (["--values", "2,x,4"], "integers in plain digits, got 'x'"),
        (["--values", "0,2,4"], "at least 1"),
        (["--optimizers", "adamv"], "did you mean 'adam'"),
        (["--over", "deep"], "unknown axis"),
        (["--dtype", "float8"], "unknown dtype"),
        (["--lr", "-1"], "lr must be between"),
        (["--seeds", "0"], "seeds must be an integer of at least 1"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", MODEL, *options]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert words in said


def test_what_is_stored_repeats_to_the_bit_and_a_killed_runs_leftovers_go(tmp_path):
    words = ["check", "benchmarks.faults.stack:stack", "--values", "1,2,3", "--seeds", "1"]
    one, other = tmp_path / "one", tmp_path / "other"
    other.mkdir()
    (other / ".check.png.7.part").touch()
    for out in (one, other):
        assert run([*words, "--optimizers", "sgd", "--out", str(out)]) in (0, 1)
    names = ["check.json", "check.png", "check.svg"]
    assert sorted(path.name for path in other.iterdir()) == names
    for name in names[1:]:
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize("columns", [60, 80])
def test_no_number_is_cut_and_no_line_broken_on_a_narrow_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(["check", MODEL, *SMALL[:-1], "1"]) in (0, 1)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= columns
    assert ("┃" in printed) == (columns >= 80)
    (row,) = (line.split() for line in printed.splitlines() if line.startswith(("sgd ", "│ sgd ")))
    numbers = [word for word in row if word[0].isdigit()]
    assert len(numbers) == (5 if columns >= 80 else 4)  # the sizes, and the interval's half
    assert "…" not in printed
    assert printed.splitlines()[-1].startswith("4 sizes × 1 seed in ")
