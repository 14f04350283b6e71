"""The claims that each training experiment speaks about, with variants of the runs as controls.

A variant renames runs or reassigns their outcomes, and the rule that judges the runs judges the
variant too. One variant makes the statement false, another makes it true.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from numerics.evidence.experiments import DecisionRule, ExperimentRow, Variant, provider
from numerics.training.experiments import (
    baselines,
    coherence,
    fig2,
    fig3ab,
    fig3c,
    fig4a,
    fig4b,
    fig4c,
    phase,
    radam,
    tables,
    transfer,
    warmup,
)
from numerics.training.experiments.experiment import ExperimentFinding
from numerics.training.experiments.selection import (
    Runs,
    exchanged,
    impostors,
    matching,
    values_of,
)
from numerics.training.outcome import RunOutcome
from theory.claims import Reading

TRAINED, STUCK = RunOutcome.TRAINED, RunOutcome.STUCK
_XAVIER = "Xavier without layer norm in its place"


def _warmup_exchanged(rule: DecisionRule) -> Variant:
    """Runs with and without warm-up have changed names."""

    def false(runs: Runs) -> ExperimentFinding:
        (steps,) = [value for value in values_of(runs, "warmup") if value]
        return rule(exchanged(runs, "warmup", {steps: 0, 0: steps}))

    return Variant("runs with and without warm-up exchanged", false)


def _schemes_exchanged(rule: DecisionRule, one: str, other: str) -> DecisionRule:
    return lambda runs: rule(exchanged(runs, "scheme", {one: other, other: one}))


def _declared(
    rule: DecisionRule,
    trained: Callable[[Runs], Runs],
    stuck: Callable[[Runs], Runs] = lambda _: (),
) -> Variant:
    """These runs count as trained and those as stuck, whatever their numbers."""

    def true(runs: Runs) -> ExperimentFinding:
        outcomes = {run.path: TRAINED for run in trained(runs)}
        outcomes |= {run.path: STUCK for run in stuck(runs)}
        return rule([replace(r, outcome=outcomes.get(r.path, r.outcome)) for r in runs])

    return Variant("outcomes as the statement has them", true)


def _scheme(name: str) -> Callable[[Runs], Runs]:
    return partial(matching, scheme=name)


def _depths_mirrored(runs: Runs) -> ExperimentFinding:
    depths = values_of(runs, "layers")
    return fig4a.decide(exchanged(runs, "layers", dict(zip(depths, depths[::-1], strict=True))))


def _largest_batch_diverges(runs: Runs) -> ExperimentFinding:
    largest = matching(runs, scheme="tfixup", tokens=values_of(runs, "tokens")[-1])
    gone = {run.path for run in largest}
    diverged = RunOutcome.DIVERGED
    return fig4c.decide([replace(r, outcome=diverged) if r.path in gone else r for r in runs])


def _beside_warm(claim: str, rule: Callable[..., ExperimentFinding], name: str) -> ExperimentRow:
    """A scheme without warm-up against Post-LN with it."""
    return ExperimentRow(
        claim,
        "warmup",
        rule,
        Variant(f"{name}'s losses two nats higher", partial(rule, raised=2.0)),
        Variant(f"{name}'s losses two nats lower", partial(rule, raised=-2.0)),
    )


def _warm_as_cold(rule: DecisionRule) -> Variant:
    return Variant(
        "the warmed-up runs pass for those without",
        lambda runs: rule(impostors(runs, warmup.cold(runs), warmup.warm(runs), warmup=0)),
    )


def _dealt_by_balance(altered: str, *, balanced: RunOutcome) -> Variant:
    return Variant(
        altered,
        lambda runs: warmup.gradients_not_the_cause(warmup.dealt_by_balance(runs, balanced)),
    )


def _needs_warmup(
    rule: DecisionRule, reading: Reading, text: Callable[[Runs], str] = lambda _: ""
) -> ExperimentRow:
    return ExperimentRow(
        "xiong.needs-warmup",
        "warmup",
        rule,
        _warm_as_cold(rule),
        _declared(rule, warmup.warm, warmup.cold),
        reading,
        text,
    )


def _table(claim: str, *names: str) -> ExperimentRow:
    """At least these baselines, all without a name."""
    chosen = names or None

    def rule(runs: Runs) -> ExperimentFinding:
        return tables.at_least(runs, chosen)

    return ExperimentRow(
        claim,
        "tables",
        rule,
        Variant(
            "the weakest baseline in T-Fixup's place",
            lambda runs: rule(tables.weakest_in_its_place(runs, chosen)),
        ),
        Variant(
            "T-Fixup's BLEU twenty points higher",
            lambda runs: tables.at_least(runs, chosen, raised=20.0),
        ),
    )


def _baseline(claim: str, scheme: str) -> ExperimentRow:
    """Whether a baseline trains."""
    rule = partial(baselines.trains, scheme=scheme)

    def false(runs: Runs) -> ExperimentFinding:
        control = matching(runs, scheme=baselines.CONTROL)
        return rule(impostors(runs, matching(runs, scheme=scheme), control, scheme=scheme))

    return ExperimentRow(
        claim, "baselines", rule, Variant(_XAVIER, false), _declared(rule, _scheme(scheme))
    )


def _trains(
    claim: str, experiment: str, rule: DecisionRule, scheme: str, control: str
) -> ExperimentRow:
    """A scheme trains where another does not: the two exchanged, and dealt out as stated."""
    return ExperimentRow(
        claim,
        experiment,
        rule,
        Variant(f"{scheme} and {control} exchanged", _schemes_exchanged(rule, scheme, control)),
        _declared(rule, _scheme(scheme), _scheme(control)),
    )


def _transfer(
    claim: str, scheme: str, power: float = 0.0, experiment: str = "transfer"
) -> ExperimentRow:
    """A scheme's best rate goes as N^power."""
    rule = partial(transfer.carries_over, scheme=scheme, power=power)
    fallen = Variant(
        "every rate taken for another, N^(-1) times as large",
        lambda runs: rule(transfer.tilted(runs, -1.0)),
    )
    return ExperimentRow(
        claim,
        experiment,
        rule,
        fallen,
        Variant(
            f"the grid of the shallowest at every depth, its rates times N^{power:g}",
            lambda runs: rule(transfer.repeated(matching(runs, scheme=scheme), power)),
        ),
        part=f"{scheme}, rate as N^{power:g}",
    )


def _fig2(which: str, *, fresh: bool) -> ExperimentRow:
    """The rule of Fig. 2 on the seeds before it or after it."""

    def rule(runs: Runs, **altered: float) -> ExperimentFinding:
        return fig2.decide_on(fig2.of_seeds(runs, fresh=fresh), **altered)

    return ExperimentRow(
        "tfixup.fig2",
        "fig2",
        rule,
        Variant(
            f"seeds {which}: Post-LN's gradients after a few steps a thousand times as large",
            lambda runs: rule(runs, faded=1e3),
        ),
        Variant(
            f"seeds {which}: the same gradients divided by a million, updates times a hundred",
            lambda runs: rule(runs, faded=1e-6, larger=1e2),
        ),
        part=f"seeds {which}",
    )


ROWS = (
    _fig2("in view when the rule was written", fresh=False),
    _fig2("drawn after it", fresh=True),
    ExperimentRow(
        "tfixup.fig3ab",
        "fig3ab",
        fig3ab.decide,
        _warmup_exchanged(fig3ab.decide),
        Variant("norms without warm-up grown fourfold", partial(fig3ab.decide, grown=4.0)),
    ),
    ExperimentRow(
        "tfixup.fig3c",
        "fig3c",
        fig3c.decide,
        Variant(
            "SGD without warm-up stuck for good, as Adam is",
            lambda runs: fig3c.decide(fig3c.as_stated(runs, sgd=STUCK)),
        ),
        Variant("the course that is stated", lambda runs: fig3c.decide(fig3c.as_stated(runs))),
    ),
    ExperimentRow(
        "tfixup.fig4a",
        "fig4a",
        fig4a.decide,
        Variant("depths in reverse order", _depths_mirrored),
        Variant("the deepest's losses a nat lower", partial(fig4a.decide, lowered=1.0)),
    ),
    _trains("tfixup.fig4b", "fig4b", fig4b.decide, "tfixup", fig4b.CONTROL),
    ExperimentRow(
        "tfixup.fig4c",
        "fig4c",
        fig4c.decide,
        Variant("T-Fixup diverges on the largest batch", _largest_batch_diverges),
        _declared(fig4c.decide, _scheme("tfixup"), _scheme(fig4c.CONTROL)),
    ),
    _table("tfixup.table1"),
    _table("tfixup.table2", "pre-ln", "dlcl-pre"),
    _table("tfixup.table3", "ds-init", "lri"),
    _trains(
        "tfixup.adam",
        "phase",
        partial(phase.bounded_at_any_depth, scheme="tfixup"),
        "tfixup",
        "xavier",
    ),
    _trains(
        "ours.adam-scale",
        "phase",
        partial(phase.bounded_at_any_depth, scheme="tfixup-adam"),
        "tfixup-adam",
        "xavier",
    ),
    _trains("ours.adam-scale", "fig4b", fig4b.squared_trains, fig4b.SQUARED, fig4b.CONTROL),
    _trains("tfixup.no-warmup", "phase", phase.decide, "tfixup", "post-ln"),
    _needs_warmup(warmup.needs_warmup, Reading.PRINTED),
    _needs_warmup(warmup.needs_warmup_when_deep, Reading.RESTRICTED, warmup.depth_text),
    _beside_warm("xiong.no-warmup", warmup.pre_ln_comparable, "Pre-LN"),
    _beside_warm("admin.trains", warmup.admin_trains, "Admin"),
    ExperimentRow(
        "admin.not-gradients",
        "warmup",
        warmup.gradients_not_the_cause,
        _dealt_by_balance("the balanced half counts as trained", balanced=TRAINED),
        _dealt_by_balance("the balanced half counts as stuck", balanced=STUCK),
    ),
    ExperimentRow(
        "radam.no-warmup",
        "radam",
        radam.decide,
        Variant(
            "RAdam stuck where Adam is",
            lambda runs: radam.decide(radam.dealt(runs, STUCK)),
        ),
        Variant(
            "RAdam trained where Adam is stuck",
            lambda runs: radam.decide(radam.dealt(runs, TRAINED)),
        ),
    ),
    ExperimentRow(
        "ours.coherence",
        "coherence",
        coherence.decide,
        Variant(
            "the same strengths fully aligned",
            partial(coherence.decide, growth_of=coherence.aligned_growth),
        ),
        Variant(
            "the growth that the trained coherence explains",
            partial(coherence.decide, growth_of=coherence.coherent_growth),
        ),
    ),
    _transfer("modern.depth-mup-transfer", "depth-mup"),
    _transfer("modern.completep-transfer", "completep"),
    _transfer("ours.tfixup-transfer", "tfixup", -0.5),
    _transfer("ours.gpt2-transfer", "gpt2:std=0.0693", experiment="transfer-longer"),
    _transfer("ours.flat-transfer", "flat:std=0.0693", experiment="transfer-longer"),
    *(_baseline(f"ours.{scheme}-trains", scheme) for scheme in baselines.SCHEMES),
)

PROVIDERS = tuple(provider(row) for row in ROWS)
