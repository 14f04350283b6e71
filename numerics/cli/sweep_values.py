"""The measured ‖Δf‖/η of a sweep in print: a line per scheme and optimizer, a number per depth."""

from collections.abc import Iterator
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_NUMBER = 9
"""Columns of one number, such as ``1.53e+18``, with the space before it."""


def measured_lines(rows: "pl.DataFrame", width: int) -> Iterator[tuple[str, str]]:
    """Lines with their styles: the total's ‖Δf‖/η, geometric means over seeds.

    A value that is not finite in some seed is shown as such. Depths that do not fit beside each
    other continue in a further block.
    """
    import polars as pl

    from numerics.sweeps.run import with_depth

    total = with_depth(rows).filter((pl.col("quantity") == "update") & (pl.col("part") == "total"))
    if total.is_empty():
        return
    names = total.select("scheme", "optimizer").unique(maintain_order=True).rows()
    depths = sorted(total["depth"].unique().to_list())
    margin = max(len(f"{scheme}, {optimizer}") for scheme, optimizer in names) + 1
    beside = max(1, (width - margin) // _NUMBER)
    yield "‖Δf‖/η of the whole model, geometric mean over seeds", "bold"
    for start in range(0, len(depths), beside):
        block = depths[start : start + beside]
        yield f"{'N':<{margin}}" + "".join(f"{depth:>{_NUMBER}}" for depth in block), "dim"
        for scheme, optimizer in names:
            own = total.filter((pl.col("scheme") == scheme) & (pl.col("optimizer") == optimizer))
            cells = (
                _mean(own.filter(pl.col("depth") == depth)["value"].to_list()) for depth in block
            )
            yield (
                f"{f'{scheme}, {optimizer}':<{margin}}"
                + "".join(f"{cell:>{_NUMBER}}" for cell in cells),
                "",
            )
    yield "", ""


def _mean(values: list[float | None]) -> str:
    """The geometric mean; a dash for no value, ``inf`` or ``nan`` where a seed has one."""
    if not values:
        return "—"
    found = [float("nan") if value is None else value for value in values]
    if not all(0 <= value < float("inf") for value in found):
        return "not finite"[: _NUMBER - 1]
    if 0.0 in found:
        return "0"
    return f"{exp(sum(map(log, found)) / len(found)):.3g}"
