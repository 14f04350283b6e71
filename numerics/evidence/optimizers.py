"""The depth power of ‖Δf‖/η under other optimizers, at T-Fixup's scales.

The decoder's share is measured, because its parameters reach the output without passing through
the memory. The predictions (``theory/scales/learning_rates.py``) are 1/2 for Lion, Muon and Adam in
its steady state on noise, and 1/4 for LAMB. SGD's 0 is the claim ``tfixup.goal``. Rules that look
at whole tensors have no closed forms and are measured on a narrower model.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from numerics.measure.updates import measure_update
from numerics.models import ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build
from numerics.statistics.estimates import all_rejected
from numerics.statistics.exponents import Exponent, NoExponent, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, provides
from theory.scales.architectures import encoder_decoder
from theory.scales.learning_rates import change_power
from theory.scales.solver import solve
from theory.scales.tfixup_constants import N
from theory.scales.update_rules import SGD
from theory.scales.update_rules import update_rule_named as theory_rule


@dataclass(frozen=True)
class Case:
    """One optimizer and where it is measured."""

    optimizer: str
    rule: str
    """Its name in the theory."""
    earlier: int = 0
    """Gradients seen before."""
    width: int = 64
    depths: tuple[int, ...] = (6, 12, 24, 48)
    seeds: int = 3


_NARROW = (3, 6, 12, 24)
CASES = (
    Case("lion", "lion"),
    Case("adam", "adam-noise", earlier=12),
    Case("lamb", "lamb", width=16, depths=_NARROW),
    Case("muon", "muon", width=16, depths=_NARROW),
)


def exponent(case: Case, seed: int) -> Exponent | NoExponent:
    """The decoder's power of N in ‖Δf‖/η.

    Examples
    --------
    >>> fit = exponent(Case("sgd", "sgd", width=8, depths=(1, 2, 4), seeds=2), 0)
    >>> fit.points
    6
    """
    where, values = [], []
    for depth in case.depths:
        for number in range(case.seeds):
            generator = torch.Generator().manual_seed(10_000 * seed + 100 * depth + number)
            spec = ModelSpec(
                depth, depth, d_model=case.width, d_ff=2 * case.width, vocabulary=10 * case.width
            )
            model = build("tfixup", spec, generator)
            batch = random_batch(spec, generator, sequences=4, tokens=8)
            report = measure_update(
                model, batch, generator, optimizer=case.optimizer, earlier=case.earlier
            )
            where.append(float(depth))
            values.append(report.update["decoder"])
    return power_law(where, values)


def predicted(case: Case) -> float:
    """The power that the theory gives.

    Examples
    --------
    >>> [predicted(case) for case in CASES]
    [0.5, 0.5, 0.25, 0.5]
    """
    return float(change_power(solve(encoder_decoder(N, N), SGD), theory_rule(case.rule)))


@provides("ours.optimizers", kind=Kind.MEASUREMENT)
def powers(context: Context) -> Iterator[Observation]:
    """Compare each optimizer's measured power with the predicted one (control: off by 1/4)."""
    margin = tolerance("optimizer-exponent")
    for case in CASES:
        fit, target = exponent(case, context.seed), predicted(case)
        if isinstance(fit, NoExponent):
            raise ValueError(f"{case.optimizer}: {fit.reason}")
        off = [fit.equivalent(target + shift, margin) for shift in (-0.25, 0.25)]
        low, high = fit.interval
        seen = f", {case.earlier} noisy gradients before" if case.earlier else ""
        yield Observation(
            scope=f"decoder, N = {case.depths[0]}…{case.depths[-1]}, width {case.width}, "
            f"{case.seeds} seeds",
            passed=fit.equivalent(target, margin),
            summary=f"{case.optimizer}{seen}: decoder ~ N^{fit.value:+.3f} [{low:+.3f}, "
            f"{high:+.3f}], predicted {target:+.2f}",
            control=Control("the predicted power off by 1/4 either way", all_rejected(off)),
            value=fit.value,
            expected=target,
            tolerance=margin,
            interval=fit.interval,
            details={"case": case},
        )


PROVIDERS = (powers,)
