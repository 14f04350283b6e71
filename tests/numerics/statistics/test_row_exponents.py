"""One function fits recorded rows: where rounding decided a value there is no exponent."""

import ast
from pathlib import Path

import polars as pl
import pytest

import numerics
from numerics.evidence import depth, modern_updates
from numerics.figures.sweep import draw_sweep
from numerics.models.roles import ALL_PARTS
from numerics.statistics.exponents import Exponent, NoExponent, cautious, power_law
from numerics.statistics.row_exponents import row_exponent

DEPTHS = (6, 12, 25, 50)


def rows(*, accurate: bool | None, scheme: str = "tfixup", part: str = "total") -> pl.DataFrame:
    """A sweep whose values grow as √N, the deepest with or without accuracy."""
    seeds = (0, 1)
    return pl.DataFrame(
        [
            {
                "task": f"{scheme}-{n}-{seed}",
                "scheme": scheme,
                "optimizer": "sgd",
                "part": part,
                "quantity": "update",
                "n_encoder": n,
                "n_decoder": n,
                "seed": seed,
                "value": n**0.5 * (1 + 0.01 * seed),
                "finite": True,
                "error": None,
                "accurate": accurate if n == DEPTHS[-1] else True,
                **{"d_model": 64, "d_ff": 128, "heads": 2, "batch": 4, "tokens": 8},
            }
            for n in DEPTHS
            for seed in seeds
        ],
        schema_overrides={"accurate": pl.Boolean, "error": pl.String},
    )


@pytest.mark.parametrize("fit", [power_law, cautious])
def test_a_value_that_rounding_decided_has_no_exponent(fit):
    found = row_exponent(rows(accurate=False), fit=fit)
    assert isinstance(found, NoExponent)
    assert (found.reason, found.measured) == ("not accurate from N = 50", False)


@pytest.mark.parametrize("accurate", [True, None])
def test_accurate_rows_and_those_of_old_sweeps_have_one(accurate):
    found = row_exponent(rows(accurate=accurate))
    assert isinstance(found, Exponent)
    assert found.value == pytest.approx(0.5)
    old = row_exponent(rows(accurate=accurate).drop("accurate"))
    assert old == found


def test_a_figure_writes_no_exponent_beside_such_a_curve():
    def written(accurate: bool) -> list[str]:
        (axes,) = draw_sweep(rows(accurate=accurate), panels=("total",)).axes
        return [text.get_text() for text in axes.texts]

    assert written(accurate=True) == ["+0.50"]
    assert written(accurate=False) == [""]


def test_evidence_says_nothing_about_such_a_part():
    def answer(accurate: bool) -> bool | None:
        frame = pl.concat(
            rows(accurate=accurate if part == "total" else True, part=part) for part in ALL_PARTS
        )
        fits = depth.fits_of(frame, "sgd", ("tfixup",))
        return depth.all_equivalent(fits["tfixup"], 0.5, 0.1)

    assert answer(accurate=True) is True
    assert answer(accurate=False) is None


def test_a_part_that_is_not_finite_is_not_flat():
    assert depth.all_equivalent({"total": NoExponent("not finite from N = 50")}, 0.0, 0.1) is False


def test_a_ratio_is_as_accurate_as_the_worse_of_its_two():
    inside = pl.col("n_decoder").is_in(modern_updates.DEPTHS)
    own = pl.concat([rows(accurate=True), rows(accurate=False, scheme="xavier")])
    own = own.with_columns(
        n_decoder=pl.col("n_encoder").replace_strict(
            dict(zip(DEPTHS, modern_updates.DEPTHS, strict=False))
        )
    ).filter(inside)
    with pytest.raises(ValueError, match="not accurate"):
        modern_updates.exponent(own, "tfixup", "sgd", against="xavier")


def test_no_module_fits_rows_of_a_sweep_by_itself():
    """``row_exponent`` is the one place where a column of values meets a fit."""
    fits = {"power_law", "cautious"}
    found = []
    for path in sorted(Path(numerics.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in fits:
                columns = [
                    one.value
                    for one in ast.walk(call)
                    if isinstance(one, ast.Constant) and one.value in ("value", "n_encoder")
                ]
                found += [f"{path.name}:{call.lineno}"] if columns else []
    assert found == []
