"""Single blocks of real Transformers: Theorem 3.1's Θ(η/L) and Eq. 4's sum.

Each block's own change ‖ΔG_l‖/η under one SGD step of its (m, v, w, q, k), with a unit random
cotangent on G_l (`numerics.signals.branches`), must be Θ(1/L) at T-Fixup's scales: the largest over
the blocks for the upper half, the smallest for the lower half, their sum of squared gradients for
the condition Θ(1). The scales with their exponent off by 1/4 put v² m² at N^(-2).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp

import torch

from numerics.linearization.cotangents import random_cotangent
from numerics.models import ModelSpec, Transformer
from numerics.models.tokens import TokenBatch, random_batch
from numerics.schemes import Scheme, build
from numerics.schemes.tfixup import TFIXUP
from numerics.schemes.xavier import XAVIER
from numerics.signals.branches import BranchCall, branch_calls, own_steps
from numerics.signals.residual_stream import sites
from numerics.statistics.exponents import Exponent, NoExponent, cautious, fitted
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, Reading, provides

DEPTHS = {Level.QUICK: (6, 12, 24, 48), Level.FULL: (6, 12, 24, 48, 96, 200)}
SEEDS = {Level.QUICK: 6, Level.FULL: 9}
OFF = replace(TFIXUP, power=2.0)
"""Norms N^(-1/2) for N^(-1/4)."""


@dataclass(frozen=True)
class DepthSeries:
    """One number per model, with the models' depths."""

    depths: tuple[int, ...]
    values: tuple[float, ...]

    def fit(self) -> Exponent:
        """The power of the depth that the numbers follow."""
        return fitted(cautious(self.depths, self.values))

    def follows(self, power: float, margin: float) -> bool | None:
        """Whether the numbers follow N^power."""
        fit = cautious(self.depths, self.values)
        return False if isinstance(fit, NoExponent) else fit.equivalent(power, margin)


def drawn(
    scheme: Scheme, context: Context, depths: Sequence[int] | None = None
) -> Iterator[tuple[int, Transformer, TokenBatch, torch.Generator]]:
    """Draw independent models of every depth, each with its batch and its generator."""
    for depth in depths or DEPTHS[context.level]:
        for number in range(SEEDS[context.level]):
            seed = 10_000 * context.seed + 100 * depth + number
            generator = torch.Generator().manual_seed(seed)
            spec = ModelSpec(depth, depth)
            model = build(scheme, spec, generator).eval()
            yield depth, model, random_batch(spec, generator, sequences=4, tokens=8), generator


def scope_at(context: Context) -> str:
    """The range of models that `drawn` covers, in words."""
    depths = DEPTHS[context.level]
    return f"N = {depths[0]}…{depths[-1]}, 64-128-2, {SEEDS[context.level]} seeds"


def calls_of(model: Transformer, batch: TokenBatch) -> tuple[BranchCall, ...]:
    """Every branch in a forward pass."""
    return branch_calls(model, lambda: model.features(batch.source_BS, batch.target_BT))


def own_changes(
    scheme: Scheme, context: Context, depths_wanted: Sequence[int] | None = None
) -> Mapping[str, DepthSeries]:
    """Largest, smallest and mean ‖ΔG_l‖/η over the blocks, against depth."""
    depths, rows = [], []
    for depth, model, batch, generator in drawn(scheme, context, depths_wanted):
        calls = calls_of(model, batch)
        cotangents = [
            random_cotangent(one.read_BTD.shape, generator)(one.read_BTD) for one in calls
        ]
        changes = [step.change for step in own_steps(calls, cotangents)]
        rows.append((max(changes), min(changes), sum(changes) / len(changes)))
        depths.append(depth)
    names = ("largest", "smallest", "mean")
    columns = zip(*rows, strict=True)
    return {
        name: DepthSeries(tuple(depths), tuple(column))
        for name, column in zip(names, columns, strict=True)
    }


@provides(
    "tfixup.thm31-upper", "tfixup.thm31-sufficient", "tfixup.thm31-repaired", kind=Kind.MEASUREMENT
)
def each_block(context: Context) -> Iterator[Observation]:
    """Change of each block of real models, ‖ΔG_l‖/η, with q, k, y, m bounded and v²w² ≥ c/L."""
    margin = tolerance("block-exponent")
    found = own_changes(TFIXUP, context)
    off = own_changes(OFF, context, DEPTHS[context.level][:3])
    for claim, name, reading, text in (
        (
            "tfixup.thm31-upper",
            "largest",
            Reading.RESTRICTED,
            "|q|, |k|, |y|, |m_i| bounded",
        ),
        ("tfixup.thm31-sufficient", "smallest", Reading.PRINTED, ""),
        ("tfixup.thm31-repaired", "mean", Reading.PRINTED, ""),
    ):
        fit, other = found[name].fit(), off[name].fit()
        yield Observation(
            claim=claim,
            passed=found[name].follows(-1.0, margin),
            summary=f"real blocks, 64-128-2, N = 6…{fit.depths[-1]:g}: {name} ‖ΔG_l‖/η over the "
            f"5N blocks ~ N^{fit.value:+.3f}",
            control=Control(
                f"norms' exponent off by 1/4: N^{other.value:+.2f}",
                off[name].follows(-1.0, margin) is False,
            ),
            reading=reading,
            reading_text=text,
            value=fit.value,
            expected=-1.0,
            tolerance=margin,
            interval=fit.interval,
            scope=scope_at(context),
        )


@dataclass(frozen=True)
class Sums:
    """The squared gradient of one decoder, and what Eq. 4 compares it with."""

    exact: float
    """Σ_l ‖(∂G_l/∂θ_l)ᵀ F_lᵀ u‖²."""
    local: float
    """Σ_l ‖(∂G_l/∂θ_l)ᵀ u‖², 1 for each F_l as printed."""
    fourth: float
    """Σ_l ‖(∂G_l/∂θ_l)ᵀ u‖⁴."""


def decoder_sums(model: Transformer, batch: TokenBatch, generator: torch.Generator) -> Sums:
    """The three sums over a decoder's blocks, for one unit random u.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("tfixup", ModelSpec(1, 1), generator)
    >>> found = decoder_sums(model, random_batch(model.spec, generator), generator)
    >>> found.fourth < found.local**2
    True
    """
    with torch.no_grad():
        memory, y = (
            model.encode(model.embed_source(batch.source_BS)),
            model.embed_target(batch.target_BT),
        )
    output: list[torch.Tensor] = []
    found = sites(model, lambda: output.append(model.decode(memory, y)) or output[0])
    u = random_cotangent(output[0].shape, generator)(output[0].detach())
    whole = torch.autograd.grad(output[0], list(model.decoder.parameters()), u, retain_graph=True)
    terms = []
    for site in found:
        own = list(site.block.branch.parameters())
        slopes = torch.autograd.grad(site.branch, own, u, retain_graph=True)
        terms.append(sum(float(slope.double().square().sum()) for slope in slopes))
    exact = sum(float(slope.double().square().sum()) for slope in whole)
    return Sums(exact, sum(terms), sum(term**2 for term in terms))


EQUAL_GROWTH = exp(1 / 3) / (3 * (exp(1 / 3) - 1)) - 1
"""The remainder over the sum where the terms grow as y_l² does."""


def _enclosed(factors: Sequence[float], cap: float, slack: float) -> bool:
    """Whether every factor lies in [1, cap], up to the draws' scatter."""
    return 1 - slack <= min(factors) and max(factors) <= cap * (1 + slack)


@provides("tfixup.eq4", kind=Kind.MEASUREMENT)
def decoder_gradient(context: Context) -> Iterator[Observation]:
    """Eq. 4's remainder over its sum: whether it vanishes as Σ ∂G⁴ does, and how large it is."""
    margin = tolerance("block-exponent")
    rows = [
        (depth, decoder_sums(model, batch, generator))
        for depth, model, batch, generator in drawn(TFIXUP, context)
    ]
    depths = tuple(depth for depth, _ in rows)
    factors = DepthSeries(depths, tuple(sums.exact / sums.local for _, sums in rows))
    remainder = DepthSeries(depths, tuple(abs(value - 1) for value in factors.values))
    fourth = DepthSeries(depths, tuple(sums.fourth / sums.local for _, sums in rows))
    fit, other = remainder.fit(), fourth.fit()
    vanishes = remainder.follows(-1.0, margin)
    yield Observation(
        passed=vanishes,
        summary=f"real decoders, N = 6…{depths[-1]}: remainder/sum ~ N^{fit.value:+.2f}, "
        f"Σ‖∂G_l‖⁴/sum ~ N^{other.value:+.2f}",
        control=Control(
            "Σ‖∂G_l‖⁴ itself must be found to vanish as 1/N", fourth.follows(-1.0, margin) is True
        ),
        value=fit.value,
        expected=-1.0,
        tolerance=margin,
        interval=fit.interval,
        scope=scope_at(context),
    )
    shallow = DEPTHS[context.level][:2]
    grown = [
        sums.exact / sums.local
        for _, model, batch, generator in drawn(XAVIER, context, shallow)
        for sums in [decoder_sums(model, batch, generator)]
    ]
    cap, slack = exp(1 / 3), tolerance("mean-square-growth")
    mean = sum(factors.values) / len(factors.values)
    yield Observation(
        passed=_enclosed(factors.values, cap, slack),
        summary=f"real decoders: the remainder is {min(factors.values) - 1:.3f} to "
        f"{max(factors.values) - 1:.3f} of the printed sum, {mean - 1:.3f} in the mean; at most "
        f"e^(1/3) − 1 = {cap - 1:.3f} (a chain with equal terms: 0.187 of the sum; with terms ∝ "
        f"y_l²: {EQUAL_GROWTH:.3f})",
        control=Control(
            f"Xavier without layer norm: factors up to {max(grown):.3g}",
            _enclosed(grown, cap, slack) is False,
        ),
        reading=Reading.RESTRICTED,
        reading_text="up to a factor in [1, e^(1/3)]: independent weights, in mean square, "
        "E(∂G/∂y)² = 1/(3L)",
        value=mean,
        expected="in [1, e^(1/3)]",
        tolerance=slack,
        interval=(min(factors.values), max(factors.values)),
        scope=scope_at(context),
    )


PROVIDERS = (each_block, decoder_gradient)
