"""The zero-parameter prediction of ‖Jᵀu‖² beside its measurement: schemes × depths × parts.

Run as ``python -m benchmarks.predictions``. A cell is predicted ÷ mean measured − 1, with the
relative standard error of the mean over draws of weights, tokens and cotangent. Stored with the
50th, 90th and 99th percentile of |deviation| by scheme in ``results/predictions/summary.json``, and
of the draws' own relative standard error beside them: a deviation below it is no deviation. Schemes
that the theory does not describe are recorded with the reason.
"""

import argparse
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from numerics.models import ModelSpec
from numerics.models.roles import LEAF_PARTS
from numerics.prediction.compare import PartComparison, compare, network_of
from numerics.schemes import SCHEMES
from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance
from theory.errors import InputError

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Settings:
    """What is compared."""

    schemes: tuple[str, ...] = tuple(SCHEMES)
    depths: tuple[int, ...] = (1, 4, 12)
    draws: int = 48
    seed: int = 0


def percentiles(values: list[float]) -> dict[str, float]:
    """The 50th, 90th and 99th percentile, between order statistics."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {f"p{p}": cuts[p - 1] for p in PERCENTILES}


def refusals(schemes: tuple[str, ...]) -> dict[str, str]:
    """Why the theory does not describe a scheme, for those that it does not."""
    reasons = {}
    for scheme in schemes:
        try:
            network_of(scheme, ModelSpec(1, 1))
        except InputError as reason:
            reasons[scheme] = str(reason)
    return reasons


def table(found: dict[tuple[str, int], tuple[PartComparison, ...]]) -> Table:
    """One row per scheme and depth, one column per part; the wirings' own parts in the last."""
    shown = Table(title="predicted ÷ measured − 1, in % ± standard error")
    for column in ("scheme", "N", *LEAF_PARTS, "own"):
        shown.add_column(column)
    for (scheme, depth), items in found.items():
        cells = {
            item.part: f"{100 * item.deviation:+.1f} ± {100 * item.noise:.1f}" for item in items
        }
        own = [f"{part} {cell}" for part, cell in cells.items() if part not in LEAF_PARTS]
        shown.add_row(scheme, str(depth), *(cells[part] for part in LEAF_PARTS), "\n".join(own))
    return shown


def main() -> None:
    """Compare, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Settings()
    parser.add_argument("--schemes", nargs="+", default=default.schemes)
    parser.add_argument("--depths", nargs="+", type=int, default=default.depths)
    parser.add_argument("--draws", type=int, default=default.draws)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--out", type=Path, default=Path("results/predictions"))
    options = parser.parse_args()
    settings = Settings(tuple(options.schemes), tuple(options.depths), options.draws, options.seed)
    start = time.perf_counter()
    reasons = refusals(settings.schemes)
    described = [scheme for scheme in settings.schemes if scheme not in reasons]
    found = {
        (scheme, depth): compare(
            scheme, ModelSpec(depth, depth), settings.draws, first_seed=100_000 * settings.seed
        )
        for scheme in described
        for depth in settings.depths
    }
    summary = {}
    for scheme in described:
        items = [item for (name, _), row in found.items() for item in row if name == scheme]
        noise = percentiles([item.noise for item in items])
        summary[scheme] = percentiles([abs(item.deviation) for item in items]) | {
            f"noise_{name}": value for name, value in noise.items()
        }
    record = provenance(
        command=command_line(),
        config=asdict(settings),
        seed=settings.seed,
        device="cpu",
        dtype="float32",
        seconds=time.perf_counter() - start,
    )
    Console(width=140).print(table(found))
    for scheme, values in summary.items():
        print(scheme, {name: f"{value:.1%}" for name, value in values.items()})
    for scheme, reason in reasons.items():
        print(f"{scheme}: {reason}")
    cells = [
        {"scheme": scheme, "depth": depth, **asdict(item), "deviation": item.deviation}
        for (scheme, depth), items in found.items()
        for item in items
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(
        options.out / "summary.json",
        {"percentiles": summary, "refused": reasons, "cells": cells, "provenance": record},
    )


if __name__ == "__main__":
    main()
