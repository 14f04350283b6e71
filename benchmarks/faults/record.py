"""Writes what a campaign found, with its provenance, and reads what was found before."""

from collections.abc import Mapping
from pathlib import Path

from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance

FOLDER = Path(__file__).parents[2] / "results" / "faults"


def record(
    target: Path, content: Mapping[str, object], *, config: object, seed: int, seconds: float
) -> None:
    """Write the findings of a campaign to ``target``."""
    made = provenance(
        command=command_line(),
        config=config,
        seed=seed,
        device="cpu",
        dtype="none",
        seconds=seconds,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, {**content, "provenance": made})
