"""Admin's statements measured on real encoders: gradients, layer dependency, output change, ω.

Encoders are drawn by Xavier's rule, 64-128-2, in float64 and in the wiring of each scheme. Tokens
are independent and have variance 1; they are small where the paper leaves the input out of
Pre-LN's stream.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from numerics.models import Architecture, ModelSpec, Transformer
from numerics.schemes import build, scheme_named
from numerics.signals.layer_dependency import dependency
from numerics.signals.output_change import output_change, perturb_, perturbed, predicted_change
from numerics.signals.residual_stream import sites
from numerics.statistics.estimates import Estimate, all_of, all_rejected, mean_estimate
from numerics.statistics.exponents import Exponent, fitted, power_law
from numerics.statistics.growth_laws import LOGARITHM, Growth, growth
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, provides

SEEDS = {Level.QUICK: 8, Level.FULL: 40}
DEPTHS = (2, 4, 8, 16, 32, 64)
SHALLOW = (2, 3, 4, 6, 9, 14)
"""For Post-LN: what a draw changes by scatters as its depth, and growth is clear early."""
DEPENDENCY_DEPTH, SMALL_INPUT = 24, 0.05
SHARE = 1e-4
"""Size of δ relative to the weights."""


def encoder(scheme: str, depth: int, seed: int) -> tuple[Transformer, torch.Generator]:
    """An encoder of the scheme and the generator that drew it."""
    generator = torch.Generator().manual_seed(seed)
    spec = ModelSpec(depth, 0, vocabulary=2, architecture=Architecture.ENCODER_ONLY)
    return build(scheme, spec, generator, dtype=torch.float64).eval(), generator


def inputs(generator: torch.Generator, *, size: float = 1.0) -> Tensor:
    """Random inputs: 16 sequences of 4 independent tokens, entries N(0, size²)."""
    return torch.randn(16, 4, 64, generator=generator, dtype=torch.float64) * size


def sublayer_ratio(kind: str, seed: int, *, jacobian: bool) -> float:
    """How much of a gradient one Post-LN block passes on, over the share that a projector keeps.

    The ratio is E‖Δx_{i−1}‖²/E‖Δx_i‖², and the share (d − 2)/d.
    """
    model, generator = encoder("post-ln", 1, seed)
    block = model.get_submodule(f"encoder.0.{kind}")
    branch = model.get_submodule(f"encoder.0.{kind}.branch")
    if not jacobian:
        branch.register_forward_pre_hook(lambda _, given: (given[0].detach(), *given[1:]))
    x = inputs(generator).requires_grad_()
    output = block(x)
    u = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    (slope,) = torch.autograd.grad(output, x, u)
    width = x.shape[-1]
    return float(slope.square().sum() / u.square().sum()) * width / (width - 2)


@provides("admin.thm1", kind=Kind.MEASUREMENT)
def gradients(context: Context) -> Iterator[Observation]:
    """The gradient's variance through each kind of Post-LN block, and without its Jacobian."""
    seeds = range(1000 * context.seed, 1000 * context.seed + 5 * SEEDS[context.level])
    margin = tolerance("gradient-variance")
    found = {
        (kind, jacobian): mean_estimate([sublayer_ratio(kind, s, jacobian=jacobian) for s in seeds])
        for kind in ("attention", "mlp")
        for jacobian in (True, False)
    }
    whole, cut = (
        [found[kind, jacobian] for kind in ("attention", "mlp")] for jacobian in (True, False)
    )

    def at_least_one(ratio: Estimate) -> bool | None:
        return ratio.inside(1 - margin, float("inf"))

    smallest = min(whole, key=lambda ratio: ratio.value)
    yield Observation(
        scope=f"one block, width 64, {5 * SEEDS[context.level]} seeds",
        passed=all_of([at_least_one(ratio) for ratio in whole]),
        summary=f"Var[Δx_(i−1)]/Var[Δx_i] is {whole[0].value:.3f} through attention, "
        f"{whole[1].value:.3f} through an MLP, d/(d − 2) taken off",
        control=Control(
            f"without the branch's Jacobian: {cut[0].value:.3f}, {cut[1].value:.3f}",
            all_of([at_least_one(ratio) for ratio in cut]) is False,
        ),
        value=smallest.value,
        expected="at least 1",
        tolerance=margin,
        interval=smallest.interval,
    )


def layer_weights(scheme: str, seeds: Sequence[int], size: float) -> Exponent:
    """Exponent in l of the weight β² of layer l, attention and MLP together, l = 2…24."""
    at, values = [], []
    for seed in seeds:
        model, generator = encoder(scheme, DEPENDENCY_DEPTH, seed)
        x = inputs(generator, size=size)
        with torch.no_grad():
            found = dependency(sites(model, partial(model.encode, x)))
        by_layer = np.array(found.own).reshape(-1, 2).sum(1)
        at += range(2, len(by_layer) + 1)
        values += by_layer[1:].tolist()
    return fitted(power_law(at, values))


@provides("admin.dependency", kind=Kind.MEASUREMENT)
def weights(context: Context) -> Iterator[Observation]:
    """Own weights β_{i,i}² over the layers of a Pre-LN and of a Post-LN encoder."""
    seeds = range(1000 * context.seed, 1000 * context.seed + SEEDS[context.level])
    pre, post = layer_weights("pre-ln", seeds, SMALL_INPUT), layer_weights("post-ln", seeds, 1.0)
    margin = tolerance("dependency-exponent")
    agree = [pre.equivalent(-1.0, margin), post.equivalent(0.0, margin)]
    swapped = [pre.equivalent(0.0, margin), post.equivalent(-1.0, margin)]
    yield Observation(
        scope=f"{DEPENDENCY_DEPTH} layers, width 64, {SEEDS[context.level]} seeds",
        passed=all_of(agree),
        summary=f"β_ii² ~ i^{pre.value:+.2f} in Pre-LN, i^{post.value:+.2f} in Post-LN, over "
        f"{DEPENDENCY_DEPTH} layers",
        control=Control("Pre-LN and Post-LN exchanged", all_rejected(swapped)),
        value=pre.value,
        expected=-1.0,
        tolerance=margin,
        interval=pre.interval,
        details={"post-ln": str(post)},
    )


@dataclass(frozen=True)
class OutputChanges:
    """Output changes over depths and seeds."""

    depths: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def law(self) -> Growth:
        """The chosen law."""
        return growth(self.depths, self.values)

    @property
    def power(self) -> Exponent:
        """The fitted power law."""
        return fitted(power_law(self.depths, self.values))


def changes(scheme: str, kind: str, depths: Sequence[int], seeds: int, root: int) -> OutputChanges:
    """How much the output changes with the weights, over independent draws.

    The measure is Var[F(x̂_0, W) − F(x̂_0, W + δ)].
    """
    at, values = [], []
    for depth in depths:
        model, generator = encoder(scheme, depth, 1000 * root + depth)
        for _ in range(seeds):
            scheme_named(scheme).initialize_(model, generator)
            x = inputs(generator)
            with torch.no_grad():
                before = model.encode(x)
            perturb_(model, kind, SHARE / 10 if kind == "gradient" else SHARE, generator, x)
            with torch.no_grad():
                values.append(float((model.encode(x) - before).square().mean()))
            at.append(depth)
    return OutputChanges(tuple(at), tuple(values))


def _follows(law: Growth, name: str) -> bool | None:
    """Whether the law is ``name``: false if another law is better beyond doubt, else undecided."""
    if law.best == name:
        return True
    return False if law.deficit[name] >= tolerance("growth-evidence") else None


@provides("admin.cor-pre", "admin.cor-post", "admin.omega", kind=Kind.MEASUREMENT)
def corollaries(context: Context) -> Iterator[Observation]:
    """Growth of the output's change with depth: Pre-LN, Post-LN, Admin's ω; Gaussian δ."""
    seeds, root = SEEDS[context.level], context.seed
    pre, post, admin = (
        changes(scheme, "gaussian", depths, seeds, root)
        for scheme, depths in (("pre-ln", DEPTHS), ("post-ln", SHALLOW), ("admin-code", DEPTHS))
    )
    along = {
        scheme: changes(scheme, "gradient", DEPTHS[:3], 3, root).power.value
        for scheme in ("pre-ln", "post-ln")
    }
    margin = tolerance("linear-growth")
    yield Observation(
        scope=f"N = {DEPTHS[0]}…{DEPTHS[-1]}, width 64, {seeds} seeds, δ {SHARE:g} of W",
        claim="admin.cor-pre",
        passed=_follows(pre.law, LOGARITHM),
        summary=f"Pre-LN, N = {DEPTHS[0]}…{DEPTHS[-1]}: {pre.law}; along a gradient instead "
        f"N^{along['pre-ln']:.1f}",
        control=Control(f"Post-LN: {post.law}", _follows(post.law, LOGARITHM) is False),
        value=str(pre.law.best),
        expected=LOGARITHM,
        details={"power": str(pre.power)},
    )
    # The exponent decides whether the growth is N^1; the laws need only rule out the logarithm.
    linear = all_of([post.power.equivalent(1.0, margin), _follows(post.law, LOGARITHM) is False])
    yield Observation(
        scope=f"N = {SHALLOW[0]}…{SHALLOW[-1]}, width 64, {seeds} seeds, δ {SHARE:g} of W",
        claim="admin.cor-post",
        passed=linear,
        summary=f"Post-LN, N = {SHALLOW[0]}…{SHALLOW[-1]}: N^{post.power.value:.2f}, {post.law}; "
        f"along a gradient instead N^{along['post-ln']:.1f}",
        control=Control(
            f"Pre-LN: N^{pre.power.value:.2f}", pre.power.equivalent(1.0, margin) is False
        ),
        value=post.power.value,
        expected=1.0,
        tolerance=margin,
        interval=post.power.interval,
    )
    yield from _omega(context, admin.law, post.law)


def _omega(context: Context, law: Growth, post: Growth) -> Iterator[Observation]:
    seeds = range(1000 * context.seed, 1000 * context.seed + SEEDS[context.level])
    paper, code = (layer_weights(scheme, seeds, 1.0) for scheme in ("admin", "admin-code"))
    margin = tolerance("dependency-exponent")
    yield Observation(
        scope=f"{DEPENDENCY_DEPTH} layers; N = {DEPTHS[0]}…{DEPTHS[-1]}; width 64",
        claim="admin.omega",
        passed=all_of([paper.equivalent(-1.0, margin), _follows(law, LOGARITHM)]),
        summary=f"profiled ω: β_ii² ~ i^{paper.value:+.2f} (paper), i^{code.value:+.2f} (code, "
        f"1/(i + 1/v)); output change with the code's ω: {law}",
        control=Control(f"ω = 1: {post}", _follows(post, LOGARITHM) is False),
        value=paper.value,
        expected=-1.0,
        tolerance=margin,
        interval=paper.interval,
    )


def change_ratio(scheme: str, kind: str, size: float, seed: int) -> float:
    """Measured output change over Σ β_{i,i}² C_i, for six layers."""
    model, generator = encoder(scheme, 6, seed)
    x = inputs(generator)
    other = perturbed(model, kind, size, generator, x)
    with torch.no_grad():
        before, after = (sites(one, partial(one.encode, x)) for one in (model, other))
    return output_change(model, other, x) / predicted_change(before, after)[0]


@provides("admin.thm2", kind=Kind.MEASUREMENT)
def theorem2(context: Context) -> Iterator[Observation]:
    """The output's change over Σ β² C: 1 for Gaussian δ and for signs, far more for gradients."""
    seeds = range(1000 * context.seed, 1000 * context.seed + 2 * SEEDS[context.level])
    margin = tolerance("output-change")
    found = {
        (scheme, kind): mean_estimate([change_ratio(scheme, kind, size, seed) for seed in chosen])
        for scheme in ("pre-ln", "post-ln")
        for kind, size, chosen in (
            ("gaussian", SHARE, seeds),
            ("sign", 1e-4, seeds),
            ("gradient", SHARE / 10, seeds[:4]),
        )
    }

    def near_one(kind: str) -> bool | None:
        return all_of(
            [found[s, kind].inside(1 - margin, 1 + margin) for s in ("pre-ln", "post-ln")]
        )

    worst = max(
        (found[key] for key in found if key[1] != "gradient"), key=lambda f: abs(f.value - 1)
    )
    yield Observation(
        scope=f"6 layers, width 64, {len(seeds)} seeds",
        passed=all_of([near_one("gaussian"), near_one("sign")]),
        summary="measured ÷ Σ β² C over six layers: "
        + ", ".join(f"{value.value:.2f} ({s}, {kind})" for (s, kind), value in found.items()),
        control=Control("δ along a gradient, not independent of W", near_one("gradient") is False),
        value=worst.value,
        expected=1.0,
        tolerance=margin,
        interval=worst.interval,
    )


PROVIDERS = (corollaries, theorem2, weights, gradients)
