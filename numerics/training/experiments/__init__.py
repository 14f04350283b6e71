"""The papers' training experiments at a reduced scale: `tfixup reproduce NAME`."""

from collections.abc import Mapping

from numerics.training.experiments.experiment import Experiment as Experiment
from numerics.training.experiments.fig2 import FIG2
from numerics.training.experiments.fig3c import FIG3C
from numerics.training.experiments.fig4b import FIG4B
from numerics.training.experiments.phase import PHASE
from theory.errors import nearest

EXPERIMENTS: Mapping[str, Experiment] = {one.name: one for one in (FIG2, FIG3C, FIG4B, PHASE)}


def experiment_named(name: str) -> Experiment:
    """Look an experiment up; an unknown name is an error that offers the nearest.

    Examples
    --------
    >>> experiment_named("fig4b").question
    'Does T-Fixup train at 6 to 200 layers without layer norm and without warm-up?'
    """
    if name not in EXPERIMENTS:
        raise nearest(name, EXPERIMENTS, "experiment")
    return EXPERIMENTS[name]
