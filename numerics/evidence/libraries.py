"""A library's initialisation as it ships it, against what a paper or its documentation says.

A row builds the library's own model, takes one number per tensor, and compares it with the number
that the statement asks for. The same comparison then judges the model again after one change, which
makes it the statement's or takes the statement away. A row of a library that is not installed says
so, with the version in which the difference was seen, and decides nothing.
"""

import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import torch
from torch import Tensor, nn

from numerics.measure.updates import rms
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, Provider, Reading

WIDTH = 192
"""Matrices of this width have 36,864 entries: a standard deviation is known to 0.4 %."""
LAYERS = 4


@dataclass(frozen=True)
class Size:
    """One number of a tensor, what a statement asks for, and what the code is known to draw."""

    found: float
    asked: float
    shipped: float = nan
    """The repaired statement's number; not a number where nothing is repaired."""


@dataclass(frozen=True)
class LibraryRow:
    """A statement about one library's models, and the change that turns its answer."""

    claim: str
    package: str
    """As its distribution is called."""
    seen: str
    """Version in which the difference was seen."""
    build: Callable[[], nn.Module]
    """The library's own model; whatever it draws is drawn under a seed."""
    sizes: Callable[[nn.Module], Mapping[str, Size]]
    """The numbers by tensor."""
    patch: Callable[[nn.Module], None]
    """The change, in place."""
    change: str
    """What it makes of the model, in words."""
    accepted: bool = True
    """Whether the changed model must be accepted; otherwise it must be rejected."""
    repair: str = ""
    """The statement that the shipped code does meet."""
    module: str = ""
    """What is imported, where it is called otherwise than the package."""


def std(tensor: Tensor) -> float:
    """Root mean square of a tensor's entries: its standard deviation around 0."""
    return float(rms(tensor.detach()))


def share_beyond(tensor: Tensor, bound: float) -> float:
    """Share of the entries whose absolute value exceeds a bound: 0 if they are cut there."""
    return float((tensor.abs() > bound).double().mean())


def xavier(matrix: Tensor) -> float:
    """Standard deviation of Xavier's law, √(2/(fan_in + fan_out)).

    Examples
    --------
    >>> xavier(torch.empty(3, 5))
    0.5
    """
    return (2 / sum(matrix.shape)) ** 0.5


def redraw(tensor: Tensor, size: float) -> None:
    """Draw a tensor anew, normal with mean 0 and the given standard deviation."""
    nn.init.normal_(tensor, std=size)


def agrees(found: float, asked: float) -> bool:
    """Whether a number is the asked one within a draw's scatter; 0 must be met exactly.

    Examples
    --------
    >>> agrees(0.1005, 0.1), agrees(0.12, 0.1), agrees(1e-9, 0.0)
    (True, False, False)
    """
    return abs(found - asked) <= _scatter(asked)


def _scatter(asked: float) -> float:
    """How far one draw's number may lie from the one that is asked for."""
    return tolerance("drawn-scale") * abs(asked)


def all_agree(sizes: Mapping[str, Size]) -> bool:
    """Whether every tensor has the number that the statement asks for."""
    return bool(sizes) and all(agrees(size.found, size.asked) for size in sizes.values())


def provider(rows: Sequence[LibraryRow], module: str) -> Provider:
    """The provider of the rows of one module of evidence."""

    def shipped(context: Context) -> Iterator[Observation]:
        for row in rows:
            yield from observed(row, context)

    claims = tuple(row.claim for row in rows)
    return Provider(claims, Kind.MEASUREMENT, Level.QUICK, shipped, f"{module}.shipped")


def observed(row: LibraryRow, context: Context) -> Iterator[Observation]:
    """What the installed library's model says about a row's statement."""
    try:
        importlib.import_module(row.module or row.package)
    except ImportError:
        yield _missing(row)
        return
    version = importlib.metadata.version(row.package).partition("+")[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        model = row.build()
        shipped = row.sizes(model)
        row.patch(model)
        changed = row.sizes(model)
    if not shipped:
        raise LookupError(
            f"no tensor of {row.package} {version} has the names that {row.claim} reads"
        )
    control = Control(
        f"{row.change}: must be {'accepted' if row.accepted else 'rejected'}",
        all_agree(changed) is row.accepted,
    )
    name, worst = max(shipped.items(), key=lambda item: _distance(item[1]))
    scope = f"{row.package} {version}, one draw"
    common: dict[str, Any] = {
        "claim": row.claim,
        "control": control,
        "details": {"package": row.package, "version": version, "seen": row.seen},
    }
    yield Observation(
        passed=all_agree(shipped),
        summary=f"{row.package} {version}: {_told(shipped)}; farthest {name}, {worst.found:.4g} "
        f"for {worst.asked:.4g}",
        value=worst.found,
        expected=worst.asked,
        tolerance=_scatter(worst.asked),
        scope=scope,
        **common,
    )
    if row.repair:
        repaired = {key: Size(size.found, size.shipped) for key, size in shipped.items()}
        yield Observation(
            passed=all_agree(repaired),
            summary=f"{row.package} {version}: {name} has {worst.found:.4g}, and {row.repair} is "
            f"{worst.shipped:.4g}",
            value=worst.found,
            expected=worst.shipped,
            tolerance=_scatter(worst.shipped),
            reading=Reading.REPAIRED,
            reading_text=row.repair,
            scope=scope,
            **common,
        )


def _distance(size: Size) -> float:
    return abs(size.found / size.asked - 1) if size.asked else inf if size.found else 0.0


def _told(sizes: Mapping[str, Size]) -> str:
    met = sum(agrees(size.found, size.asked) for size in sizes.values())
    return f"{met} of {len(sizes)} tensors as stated"


def _missing(row: LibraryRow) -> Observation:
    twice = {"tensor": Size(2.0, 1.0)}
    return Observation(
        claim=row.claim,
        passed=None,
        summary=f"package {row.package} (seen in version {row.seen}) is not installed",
        control=Control("a tensor twice as large must be rejected", not all_agree(twice)),
        details={"package": row.package, "seen": row.seen},
        scope=f"{row.package} {row.seen}, not measured here",
    )
