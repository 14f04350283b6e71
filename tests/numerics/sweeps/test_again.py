"""Tasks measured again replace their rows, and rows that rounding decided have no exponent."""

import json

import polars as pl
import pytest

from numerics.cli.sweep import Sweep
from numerics.sweeps.run import SweepConfig, SweepSettings, exponent_table, measure_task, run_sweep
from numerics.sweeps.store import open_for_reading
from theory.errors import InputError

SMALL = SweepSettings(d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4)
GRID = SweepConfig(("tfixup", "post-ln"), ("sgd",), (1, 2), 2, SMALL)


def doubled(task):
    """A measurement that says twice the value, so that its rows are known."""
    return measure_task(task).with_columns(pl.col("value") * 2)


def stopping(limit):
    """The same, but killed after ``limit`` tasks."""
    done = []

    def measure(task):
        if len(done) == limit:
            raise KeyboardInterrupt
        done.append(task)
        return doubled(task)

    return measure


def ratios(new, old):
    pairs = new.join(old, on=["task", "part", "quantity"], suffix="_old")
    assert len(pairs) == len(new) == len(old)
    pairs = pairs.with_columns(ratio=pl.col("value") / pl.col("value_old"))
    by_scheme = pairs.group_by("scheme").agg(pl.col("ratio").unique())
    return {row["scheme"]: sorted(row["ratio"]) for row in by_scheme.iter_rows(named=True)}


def test_only_the_named_scheme_is_replaced(tmp_path):
    old = run_sweep(GRID, tmp_path)
    new = run_sweep(GRID, tmp_path, measure=doubled, again=("post-ln",))
    assert ratios(new, old) == {"tfixup": [1.0], "post-ln": [2.0]}
    assert open_for_reading(tmp_path).rows().height == old.height
    assert run_sweep(GRID, tmp_path).sort("task").equals(new.sort("task"))


def test_a_kill_on_the_way_keeps_what_was_measured_again(tmp_path):
    old = run_sweep(GRID, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(GRID, tmp_path, measure=stopping(1), again=("post-ln",))
    mixed = run_sweep(GRID, tmp_path)
    assert ratios(mixed, old) == {"tfixup": [1.0], "post-ln": [1.0, 2.0]}
    whole = run_sweep(GRID, tmp_path, measure=doubled, again=("post-ln",))
    assert ratios(whole, old) == {"tfixup": [1.0], "post-ln": [2.0]}


def test_a_scheme_outside_the_grid_is_refused(tmp_path):
    with pytest.raises(InputError, match="again must name schemes of the grid, got 'xavier'"):
        run_sweep(GRID, tmp_path / "out", again=("xavier",))
    with pytest.raises(InputError, match="again goes with --out FOLDER, got again 'tfixup'"):
        Sweep(schemes="tfixup", depths="1", again="tfixup").run()
    assert not (tmp_path / "out").exists()


def test_values_that_rounding_decided_have_no_exponent():
    depths = (6, 12, 25, 50)
    rows = pl.DataFrame(
        {
            "scheme": "s",
            "optimizer": "sgd",
            "part": "total",
            "quantity": "update",
            "n_encoder": depths,
            "n_decoder": depths,
            "value": [1.0, 2.0, 3.0, 4.0],
            "accurate": [True, None, False, False],
        }
    )
    (row,) = exponent_table(rows).to_dicts()
    assert (row["exponent"], row["note"]) == (None, "not accurate from N = 25")
    (row,) = exponent_table(rows.with_columns(accurate=True)).to_dicts()
    assert row["note"] != "not accurate from N = 25"
    assert row["exponent"] is not None


def test_rows_from_before_accuracy_was_stored_are_read_and_not_measured_again(tmp_path):
    whole = run_sweep(GRID, tmp_path)
    assert whole["accurate"].all()
    # A folder of that time: no column, and no checksum in the manifest.
    whole.drop("accurate").write_parquet(tmp_path / "rows.parquet")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    older = {name: value for name, value in manifest.items() if name not in ("files", "sha256")}
    (tmp_path / "manifest.json").write_text(json.dumps(older))
    again = run_sweep(GRID, tmp_path, measure=stopping(0))
    assert again["accurate"].null_count() == len(again) == len(whole)
    assert again.drop("accurate").equals(whole.drop("accurate"))
    larger = SweepConfig(GRID.schemes, GRID.optimizers, (1, 2, 3), 2, SMALL)
    mixed = run_sweep(larger, tmp_path)
    assert mixed.filter(pl.col("n_encoder") == 3)["accurate"].all()
    assert mixed.filter(pl.col("n_encoder") < 3)["accurate"].null_count() == len(whole)


def test_a_wrong_but_finite_value_is_stored_as_not_accurate():
    deep = SweepConfig(("xavier",), ("sgd",), (6,), 1, SweepSettings(dtype="float32"))
    rows = run_sweep(deep)
    assert rows["finite"].all()
    assert not rows["accurate"].any()
