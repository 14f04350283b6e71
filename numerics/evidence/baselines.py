"""The named baselines measured: ‖Δf‖/η by kind of parameter, and what layer norm takes.

Three kinds of parameters are measured apart: matrices, embedded inputs, and what a wiring adds
(gains and biases of layer norms, α, ω). Published scales are derived for matrices, while the bias
of a layer norm moves the output whatever the scales are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import log

import numpy as np
import torch
from torch import Tensor

from numerics.evidence.admin import encoder, inputs
from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.engines import linearize
from numerics.linearization.groupings import INPUTS, MATRICES, OWN
from numerics.linearization.update_directions import step_rule_named
from numerics.measure.by_group import tangents_by
from numerics.models import Architecture, ModelSpec
from numerics.models.roles import EMBEDDINGS
from numerics.models.tokens import output_shape, random_batch
from numerics.schemes import build
from numerics.signals.layer_dependency import dependency
from numerics.signals.residual_stream import sites
from numerics.statistics.estimates import mean_estimate
from numerics.statistics.exponents import Exponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, Reading, provides

DEPTHS = {Level.QUICK: (3, 6, 12, 24), Level.FULL: (3, 6, 12, 24, 48, 96)}
SEEDS = {Level.QUICK: 4, Level.FULL: 12}
SHARE_DEPTHS = (4, 8, 16, 32, 64)
LRI_SCOPE = "4 layers, width 64, four times the seeds of the others"
FEW_DEPTHS = (4, 8, 16, 32, 64)
BOTH = Architecture.ENCODER_DECODER


@dataclass(frozen=True)
class GroupNorms:
    """Norms of the tangents of every group, one row per model, with the depths."""

    depths: tuple[int, ...]
    tangents: Sequence[Mapping[str, Tensor]] = field(repr=False)

    def exponent(self, *groups: str, slowed: str | None = None) -> Exponent:
        """Depth exponent of ‖Σ t_g‖ over the groups named, one of them at the rate η/N."""
        values = [
            float(
                torch.stack([found[name] / (depth if name == slowed else 1) for name in groups])
                .sum(0)
                .norm()
            )
            for depth, found in zip(self.depths, self.tangents, strict=True)
        ]
        return fitted(power_law(self.depths, values))


def measured(
    scheme: str,
    context: Context,
    *,
    architecture: Architecture = BOTH,
    grouping: str = "kind",
    value_power: float = 0.0,
    times: int = 1,
) -> GroupNorms:
    """Measure a scheme's models, with ``times`` as many seeds as usual.

    ``value_power`` p multiplies W_v by L^(-p) once it is drawn.
    """
    rows, depths = [], []
    for depth in DEPTHS[context.level]:
        decoder = depth if architecture is BOTH else 0
        spec = ModelSpec(depth, decoder, d_model=32, d_ff=64, architecture=architecture)
        for number in range(SEEDS[context.level] * times):
            seed = 100_000 * context.seed + 100 * depth + number
            generator = torch.Generator().manual_seed(seed)
            model = build(scheme, spec, generator).eval()
            for name, value in model.named_parameters():
                if value_power and name.endswith("in_proj"):
                    value.detach()[-32:] *= (5 * depth) ** -value_power
            batch = random_batch(spec, generator, sequences=2, tokens=8)
            u = random_cotangent(output_shape(spec, batch), generator)
            rows.append(tangents_by(grouping, model, batch, u))
            depths.append(depth)
    return GroupNorms(tuple(depths), rows)


def few_outputs(context: Context) -> GroupNorms:
    """Measure ReZero with one token and d = 4, where every block moves the same few outputs."""
    rows, depths = [], []
    for depth in FEW_DEPTHS:
        spec = ModelSpec(1, depth, d_model=4, d_ff=8, vocabulary=30)
        for number in range(6 * SEEDS[context.level]):
            seed = 100_000 * context.seed + 1000 * depth + number
            generator = torch.Generator().manual_seed(seed)
            model = build("rezero", spec, generator, dtype=torch.float64).eval()
            batch = random_batch(spec, generator, sequences=1, tokens=1)
            u = random_cotangent(output_shape(spec, batch), generator)
            [found] = linearize([model], [batch], [u], step_rule_named("sgd"))
            by_part = dict(zip(found.groups, found.tangents, strict=True))
            scalars = by_part["encoder.alpha"] + by_part["decoder.alpha"]
            rows.append({OWN: scalars, INPUTS: by_part[EMBEDDINGS]})
            depths.append(depth)
    return GroupNorms(tuple(depths), rows)


def _evidence(
    claim: str,
    fit: Exponent,
    summary: str,
    control: tuple[str, Exponent],
    *,
    reading: Reading = Reading.PRINTED,
    text: str = "",
    width: int = 32,
) -> Observation:
    """Flat or not; the control must be decided the other way."""
    margin = tolerance("baseline-exponent")
    seeds = fit.points // len(fit.depths)
    scope = f"N = {fit.depths[0]:g}…{fit.depths[-1]:g}, width {width}, {seeds} seeds"
    flat, other = fit.equivalent(0.0, margin), control[1].equivalent(0.0, margin)
    return Observation(
        scope=scope,
        claim=claim,
        passed=flat,
        summary=summary,
        control=Control(
            f"{control[0]}: N^{control[1].value:+.2f}",
            other is True if flat is False else other is False,
        ),
        reading=reading,
        reading_text=text,
        value=fit.value,
        expected=0.0,
        tolerance=margin,
        interval=fit.interval,
    )


@provides("deepnorm.scale", kind=Kind.MEASUREMENT)
def deepnorm(context: Context) -> Iterator[Observation]:
    """DeepNorm's matrices keep the update flat; its layer norms' gains and biases do not."""
    found = measured("deepnorm", context)
    matrices, own = found.exponent(MATRICES), found.exponent(OWN)
    yield _evidence(
        "deepnorm.scale",
        matrices,
        f"a step of the matrices: ‖Δf‖/η ~ N^{matrices.value:+.2f}; of the layer norms' trained "
        f"gains and biases N^{own.value:+.2f}, which the scales do not reach",
        ("layer norms' gains and biases", own),
    )


@provides("fixup.scale", "fixup.attention", kind=Kind.MEASUREMENT)
def fixup(context: Context) -> Iterator[Observation]:
    """R-Fixup's MLP (m = 2) is flat; its attention, scaled as a product of four, is not."""
    found = measured("r-fixup", context, grouping="branch")
    mlp, attention = found.exponent("mlp"), found.exponent("attention")
    yield _evidence(
        "fixup.scale",
        mlp,
        f"R-Fixup's MLP, m = 2, W₁ × L^(-1/2): ‖Δf‖/η ~ N^{mlp.value:+.2f}",
        ("attention, W_v × L^(-1/6)", attention),
    )
    yield _evidence(
        "fixup.attention",
        attention,
        f"a step of R-Fixup's attention: ‖Δf‖/η ~ N^{attention.value:+.2f}: W_o has gain ‖A m v‖², "
        "and L · L^(-1/3) = L^(2/3)",
        ("MLP, W₁ × L^(-1/2)", mlp),
    )
    slower = measured("r-fixup", context, grouping="branch", value_power=1 / 3, times=3)
    repaired = slower.exponent("attention")
    yield _evidence(
        "fixup.attention",
        repaired,
        f"W_v × L^(-1/2) instead: N^{repaired.value:+.2f}",
        ("W_v × L^(-1/6)", attention),
        reading=Reading.REPAIRED,
        text="W_v × L^(-1/2): q and k do not multiply the value path, so m = 2",
    )


@provides("dtfixup.scale", kind=Kind.MEASUREMENT)
def dt_fixup(context: Context) -> Iterator[Observation]:
    """DT-Fixup's matrices keep the update flat in an encoder without a decoder."""
    alone = Architecture.ENCODER_ONLY
    fit = measured("dt-fixup", context, architecture=alone).exponent(MATRICES)
    bare = measured("xavier", context, architecture=alone).exponent(MATRICES)
    yield _evidence(
        "dtfixup.scale",
        fit,
        f"an encoder alone, a step of the matrices: ‖Δf‖/η ~ N^{fit.value:+.2f}",
        ("Xavier without the scale", bare),
    )


@provides("ours.rezero-update", kind=Kind.MEASUREMENT)
def rezero(context: Context) -> Iterator[Observation]:
    """ReZero's scalars and inputs, since nothing else moves while α = 0; also at rate η/N."""
    found = measured("rezero", context)
    whole, still = found.exponent(OWN, INPUTS), found.exponent(INPUTS)
    yield _evidence(
        "ours.rezero-update",
        whole,
        f"‖Δf‖/η ~ N^{whole.value:+.2f} over N = 3…24, of the scalars alone "
        f"N^{found.exponent(OWN).value:+.2f}: 1/2 while L is below the number of outputs",
        ("the inputs alone", still),
    )
    few = few_outputs(context)
    fast, slow = few.exponent(OWN, INPUTS), few.exponent(OWN, INPUTS, slowed=OWN)
    yield _evidence(
        "ours.rezero-update",
        slow,
        f"with more blocks than outputs ‖Δf‖/η ~ N^{fast.value:+.2f}, and N^{slow.value:+.2f} with "
        "η ∝ 1/N for the scalars",
        ("the scalars at η", fast),
        reading=Reading.REPAIRED,
        text="take η ∝ 1/L for the scalars α",
        width=4,
    )


@provides("rezero.isometry", kind=Kind.MEASUREMENT)
def isometry(context: Context) -> Iterator[Observation]:
    """The singular values of ReZero's encoder at initialisation, and with every α at 0.1."""
    depths, seeds = DEPTHS[context.level], range(SEEDS[context.level])
    pairs = [(depth, 100_000 * context.seed + seed) for depth in depths for seed in seeds]
    worst = max(distance_from_isometry("rezero", *pair) for pair in pairs)
    opened = min(distance_from_isometry("rezero", *pair, alpha=0.1) for pair in pairs)
    margin = tolerance("closed-form")
    yield Observation(
        passed=worst <= margin,
        summary=f"max |ln σ| of the encoder's Jacobian is {worst:.0e}",
        control=Control(f"every α at 0.1: at least {opened:.2f}", opened > margin),
        value=worst,
        expected=0.0,
        tolerance=margin,
        scope=f"N = {depths[0]}…{depths[-1]}, width 16, {len(seeds)} seeds",
    )


def distance_from_isometry(scheme: str, depth: int, seed: int, *, alpha: float = 0.0) -> float:
    """Return max |ln σ| over the singular values σ of an encoder's Jacobian.

    ``alpha`` is the value that every trained scalar of the wiring is set to.
    """
    generator = torch.Generator().manual_seed(seed)
    spec = ModelSpec(
        depth, 0, d_model=16, d_ff=32, vocabulary=2, architecture=Architecture.ENCODER_ONLY
    )
    model = build(scheme, spec, generator, dtype=torch.float64).eval()
    for name, value in model.named_parameters():
        if name.endswith("alpha"):
            value.detach().fill_(alpha)
    x = torch.randn(3, 16, generator=generator, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda given: model.encode(given[None])[0])(x)
    values = torch.linalg.svdvals(jacobian.detach().reshape(x.numel(), x.numel()))
    return float(values.log().abs().max())


@provides("ours.dlcl-update", kind=Kind.MEASUREMENT)
def dlcl(context: Context) -> Iterator[Observation]:
    """DLCL's matrices in its Pre-LN and Post-LN forms, with weights that start as averages."""
    pre, post = (measured(name, context).exponent(MATRICES) for name in ("dlcl-pre", "dlcl-post"))
    flat = measured("tfixup", context, times=3).exponent(MATRICES)
    larger = max(pre, post, key=lambda fit: fit.value)
    yield _evidence(
        "ours.dlcl-update",
        larger,
        f"a step of the matrices: ‖Δf‖/η ~ N^{pre.value:+.2f} (Pre-LN), N^{post.value:+.2f} "
        "(Post-LN)",
        ("T-Fixup must be accepted", flat),
    )


def _own(scheme: str, depth: int, seed: int) -> tuple[float, ...]:
    model, generator = encoder(scheme, depth, seed)
    x = inputs(generator)
    with torch.no_grad():
        return dependency(sites(model, partial(model.encode, x))).own


def shortcut_share(scheme: str, context: Context) -> Exponent:
    """Depth exponent of Π (1 − β_{i,i}²), the input's share of the output's variance.

    As it is at most 1, a share bounded from below is one with exponent 0.
    """
    seeds = range(1000 * context.seed, 1000 * context.seed + SEEDS[context.level])
    pairs = [
        (float(depth), float(np.prod([1 - own for own in _own(scheme, depth, seed)])))
        for depth in SHARE_DEPTHS
        for seed in seeds
    ]
    return fitted(power_law(*zip(*pairs, strict=True)))


@provides("dsinit.scale", "dsinit.code", kind=Kind.MEASUREMENT)
def ds_init(context: Context) -> Iterator[Observation]:
    """What DS-Init's layer norms leave of the residual path: 1/√l on matrices, or on variances."""
    paper, code = (shortcut_share(name, context) for name in ("ds-init", "ds-init-code"))
    for claim, fit, other, name in (
        ("dsinit.scale", paper, code, "the code's form"),
        ("dsinit.code", code, paper, "the paper's form must be accepted"),
    ):
        yield _evidence(
            claim,
            fit,
            f"the input's share behind a Post-LN encoder ~ N^{fit.value:+.2f} over N = 4…64",
            (name, other),
            width=64,
        )


@provides("lri.scale", kind=Kind.MEASUREMENT)
def lri(context: Context) -> Iterator[Observation]:
    """The mean square into LRI's layer norms: below 1 at the first block, above 1 at later MLPs."""
    first, later = [], []
    for seed in range(1000 * context.seed, 1000 * context.seed + 4 * SEEDS[context.level]):
        model, generator = encoder("lri", 4, seed)
        d, v = 64, 2
        x = inputs(generator, size=(2 / (3 * (d + v))) ** 0.5 * d**0.5)
        with torch.no_grad():
            found = sites(model, partial(model.encode, x))
        sums = [float((site.before + site.branch).square().mean()) for site in found]
        first.append(sums[0])
        later.append(float(np.mean(sums[3::2])))
    early, late = mean_estimate(first), mean_estimate(later)
    shrinks = late.inside(0.0, 1.0)
    kept = early.inside(0.0, 1.0)
    yield Observation(
        scope=LRI_SCOPE,
        passed=shrinks,
        summary=f"mean square before layer norm: {late.value:.3f} at later MLPs (19/18 = 1.056), "
        f"{early.value:.3f} at the first block",
        control=Control("the first block must be accepted", kept is True),
        value=late.value,
        expected="at most 1",
        interval=late.interval,
    )
    yield Observation(
        scope=LRI_SCOPE,
        passed=kept,
        summary=f"at the first block it is {early.value:.3f}",
        control=Control("later MLPs", shrinks is False),
        reading=Reading.REPAIRED,
        reading_text="at the first block; every later MLP shrinks it by (19/18)^(-1/2)",
        value=early.value,
        expected="at most 1",
        interval=early.interval,
    )


def over_logarithm(scheme: str, context: Context) -> Exponent:
    """Depth exponent of the amplification over its law, Σ β_{i,i}²/ln(n + 1) for n blocks."""
    seeds = range(1000 * context.seed, 1000 * context.seed + SEEDS[context.level])
    pairs = [
        (float(depth), sum(_own(scheme, depth, seed)) / log(2 * depth + 1))
        for depth in SHARE_DEPTHS
        for seed in seeds
    ]
    return fitted(power_law(*zip(*pairs, strict=True)))


@provides("adminTorch.omega", kind=Kind.MEASUREMENT)
def admin_torch(context: Context) -> Iterator[Observation]:
    """Amplification over its law under admin-torch's ω and under ω = 1: Σ β² over ln(n + 1)."""
    found, ones = (over_logarithm(name, context) for name in ("admin-log", "admin-one"))
    yield _evidence(
        "adminTorch.omega",
        found,
        f"Σ β_ii²/ln(n + 1) ~ N^{found.value:+.2f} over N = 4…64",
        ("ω = 1", ones),
        width=64,
    )


PROVIDERS = (dlcl, fixup, dt_fixup, deepnorm, rezero, isometry, ds_init, admin_torch, lri)
