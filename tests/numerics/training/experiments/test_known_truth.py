"""Every decision rule on synthetic runs whose truth is known: true, false, and borderline.

The courses are the paper's: fast fall and recovery, late recovery, plateaus that are left late. A
rule that reads a window alone is wrong about one of them, which the last tests show.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from numerics.evidence.experiment_rows import ROWS
from numerics.training.config import TrainConfig
from numerics.training.experiments import EXPERIMENTS, fig2, fig3ab
from numerics.training.experiments.selection import Runs, geometric_interval, values_of
from numerics.training.outcome import RunOutcome
from tests.numerics.training.experiments.cases import NO, OPEN, YES, Case
from tests.numerics.training.experiments.cases_of_depths import (
    BASELINES,
    COHERENCE,
    FIG4A,
    FIG4B,
    FIG4C,
    PHASE,
    SQUARED,
    TABLES,
)
from tests.numerics.training.experiments.cases_of_first_steps import FIG2, FIG3AB
from tests.numerics.training.experiments.cases_of_plateaus import (
    FIG3C,
    RADAM,
    SEEDS_DISAGREE,
    WARMUP,
    curves,
    of_fig3c,
)
from tests.numerics.training.experiments.cases_of_transfer import TRANSFER
from tests.numerics.training.experiments.synthetic import (
    DIVERGES,
    STUCK,
    Generator,
    Truth,
    falls,
    trains,
)

CASES = [
    *(*FIG2, *FIG3AB, *FIG3C, *RADAM, *FIG4A, *FIG4B, *SQUARED, *FIG4C),
    *(*PHASE, *BASELINES, *WARMUP, *TABLES, *COHERENCE, *TRANSFER),
]


def _id(case: Case) -> str:
    return f"{case.rule.__module__.rpartition('.')[2]}.{case.rule.__name__}: {case.name}"


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_the_rule_says_what_is_true(case, tmp_path):
    found = case.rule(case.draw(Generator(tmp_path)))
    assert found.answer is case.answer, found.line
    assert found.scope


BY_EXPERIMENT = {
    "fig2": FIG2,
    "fig3ab": FIG3AB,
    "fig3c": FIG3C,
    "radam": RADAM,
    "fig4a": FIG4A,
    "fig4b": [*FIG4B, *SQUARED],
    "fig4c": FIG4C,
    "phase": PHASE,
    "baselines": BASELINES,
    "warmup": WARMUP,
    "tables": TABLES,
    "coherence": COHERENCE,
    "transfer": TRANSFER,
    "transfer-longer": TRANSFER,
}


def test_every_experiment_has_a_true_and_a_false_case():
    assert set(BY_EXPERIMENT) == {row.experiment for row in ROWS}
    for cases in BY_EXPERIMENT.values():
        assert {YES, NO} <= {case.answer for case in cases}


@pytest.mark.parametrize("name", list(BY_EXPERIMENT))
def test_the_figure_shows_the_curve_that_decides_with_its_baseline_and_bound(name, tmp_path):
    figure = EXPERIMENTS[name].draw(BY_EXPERIMENT[name][0].draw(Generator(tmp_path)))
    drawn = {artist.get_gid() for axes in figure.axes for artist in axes.get_children()}
    assert drawn >= {"deciding", "baseline", "bound"}


@pytest.mark.parametrize("name", ["tables", "warmup"])
def test_no_two_models_share_a_colour(name, tmp_path):
    figure = EXPERIMENTS[name].draw(BY_EXPERIMENT[name][0].draw(Generator(tmp_path)))
    lines = [line for line in figure.axes[0].get_lines() if str(line.get_label())[0] != "_"]
    assert len({line.get_color() for line in lines}) == len(lines) > 5


@pytest.mark.parametrize("name", ["phase", "baselines", "tables"])
def test_depths_are_the_ticks(name, tmp_path):
    runs = BY_EXPERIMENT[name][0].draw(Generator(tmp_path))
    axes = EXPERIMENTS[name].draw(runs).axes[0]
    shown = [text.get_text() for text in axes.get_xticklabels()]
    assert shown == [str(depth) for depth in values_of(runs, "layers")]
    assert len(axes.xaxis.get_minorticklocs()) == 0


def last_over_first(first: slice, last: slice) -> Callable[[Runs], bool]:
    """Whether gradients without warm-up vanish, read as one window of the steps over another."""

    def rule(runs: Runs) -> bool:
        _, cold, _ = fig2.groups(runs)
        changes = []
        for run in cold:
            values = fig2.gradients(run)
            changes.append(fig2.mean(values[last]) / fig2.mean(values[first]))
        return geometric_interval(changes)[1][1] < fig2.VANISHED

    return rule


WINDOWS = {
    "last fifth over the first, as the rule was before": (slice(0, 40), slice(-40, None)),
    "last fifth over step 1": (slice(0, 1), slice(-40, None)),
    "last step over step 5": (slice(4, 5), slice(-1, None)),
    "steps 5 to 20 over the steps around them": (slice(4, 24), slice(4, 20)),
}


@pytest.mark.parametrize("name", list(WINDOWS))
def test_a_rule_that_looks_at_a_window_alone_is_wrong_about_a_course(name, tmp_path):
    rule = last_over_first(*WINDOWS[name])
    courses = [case for case in FIG2 if case.name in ONE_MODEL]
    found = {
        case.name: rule(case.draw(Generator(tmp_path / str(place))))
        for place, case in enumerate(courses)
    }
    assert found != ONE_MODEL


ONE_MODEL = {
    "vanishes and is back early": True,
    "vanishes and is back late": True,
    "vanishes for good": True,
    "does not vanish": False,
    "vanishes after 120 steps": False,
}
"""Whether the gradient vanishes after a few steps, by course."""


def test_the_rule_is_right_about_the_same_courses(tmp_path):
    def rule(runs: Runs) -> bool:
        return bool(fig2.below(fig2.vanishing(fig2.groups(runs)[1]), fig2.VANISHED))

    found = {
        case.name: rule(case.draw(Generator(tmp_path / str(place))))
        for place, case in enumerate(FIG2)
        if case.name in ONE_MODEL
    }
    assert found == ONE_MODEL


def test_radams_line_says_what_seeds_that_disagree_mean(tmp_path):
    by_name = {case.name: case for case in RADAM}
    lines = {
        name: by_name[name].rule(by_name[name].draw(Generator(tmp_path / str(place)))).line
        for place, name in enumerate((SEEDS_DISAGREE, "not given the time"))
    }
    told = "which neither more seeds nor other rates undo"
    assert [told in line for line in lines.values()] == [True, False]


def test_an_end_of_500_steps_is_no_answer_to_a_recovery_at_2000(tmp_path):
    """What Fig. 3c's rule read before: who has trained when the runs end."""
    late, never = (
        curves(changed, short=500)(Generator(tmp_path / name))
        for name, changed in (("late", {}), ("never", {"sgd": STUCK}))
    )
    ends = [[run.outcome for run in runs if run.config["steps"] == 500] for runs in (late, never)]
    assert ends[0] == ends[1]
    assert set(ends[0]) == {RunOutcome.STUCK}
    assert of_fig3c(late).answer is of_fig3c(never).answer is OPEN


def test_the_generator_draws_what_it_is_told(tmp_path: Path):
    config = TrainConfig(steps=60, validate_every=10, stop_when_trained=True)
    run = Generator(tmp_path).run(config, Truth({"x": falls(1e-2, 4, 30)}, trains(20, over=10)))
    values = fig3ab.read_log(run.path)["x"].to_numpy()
    assert run.outcome is RunOutcome.TRAINED
    assert run.steps == 30
    assert values[0] == pytest.approx(1, rel=0.4)
    assert values[10:25].max() < 0.02
    assert Generator(tmp_path / "b").run(config, Truth({}, STUCK)).steps == 60
    assert np.isnan(Generator(tmp_path / "c").run(config, Truth({}, DIVERGES)).validation_loss)
