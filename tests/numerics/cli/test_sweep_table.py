"""The printed table of exponents: what it leaves out, and that it fits."""

import io
from collections.abc import Iterable

import polars as pl
from rich.console import Console

from numerics.cli.sweep import render
from numerics.models.roles import ALL_PARTS
from numerics.schemes import SCHEMES


def test_of_many_schemes_only_the_stacks_are_printed():
    def printed(schemes: Iterable[str], *below: str, width: int = 100) -> str:
        rows = [
            (scheme, "sgd", part, "update", 0.5, 0.4, 0.6, 6, "undecided")
            for scheme in schemes
            for part in (*ALL_PARTS, "decoder.mlp.*", *below)
        ]
        columns = ["scheme", "optimizer", "part", "quantity", "exponent", "low", "high", "points"]
        table = pl.DataFrame(rows, schema=[*columns, "note"], orient="row")
        written = io.StringIO()
        Console(width=width, file=written).print(render(table, 6))
        return written.getvalue()

    few, many = printed(["tfixup"]), printed(SCHEMES)
    assert all(f"  {part} " in few for part in ALL_PARTS)
    assert {part for part in ALL_PARTS if f"  {part} " in many} == {
        part for part in ALL_PARTS if "." not in part
    }
    assert "decoder.mlp.* " in many, "asked for by --detail"
    assert "every part is in the rows" in many
    assert "every part is in the rows" not in few
    narrow = printed(["tfixup"], "decoder.cross_attention.out_proj", width=80)
    assert "decoder.cross_attention.out_proj " in narrow
    assert narrow.count("undecided") == len(ALL_PARTS) + 2
