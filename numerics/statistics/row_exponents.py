"""The depth exponent of recorded rows, which no fit of them goes around.

A row of a sweep says whether its value is accurate: where rounding decided a value, no power law
of it means anything. Leaving such a row out would not do, because the seeds and depths that remain
are those at which the value was small. A group with one has no exponent.
"""

from collections.abc import Callable

import polars as pl

from numerics.statistics.estimates import CONFIDENCE
from numerics.statistics.exponents import Exponent, NoExponent, power_law


def row_exponent(
    rows: pl.DataFrame,
    depth: str = "n_encoder",
    *,
    fit: Callable[..., Exponent | NoExponent] = power_law,
    confidence: float = CONFIDENCE,
) -> Exponent | NoExponent:
    """Exponent p of value = e^a N^p over the rows of one scheme, optimizer, part and quantity.

    Parameters
    ----------
    rows
        With the columns ``value`` and ``depth``, and, unless the sweep is old, ``accurate``.
    depth
        The column that holds N.
    fit
        `power_law` or `cautious`.
    confidence
        Level of the interval.

    Returns
    -------
    Exponent or NoExponent
        The latter where a row is not accurate, and where `power_law` has none. A row of an old
        sweep does not say, and counts as accurate.

    Examples
    --------
    >>> rows = pl.DataFrame({"n_encoder": [6, 12, 25], "value": [1.0, 2.0, 4.0]})
    >>> round(row_exponent(rows).value, 2)
    0.97
    >>> row_exponent(rows.with_columns(accurate=pl.Series([True, True, False]))).reason
    'not accurate from N = 25'
    """
    if "accurate" in rows.columns:
        wrong = rows.filter(pl.col("accurate").eq(False))[depth]
        if len(wrong):
            return NoExponent(f"not accurate from N = {wrong.min()}", measured=False)
    values = rows["value"].fill_null(float("nan")).to_list()
    return fit(rows[depth].to_list(), values, confidence=confidence)
