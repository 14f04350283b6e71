"""The measured ‖Δf‖/η of a sweep in print: a line per scheme and optimizer, a number per depth."""

import re
from collections.abc import Iterator
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_NUMBER = 9
"""Columns of one number, such as ``1.53e+18``, with the space before it."""
LONGEST = 26
"""Columns of a title beside which numbers stand: a longer one has lines of its own."""


def folded(title: str) -> list[str]:
    """The lines of a title, each no longer than `LONGEST` where its words allow it.

    Examples
    --------
    >>> folded("my_scheme.py:HALVED@3c1b6c53:factor=0.1, sgd")
    ['my_scheme.py:', 'HALVED@3c1b6c53:', 'factor=0.1, sgd']
    """
    lines = [""]
    for word in re.findall(r"[^:,/]+(?:[:/]|, ?)?", title):
        if lines[-1] and len((lines[-1] + word).rstrip()) > LONGEST:
            lines.append("")
        lines[-1] += word
    return [line.rstrip() for line in lines]


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
    titles = {name: folded(", ".join(name)) for name in names}
    margin = max(len(line) for lines in titles.values() for line in lines) + 1
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
            *above, last = titles[scheme, optimizer]
            yield from ((line, "") for line in above)
            yield f"{last:<{margin}}" + "".join(f"{cell:>{_NUMBER}}" for cell in cells), ""
    yield "", ""


def step_lines(rows: "pl.DataFrame") -> Iterator[tuple[str, str]]:
    """Lines with their styles: f's change after each real step, at the least and the largest depth.

    A line ends with the share of tensors without a gradient at the first two steps, if there are
    any.
    """
    import polars as pl

    from numerics.sweeps.run import with_depth

    quantity = pl.col("quantity").str
    walked = with_depth(rows).filter(quantity.contains(r"^(change|without_gradient)_\d+$"))
    if walked.is_empty():
        return
    yield "‖f(θ_t) − f(θ_0)‖ after t real steps, geometric mean over seeds", "bold"
    for (scheme, optimizer), own in walked.group_by(["scheme", "optimizer"], maintain_order=True):
        yield f"{scheme}, {optimizer}", ""
        depths = sorted(own["depth"].unique().to_list())
        for depth in dict.fromkeys((depths[0], depths[-1])):
            at = own.filter(pl.col("depth") == depth)
            changes = at.filter(quantity.starts_with("change_"))
            numbers = sorted({int(name.rpartition("_")[2]) for name in changes["quantity"]})
            means = {
                t: _mean(at.filter(pl.col("quantity") == f"change_{t}")["value"].to_list())
                for t in _shown(numbers)
            }
            cells = [f"t = {t}: {mean}" for t, mean in means.items()]
            still = [
                at.filter(pl.col("quantity") == f"without_gradient_{t}")["value"].mean()
                for t in numbers[:2]
            ]
            told = ""
            if still[0]:
                told = f"; without a gradient {still[0]:.0%} of the tensors, then {still[-1]:.0%}"
            yield f"  N = {depth}  " + ", ".join(cells) + told, ""
    yield "", ""


def _shown(numbers: list[int]) -> list[int]:
    """The first three steps and powers of 2, and the last."""
    return [t for t in numbers if t <= 3 or t & (t - 1) == 0 or t == numbers[-1]]


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
