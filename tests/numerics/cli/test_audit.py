"""``tfixup audit`` and ``tfixup list`` as a newcomer runs them."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from numerics.cli.main import run
from numerics.schemes import SCHEMES

MODEL = """
import math
import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x):
        q, k, v = (t.unflatten(-1, (4, -1)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.ln1, self.ln2, self.attn = nn.LayerNorm(d), nn.LayerNorm(d), Attention(d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class GPT(nn.Module):
    def __init__(self, depth, d=64, scaled=True):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(100, d), nn.Embedding(32, d)
        self.h = nn.ModuleList(Block(d) for _ in range(depth))
        self.ln = nn.LayerNorm(d)
        self.head = nn.Linear(d, 100, bias=False)
        self.head.weight = self.wte.weight
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.dim() == 2:
                out = scaled and ("proj" in name or "down" in name)
                nn.init.normal_(p, 0.0, 0.02 / math.sqrt(2 * depth) if out else 0.02)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.h:
            x = block(x)
        return self.head(self.ln(x))


def right(depth):
    return GPT(depth)


def flat(depth):
    return GPT(depth, scaled=False)


def unwritten(depth):
    model = GPT(depth)
    model.gate = nn.Parameter(torch.empty(64, 64))
    return model


def redrawn(depth):
    model = GPT(depth)
    nn.init.zeros_(model.h[0].down.weight)
    nn.init.normal_(model.h[0].down.weight, 0.0, 0.02 / math.sqrt(2 * depth))
    return model


def broken(depth):
    model = GPT(depth)
    return model, torch.zeros(2, 3, 5)


def infinite(depth):
    model = GPT(depth)
    with torch.no_grad():
        model.wte.weight[0, 0] = float("inf")
    return model


def fails(depth):
    raise KeyError("missing")
"""


@pytest.fixture
def my(tmp_path: Path) -> str:
    path = tmp_path / "my.py"
    path.write_text(MODEL)
    return str(path)


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_clean_model_exits_with_0(my: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", f"{my}:right", "--recipe", "gpt2"]) == 0
    printed = capsys.readouterr().out
    assert "No findings against gpt2" in printed.splitlines()[0] + printed.splitlines()[1]
    assert max(map(cell_len, printed.splitlines())) <= 80
    assert "built at 6" in printed


def test_a_wrong_model_exits_with_1_and_says_what(
    my: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "audit.json"
    options = ["--recipe", "gpt2", "--values", "2,12", "--json", str(out)]
    assert run(["audit", f"{my}:flat", *options]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "at depth 12" in printed
    assert "24 tensors write to the stream" in printed
    stored = json.loads(out.read_text())
    deep = stored["audits"][1]
    assert deep["depth"] == 12
    assert deep["findings"][0]["factor"] == pytest.approx(4.899, rel=0.03)
    writer = next(t for t in deep["tensors"] if t["parameter"] == "h.0.down.weight")
    assert writer["role"] == "w_out"
    assert writer["fan_in"] == 256
    assert writer["asked_std"] == pytest.approx(0.0040825, rel=1e-4)
    assert writer["agrees"] is False


def test_without_a_recipe_the_nearest_is_found(my: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", f"{my}:right"]) == 0
    assert "Recipe found: gpt2" in capsys.readouterr().out
    assert run(["audit", f"{my}:flat", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["audits"][0]["recipe"] == "llama-flat"


def test_annotations_for_a_pull_request(my: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", f"{my}:flat", "--recipe", "gpt2", "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("::error title=tfixup audit (scale)::12 tensors write")


def test_case_g4_never_written_on_the_command_line(
    my: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        assert run(["audit", f"{my}:unwritten", "--recipe", "gpt2", "--seed", str(seed)]) == 1
        printed = " ".join(capsys.readouterr().out.split())
        assert "1 parameter (gate) was never written" in printed


def test_case_g1_drawn_again_on_the_command_line(
    my: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", f"{my}:redrawn", "--recipe", "gpt2", "--values", "3"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 parameter (h.0.down.weight) was set to a constant and then drawn again" in printed


def test_a_rules_names_that_reach_nothing(my: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--recipe", "gpt2", "--names", "proj.weight,v_proj.weight"]
    assert run(["audit", f"{my}:right", *options]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "The rule names 'v_proj.weight', and no parameter is called so" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{my}"], "MODULE:FACTORY"),
        (["{my}:rihgt"], "did you mean 'right'"),
        (["{my}:right", "--recipe", "gtp2"], "did you mean 'gpt2'"),
        (["{my}:right", "--recipe", "tfixup-code"], "encoder-decoder"),
        (["{my}:right", "--values", "0"], "must be between 1 and"),
        (["{my}:infinite"], "must be finite, and wte.weight has 1 of"),
        (["{my}:broken"], "forward of GPT raised"),
        (["{my}:fails"], "raised KeyError: 'missing' at my.py:"),
    ],
)
def test_bad_input_is_one_line_and_exits_with_2(
    my: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", *(word.format(my=my) for word in arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert len(printed.err.strip().splitlines()) == 1


def test_the_users_traceback_on_demand(my: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", f"{my}:fails", "--traceback"]) == 2
    assert 'raise KeyError("missing")' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "some"),
    [
        ("recipes", ("gpt2", "t5", "torch", "tfixup", "deepnorm")),
        ("schemes", tuple(SCHEMES)),
        ("claims", ("tfixup.eq1",)),
        ("optimizers", ("sgd", "muon")),
        ("experiments", ("fig2", "phase")),
    ],
)
def test_lists(what: str, some: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", what]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in some)
    assert max(map(cell_len, printed.splitlines())) <= 80
    assert run(["list", what, "--json"]) == 0
    assert set(some) <= set(json.loads(capsys.readouterr().out))


def test_a_factorys_name_is_no_emoji(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.py"
    file.write_text("from torch import nn\n\n\ndef one():\n    return nn.Linear(4, 4)\n")
    run(["audit", str(file) + ":one"])
    assert "m.py:one:" in "".join(capsys.readouterr().out.split())


def test_a_narrow_terminal_gets_every_number_whole(
    my: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["audit", f"{my}:right", "--recipe", "gpt2"])
    wide = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "60")
    run(["audit", f"{my}:right", "--recipe", "gpt2"])
    narrow = capsys.readouterr().out
    assert max(map(len, narrow.splitlines())) <= 60
    assert "fan-in" in wide
    assert "fan-in" not in narrow

    def factors(printed: str) -> list[str]:
        rows = [line.split() for line in printed.splitlines() if line.rstrip().endswith("✓")]
        return [row[-2] for row in rows]

    assert factors(narrow) == factors(wide)
    assert len(factors(wide)) > 5
