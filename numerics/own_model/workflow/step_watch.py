"""What a real training step does to a model's function, for callbacks of training frameworks.

The optimizer takes the weights from θ to θ'. With its learning rate η the step is s = (θ' − θ)/η,
whatever rule, momentum, clipping or decay made it. Measured on a small batch that stays the same
during training are

    update/total     ‖J s‖ = lim ‖f(θ + εs) − f(θ)‖/ε, the exact ‖Δf‖/η of this step
    update/ROLE      ‖J_p s_p‖ for the entries p of every role
    update/relative  ‖J s‖/‖f‖: times η, the relative change of f
    norm_input/NAME  root mean square of what enters each norm, at θ
    coherence/STREAM ρ = Σ tr W/(√d Σ ‖W‖_F) over the attention products W = W_out W_v, at θ

f is what `numerics.own_model.measurement.measure` calls f: the module's output before its head.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import ModuleFunction, module_function
from numerics.own_model.measurement.groups import grouping
from numerics.own_model.measurement.output import Output
from numerics.own_model.measurement.tangents import tangents
from numerics.structure.default_batch import ModelBatch
from numerics.structure.trace import trace_structure
from numerics.structure.types import Structure, TensorView
from theory.errors import require_positive


@dataclass(frozen=True)
class StepWatch:
    """Measures every ``every``-th optimizer step of a training run."""

    batch: ModelBatch
    """Arguments of one forward, the same at every measurement; a few sequences suffice."""
    every: int = 50
    """Steps from one measurement to the next."""
    output: Output = None
    """What f is, see `numerics.own_model.measurement.output.Output`."""

    def __post_init__(self) -> None:
        """Refuse an ``every`` that is no positive integer."""
        require_positive(every=self.every)

    def due(self, step: int) -> bool:
        """Whether a step, counted from 0, is measured: the first is, and every k-th after it.

        Examples
        --------
        >>> watch = StepWatch(torch.ones(1, 2), every=3)
        >>> [step for step in range(8) if watch.due(step)]
        [0, 3, 6]
        """
        return step % self.every == 0

    def before(self, model: nn.Module, structure: Structure | None = None) -> "Opened":
        """Keep what is needed of the model at θ; call it just before the optimizer steps.

        Parameters
        ----------
        model
            The module that is trained; it is only read.
        structure
            `trace_structure` of it, where it is known from an earlier step.
        """
        if structure is None:
            structure = trace_structure(model, self.batch)
        with measuring():
            function = module_function(model, self.batch, output=self.output, dtype=None)
            function.fresh.clear()
        return Opened(function, structure)


@dataclass(frozen=True)
class Opened:
    """A model at θ, waiting for its step."""

    function: ModuleFunction
    structure: Structure

    def after(self, model: nn.Module, rate: float) -> dict[str, float]:
        """What the step has done; call it just after the optimizer has stepped.

        Parameters
        ----------
        model
            The same module, at θ'.
        rate
            The learning rate η of the step. At 0 there is no step to measure, and the keys that
            begin with ``update`` are left out.

        Examples
        --------
        >>> model = nn.Linear(3, 1, bias=False)
        >>> opened = StepWatch(torch.tensor([[3.0, 0.0, 4.0]])).before(model)
        >>> with torch.no_grad():
        ...     _ = model.weight.add_(0.5 * torch.tensor([[1.0, 1.0, 1.0]]))
        >>> round(opened.after(model, 0.5)["update/total"], 4)  # 3 + 4
        7.0
        """
        function = self.function
        new = {name: p.detach() for name, p in model.named_parameters()}
        step = {
            name: (new[name].to(theta.dtype) - theta) / rate if rate else torch.zeros_like(theta)
            for name, theta in function.parameters.items()
        }
        moving = {name: s for name, s in step.items() if bool((s != 0).any())}
        groups = grouping(function.parameters, self.structure).by_role
        with measuring():
            with _watched_norms(function.copied.module) as seen, torch.no_grad():
                value = function(function.parameters)
            found = _updates(function, value, moving, groups) if rate else {}
        found |= {f"norm_input/{name}": size for name, size in seen.items()}
        products = _products(self.structure, function.parameters)
        return found | {f"coherence/{name}": _coherence(own) for name, own in products.items()}


class WatchedRun:
    """A training run as a callback watches it: the step that is open, and what was found.

    The structure is traced once. ``history`` is a list of (step, values).
    """

    def __init__(self, watch: StepWatch) -> None:
        self.history: list[tuple[int, dict[str, float]]] = []
        self._watch = watch
        self._structure: Structure | None = None
        self._opened: tuple[int, float, Opened] | None = None

    def open(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Keep the weights before a step, if it is to be measured and none is open."""
        if self._opened is None and self._watch.due(step):
            opened = self._watch.before(model, self._structure)
            self._structure = opened.structure
            self._opened = (step, learning_rate(optimizer), opened)

    def close(self, model: nn.Module) -> tuple[int, dict[str, float]] | None:
        """Measure the open step once it is taken; ``None`` if no step is open."""
        if self._opened is None:
            return None
        step, rate, opened = self._opened
        self._opened = None
        found = (step, opened.after(model, rate))
        self.history.append(found)
        return found


def learning_rate(optimizer: torch.optim.Optimizer) -> float:
    """The largest rate of the optimizer's groups, η; the other rates are factors in the step."""
    return max(float(group["lr"]) for group in optimizer.param_groups)


def _updates(
    function: ModuleFunction, value: Tensor, step: Mapping[str, Tensor], groups: tuple
) -> dict[str, float]:
    parts = {group.name: group.of(step) for group in groups}
    moving = {name: part for name, part in parts.items() if part}
    along = tangents(function, list(moving.values()), function.random_cotangent(0)).values.double()
    norms = torch.linalg.vector_norm(along.flatten(1), dim=1).tolist()
    total = float(torch.linalg.vector_norm(along.sum(0)))
    size = float(torch.linalg.vector_norm(value.double()))
    by_role = dict.fromkeys(parts, 0.0) | dict(zip(moving, norms, strict=True))
    return {
        "update/total": total,
        "update/relative": total / size if size else float("inf"),
        **{f"update/{name}": norm for name, norm in by_role.items()},
    }


@contextmanager
def _watched_norms(module: nn.Module) -> Iterator[dict[str, float]]:
    """The root mean square of what enters every norm during the calls inside."""
    seen: dict[str, float] = {}
    handles = [
        part.register_forward_pre_hook(
            lambda _, args, name=name: seen.__setitem__(name, _rms(args[0])) if args else None
        )
        for name, part in module.named_modules()
        if "norm" in type(part).__name__.lower() and not list(part.children())
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _rms(x: Tensor) -> float:
    return float(x.detach().double().square().mean().sqrt())


def _products(structure: Structure, parameters: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
    """The products W_out W_v of every attention block whose heads are all its own, by stream."""
    found: dict[str, list[Tensor]] = {}
    for branch in structure.branches:
        own = structure.of_branch(branch.index)
        values = [view for view in own if view.role == "v" and view.part is None]
        outputs = [view for view in own if view.role == "out" and view.part is None]
        if len(values) != 1 or len(outputs) != 1:
            continue
        W_v, W_out = (_rows_are_outputs(view, parameters) for view in (values[0], outputs[0]))
        square = W_v is not None and W_out is not None and W_out.shape == W_v.T.shape
        if square and W_v is not None and W_out is not None:
            found.setdefault(branch.stream, []).append(W_out.double() @ W_v.double())
    return found


def _rows_are_outputs(view: TensorView, parameters: Mapping[str, Tensor]) -> Tensor | None:
    if view.parameter not in parameters:
        return None
    matrix = view.of(parameters[view.parameter])
    if matrix.dim() != 2:
        return None
    return matrix.T if view.fan_in_axis == 0 else matrix


def _coherence(products: list[Tensor]) -> float:
    """Mean of the cosines with the identity, weighted by strength: Σ tr W/(√d Σ ‖W‖_F)."""
    traces = sum(float(W.trace()) for W in products)
    norms = sum(float(torch.linalg.matrix_norm(W)) * len(W) ** 0.5 for W in products)
    return traces / norms if norms else 0.0
