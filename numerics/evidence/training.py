"""Training runs as evidence: how T-Fixup, Post-LN and Xavier end without warm-up.

Runs are recorded under ``results/train/DATA/SCHEME-LAYERS-SEED``. Schemes are compared only where
everything but scheme and seed agrees. With ``rerun`` the runs on generated data are repeated.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from numerics.training.config import TrainConfig
from numerics.training.loop import run_training
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun, read_runs
from theory.claims import Context, Control, Kind, Observation, provides

LEAST_SEEDS = 2


@dataclass(frozen=True)
class Comparison:
    """Runs that differ in scheme and seed alone."""

    data: str
    layers: int
    outcomes: Mapping[str, Sequence[RunOutcome]]
    """One outcome a seed, by scheme."""
    losses: Mapping[str, Sequence[float]]
    """Validation losses in nats a token, by scheme."""
    settings: Mapping[str, object]

    def all_are(self, scheme: str, *wanted: RunOutcome) -> bool | None:
        """Whether every run of a scheme ended so; ``None`` with fewer than two seeds."""
        found = self.outcomes.get(scheme, ())
        if len(found) < LEAST_SEEDS:
            return None
        return all(outcome in wanted for outcome in found)

    def told(self, scheme: str) -> str:
        """Outcomes and losses of a scheme in words."""
        pairs = zip(self.outcomes.get(scheme, ()), self.losses.get(scheme, ()), strict=True)
        return f"{scheme} " + ", ".join(f"{outcome} ({loss:.2f})" for outcome, loss in pairs)


def scope_of(group: Comparison, *schemes: str) -> str:
    """The range of a comparison in words; seeds as many as the fewest of the schemes have."""
    own = group.settings
    seeds = min(len(group.outcomes.get(scheme, ())) for scheme in schemes)
    return (
        f"N {own['layers']}, width {own['d_model']}, rate {own['lr']}, steps {own['steps']}, "
        f"{seeds} seeds, {group.data}"
    )


def comparisons(runs: Sequence[RecordedRun]) -> tuple[Comparison, ...]:
    """Group runs by their data and every setting but scheme and seed."""
    groups: dict[tuple[tuple[str, str], ...], list[RecordedRun]] = {}
    for run in sorted(runs, key=lambda run: run.path):
        rest = {k: str(v) for k, v in run.config.items() if k not in ("scheme", "seed")}
        rest |= {f"data {k}": str(v) for k, v in run.data.items()}
        groups.setdefault(tuple(sorted(rest.items())), []).append(run)
    return tuple(_comparison(group) for group in groups.values())


def _comparison(group: Sequence[RecordedRun]) -> Comparison:
    outcomes: dict[str, list[RunOutcome]] = {}
    losses: dict[str, list[float]] = {}
    for run in group:
        outcomes.setdefault(str(run.config["scheme"]), []).append(run.outcome)
        losses.setdefault(str(run.config["scheme"]), []).append(run.validation_loss)
    first = group[0]
    shown = ("layers", "steps", "lr", "warmup", "optimizer", "d_model", "d_ff", "heads")
    return Comparison(
        first.path.parent.name,
        int(first.config["layers"]),
        outcomes,
        losses,
        {name: first.config[name] for name in shown},
    )


def recorded(context: Context) -> tuple[RecordedRun, ...]:
    """Every finished run below the results folder, repeated first where ``rerun`` asks for it."""
    runs = read_runs(context.results / "train")
    if not context.rerun:
        return tuple(runs)
    return tuple(_repeat(run) for run in runs if run.config["data"] == "generated")


def _repeat(run: RecordedRun) -> RecordedRun:
    names = {field.name for field in fields(TrainConfig)}
    settings = {name: value for name, value in run.config.items() if name in names}
    settings["betas"] = tuple(settings["betas"])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / run.path.parent.name / run.path.name
        return run_training(TrainConfig(**settings), out)


def _observations(
    context: Context, good: tuple[str, RunOutcome], bad: str, expected: RunOutcome
) -> Iterator[Observation]:
    """Every run of ``good`` ended as stated while every run of ``bad`` ended as expected."""
    scheme, outcome = good
    for group in comparisons(recorded(context)):
        parts = (group.all_are(scheme, outcome), group.all_are(bad, expected))
        if parts == (None, None):
            continue
        exchanged = (group.all_are(bad, outcome), group.all_are(scheme, expected))
        yield Observation(
            passed=None if None in parts else all(parts),
            summary=f"{group.data}, {group.layers} + {group.layers} layers: "
            f"{group.told(scheme)}; {group.told(bad)} nats a token",
            control=Control("the two schemes exchanged", False in exchanged),
            value=group.told(scheme),
            expected=f"{scheme} {outcome}, {bad} {expected}",
            scope=scope_of(group, scheme, bad),
            source="rerun" if context.rerun else f"recorded: results/train/{group.data}",
            details=group.settings,
        )


@provides("tfixup.no-warmup", kind=Kind.TRAINING)
def no_warmup(context: Context) -> Iterator[Observation]:
    """T-Fixup trains, Post-LN is stuck: both without warm-up."""
    good = ("tfixup", RunOutcome.TRAINED)
    yield from _observations(context, good, "post-ln", RunOutcome.STUCK)


@provides("tfixup.no-layernorm", kind=Kind.TRAINING)
def no_layer_norm(context: Context) -> Iterator[Observation]:
    """Without layer norm Xavier diverges and T-Fixup trains."""
    good = ("tfixup", RunOutcome.TRAINED)
    yield from _observations(context, good, "xavier", RunOutcome.DIVERGED)


PROVIDERS = (no_warmup, no_layer_norm)
