"""The table of depth exponents, and the command that prints it."""

import polars as pl
import pytest

from numerics.cli.sweep import Sweep
from numerics.sweeps.run import SweepSettings, exponent_table
from theory.errors import InputError


def _synthetic(power: float) -> pl.DataFrame:
    rows = [
        {"n_encoder": n, "n_decoder": n, "value": 2.0 * n**power * (1 + 0.01 * seed), "seed": seed}
        for n in (1, 6, 12, 25, 50)
        for seed in range(3)
    ]
    constant = {"scheme": "s", "optimizer": "sgd", "part": "total", "quantity": "update"}
    return pl.DataFrame([row | constant for row in rows])


@pytest.mark.parametrize(("power", "note"), [(0.0, "flat"), (0.5, "grows"), (-0.5, "shrinks")])
def test_exponent_table(power, note):
    (row,) = exponent_table(_synthetic(power)).to_dicts()
    assert (row["note"], row["points"]) == (note, 12)
    assert row["exponent"] == pytest.approx(power, abs=1e-9)
    assert row["low"] <= power <= row["high"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schemes": "tfixpu"}, "unknown scheme 'tfixpu': did you mean 'tfixup'"),
        ({"schemes": ""}, "schemes must be a comma-separated list without gaps"),
        ({"optimizers": "adm"}, "unknown optimizer 'adm'"),
        ({"depths": "0"}, "depths must be between 1 and 100000, got 0"),
        ({"depths": "6,six"}, "depths must be integers in plain digits, got 'six'"),
        ({"depths": "6,6"}, "depths must be a list without repetition"),
        ({"seeds": 0}, "seeds must be an integer of at least 1, got 0"),
        (
            {"settings": SweepSettings(heads=3)},
            "heads must divide the width d_model, got heads=3, d_model=64",
        ),
        ({"settings": SweepSettings(tokens=0)}, "tokens must be an integer of at least 1, got 0"),
        (
            {"settings": SweepSettings(positions="sinus")},
            "unknown kind of positions 'sinus': did you",
        ),
        (
            {"settings": SweepSettings(architecture="encoder")},
            "unknown architecture 'encoder': did you",
        ),
        ({"address": "tcp://a:1"}, "address goes with executor dask, got address 'tcp://a:1' with"),
        ({"executor": "dask", "partition": "x"}, "partition goes with executor slurm"),
        ({"executor": "slurm", "minutes": 0}, "minutes must be between 1 and 100000, got 0"),
        ({"depths": "6,100000"}, r"depth 100000 must fit the memory: .* needs about \d+\.\d GiB"),
        ({"workers": 0}, "workers must be between 1 and 1000, got 0"),
    ],
)
def test_bad_options_touch_nothing(tmp_path, options, message):
    out = tmp_path / "out"
    with pytest.raises(InputError, match=message):
        Sweep(out=out, **options).run()
    assert not out.exists()


def test_the_command_prints_a_verdict_a_part(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    command = Sweep(
        schemes="tfixup",
        depths="1,2,3",
        seeds=2,
        optimizers="sgd",
        out=tmp_path / "out",
        workers=1,
        settings=SweepSettings(d_model=8, d_ff=12, vocabulary=20),
        from_depth=1,
        progress=False,
    )
    assert command.run() == 0
    printed = capsys.readouterr().out
    for part in ("total", "embeddings", "encoder.attention", "decoder.mlp"):
        assert part in printed
