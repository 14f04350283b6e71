"""The papers' training experiments at a reduced scale: `tfixup reproduce NAME`."""

from collections.abc import Mapping

from numerics.training.experiments.baselines import BASELINES
from numerics.training.experiments.coherence import COHERENCE
from numerics.training.experiments.experiment import Experiment as Experiment
from numerics.training.experiments.fig2 import FIG2
from numerics.training.experiments.fig3ab import FIG3AB
from numerics.training.experiments.fig3c import FIG3C
from numerics.training.experiments.fig4a import FIG4A
from numerics.training.experiments.fig4b import FIG4B
from numerics.training.experiments.fig4c import FIG4C
from numerics.training.experiments.phase import PHASE
from numerics.training.experiments.radam import RADAM
from numerics.training.experiments.tables import TABLES
from numerics.training.experiments.transfer import TRANSFER, TRANSFER_LONGER
from numerics.training.experiments.warmup import WARMUP
from theory.errors import nearest

EXPERIMENTS: Mapping[str, Experiment] = {
    one.name: one
    for one in (
        *(FIG2, FIG3AB, FIG3C, FIG4A, FIG4B, FIG4C),
        *(PHASE, TABLES, WARMUP, RADAM, BASELINES, COHERENCE, TRANSFER, TRANSFER_LONGER),
    )
}


def experiment_named(name: str) -> Experiment:
    """The experiment of a name; an unknown name raises `InputError` with the closest known names.

    Examples
    --------
    >>> experiment_named("fig4b").question
    'Does T-Fixup train at 6 to 200 layers without layer norm and without warm-up?'
    """
    if name not in EXPERIMENTS:
        raise nearest(name, EXPERIMENTS, "experiment")
    return EXPERIMENTS[name]
