"""``tfixup reproduce``: the papers' training experiments at a reduced scale."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from numerics.training.recorded import RecordedRun


Name = Literal[
    "fig2",
    "fig3ab",
    "fig3c",
    "fig4a",
    "fig4b",
    "fig4c",
    "phase",
    "tables",
    "warmup",
    "radam",
    "baselines",
    "coherence",
    "transfer",
    "transfer-longer",
]


@dataclass(frozen=True)
class Reproduce:
    """Make an experiment's runs and print its verdict; the same command goes on where it stopped.

    fig2, fig3ab: gradients, Adam's updates and layer-norm inputs at the start, one set of runs.
    fig3c: optimizer × layer norm × warm-up. fig4a: depth. fig4b: T-Fixup at 6 to 200 layers. fig4c:
    batch size. phase: depth × learning rate × scheme. tables: BLEU of eleven schemes. warmup:
    Post-LN with and without warm-up, beside Pre-LN and Admin. radam: RAdam in the place of warm-up,
    over rates. baselines: every named scheme without warm-up. coherence: alignment and growth along
    the skip path. transfer: the best learning rate at 3, 12 and 48 layers. transfer-longer: the
    same in 480 steps for GPT-2's rule and for flat weights, which need them.
    """

    name: Annotated[Name, tyro.conf.Positional]
    """Name of the experiment."""
    quick: bool = False
    """Make only a few short runs, which take minutes instead of hours."""
    out: Path = Path("runs/reproduce")
    """Folder in which the experiment gets a folder of its own, NAME or NAME-quick."""
    data: str | None = None
    """Other training data: text:DIR, libreoffice or hub:NAME, as tfixup train --data takes them."""
    workers: int = 2
    """Runs at the same time, each in a process of its own."""

    def run(self) -> int:
        """Make the runs, print every outcome and the verdict; exit with 0 for any verdict."""
        from numerics.training.experiments import experiment_named
        from numerics.training.experiments.experiment import folder_name, reproduce

        experiment = experiment_named(self.name)
        folder = self.out / folder_name(self.name, quick=self.quick)
        configs, started = experiment.configs(quick=self.quick, data=self.data), time.monotonic()
        minutes = experiment.budget[1 if self.quick else 0]
        print(experiment.question)
        print(f"{len(configs)} runs, about {minutes:g} minutes on two cores, in {folder}")
        done = 0

        def report(run: "RecordedRun") -> None:
            nonlocal done
            done += 1
            print(
                f"[{done}/{len(configs)}] {run.path.name}: {run.outcome}, {run.reason}", flush=True
            )

        found = reproduce(
            experiment,
            self.out,
            quick=self.quick,
            workers=self.workers,
            data=self.data,
            report=report,
        )
        print(f"{self.name}: {found.answer}: {found.line}")
        print(f"range: {found.scope}")
        print(f"{(time.monotonic() - started) / 60:.1f} minutes, figure in {folder}/figure.svg")
        return 0
