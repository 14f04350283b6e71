"""Tables 1 to 3 of T-Fixup: BLEU of eleven schemes at equal depth.

T-Fixup, RAdam (Post-LN) and ReZero without warm-up; Pre-LN, Post-LN, R-Fixup, Admin, DS-Init,
DLCL (Pre-LN), LRI and DeepNorm with it, as their recipes have it and as the tables do. One rate,
one data order a seed, equal steps at equal depth. Meant for Multi30k, German to English, given as
``--data text:DIR``; by default the generated sentences, so that anyone can run it.

A *comparison* is T-Fixup against one baseline at one depth: the difference of their BLEU on the
same sentences, the mean over the seeds that both have. Its 99 % interval joins two sources, in
quadrature: sentences (paired bootstrap, which seeds do not narrow) and seeds (Student's t with one
standard deviation for all comparisons, pooled over those that have several seeds). T-Fixup ≥ every
baseline within noise: reproduced if every interval lies above `NOISE` points below 0, not
reproduced if one lies below 0 altogether, else undecided; undecided too without any second seed.

Reduced: 64-128-2 for 512-1024-4, 6, 12 and 24 layers, 1,200 steps of 512 tokens or fewer, greedy
decoding of the first 1,000 sentences, one checkpoint: every model is far from converged, so this
compares how fast they learn. Where there are several seeds, `SEEDS` says.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, inf, sqrt
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from numerics.statistics.estimates import student_quantile
from numerics.training.config import TrainConfig
from numerics.training.evaluate import Counts, bleu_of, paired_difference, read_counts
from numerics.training.experiments.experiment import (
    SMALL,
    Experiment,
    ExperimentAnswer,
    ExperimentFinding,
)
from numerics.training.experiments.panels import (
    GREY,
    depth_ticks,
    distinct,
    finished,
    panels,
)
from numerics.training.experiments.power import cost_told, minutes
from numerics.training.experiments.selection import (
    Runs,
    exchanged,
    matching,
    range_of,
    values_of,
)
from numerics.training.experiments.warmup import AdaptiveOptimizer
from numerics.training.recorded import RecordedRun

OWN = "tfixup"
NOISE = 0.5
"""BLEU points: what the paper's own text calls a small improvement."""
LEVEL = 0.99
"""Confidence of each of some thirty comparisons."""
WARMED = ("pre-ln", "post-ln", "r-fixup", "admin", "ds-init", "dlcl-pre", "lri", "deepnorm")
"""Schemes whose published runs warm up."""
SEEDS: Mapping[str, Mapping[int, int]] = {
    **{
        scheme: {6: 3, 12: 3, 24: 3}
        for scheme in ("tfixup", "pre-ln", "dlcl-pre", "ds-init", "lri")
    },
    "r-fixup": {6: 2, 24: 2},
    "post-ln": {12: 2},
}
"""Seeds by depth where there is more than one: the papers' Tables 2 and 3, and close ones."""
SENTENCES = 1_000
"""All of Multi30k's test 2016."""


@dataclass(frozen=True)
class BleuComparison:
    """T-Fixup's BLEU minus a baseline's on the same sentences, the mean over seeds."""

    baseline: str
    """Scheme, or ``radam``."""
    layers: int
    seeds: int
    difference: float
    low: float
    high: float


def configs(
    steps: Mapping[int, int],
    warmup: int,
    seeds: Mapping[str, Mapping[int, int]] | None = None,
    **settings: Any,
) -> tuple[TrainConfig, ...]:
    """Every scheme at every depth, and further seeds.

    Parameters
    ----------
    steps
        Steps by depth.
    warmup
        Warm-up steps of the schemes that have one.
    seeds
        Number of seeds by scheme and depth; 1 where nothing is said.
    settings
        Any other setting.
    """
    base = {**SMALL, **settings}
    models: list[tuple[str, AdaptiveOptimizer, int]] = [
        *((OWN, "adam", 0), ("post-ln", "radam", 0), ("rezero", "adam", 0)),
        *((scheme, "adam", warmup) for scheme in WARMED),
    ]
    counts = seeds or {}
    runs = [
        (model, depth, seed)
        for model in models
        for depth in steps
        for seed in range(counts.get(_named(*model[:2]), {}).get(depth, 1))
    ]
    return tuple(
        TrainConfig(
            scheme=scheme,
            optimizer=optimizer,
            warmup=warm,
            layers=depth,
            seed=seed,
            steps=steps[depth],
            **base,
        )
        for (scheme, optimizer, warm), depth, seed in runs
    )


def name_of(run: RecordedRun) -> str:
    """The scheme, or ``radam`` for Post-LN under RAdam."""
    return _named(str(run.config["scheme"]), str(run.config["optimizer"]))


def _named(scheme: str, optimizer: str) -> str:
    return "radam" if optimizer == "radam" else scheme


def comparisons(
    runs: Runs, names: Iterable[str] | None = None, *, samples: int = 1_000
) -> Iterator[BleuComparison]:
    """T-Fixup against each baseline of ``names`` at every depth that both have.

    Seeds scatter alike in all comparisons, so that all runs, not those of ``names`` alone, say by
    how much.
    """
    found = _pairs(runs)
    deviation, freedom = seed_deviation(
        [[bleu_of(one) - bleu_of(other) for one, other in each] for each in found.values()]
    )
    wanted = {name for name, _ in found} if names is None else set(names)
    for (name, layers), each in found.items():
        if name not in wanted:
            continue
        seen = [paired_difference(*pair, level=LEVEL, samples=samples) for pair in each]
        middle, low, high = (fmean(column) for column in zip(*seen, strict=True))
        quantile = student_quantile(LEVEL, freedom) if freedom else inf
        seeds = quantile * deviation / sqrt(len(each)) if freedom else inf
        yield BleuComparison(
            name,
            layers,
            len(each),
            middle,
            middle - hypot(middle - low, seeds),
            middle + hypot(high - middle, seeds),
        )


def seed_deviation(groups: Iterable[Sequence[float]]) -> tuple[float, int]:
    """The standard deviation within groups, pooled, and its degrees of freedom.

    Examples
    --------
    >>> seed_deviation([[1.0, 3.0], [7.0, 7.0], [4.0]])
    (1.0, 2)
    """
    groups = list(groups)
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum((value - fmean(group)) ** 2 for group in groups for value in group)
    return (sqrt(squares / freedom), freedom) if freedom else (0.0, 0)


def _pairs(runs: Runs) -> dict[tuple[str, int], list[tuple[Counts, Counts]]]:
    """By baseline and depth, T-Fixup's counts and the baseline's with each common seed."""
    own = {(r.config["layers"], r.config["seed"]): r for r in runs if name_of(r) == OWN}
    found: dict[tuple[str, int], list[tuple[Counts, Counts]]] = {}
    for run in runs:
        name, cell = name_of(run), (run.config["layers"], run.config["seed"])
        if name == OWN or cell not in own:
            continue
        (dataset,) = set(run.bleu) & set(own[cell].bleu)
        pair = (read_counts(own[cell].path, dataset), read_counts(run.path, dataset))
        found.setdefault((name, cell[0]), []).append(pair)
    return found


def at_least(
    runs: Runs,
    names: Iterable[str] | None = None,
    *,
    samples: int = 1_000,
    raised: float = 0.0,
) -> ExperimentFinding:
    """T-Fixup ≥ each baseline of ``names`` (all unless given) at equal depth, within noise.

    With ``raised`` its BLEU counts that much more: a control.
    """
    found = [
        replace(
            one,
            difference=one.difference + raised,
            low=one.low + raised,
            high=one.high + raised,
        )
        for one in comparisons(runs, names, samples=samples)
    ]
    own = [run for run in runs if name_of(run) == OWN]
    line = "T-Fixup's BLEU " + ", ".join(
        " and ".join(f"{_bleu(run):.1f}" for run in matching(own, layers=depth))
        + f" at N = {depth}"
        for depth in values_of(own, "layers")
    )
    if not found:
        line += "; no baseline to compare with"
        return ExperimentFinding(ExperimentAnswer.UNDECIDED, line, scope=range_of(own))
    worst = min(found, key=lambda one: one.low)
    if worst.low == -inf:
        line += "; no second seed says how far seeds scatter"
        return ExperimentFinding(ExperimentAnswer.UNDECIDED, line, scope=range_of(own))
    line += f"; {len(found)} comparisons, smallest lead " + ", ".join(
        f"{one.difference:+.1f} [{one.low:+.1f}, {one.high:+.1f}] on {one.baseline}, "
        f"N = {one.layers}"
        for one in sorted(found, key=lambda one: one.low)[:3]
    )
    if any(one.high < 0 for one in found):
        answer = ExperimentAnswer.NOT_REPRODUCED
    elif all(one.low > -NOISE for one in found):
        answer = ExperimentAnswer.REPRODUCED
    else:
        answer = ExperimentAnswer.UNDECIDED
        line += "; " + _cost(runs, [one for one in found if one.low <= -NOISE])
    return ExperimentFinding(
        answer, line, worst.difference, (worst.low, worst.high), scope=range_of(own)
    )


def _cost(runs: Runs, open_: Sequence[BleuComparison]) -> str:
    """What deciding the open comparisons would cost, in words."""
    spread, _ = seed_deviation(
        [[bleu_of(one) - bleu_of(other) for one, other in each] for each in _pairs(runs).values()]
    )
    cells = {(name, one.layers) for one in open_ for name in (one.baseline, OWN)}
    each = sum(
        minutes(own) / len(own)
        for own in (
            [run for run in matching(runs, layers=layers) if name_of(run) == name]
            for name, layers in cells
        )
    )
    told = cost_told(spread, NOISE, each, "BLEU", LEVEL)
    return (
        f"{len(open_)} of them open: {told}; the held-out sentences leave an uncertainty of their "
        "own, which more seeds do not narrow"
    )


def decide(runs: Runs) -> ExperimentFinding:
    """Table 1 and the others at once: T-Fixup against every baseline."""
    return at_least(runs)


def weakest_in_its_place(runs: Runs, names: Iterable[str] | None = None) -> list[RecordedRun]:
    """A negative control: the runs of the baseline with the lowest BLEU pass for T-Fixup's."""
    rest = [run for run in runs if name_of(run) != "radam"]
    scores = _scores(rest, names)
    least = min(scores, key=lambda name: scores[name])
    return exchanged(rest, "scheme", {least: OWN, OWN: least})


def _scores(runs: Runs, names: Iterable[str] | None) -> dict[str, float]:
    """BLEU summed over the first seeds' runs, by scheme; all but T-Fixup without names."""
    known = {name_of(run) for run in runs}
    wanted = sorted(known - {OWN} if names is None else known & set(names))
    return {
        name: sum(_bleu(run) for run in runs if name_of(run) == name and not run.config["seed"])
        for name in wanted
    }


def _bleu(run: RecordedRun) -> float:
    (score,) = set(run.bleu.values())
    return score


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """BLEU against depth with every seed, and T-Fixup's leads with their intervals."""
    names = list(dict.fromkeys(map(name_of, runs)))
    shades, depths = distinct(names), values_of(runs, "layers")
    leads = list(comparisons(runs))
    figure, ((left, right),) = panels(2, figsize=(10.4, 5.0))
    for name in names:
        own = [run for run in runs if name_of(run) == name]
        means = [fmean(_bleu(run) for run in matching(own, layers=depth)) for depth in depths]
        left.plot(depths, means, lw=1.3, label=name, color=shades[name])
        left.scatter([run.config["layers"] for run in own], map_bleu(own), s=12, color=shades[name])
    depth_ticks(left, depths)
    left.set(xlabel="layers N", ylabel="BLEU, one point per seed")
    left.legend(frameon=False, fontsize=7, loc="upper right", ncols=2)
    left.set_ylim(top=left.get_ylim()[1] * 1.3)
    marks = dict(zip(depths, ("o", "s", "D", "v"), strict=False))
    rows = [name for name in names if name != OWN]
    for one in leads:
        if one.low == -inf:
            continue
        row = rows.index(one.baseline) + 0.22 * (depths.index(one.layers) - (len(depths) - 1) / 2)
        right.plot([one.low, one.high], [row, row], color=shades[one.baseline], lw=1.2)
        right.plot(
            [one.difference],
            [row],
            marks[one.layers],
            color=shades[one.baseline],
            ms=4,
            gid="deciding",
        )
    for depth, mark in marks.items():
        right.plot([], [], mark, color=GREY, ms=4, label=f"N = {depth}")
    right.axvline(0.0, color=GREY, lw=1.0, ls=":", gid="baseline", label="equal")
    right.axvline(-NOISE, color=GREY, lw=1.0, ls="--", gid="bound", label=f"− {NOISE:g}: noise")
    right.set(xlabel="T-Fixup's BLEU minus the baseline's, 99 % interval")
    right.set_xlim(right=right.get_xlim()[1] * 1.3)
    right.set_yticks(range(len(rows)), rows)
    right.invert_yaxis()
    right.legend(frameon=False, fontsize=7, loc="lower right")
    return finished(figure)


def map_bleu(runs: Runs) -> list[float]:
    """The BLEU of each run."""
    return [_bleu(run) for run in runs]


TABLES = Experiment(
    name="tables",
    question="Does T-Fixup reach at least every baseline's BLEU at equal depth?",
    full=configs({6: 1_200, 12: 800, 24: 400}, 100, SEEDS, vocabulary=1_500, validate_every=100),
    quick=configs({2: 40}, 10, tokens=256, validation_pairs=50, validate_every=20),
    budget=(60.0, 1.5),
    decide=decide,
    draw=draw,
    translated=SENTENCES,
)
