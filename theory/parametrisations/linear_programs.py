"""Linear programs in exact rationals: least value of c·x where A x = b and x ≥ 0.

The simplex method in two phases with Bland's rule, which cannot cycle. SymPy's own program stops
with "oscillating system" on the certificates that are needed here, and SciPy's works in floating
point, where a proof would need rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

FractionRow = list[Fraction]


@dataclass(frozen=True)
class Optimum:
    """A least value and where it is attained; None if the program is infeasible or unbounded."""

    status: str
    """optimal, infeasible or unbounded."""
    value: Fraction | None = None
    point: tuple[Fraction, ...] | None = None


def minimum(
    cost: Sequence[Fraction | int],
    rows: Sequence[Sequence[Fraction | int]],
    right: Sequence[Fraction | int],
) -> Optimum:
    """The least cost Σ cost_i x_i over x ≥ 0 with ``rows`` · x = ``right``.

    Examples
    --------
    >>> minimum([1, 1], [[1, 2]], [4]).point
    (Fraction(0, 1), Fraction(2, 1))
    >>> minimum([1], [[1]], [-1]).status, minimum([-1, 0], [[1, -1]], [0]).status
    ('infeasible', 'unbounded')
    """
    count = len(cost)
    table: list[FractionRow] = []
    for position, (row, bound) in enumerate(zip(rows, right, strict=True)):
        sign = -1 if bound < 0 else 1
        artificial = [Fraction(int(other == position)) for other in range(len(rows))]
        table.append([*(sign * Fraction(a) for a in row), *artificial, sign * Fraction(bound)])
    basis = [count + position for position in range(len(rows))]
    first = [Fraction(0)] * count + [Fraction(1)] * len(rows)
    _descend(table, basis, first, len(first))
    if any(row[-1] != 0 for row, chosen in zip(table, basis, strict=True) if chosen >= count):
        return Optimum("infeasible")
    _drop_artificial(table, basis, count)
    whole = [Fraction(c) for c in cost] + [Fraction(0)] * len(rows)
    if not _descend(table, basis, whole, count):
        return Optimum("unbounded")
    point = [Fraction(0)] * count
    for row, chosen in zip(table, basis, strict=True):
        if chosen < count:
            point[chosen] = row[-1]
    value = sum((Fraction(c) * x for c, x in zip(cost, point, strict=True)), Fraction(0))
    return Optimum("optimal", value, tuple(point))


def _drop_artificial(table: list[FractionRow], basis: list[int], count: int) -> None:
    """Exchange artificial variables, all 0 by now, for real ones; drop rows without any."""
    for position in reversed(range(len(table))):
        if basis[position] < count:
            continue
        entering = next((j for j in range(count) if table[position][j] != 0), None)
        if entering is None:
            del table[position], basis[position]
        else:
            _pivot(table, basis, position, entering)


def _descend(table: list[FractionRow], basis: list[int], cost: FractionRow, allowed: int) -> bool:
    """Pivot until no reduced cost is negative; False if the value falls without bound."""
    while True:
        entering = next((j for j in range(allowed) if _reduced(table, basis, cost, j) < 0), None)
        if entering is None:
            return True
        ratios = [
            (row[-1] / row[entering], basis[position], position)
            for position, row in enumerate(table)
            if row[entering] > 0
        ]
        if not ratios:
            return False
        _pivot(table, basis, min(ratios)[2], entering)


def _reduced(
    table: list[FractionRow], basis: list[int], cost: FractionRow, column: int
) -> Fraction:
    return cost[column] - sum(
        (cost[chosen] * row[column] for row, chosen in zip(table, basis, strict=True)), Fraction(0)
    )


def _pivot(table: list[FractionRow], basis: list[int], position: int, entering: int) -> None:
    pivot = table[position][entering]
    table[position] = [entry / pivot for entry in table[position]]
    for other, row in enumerate(table):
        factor = row[entering]
        if other != position and factor != 0:
            table[other] = [a - factor * b for a, b in zip(row, table[position], strict=True)]
    basis[position] = entering
