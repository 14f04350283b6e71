"""‖Δf‖/η of T-Fixup §3: how far one optimizer step moves the function, split by part.

f(x, y; θ) is the output of the decoder, or of an encoder alone, before the output projection, u a
unit cotangent on f (∂L/∂f up to its norm), g = Jᵀu the gradient and s the step direction the
optimizer makes of g. Measured are

    update           ‖J_p s_p‖ for every part p, and for the sums of parts: lim_{η→0} ‖Δf‖/η
    gradient_energy  ‖J_pᵀu‖² for every part, and the sums

The limit is exact, with no finite η in it. Dropout is off. Shape suffixes: B sequences, T target
tokens, D width, P parts.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.autodiff import Cotangent, Linearization, linearize
from numerics.linearization.closed_form.stacks import (
    has_closed_form,
    linearize_layered,
    linearize_side_by_side,
)
from numerics.linearization.measured_function import Inputs as Inputs
from numerics.linearization.measured_function import TokenBatch as TokenBatch
from numerics.linearization.measured_function import (
    embed_inputs,
    features_of,
    output_shape,
    output_table,
)
from numerics.linearization.measured_function import random_batch as random_batch
from numerics.linearization.update_directions import Rule, rule_named
from numerics.models import Transformer
from numerics.models.roles import ALL_PARTS, LEAF_PARTS, contains, part_of
from theory.errors import InputError, nearest

Engine = Literal["auto", "layered", "plain"]
_DTYPES: Mapping[str, tuple[torch.dtype, ...]] = {
    "auto": (torch.float32, torch.float64),
    "float32": (torch.float32,),
    "float64": (torch.float64,),
}


@dataclass(frozen=True)
class UpdateReport:
    """One measurement of one model."""

    update: Mapping[str, float]
    """lim ‖Δf‖/η by part (`numerics.models.roles.ALL_PARTS`)."""
    gradient_energy: Mapping[str, float]
    """‖J_pᵀu‖² by part."""
    output_rms_ratio: float
    """Root mean square of f over that of its stack's embedded input."""
    finite: bool
    """Whether every number above is finite."""
    dtype: str
    """The precision they were computed in."""


def measure_update(
    model: Transformer,
    batch: TokenBatch,
    generator: torch.Generator,
    *,
    optimizer: str = "sgd",
    inputs: Inputs = "free",
    cotangent: Cotangent | None = None,
    dtype: str = "auto",
    earlier: int = 0,
    engine: Engine = "auto",
) -> UpdateReport:
    """‖J s(Jᵀu)‖, exactly, by part.

    Parameters
    ----------
    model
        The Transformer; it is not changed.
    batch
        Tokens, on the model's device.
    generator
        Draws the random unit cotangent, on the CPU.
    optimizer
        A direction of `numerics.linearization.update_directions`: ``sgd`` (s = −g), ``sign`` (s =
        −sign g), momentum, adam, radam, lion, lamb, muon.
    earlier
        How many gradients the optimizer has seen before, of independent random cotangents at the
        same weights: 0 is its first step, many its steady state on gradients that are noise.
    inputs
        ``free``: the embedded inputs are parameters, the paper's definition; ``table``: rows of
        the embedding tables are.
    cotangent
        f ↦ u; the default is random, Gaussian, of Frobenius norm 1.
    dtype
        ``float32``, ``float64``, or ``auto``: float64 where float32 is not finite.
    engine
        ``layered`` (closed forms, fast), ``plain`` (automatic differentiation), or ``auto``:
        layered where wiring and rule have closed forms, plain elsewhere.

    Returns
    -------
    UpdateReport
        A result that is not finite in the last dtype tried is a report with ``finite`` false.

    Examples
    --------
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("tfixup", ModelSpec(2, 2), generator)
    >>> report = measure_update(model, random_batch(model.spec, generator), generator)
    >>> 0 < report.update["decoder.mlp"] < report.update["total"]
    True
    """
    _check_options(optimizer, dtype, earlier)
    u, *before = _cotangents(model, batch, generator, earlier, cotangent)
    return _measure(
        [model], [batch], [[u], *([one] for one in before)], optimizer, inputs, dtype, engine
    )[0]


def measure_updates(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    generators: Sequence[torch.Generator],
    *,
    optimizer: str = "sgd",
    inputs: Inputs = "free",
    dtype: str = "auto",
    earlier: int = 0,
    engine: Engine = "auto",
) -> list[UpdateReport]:
    """`measure_update` of G models of one specification at once, such as the seeds of a sweep.

    With closed forms every operation serves all models, so that a model costs less than alone, and
    G times the memory of one is held.

    Parameters
    ----------
    models, batches, generators
        One of each a model; the batches have one shape.
    optimizer, inputs, dtype, earlier, engine
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
    >>> from numerics.schemes import build
    >>> generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    >>> models = [build("tfixup", ModelSpec(2, 2), generator) for generator in generators]
    >>> batches = [random_batch(ModelSpec(2, 2), generator) for generator in generators]
    >>> len(measure_updates(models, batches, generators))
    3
    """
    _check_options(optimizer, dtype, earlier)
    counts = len(models), len(batches), len(generators)
    if len(set(counts)) > 1:
        raise InputError(f"models, batches and generators must be as many, got {counts}")
    if not models:
        return []
    each = zip(models, batches, generators, strict=True)
    drawn = [_cotangents(*one, earlier) for one in each]
    by_step = [list(step) for step in zip(*drawn, strict=True)]
    return _measure(models, batches, by_step, optimizer, inputs, dtype, engine)


def _check_options(optimizer: str, dtype: str, earlier: int) -> None:
    rule_named(optimizer)
    if dtype not in _DTYPES:
        raise nearest(dtype, _DTYPES, "dtype")
    if earlier < 0:
        raise InputError(f"earlier must be at least 0, got {earlier}")


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


def _measure(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    cotangents: Sequence[Sequence[Cotangent]],
    optimizer: str,
    inputs: Inputs,
    dtype: str,
    engine: Engine,
) -> list[UpdateReport]:
    """Reports in the first precision of ``dtype`` that holds them; cotangents a step, a model."""
    reports: dict[int, UpdateReport] = {}
    for precision in _DTYPES[dtype]:
        missing = [g for g in range(len(models)) if g not in reports or not reports[g].finite]
        if not missing:
            break
        fitting = [in_precision(models[g], precision) for g in missing]
        own = [batches[g] for g in missing]
        u, *before = ([step[g] for g in missing] for step in cotangents)
        found = _linearize_models(fitting, own, u, before, optimizer, inputs, engine)
        for g, model, batch, one in zip(missing, fitting, own, found, strict=True):
            reports[g] = _report(one, list(embed_inputs(model, batch).values())[-1])
    return [reports[g] for g in range(len(models))]


def _linearize_models(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    cotangents: Sequence[Cotangent],
    earlier: Sequence[Sequence[Cotangent]],
    optimizer: str,
    inputs: Inputs,
    engine: Engine,
) -> list[Linearization]:
    """Side by side where there are closed forms, otherwise one after another."""
    rule = rule_named(optimizer)
    if _layered(models[0], rule, engine):
        return linearize_side_by_side(
            models, batches, cotangents, rule, inputs=inputs, earlier=earlier
        )
    return [
        linearize_model(
            model,
            batch,
            u,
            optimizer=optimizer,
            inputs=inputs,
            engine=engine,
            earlier=[step[g] for step in earlier],
        )
        for g, (model, batch, u) in enumerate(zip(models, batches, cotangents, strict=True))
    ]


def _layered(model: Transformer, rule: Rule, engine: Engine) -> bool:
    check_engine(engine)
    closed = has_closed_form(model.spec) and rule.elementwise
    return engine == "layered" or (engine == "auto" and closed)


def random_cotangent(shape: Sequence[int], generator: torch.Generator) -> Cotangent:
    """f ↦ u, Gaussian with ‖u‖ = 1, the same u for every dtype and device.

    Examples
    --------
    >>> u = random_cotangent((2, 3), torch.Generator().manual_seed(0))(torch.zeros(2, 3))
    >>> round(float(u.norm()), 6)
    1.0
    """
    drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
    unit = drawn / drawn.norm()
    return lambda output: unit.to(device=output.device, dtype=output.dtype)


def cross_entropy_cotangent(model: Transformer, labels_BT: Tensor) -> Cotangent:
    """f ↦ ∂L/∂f / ‖∂L/∂f‖ of the cross-entropy L behind the model's output projection."""
    table = output_table(model)

    def cotangent(output: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        table_VD = table.detach().to(output.dtype)
        surprise_BTV = (output @ table_VD.T).softmax(-1)
        surprise_BTV = surprise_BTV.scatter_add(
            -1, labels_BT[..., None], -torch.ones_like(surprise_BTV[..., :1])
        )
        slope_BTD = surprise_BTV @ table_VD
        return slope_BTD / torch.linalg.vector_norm(slope_BTD)

    return cotangent


def check_engine(engine: str) -> None:
    """Raise unless ``engine`` is ``auto``, ``layered`` or ``plain``."""
    if engine not in get_args(Engine):
        raise nearest(engine, get_args(Engine), "engine")


def in_precision(model: Transformer, dtype: torch.dtype) -> Transformer:
    """``model`` without dropout in ``dtype``; a copy only where it differs."""
    random = model.training and model.spec.dropout > 0
    if model.target_embedding.dtype is dtype and not random:
        return model
    return copy.deepcopy(model).to(dtype).eval()


def linearize_model(
    model: Transformer,
    batch: TokenBatch,
    cotangent: Cotangent,
    *,
    optimizer: str = "sgd",
    inputs: Inputs = "free",
    engine: Engine = "auto",
    earlier: Sequence[Cotangent] = (),
) -> Linearization:
    """J_p s_p and ‖J_pᵀu‖² as tensors on the model's device, nothing read back."""
    rule = rule_named(optimizer)
    if _layered(model, rule, engine):
        return linearize_layered(model, batch, cotangent, rule, inputs=inputs, earlier=earlier)
    function, parameters = features_of(model, batch, inputs)
    there = {part_of(name) for name in parameters}
    parts = [part for part in LEAF_PARTS if part in there] + sorted(there - set(LEAF_PARTS))
    return linearize(function, parameters, cotangent, rule, part_of, parts, earlier)


def summed(found: Linearization) -> tuple[Float[Tensor, " A"], Float[Tensor, " A"]]:
    """Norms of the summed tangents and summed energies, one row for each of ``ALL_PARTS``."""
    belongs_AP = torch.tensor(
        [[float(contains(part, leaf)) for leaf in found.parts] for part in ALL_PARTS],
        dtype=torch.float64,
        device=found.output.device,
    )
    tangents_Af = belongs_AP @ found.tangents.flatten(1).to(torch.float64)
    # Scaled, because the squares of an exploding model overflow long before its norms do.
    largest_A1 = tangents_Af.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    norms_A1 = (tangents_Af / largest_A1).norm(dim=1, keepdim=True) * largest_A1
    return norms_A1[:, 0], belongs_AP @ found.energies


def _report(found: Linearization, embedded_BTD: Float[Tensor, "B T D"]) -> UpdateReport:
    """Read a linearisation back to the host: the one place that does."""
    update, energy = summed(found)
    ratio = rms(found.output) / rms(embedded_BTD)
    numbers = torch.cat([update, energy, ratio[None]]).tolist()
    count = len(ALL_PARTS)
    return UpdateReport(
        update=dict(zip(ALL_PARTS, numbers[:count], strict=True)),
        gradient_energy=dict(zip(ALL_PARTS, numbers[count:-1], strict=True)),
        output_rms_ratio=numbers[-1],
        finite=all(abs(number) < float("inf") for number in numbers),
        dtype=str(found.output.dtype).removeprefix("torch."),
    )


def rms(tensor: Tensor) -> Float[Tensor, ""]:
    """Root mean square in float64."""
    return torch.linalg.vector_norm(tensor, dtype=torch.float64) / tensor.numel() ** 0.5
