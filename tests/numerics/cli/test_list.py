"""``tfixup list`` and the bar of ``tfixup verify`` on narrow terminals."""

import pytest
import rich.progress

from numerics.cli.main import run


@pytest.mark.parametrize("what", ["recipes", "schemes", "claims", "optimizers", "experiments"])
def test_a_list_is_no_wider_than_its_terminal_and_leaves_no_narrow_column(
    capsys, monkeypatch, what
):
    texts = {}
    for columns in ("60", "100"):
        monkeypatch.setenv("COLUMNS", columns)
        assert run(["list", what]) == 0
        text = capsys.readouterr().out
        # A combining accent stands over the letter before it.
        shown = [line.replace("\u0304", "").replace("\u0302", "") for line in text.splitlines()]
        assert max(map(len, shown)) <= int(columns)
        assert not any(line.startswith(" " * (int(columns) // 2)) for line in shown)
        assert "``" not in text
        texts[columns] = text.split()
    assert texts["60"] == texts["100"]


@pytest.mark.parametrize(("columns", "elapsed"), [("60", False), ("100", True)])
def test_the_bar_of_verify_leaves_out_what_would_be_cut(monkeypatch, columns, elapsed):
    shown = []

    def stop(*parts, **_):
        shown.extend(parts)
        raise KeyboardInterrupt

    monkeypatch.setattr(rich.progress, "Progress", stop)
    monkeypatch.setenv("COLUMNS", columns)
    assert run(["verify", "--claims", "tfixup.eq1"]) == 130
    assert any(isinstance(part, rich.progress.TimeElapsedColumn) for part in shown) is elapsed
