"""Streams, cotangents and logits of today's wirings at initialisation, measured on drawn decoders.

Exponents in N are fitted over depths with several seeds; profiles over layers are compared at one
depth with Student's interval over seeds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from numerics.evidence.stack_signals import ModelEdit, Signals, cloned, drawn, signals
from numerics.models.transformer import Transformer
from numerics.signals.branches import branch_calls, logits
from numerics.statistics.estimates import Estimate, all_of, mean_estimate
from numerics.statistics.exponents import Exponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, provides

DEPTHS, SEEDS = (4, 8, 16, 32), 6
_STD = ":std=0.0979"
_FLAT, _GPT2, _LNS = f"flat{_STD}", f"gpt2{_STD}", f"layernorm-scaling{_STD}"
Statistic = Callable[[Signals], float]


def last(found: Signals) -> float:
    """Mean square of the stream behind the stack."""
    return float(found.stream[-1])


def grown(found: Signals) -> float:
    """How much larger a squared cotangent is at the stack's start than at its end."""
    return float(found.flowing[0] / found.flowing[-1])


def log_grown(found: Signals) -> float:
    """Logarithm of a squared cotangent's growth from the stack's end to its start."""
    return float(np.log(grown(found)))


def per_layer(found: Signals) -> float:
    """OLMo 2's growth exponent of the stream: log(‖y_N‖/‖y_0‖)/N."""
    return float(np.log(found.stream[-1] / found.stream[0]) / len(found.added))


def power(
    scheme: str,
    statistic: Statistic,
    context: Context,
    *,
    depths: Sequence[int] = DEPTHS,
    seeds: int = SEEDS,
    change: ModelEdit | None = None,
) -> Exponent:
    """Exponent in N of a statistic of drawn models."""
    points = [(n, 100 * context.seed + k) for n in depths for k in range(seeds)]
    values = [statistic(signals(scheme, n, seed, change)) for n, seed in points]
    return fitted(power_law([n for n, _ in points], values))


@dataclass(frozen=True)
class SignalRow:
    """An exponent that a claim states between two bounds, and a scheme that must be rejected."""

    claim: str
    scheme: str
    statistic: Statistic
    low: float
    high: float
    control: str
    control_change: ModelEdit | None = None
    accepted: bool = False
    """Whether the control must be accepted, for a claim that fails."""
    change: ModelEdit | None = None
    depths: tuple[int, ...] = DEPTHS
    seeds: int = SEEDS


_NEAR = tolerance("baseline-exponent")
ROWS = (
    SignalRow("modern.gpt2-stream", _GPT2, last, -_NEAR, _NEAR, _FLAT),
    SignalRow("modern.pre-ln-stream", _FLAT, last, 1 - _NEAR, 1 + _NEAR, _FLAT, cloned),
    SignalRow("modern.peri-ln-stream", f"peri-ln{_STD}", last, 1 - _NEAR, 1 + _NEAR, _GPT2),
    SignalRow("modern.olmo2-growth", f"olmo2{_STD}", per_layer, -np.inf, -0.5, "skip-init:start=1"),
    SignalRow("modern.lns-stream", _LNS, last, -np.inf, 0.5, _FLAT),
    SignalRow("modern.u-mup-stream", "u-mup", last, -_NEAR, _NEAR, _FLAT),
    SignalRow("modern.deepscalelm-stream", "deepscalelm", last, -_NEAR, _NEAR, _FLAT),
    SignalRow("modern.deepscalelm-gradient", "deepscalelm", grown, -_NEAR, _NEAR, _FLAT),
    SignalRow("modern.spike-gradient", f"{_GPT2}:embedding_std=1", grown, -_NEAR, _NEAR, _FLAT),
    SignalRow(
        "modern.dyt-jacobian",
        "dyt:std=0.25:embedding_std=1",
        log_grown,
        0.5 - tolerance("log-growth-exponent"),
        0.5 + tolerance("log-growth-exponent"),
        "flat:std=0.25",
        depths=(8, 16, 32, 64, 128),
        seeds=4,
    ),
    SignalRow(
        "ours.cloned-stream",
        _FLAT,
        last,
        1 - _NEAR,
        1 + _NEAR,
        _FLAT,
        accepted=True,
        change=cloned,
    ),
)


def _decided(row: SignalRow, fit: Exponent) -> bool | None:
    return Estimate(fit.value, *fit.interval).inside(row.low, row.high)


@provides(*(row.claim for row in ROWS), kind=Kind.MEASUREMENT)
def exponents(context: Context) -> Iterator[Observation]:
    """Every row of the table."""
    for row in ROWS:
        sizes = {"depths": row.depths, "seeds": row.seeds}
        fit = power(row.scheme, row.statistic, context, change=row.change, **sizes)
        other = power(row.control, row.statistic, context, change=row.control_change, **sizes)
        what = (row.statistic.__doc__ or "").splitlines()[0].rstrip(".")
        copied = ", layers copied" if row.change else ""
        yield Observation(
            claim=row.claim,
            scope=f"N = {row.depths[0]}…{row.depths[-1]}, width 32, {row.seeds} seeds",
            passed=_decided(row, fit),
            summary=f"{row.scheme}{copied}: N^{fit.value:+.3f} "
            f"[{fit.interval[0]:+.3f}, {fit.interval[1]:+.3f}]; {what}",
            control=Control(
                f"{row.control}{', layers copied' if row.control_change else ''}, "
                f"N^{other.value:+.3f}, must be {'accepted' if row.accepted else 'rejected'}",
                _decided(row, other) is row.accepted,
            ),
            value=fit.value,
            expected=f"{row.low:g} to {row.high:g}",
            interval=fit.interval,
        )


def gradient_ratio(found: Signals) -> float:
    """Gradients of the last quarter of the layers over those of the first."""
    quarter = max(1, len(found.gradients) // 4)
    return float(found.gradients[-quarter:].mean() / found.gradients[:quarter].mean())


def branch_share(found: Signals) -> float:
    """What the last quarter of the blocks add, over the stream that they read."""
    shares = np.sqrt(found.added / found.stream[:-1])
    return float(shares[-max(1, len(shares) // 4) :].mean())


@provides("modern.lns-gradient", "modern.lns-identity", kind=Kind.MEASUREMENT)
def profiles(context: Context) -> Iterator[Observation]:
    """LayerNorm Scaling against Pre-LN: which has the larger late gradients and branches."""
    depth = DEPTHS[-1]
    pairs = [
        (signals(_LNS, depth, seed), signals(_FLAT, depth, seed))
        for seed in range(100 * context.seed, 100 * context.seed + 2 * SEEDS)
    ]
    for claim, statistic in (
        ("modern.lns-gradient", gradient_ratio),
        ("modern.lns-identity", branch_share),
    ):
        logs = [np.log(statistic(scaled) / statistic(plain)) for scaled, plain in pairs]
        found = mean_estimate([float(value) for value in logs])
        turned = mean_estimate([-float(value) for value in logs])
        scaled, plain = (np.mean([statistic(pair[i]) for pair in pairs]) for i in (0, 1))
        yield Observation(
            claim=claim,
            scope=f"N = {depth}, width 32, {len(pairs)} seeds",
            passed=found.inside(0.0, float("inf")),
            summary=f"{(statistic.__doc__ or '').splitlines()[0].rstrip('.')}: {scaled:.3f} with "
            f"LayerNorm Scaling, {plain:.3f} in Pre-LN",
            control=Control(
                "the two exchanged must be accepted", turned.inside(0.0, float("inf")) is True
            ),
            value=found.value,
            expected="above 0, of the logarithm of the quotient",
            interval=found.interval,
        )


def first_logits(scheme: str, seed: int, change: ModelEdit | None = None) -> torch.Tensor:
    """The first attention's logits in a drawn decoder."""
    model, batch, _ = drawn(scheme, 1, seed)
    if change is not None:
        change(model)
    call = branch_calls(model, lambda: model.features(batch.source_BS, batch.target_BT))[0]
    return logits(call)


def enlarged(model: Transformer) -> None:
    """Multiply every query and key matrix by 100."""
    for name, value in model.named_parameters():
        if name.endswith("in_proj"):
            value.detach()[: 2 * model.spec.d_model] *= 100


def undivided(model: Transformer) -> None:
    """Take T5's 1/√d' out of the query matrices again."""
    width, heads = model.spec.d_model, model.spec.heads
    for name, value in model.named_parameters():
        if name.endswith("in_proj"):
            value.detach()[:width] *= (width // heads) ** 0.5


@provides("modern.t5-logits", "modern.qk-norm-logits", kind=Kind.MEASUREMENT)
def sizes(context: Context) -> Iterator[Observation]:
    """Sizes of T5's logits at the start, and behind QK-norm with 100 times the matrices."""
    seeds = range(100 * context.seed, 100 * context.seed + 60)
    margin = tolerance("baseline-exponent")

    def mean_square(change: ModelEdit | None) -> Estimate:
        found = [float(first_logits("t5", seed, change).square().mean()) for seed in seeds]
        return mean_estimate(found)

    own, without = mean_square(None), mean_square(undivided)
    yield Observation(
        claim="modern.t5-logits",
        scope=f"width 32, heads of 16, {len(seeds)} seeds",
        passed=own.within(1.0, margin),
        summary=f"mean square of the logits {own.value:.3f} [{own.low:.3f}, {own.high:.3f}]",
        control=Control(
            f"without 1/√d' in q: {without.value:.2f}", without.within(1.0, margin) is False
        ),
        value=own.value,
        expected=1.0,
        tolerance=margin,
        interval=own.interval,
    )
    bound = 4.0
    largest = {
        scheme: max(
            float(first_logits(scheme, seed, enlarged).abs().max()) for seed in list(seeds)[:8]
        )
        for scheme in ("zero-out", _FLAT)
    }
    bounded = {
        scheme: value <= bound * (1 + tolerance("exact-formula"))
        for scheme, value in largest.items()
    }
    yield Observation(
        claim="modern.qk-norm-logits",
        scope="heads of 16, q and k 100 times as large, 8 seeds",
        passed=all_of([bounded["zero-out"]]),
        summary=f"largest logit {largest['zero-out']:.3f}, bound √d' = {bound:g}",
        control=Control(f"without QK-norm: {largest[_FLAT]:.0f}", bounded[_FLAT] is False),
        value=largest["zero-out"],
        expected=f"at most {bound:g}",
    )


PROVIDERS = (exponents, profiles, sizes)
