"""What a command wrote as JSON and somebody changed is refused by every command that reads it."""

import json

import pytest

from numerics.cli.main import run

STACK = "benchmarks.faults.stack:stack"
WRITTEN = {
    "verdicts.json": (
        ["verify", "--claims", "rezero.isometry", "--workers", "1", "--json"],
        ["verify", "--recorded"],
    ),
    "audit.json": (["audit", STACK, "--recipe", "gpt2", "--values", "2", "--json"], ["report"]),
    "check.json": (
        ["check", STACK, "--values", "1,2,3", "--seeds", "1", "--optimizers", "sgd", "--out"],
        ["report"],
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_changed_number_is_refused_and_a_changed_layout_is_read(name, tmp_path, capsys):
    path = tmp_path / "record" / name
    path.parent.mkdir()
    writes, reads = WRITTEN[name]
    if reads == ["report"]:
        reads = [*reads, "--out", str(tmp_path / "page.html")]
    assert run([*writes, str(path.parent if "--out" in writes else path)]) in (0, 1)
    document = json.loads(path.read_text())
    # The control: the same content with other white space is what was written.
    path.write_text(json.dumps(document, indent=7))
    assert run([*reads, str(path)]) == 0
    capsys.readouterr()
    path.write_text(json.dumps(_changed(document)))
    assert run([*reads, str(path)]) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "error:" in one]
    assert "was changed after it was written" in line
    assert name in line


def _changed(document):
    """``document`` with its first number one greater."""
    done = False

    def visit(value):
        nonlocal done
        if isinstance(value, dict):
            return {key: visit(item) for key, item in value.items()}
        if isinstance(value, list):
            return [visit(item) for item in value]
        if not done and isinstance(value, (int, float)) and not isinstance(value, bool):
            done = True
            return value + 1
        return value

    changed = visit(document)
    assert done
    return changed
