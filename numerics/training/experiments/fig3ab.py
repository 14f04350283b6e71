"""Fig. 3a,b of T-Fixup: the norms of layer norm's inputs, with and without warm-up.

The paper: the mean norm of what enters the layer norm after self-attention, in each decoder layer,
"increases 2x to 3x particularly in the upper layers when warmup is not used". Read off the runs of
``fig2.py``: over the upper half of the decoder's layers, the mean of the last fifth of the steps
over the first step's value, in geometric mean over seeds. Reproduced if its 95 % interval lies at
or above 2 without warm-up while the growth with warm-up stays below 2.

Reduced as ``fig2.py`` is; width 64 makes a normalised token's norm 8 where the paper's is 22.6.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from numerics.training.experiments import fig2
from numerics.training.experiments.curves import draw_signals, read_log
from numerics.training.experiments.experiment import Answer, Experiment, Finding
from numerics.training.experiments.selection import Runs, geometric_interval
from numerics.training.recorded import RecordedRun

COLUMNS = ("norm_self_attention_lower", "norm_self_attention_upper", "norm_input_encoder")
GROWS = 2.0
"""The paper's 2× to 3×."""


def growth(run: RecordedRun, column: str = "norm_self_attention_upper") -> float:
    """Mean over the last fifth of the steps over the first step's value."""
    values = read_log(run)[column].drop_nulls()
    last = values[-max(1, len(values) // 5) :].to_list()
    return geometric_interval(last)[0] / values[0]


def decide(runs: Runs, *, grown: float = 1.0) -> Finding:
    """Reproduced if the norms at least double without warm-up, and do not with it.

    With ``grown`` the growth without warm-up counts times that: a control.
    """
    warm, cold, _ = fig2.groups(runs)
    (with_it, warm_interval), (without, cold_interval) = (
        geometric_interval([factor * growth(run) for run in group])
        for group, factor in ((warm, 1.0), (cold, grown))
    )
    lower = geometric_interval([growth(run, "norm_self_attention_lower") for run in cold])[0]
    line = (
        f"norms after self-attention, upper half of the decoder: × {without:.2f} "
        f"[{cold_interval[0]:.2f}, {cold_interval[1]:.2f}] without warm-up, × {with_it:.2f} "
        f"[{warm_interval[0]:.2f}, {warm_interval[1]:.2f}] with; lower half × {lower:.2f} without; "
        f"{len(cold)} seeds"
    )
    if cold_interval[0] >= GROWS > warm_interval[1]:
        answer = Answer.REPRODUCED
    elif cold_interval[1] < GROWS or warm_interval[0] >= GROWS:
        answer = Answer.NOT_REPRODUCED
    else:
        answer = Answer.UNDECIDED
    return Finding(answer, line, without, cold_interval)


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Norms in both halves of the decoder, and in the encoder, the first seed of Post-LN."""
    warm, cold, _ = fig2.groups(runs)
    return draw_signals(
        [warm[0], cold[0]],
        COLUMNS,
        lambda run: "warm-up" if run.config["warmup"] else "no warm-up",
    )


FIG3AB = Experiment(
    name="fig3ab",
    question="Do the inputs of layer norm grow two- to threefold without warm-up?",
    full=fig2.FULL,
    quick=fig2.QUICK,
    budget=(3.0, 0.6),
    decide=decide,
    draw=draw,
    reads="fig2",
)
