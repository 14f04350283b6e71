import polars as pl
import pytest

from numerics.cli.plot import Plot
from numerics.figures.exponents import PARTS, WIDEST, draw_exponents
from numerics.sweeps.run import SweepConfig, SweepSettings, run_sweep
from theory.errors import InputError

SCHEMA = ["scheme", "optimizer", "part", "quantity", "exponent", "low", "high", "note"]


def _table(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        [(scheme, "sgd", "total", "update", *rest) for scheme, *rest in rows],
        schema=SCHEMA,
        orient="row",
    )


def _intervals(figure) -> list[list[float]]:
    lines = [list(line.get_xdata()) for line in figure.axes[0].lines]
    return [x for x in lines if len(x) == 2 and x != [0, 0]]


def test_a_row_a_scheme_from_the_smallest_exponent_with_its_interval():
    table = _table(
        ("steep", 1.0, 0.9, 1.1, "grows"),
        ("broken", None, None, None, "not finite from N = 50"),
        ("level", 0.0, -0.01, 0.01, "flat"),
    )
    figure = draw_exponents(table)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["level", "steep", "broken"]
    assert sorted(_intervals(figure)) == [[-0.01, 0.01], [0.9, 1.1]]
    assert "not finite from N = 50" in [text.get_text() for text in figure.axes[0].texts]


def test_an_exponent_outside_the_frame_is_written_at_its_edge():
    figure = draw_exponents(_table(("wild", 12.0, 11.0, 13.0, "grows")))
    assert list(map(float, figure.axes[0].lines[-1].get_xdata())) == [WIDEST]  # type: ignore[arg-type]
    assert [text.get_text() for text in figure.axes[0].texts] == ["+12.0"]


def test_a_table_without_the_parts_is_refused():
    table = _table(("level", 0.0, -0.01, 0.01, "flat"))
    with pytest.raises(InputError, match="no exponents of encoder, decoder"):
        draw_exponents(table, parts=PARTS[1:])


def test_the_command_draws_chosen_schemes_and_offers_the_nearest_name(tmp_path):
    settings = SweepSettings(d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4)
    run_sweep(SweepConfig(("tfixup", "pre-ln"), ("sgd",), (1, 2), 2, settings), tmp_path / "s")
    assert Plot(tmp_path / "s", kind="exponents", schemes="tfixup", from_depth=1).run() == 0
    drawn = (tmp_path / "s" / "exponents.svg").read_text()
    assert "tfixup" in drawn
    assert "pre-ln" not in drawn
    with pytest.raises(InputError, match="did you mean 'pre-ln'"):
        Plot(tmp_path / "s", schemes="pre-lm").run()
