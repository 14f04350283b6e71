"""How far one optimizer step moves the function a Transformer computes, split by part: ‖Δf‖/η.

f(x, y; θ) is the output of the decoder, or of an encoder alone, before the output projection, u a
unit cotangent on f (∂L/∂f up to its norm), g = Jᵀu the gradient and s the step that the optimizer
takes along g, divided by the learning rate η. Measured are, after T-Fixup §3,

    update           ‖J_p s_p‖ for every part p, and for the sums of parts: lim_{η→0} ‖Δf‖/η
    gradient_energy  ‖J_pᵀu‖² for every part, and the sums

The limit is exact, with no finite η in it. Dropout is off. Shape suffixes: B sequences, T target
tokens, D width, P parts, A sums of parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.engines import LinearizationEngine, check_engine, linearize
from numerics.linearization.measured_function import InputKind, check_inputs, in_precision
from numerics.linearization.types import Cotangent, Linearization
from numerics.linearization.update_directions import StepRule, step_rule_named
from numerics.measure.accuracy import agree, in_doubt, rounded_again
from numerics.measure.inputs import require_fitting
from numerics.measure.report import UpdateReport
from numerics.models import Transformer
from numerics.models.roles import ALL_PARTS, contains
from numerics.models.tokens import TokenBatch, embed_inputs, output_shape
from theory.errors import InputError, nearest

_DTYPES: Mapping[str, tuple[torch.dtype, ...]] = {
    "auto": (torch.float32, torch.float64),
    "float32": (torch.float32,),
    "float64": (torch.float64,),
}


def measure_update(
    model: Transformer,
    batch: TokenBatch,
    generator: torch.Generator,
    *,
    optimizer: str = "sgd",
    inputs: InputKind = "free",
    cotangent: Cotangent | None = None,
    dtype: str = "auto",
    earlier: int = 0,
    engine: LinearizationEngine = "auto",
    rates: Mapping[str, float] | None = None,
    weight_decays: Mapping[str, float] | None = None,
    epsilons: Mapping[str, float] | None = None,
) -> UpdateReport:
    """Measure how far one optimizer step moves f, exactly, by part: ‖J s(Jᵀu)‖.

    Parameters
    ----------
    model
        The Transformer; it is not changed.
    batch
        Tokens, on the model's device.
    generator
        Draws the random unit cotangent, on the CPU.
    optimizer
        A rule of `numerics.linearization.update_directions`: ``sgd`` (s = −g), ``sign`` (s =
        −sign g), momentum, adam, adamw, radam, lion, lamb, adafactor, muon, muon-match-rms-adamw,
        muon-spectral. Numbers follow behind colons: ``adamw:weight_decay=0.1:eps=0.001``.
    earlier
        How many gradients the optimizer has seen before, of independent random cotangents at the
        same weights: 0 is its first step, many its steady state on gradients that are noise.
    inputs
        ``free``: the embedded inputs are parameters, the paper's definition; ``table``: rows of
        the embedding tables are.
    cotangent
        f ↦ u; the default is random, Gaussian, of Frobenius norm 1.
    dtype
        ``float32``, ``float64``, or ``auto``: float64 where float32 is not finite or not accurate.
    engine
        ``closed-form`` (fast), ``autodiff`` (any wiring and rule), or ``auto``: closed forms where
        wiring and rule have them, automatic differentiation elsewhere.
    rates
        Factors on the learning rate by role, as a scheme's prescription has them. They are for
        Adam and its like: ``sgd`` and ``momentum`` do not read them.
    weight_decays, epsilons
        Likewise on the λ and the ε that ``optimizer`` names.

    Returns
    -------
    UpdateReport
        A result that is not finite, or not accurate, in the last dtype tried is a report that says
        so: ``finite`` or ``accurate`` is false.

    Examples
    --------
    >>> from numerics.models import ModelSpec
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("tfixup", ModelSpec(2, 2), generator)
    >>> report = measure_update(model, random_batch(model.spec, generator), generator)
    >>> 0 < report.update["decoder.mlp"] < report.update["total"], report.accurate
    (True, True)
    """
    _check_options(optimizer, dtype, earlier, inputs, engine)
    require_fitting(model, batch)
    if cotangent is not None and not callable(cotangent):
        raise InputError(f"cotangent must be a function of f, got {cotangent!r}")
    u, *before = _cotangents(model, batch, generator, earlier, cotangent)
    steps = [[u], *([one] for one in before)]
    rule = step_rule_named(optimizer).with_rates(rates or {}, weight_decays, epsilons)
    return _measure([model], _Problem([batch], steps, rule, inputs, engine), dtype)[0]


def measure_updates(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    generators: Sequence[torch.Generator],
    *,
    optimizer: str = "sgd",
    inputs: InputKind = "free",
    dtype: str = "auto",
    earlier: int = 0,
    engine: LinearizationEngine = "auto",
    rates: Mapping[str, float] | None = None,
    weight_decays: Mapping[str, float] | None = None,
    epsilons: Mapping[str, float] | None = None,
) -> list[UpdateReport]:
    """Measure G models of one specification at once, such as the seeds of a sweep.

    With closed forms every operation serves all models. So a model costs less than alone, and the
    memory of G models is held.

    Parameters
    ----------
    models, batches, generators
        One of each per model; the batches have one shape.
    optimizer, inputs, dtype, earlier, engine, rates, weight_decays, epsilons
        As for `measure_update`; ``auto`` repeats in float64 only the models that need it.

    Returns
    -------
    list of UpdateReport
        In the order of the models, equal to `measure_update` of each but for rounding.

    Raises
    ------
    InputError
        Unless there are as many models as batches and generators, of one specification and shape.

    Examples
    --------
    >>> from numerics.models import ModelSpec
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.schemes import build
    >>> generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    >>> models = [build("tfixup", ModelSpec(2, 2), generator) for generator in generators]
    >>> batches = [random_batch(ModelSpec(2, 2), generator) for generator in generators]
    >>> len(measure_updates(models, batches, generators))
    3
    """
    _check_options(optimizer, dtype, earlier, inputs, engine)
    counts = len(models), len(batches), len(generators)
    if len(set(counts)) > 1:
        raise InputError(f"models, batches and generators must be as many, got {counts}")
    if not models:
        return []
    for model, batch in zip(models, batches, strict=True):
        require_fitting(model, batch)
    each = zip(models, batches, generators, strict=True)
    drawn = [_cotangents(*one, earlier) for one in each]
    by_step = [list(step) for step in zip(*drawn, strict=True)]
    rule = step_rule_named(optimizer).with_rates(rates or {}, weight_decays, epsilons)
    return _measure(models, _Problem(batches, by_step, rule, inputs, engine), dtype)


def _check_options(optimizer: str, dtype: str, earlier: int, inputs: str, engine: str) -> None:
    if not isinstance(optimizer, str):
        raise InputError(f"optimizer must be a name, got {optimizer!r}")
    step_rule_named(optimizer)
    check_inputs(inputs)
    check_engine(engine)
    if dtype not in _DTYPES:
        raise nearest(dtype, _DTYPES, "dtype")
    if not isinstance(earlier, int) or earlier < 0:
        raise InputError(f"earlier must be an integer of at least 0, got {earlier}")


def _cotangents(
    model: Transformer,
    batch: TokenBatch,
    generator: torch.Generator,
    earlier: int,
    given: Cotangent | None = None,
) -> list[Cotangent]:
    """The cotangent of the measured step, then those of the gradients before it."""
    shape = output_shape(model.spec, batch)
    u = given or random_cotangent(shape, generator)
    return [u, *(random_cotangent(shape, generator) for _ in range(earlier))]


@dataclass(frozen=True)
class _Problem:
    """What is measured of each model, in whatever precision."""

    batches: Sequence[TokenBatch]
    cotangents: Sequence[Sequence[Cotangent]]
    """One per step and model: first those of the measured step, then those before it."""
    rule: StepRule
    inputs: InputKind
    engine: LinearizationEngine

    def reports(self, models: Mapping[int, Transformer]) -> dict[int, UpdateReport]:
        """Measure some of the models, by number; ``accurate`` says no more than ``finite``."""
        batches = [self.batches[g] for g in models]
        u, *earlier = ([step[g] for g in models] for step in self.cotangents)
        found = linearize(
            [*models.values()],
            batches,
            u,
            self.rule,
            inputs=self.inputs,
            earlier=earlier,
            engine=self.engine,
        )
        each = zip(models.items(), batches, found, strict=True)
        return {
            g: _report(one, list(embed_inputs(model, batch).values())[-1])
            for (g, model), batch, one in each
        }


def _measure(models: Sequence[Transformer], problem: _Problem, dtype: str) -> list[UpdateReport]:
    """Reports in the first precision of ``dtype`` that holds them and is accurate."""
    first, *wider = _DTYPES[dtype]
    used = {g: in_precision(model, first) for g, model in enumerate(models)}
    reports = problem.reports(used)
    for precision in wider:
        doubtful = [g for g, found in reports.items() if not found.finite or in_doubt(found)]
        wide = {g: in_precision(models[g], precision) for g in doubtful}
        for g, found in problem.reports(wide).items():
            if not agree(reports[g], found):
                reports[g], used[g] = found, wide[g]
                continue
            # A precision that is right to 2 % leaves no doubt about one of 9 more digits.
            reports[g] = replace(reports[g], accurate=True)
            del wide[g]
        used = wide
    doubtful = [g for g in used if reports[g].finite and in_doubt(reports[g])]
    for g, found in problem.reports({g: rounded_again(used[g]) for g in doubtful}).items():
        steady = reports[g].strain < float("inf") and agree(reports[g], found)
        reports[g] = replace(reports[g], accurate=steady)
    return [reports[g] for g in range(len(models))]


def summed(found: Linearization) -> tuple[Float[Tensor, " A"], Float[Tensor, " A"]]:
    """Add up tangents and energies: ‖J_p s_p‖ and ‖J_pᵀu‖² of each of ``ALL_PARTS``."""
    belongs_AP = torch.tensor(
        [[float(contains(part, leaf)) for leaf in found.groups] for part in ALL_PARTS],
        dtype=torch.float64,
        device=found.output.device,
    )
    tangents_Af = belongs_AP @ found.tangents.flatten(1).to(torch.float64)
    return scaled_norms(tangents_Af), belongs_AP @ found.energies


def scaled_norms(rows_Af: Float[Tensor, "A f"]) -> Float[Tensor, " A"]:
    """Take the norm of every row, where its squares would overflow too.

    Examples
    --------
    >>> scaled_norms(torch.tensor([[3e200, 4e200]], dtype=torch.float64)).tolist()
    [5e+200]
    """
    # The squares of an exploding model overflow long before its norms do.
    largest_A1 = rows_Af.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    return ((rows_Af / largest_A1).norm(dim=1, keepdim=True) * largest_A1)[:, 0]


def _report(found: Linearization, embedded_BTD: Float[Tensor, "B T D"]) -> UpdateReport:
    """Read a linearisation back to the host; no other function does."""
    update, energy = summed(found)
    ratio = rms(found.output) / rms(embedded_BTD)
    strain = found.strain.to(torch.float64)
    *numbers, measured_strain = torch.cat([update, energy, ratio[None], strain[None]]).tolist()
    count = len(ALL_PARTS)
    finite = all(abs(number) < float("inf") for number in numbers)
    return UpdateReport(
        update=dict(zip(ALL_PARTS, numbers[:count], strict=True)),
        gradient_energy=dict(zip(ALL_PARTS, numbers[count:-1], strict=True)),
        output_rms_ratio=numbers[-1],
        finite=finite,
        accurate=finite,
        dtype=str(found.output.dtype).removeprefix("torch."),
        strain=measured_strain,
    )


def rms(tensor: Tensor) -> Float[Tensor, ""]:
    """Take the root mean square in float64."""
    return torch.linalg.vector_norm(tensor, dtype=torch.float64) / tensor.numel() ** 0.5
