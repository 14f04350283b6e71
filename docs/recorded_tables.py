"""Tables of the documentation that are read off recorded results: no number of theirs is typed."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

RESULTS = Path(__file__).parent.parent / "results"
SWEEPS = {
    "recorded_sweep": ("sweep", ("total", "encoder", "decoder"), 6),
    "recorded_schemes": ("schemes", ("total",), 6),
    "recorded_positions": ("positions", ("total", "encoder", "decoder"), 6),
    "recorded_modern": ("modern-64", ("total",), 4),
}
"""Generated table: the sweep's folder, the parts that it shows, and the least depth fitted."""
CALLED = re.compile(r"^python -m (tfixup\.__main__|numerics\.cli\.main)")
"""Other ways to call the command, as older records have them."""


def exponents(folder: str, parts: Sequence[str], from_depth: int) -> str:
    """Depth exponents of one recorded sweep: a row per scheme, a column per optimizer and part."""
    from numerics.sweeps.run import exponent_table

    rows = pl.read_parquet(RESULTS / folder / "rows.parquet")
    fits = exponent_table(rows, from_depth=from_depth).filter(pl.col("quantity") == "update")
    kept = [part for part in parts if part in set(fits["part"])]
    optimizers = fits["optimizer"].unique(maintain_order=True).to_list()
    columns = [(optimizer, part) for optimizer in optimizers for part in kept]
    found = {
        (row["scheme"], row["optimizer"], row["part"]): row for row in fits.iter_rows(named=True)
    }
    seeds = dict(rows.group_by("scheme").agg(pl.col("seed").n_unique()).rows())
    schemes = fits["scheme"].unique(maintain_order=True).to_list()
    header = ("scheme", "seeds", *(f"{optimizer}, {part}" for optimizer, part in columns))
    return table(
        header,
        (
            (f"`{scheme}`", seeds[scheme], *(_cell(found.get((scheme, *one))) for one in columns))
            for scheme in schemes
        ),
    )


def _cell(row: dict[str, object] | None) -> str:
    """The exponent with its interval, or why there is none."""
    if row is None:
        return "—"
    if row["exponent"] is None:
        return str(row["note"])
    told = f"{row['exponent']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}] {row['note']}"
    return told.replace("-", "−")


def commands(folder: str) -> str:
    """The command of every run that a recorded sweep is made of."""
    manifest = json.loads((RESULTS / folder / "manifest.json").read_text("utf-8"))
    recorded = (run["provenance"]["command"] for run in manifest["runs"])
    told = dict.fromkeys(CALLED.sub("tfixup", command) for command in recorded)
    return "\n".join(["```sh", *told, "```"])


def predictions() -> str:
    """How far measured and predicted energies lie apart, by scheme."""
    summary = json.loads((RESULTS / "predictions" / "summary.json").read_text("utf-8"))
    rows = (
        (f"`{scheme}`", *(_percent(one[name]) for name in ("p50", "p90", "p99", "noise_p50")))
        for scheme, one in summary["percentiles"].items()
    )
    header = ("scheme", "half of the parts", "90 %", "99 %", "scatter of the draws")
    return table(header, rows) + f"\n\n```sh\n{summary['provenance']['command']}\n```"


def verdicts() -> dict[str, str]:
    """The recorded verdict of each claim."""
    recorded = json.loads((RESULTS / "verify" / "verdicts.json").read_text("utf-8"))
    return {claim["id"]: claim["verdict"] for claim in recorded["claims"]}


def libraries() -> str:
    """Each statement about a library, the version that it was decided on, and what was found."""
    recorded = json.loads((RESULTS / "verify" / "verdicts.json").read_text("utf-8"))
    rows = []
    for claim in recorded["claims"]:
        if claim["paper"] == "libraries":
            first, *_ = claim["evidence"]
            told = first["scope"].partition(",")[0] or first["summary"]
            found = (
                f"{first['value']:.3g} for {first['expected']:.3g}"
                if first["passed"] is not None
                else "—"
            )
            name = claim["id"].partition(".")[2]
            rows.append(
                (f"`{name}`", claim["statement"], told, claim["verdict"], found, claim["summary"])
            )
    header = ("row", "statement", "decided on", "verdict", "found for stated", "as shipped")
    return table(header, rows)


def solved() -> str:
    """What a step of each recorded solved model does over depths, with the command."""
    told = []
    for path in sorted((RESULTS / "solved").glob("*/solved.json")):
        found = json.loads(path.read_text("utf-8"))
        depths = sorted({row["layers"] for row in found["rows"]})
        rows = []
        for group, own in found["groups"].items():
            fitted = own["exponent"] is not None
            power = f"{own['exponent']:+.3f}" if fitted else "—"
            ends = f"[{own['interval'][0]:+.3f}, {own['interval'][1]:+.3f}]" if fitted else ""
            common = own["common"]
            parts = f"{common['start']:.0%}, {common['share']:.0%}" if common else "—"
            cells = (group, power, ends, own["verdict"], parts)
            rows.append(tuple(cell.replace("-", "−") for cell in cells))
        header = (
            *("weights", "power of N", "95 %", "verdict"),
            f"alike in all blocks, at N = {depths[0]} and {depths[-1]}",
        )
        command = CALLED.sub("tfixup", found["provenance"]["command"])
        told += [table(header, rows), "", "```sh", command, "```", ""]
    return "\n".join(told)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if value < 1 else "more than 100 %"


def mutation() -> str:
    """How many of the drawn mutants the tests kill; below, every survivor's reason."""
    folder = RESULTS / "mutation"
    reasons = json.loads((folder / "reasons.json").read_text("utf-8"))
    files = sorted(path for path in folder.glob("*.json") if path.name != "reasons.json")
    found = [json.loads(path.read_text("utf-8")) for path in files]
    lines = [table(MUTATION, (_wing(one, reasons) for one in found))]
    for one in found:
        lines += ["", f"## Survivors: {one['group']}", ""]
        lines += [_survivor(mutant, reasons) for mutant in one["survivors"]] or ["None."]
    commands = dict.fromkeys(one["provenance"]["command"] for one in found)
    return "\n".join([*lines, "", "## Commands", "", "```sh", *commands, "```"])


MUTATION = (
    "part of the code",
    "mutants",
    "drawn",
    "seed",
    "killed",
    "share",
    "change nothing",
    "open",
    "commit",
)


def _wing(one: dict[str, Any], reasons: Mapping[str, str]) -> tuple[object, ...]:
    told = sum(_reason(mutant, reasons) is not None for mutant in one["survivors"])
    low, high = one["interval"]
    share = f"{one['share']:.0%} [{low:.0%}, {high:.0%}]"
    commit = str(one["provenance"]["commit"])[:7]
    seed, left = one["provenance"]["seed"], len(one["survivors"]) - told
    killed = one["killed"]
    return one["group"], one["mutants"], one["sampled"], seed, killed, share, told, left, commit


def _reason(mutant: Mapping[str, Any], reasons: Mapping[str, str]) -> str | None:
    return reasons.get(f"{mutant['module']}: {mutant['difference']}")


def _survivor(mutant: Mapping[str, Any], reasons: Mapping[str, str]) -> str:
    told = _reason(mutant, reasons)
    why = f"It changes nothing: {told}" if told else f"Open, {mutant['fate']}."
    change = "\n".join(f"   {line}" for line in mutant["difference"].splitlines())
    return (
        f"1. `{mutant['module']}`, line {mutant['line']}. {why}\n\n   ```diff\n{change}\n   ```\n"
    )


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    r"""A Markdown table; bars inside cells are escaped.

    Examples
    --------
    >>> print(table(("a", "b"), [(1, "x|y")]))
    | a | b |
    |---|---|
    | 1 | x\\|y |
    """
    names = tuple(header)
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for row in rows:
        cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_tables(folder: Path) -> None:
    """Write every table below ``folder``, as text that a page includes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (sweep, parts, from_depth) in SWEEPS.items():
        text = f"{exponents(sweep, parts, from_depth)}\n\nRecorded by\n\n{commands(sweep)}\n"
        (folder / f"{name}.txt").write_text(text, "utf-8")
    (folder / "recorded_libraries.txt").write_text(libraries() + "\n", "utf-8")
    (folder / "recorded_solved.txt").write_text(solved() + "\n", "utf-8")
    (folder / "recorded_predictions.txt").write_text(predictions() + "\n", "utf-8")
    (folder / "recorded_mutation.txt").write_text(mutation() + "\n", "utf-8")
