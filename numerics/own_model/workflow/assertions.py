"""Assertions about initialisations, for the tests of any project.

Each fails with the table that `tfixup check` or `tfixup audit` would print. What the data do not
decide fails too, and says so: a test that passes because it measured too little tests nothing.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from torch import nn

from numerics.own_model.audit.audit import Audit, audit
from numerics.own_model.audit.report import print_audit
from numerics.own_model.check.check import check
from numerics.own_model.check.report import WIDTH, print_check
from numerics.own_model.check.result import Check
from numerics.own_model.check.types import OptimizerCheck
from numerics.recipes import Recipe
from numerics.schemes import Scheme
from numerics.statistics.exponents import Exponent, power_law
from numerics.structure.default_batch import ModelBatch
from theory.errors import InputError, require_within


def assert_depth_bounded(
    factory: str | Callable[..., object],
    depths: Sequence[int] = (2, 4, 8, 16),
    optimizer: str = "adamw",
    *,
    margin: float = 0.1,
    seeds: int = 3,
    **options: Any,
) -> Check:
    """Fail unless one optimizer step moves the model's function equally far at every depth.

    ‖Δf‖/η ~ N^p over the depths; the 95 % interval of p must lie at or below ``margin``.

    Parameters
    ----------
    factory
        A function of the depth that returns a module, or a module and a batch; or its name.
    depths
        At least three depths.
    optimizer
        The optimizer whose first step is measured: sgd, adamw, lion, muon, …
    margin
        The largest exponent that counts as bounded.
    seeds
        Models per depth.
    options
        Passed to `numerics.own_model.check.check.check`.

    Returns
    -------
    Check
        What was measured.

    Raises
    ------
    AssertionError
        With the table, if the update grows with the depth or the data do not decide.

    Examples
    --------
    >>> from torch import nn
    >>> def chain(n):
    ...     return nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(n)))
    >>> try:
    ...     found = assert_depth_bounded(chain, depths=(2, 3, 4), optimizer="sgd", seeds=2)
    ... except AssertionError as failed:
    ...     print(str(failed).partition(":")[0])
    the update under sgd is not bounded in depth
    """
    require_within(0, 10, margin=margin)
    found = check(factory, depths, (optimizer,), seeds=seeds, **options)
    (one,) = found.optimizers
    problem = _unbounded(one, margin)
    if problem:
        raise AssertionError(
            f"the update under {optimizer} is not bounded in depth: {problem}\n\n{_told(found)}"
        )
    return found


def _unbounded(one: OptimizerCheck, margin: float) -> str:
    """Why the total does not count as bounded; empty if it does."""
    fit = one.total.law.exponent
    if not isinstance(fit, Exponent):
        return f"no exponent can be fitted ({fit.reason})"
    low, high = fit.interval
    told = f"‖Δf‖/η ~ N^{fit.value:+.2f}, 95 % interval [{low:+.2f}, {high:+.2f}]"
    if low > margin:
        return f"{told} lies above the margin {margin:g}"
    if high > margin:
        return f"{told} does not decide against the margin {margin:g}: more depths or seeds would"
    return ""


def assert_initialized(
    model: nn.Module,
    recipe: str | Recipe | Scheme,
    batch: ModelBatch | None = None,
    **options: Any,
) -> Audit:
    """Fail unless every tensor of a model is drawn as a recipe asks of its role.

    Parameters
    ----------
    model
        Any torch module; it is not changed.
    recipe
        A recipe or a scheme, or the name of one (``tfixup list recipes``).
    batch
        Arguments of one forward; random ids or vectors unless given.
    options
        Passed to `numerics.own_model.audit.audit.audit`.

    Raises
    ------
    AssertionError
        With the findings and the table.
    """
    found = audit(model, recipe, batch, **options)
    if not found.clean:
        written = io.StringIO()
        print_audit(Console(file=written, width=WIDTH, emoji=False), found)
        raise AssertionError(f"the model is not initialised as asked\n\n{written.getvalue()}")
    return found


def assert_constant(
    values: Mapping[int, float | Sequence[float]], *, margin: float = 0.05
) -> Exponent:
    """Fail unless a quantity measured at several depths is constant in the depth.

    A power law N^p is fitted to the values; the 95 % interval of p must lie within ±``margin``.

    Parameters
    ----------
    values
        Per depth one value, or one per seed.
    margin
        The largest exponent, up or down, that counts as constant.

    Raises
    ------
    AssertionError
        If it grows or shrinks, or if the data do not decide.
    InputError
        For fewer than three depths.

    Examples
    --------
    >>> fit = assert_constant({4: [1.0, 1.01], 8: [0.99, 1.0], 16: [1.01, 1.0], 32: [1.0, 0.99]})
    >>> assert_constant({4: 2.0, 8: 4.0, 16: 8.0, 32: 16.0})
    Traceback (most recent call last):
        ...
    AssertionError: not constant in depth: N^+1.00, 95 % interval [+1.00, +1.00] outside ±0.05
    """
    if len(values) < 3:
        raise InputError(f"constancy needs at least 3 depths, got {len(values)}")
    points = [
        (depth, float(value))
        for depth, own in values.items()
        for value in ([own] if isinstance(own, int | float) else own)
    ]
    fit = power_law([depth for depth, _ in points], [value for _, value in points])
    if not isinstance(fit, Exponent):
        raise AssertionError(f"not constant in depth: no exponent can be fitted ({fit.reason})")
    low, high = fit.interval
    told = f"N^{fit.value:+.2f}, 95 % interval [{low:+.2f}, {high:+.2f}]"
    if low > margin or high < -margin:
        raise AssertionError(f"not constant in depth: {told} outside ±{margin:g}")
    if not -margin <= low <= high <= margin:
        raise AssertionError(f"not decided: {told} is not within ±{margin:g}: more depths or seeds")
    return fit


def _told(found: Check) -> str:
    written = io.StringIO()
    print_check(found, Console(file=written, width=WIDTH, emoji=False))
    return written.getvalue()
