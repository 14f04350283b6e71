"""One function that draws any result: a check, an audit, a sweep, runs, a verdict."""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from numerics.figures.exponents import draw_exponents
from numerics.figures.sweep import draw_sweep
from numerics.figures.verdict import draw_verdict
from numerics.own_model.audit.audit import Audit
from numerics.own_model.check.result import Check
from numerics.sweeps.recorded import RecordedSweep
from numerics.training.recorded import RecordedRun
from theory.claims import Verdict
from theory.errors import InputError


@singledispatch
def plot(result: object, **options: Any) -> Figure:
    """Draw a result; a notebook shows the figure as SVG, and ``savefig`` stores it.

    Parameters
    ----------
    result
        A `Check`, an `Audit`, a `RecordedSweep`, the rows of `run_sweep`, an `exponent_table`, one
        or several `RecordedRun`, or a `Verdict`.
    options
        Options of the drawing function, such as ``panels`` for rows and ``parts`` for exponents.

    Raises
    ------
    InputError
        If the result is none of these, or holds nothing that can be drawn.

    Examples
    --------
    >>> import polars as pl
    >>> plot(pl.DataFrame({"x": [1]}))
    Traceback (most recent call last):
        ...
    theory.errors.InputError: a table to plot must be a sweep's rows or exponents, got columns x
    """
    del options
    kinds = "a Check, an Audit, a sweep, runs or a Verdict"
    raise InputError(f"what is plotted must be {kinds}, got {type(result).__name__}")


@plot.register
def _(result: Check) -> Figure:
    return result.plot()


@plot.register
def _(result: Audit) -> Figure:
    return result.plot()


@plot.register
def _(result: RecordedSweep, **options: Any) -> Figure:
    return result.plot(**options)


@plot.register
def _(result: Verdict) -> Figure:
    return draw_verdict(result)


@plot.register
def _(result: pl.DataFrame, **options: Any) -> Figure:
    if {"exponent", "low", "high", "part"} <= set(result.columns):
        return draw_exponents(result, **options)
    if {"value", "part", "quantity", "n_encoder"} <= set(result.columns):
        return draw_sweep(result, **options)
    columns = ", ".join(result.columns)
    raise InputError(f"a table to plot must be a sweep's rows or exponents, got columns {columns}")


@plot.register(list)
@plot.register(tuple)
def _(result: Sequence[object]) -> Figure:
    from numerics.training.experiments.curves import draw_losses

    runs = [run for run in result if isinstance(run, RecordedRun)]
    if not runs or len(runs) != len(result):
        raise InputError("a list to plot must hold the runs of `read_run`, at least one")
    schemes = {run.config["scheme"] for run in runs}
    return draw_losses(runs, _name, by_depth=len(schemes) < len(runs))


@plot.register
def _(result: RecordedRun) -> Figure:
    return plot([result])


def _name(run: RecordedRun) -> str:
    return f"{run.config['scheme']}, N = {run.config['layers']}"
