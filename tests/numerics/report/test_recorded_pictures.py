"""Figures beside recorded runs: each shown once, none from outside the records."""

import pytest

from numerics.report.recorded_pictures import RecordedPictures
from theory.claims import Control, Evidence, Kind
from theory.errors import InputError

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>bad()</script><g id="a"/></svg>'


def read_from(source: str, claim: str = "tfixup.fig2") -> Evidence:
    return Evidence(claim, Kind.TRAINING, True, "seen", Control("no", True), source=source)


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "results" / "fig2").mkdir(parents=True)
    (tmp_path / "results" / "fig2" / "figure.svg").write_text(SVG)
    (tmp_path / "results" / "fig2" / "summary.json").write_text("{}")
    (tmp_path / "results" / "bare").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "figure.svg").write_text(SVG)
    return RecordedPictures("run0-", tmp_path / "results")


def test_the_first_check_shows_the_figure_and_the_second_says_where_it_stands(pictures):
    figure, place = pictures.of(read_from("recorded: results/fig2"))
    assert figure is not None
    assert figure.caption == "results/fig2/figure.svg"
    assert "run0-record1-a" in figure.drawing
    assert "script" not in figure.drawing
    assert place == ""
    again = pictures.of(read_from("recorded: results/fig2/summary.json", "ours.other"))
    assert again == (None, "on the card tfixup.fig2")


@pytest.mark.parametrize(
    "source",
    [
        "computed",
        "",
        "recorded: results/bare",
        "recorded: elsewhere",
        "recorded: /tmp",
        "recorded: ",
    ],
)
def test_there_is_no_figure_without_records_or_outside_them(pictures, source):
    assert pictures.of(read_from(source)) == (None, "")


def test_a_damaged_figure_is_named(pictures, tmp_path):
    (tmp_path / "results" / "fig2" / "figure.svg").write_text("no drawing")
    with pytest.raises(InputError, match="SVG document"):
        pictures.of(read_from("recorded: results/fig2"))
