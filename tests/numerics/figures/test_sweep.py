import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from numerics.cli.plot import Plot
from numerics.figures.style import save
from numerics.figures.sweep import PANELS, draw_sweep
from numerics.sweeps.run import SweepConfig, SweepSettings, run_sweep
from numerics.training.experiments.curves import draw_losses
from numerics.training.recorded import read_runs
from theory.errors import InputError

RUNS = Path(__file__).parents[3] / "results" / "train"
GRID = SweepConfig(
    ("tfixup", "post-ln"),
    ("sgd",),
    (1, 2, 3),
    2,
    SweepSettings(d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4),
)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return run_sweep(GRID)


def _lines(figure: Figure) -> list[list[float]]:
    panel = figure.axes[PANELS.index("total")]
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in panel.lines]
    return [values.tolist() for values in drawn if len(values) > 1]


def test_lines_are_geometric_means(rows):
    figure = draw_sweep(rows, from_depth=1)
    assert len(figure.axes) == len(PANELS)
    chosen = rows.filter(
        (pl.col("scheme") == "tfixup")
        & (pl.col("part") == "total")
        & (pl.col("quantity") == "update")
    )
    expected = [
        math.prod(chosen.filter(pl.col("n_encoder") == n)["value"].to_list()) ** 0.5
        for n in (1, 2, 3)
    ]
    assert _lines(figure)[0] == pytest.approx(expected)
    assert _lines(figure)[1] != pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 2, len(PANELS)])
def test_the_note_lies_inside_the_figure_however_narrow_it_is(rows, count):
    figure = draw_sweep(rows, panels=PANELS[:count], from_depth=1)
    (note,) = figure.texts
    assert "seeds" in note.get_text()
    box, frame = note.get_window_extent(), figure.bbox
    assert frame.x0 <= box.x0
    assert box.x1 <= frame.x1
    assert frame.y0 <= box.y0
    (legend,) = figure.legends
    assert count == len(PANELS) or box.y1 <= legend.get_window_extent().y0
    note.set_text(note.get_text().replace("\n", " ") * 3)
    assert note.get_window_extent().x0 < frame.x0, "the measure does not notice"


def test_what_explodes_leaves_the_frame_and_what_is_not_finite_is_no_crash(rows):
    bad = pl.col("scheme") == "post-ln"
    wild = rows.with_columns(
        pl.when(bad)
        .then(pl.col("value") * 10.0 ** (20 * pl.col("n_encoder")))
        .otherwise("value")
        .alias("value")
    )
    panel = draw_sweep(wild, from_depth=1).axes[0]
    assert panel.get_ylim()[1] < 1e6
    deepest = bad & (pl.col("n_encoder") == 3)
    broken = rows.with_columns(
        pl.when(deepest).then(float("nan")).otherwise("value").alias("value"),
        pl.when(deepest).then(False).otherwise("finite").alias("finite"),
    )
    assert len(_lines(draw_sweep(broken, from_depth=1))[1]) == 2


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_command_writes_the_figure(tmp_path, suffix, capsys):
    run_sweep(GRID, tmp_path)
    out = tmp_path / f"figure{suffix}"
    assert Plot(tmp_path, out=out).run() == 0
    assert capsys.readouterr().out.strip() == str(out)
    once = out.read_bytes()
    assert len(once) > 10_000
    Plot(tmp_path, out=out).run()
    assert out.read_bytes() == once
    run_sweep(GRID, tmp_path)


def test_bad_requests(tmp_path, rows):
    with pytest.raises(InputError, match="holds no sweep"):
        Plot(tmp_path).run()
    with pytest.raises(InputError, match=r"must end in \.svg, \.png, \.pdf, got 'a\.gif'"):
        save(Figure(), tmp_path / "a.gif")
    with pytest.raises(InputError, match="nothing to plot"):
        draw_sweep(rows.clear())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("architecture", ["encoder-only", "decoder-only"])
def test_a_stack_alone_has_its_own_panels(architecture):
    settings = replace(GRID.settings, architecture=architecture)
    figure = draw_sweep(run_sweep(replace(GRID, settings=settings)), from_depth=1)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    stack = architecture.partition("-")[0]
    other = {"encoder": "decoder", "decoder": "encoder"}[stack]
    assert any(title.startswith(stack) for title in titles)
    assert not any(title.startswith(other) for title in titles)
    assert {np.min(line.get_xdata()) for axes in figure.axes for line in axes.lines[:1]} == {1}


def test_training_runs_are_drawn_a_line_a_run_if_they_share_their_data(tmp_path):
    shutil.copytree(RUNS / "generated" / "tfixup-12-0", tmp_path / "runs" / "tfixup-12-0")
    shutil.copytree(RUNS / "generated" / "post-ln-12-0", tmp_path / "runs" / "post-ln-12-0")
    assert Plot(tmp_path / "runs").run() == 0
    drawn = (tmp_path / "runs" / "loss.svg").read_text()
    assert "tfixup-12-0" in drawn
    assert "post-ln-12-0" in drawn
    # The loss that reads no input lies within the frame, whatever the runs' losses are.
    figure = draw_losses(read_runs(tmp_path / "runs"), lambda run: run.path.name)
    (axes,) = figure.axes
    (baseline,) = [line for line in axes.lines if line.get_gid() == "baseline"]
    low, high = axes.get_ylim()
    assert low < np.ravel(baseline.get_ydata())[0] < high
    assert sum(line.get_gid() == "training" for line in axes.lines) == 2
    Plot(tmp_path / "runs", out=tmp_path / "one.svg", schemes="tfixup").run()
    assert "post-ln-12-0" not in (tmp_path / "one.svg").read_text()
    shutil.copytree(RUNS / "multi30k" / "tfixup-12-0", tmp_path / "runs" / "other")
    with pytest.raises(InputError, match="must share their data"):
        Plot(tmp_path / "runs").run()
