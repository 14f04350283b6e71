"""How far one step moves the values inside a model: after the embedding, after blocks, at the end.

A coordinate check over width asks whether every coordinate of every layer's output moves equally
far at every width. The limit of RMS(Δx)/η is measured, which is the root mean square of J_x s over
the coordinates of each site x. Sites are the outputs of embedding tables, of the modules that are
repeated (children of a list that return the same shape), and the model's output.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import ModuleFunction
from numerics.own_model.measurement.output import Measured, main_tensor
from numerics.own_model.measurement.private_copy import called
from numerics.own_model.measurement.tangents import tangents
from numerics.own_model.measurement.update_steps import steps
from numerics.structure.types import TensorView

EMBEDDING, BLOCKS, READOUT = "embedding", "blocks", "readout"


@dataclass(frozen=True)
class Sites:
    """How far each kind of site moves per learning rate, RMS(Δx)/η."""

    changes: Mapping[str, float]
    """``embedding``, ``blocks`` (their root mean square) and ``readout``, where there are such."""
    by_module: Mapping[str, float]
    """The same for every module that is a site."""


def site_changes(
    function: ModuleFunction,
    optimizer: str,
    *,
    seed: int = 0,
    views: tuple[TensorView, ...] = (),
    ends: tuple[str, ...] = (),
    rates: Mapping[str, float] | None = None,
) -> Sites:
    """Measure one step's change at every site; the gradient is that of ⟨u, f⟩.

    Examples
    --------
    >>> from numerics.own_model.measurement.function import module_function
    >>> model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    >>> f = module_function(model, torch.tensor([[0, 1, 2]]), output="logits")
    >>> sorted(site_changes(f, "adamw").changes)
    ['blocks', 'embedding', 'readout']
    """
    with measuring():
        names = _site_modules(function)
        u = function.random_cotangent(seed)
        _, gradients = function.gradient(u)
        step = steps(optimizer, [gradients], function.parameters, views, ends=ends, rates=rates)
        sizes: list[int] = []

        def everything(returned: object, seen: Mapping[str, Tensor]) -> Tensor:
            values = [seen[name] for name in names if name in seen] + [main_tensor(returned)]
            sizes[:] = [value.numel() for value in values]
            return torch.cat([value.flatten() for value in values])

        inner = _AllSites(names, everything, function.measured)
        watched = replace(function, measured=inner, valid=None)
        with torch.no_grad():
            shape = watched({}).shape
        watched = replace(watched, shape=shape)
        found = tangents(watched, [step], torch.ones(shape, dtype=torch.float64))
        pieces = found.values[0].double().split(sizes)
    rms = [float(torch.linalg.vector_norm(p)) / max(p.numel(), 1) ** 0.5 for p in pieces]
    by_module = dict(zip([*names, READOUT], rms, strict=True))
    kinds: dict[str, list[float]] = {}
    for name, value in by_module.items():
        kinds.setdefault(names.get(name, READOUT), []).append(value)
    changes = {k: (sum(v * v for v in vs) / len(vs)) ** 0.5 for k, vs in kinds.items()}
    return Sites(changes, by_module)


@dataclass(frozen=True)
class _AllSites(Measured):
    """Reads all sites and the output of one forward as one vector."""

    def __init__(self, names, everything, like: Measured) -> None:
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "everything", everything)
        super().__init__("all sites", None, main_tensor, like.head, like.after)

    def of(self, module: nn.Module, batch) -> Tensor:
        """All sites in one forward."""
        with _watched(module, self.names) as seen:  # type: ignore[attr-defined]
            returned = called(module, batch)
        return self.everything(returned, seen)  # type: ignore[attr-defined]


def _site_modules(function: ModuleFunction) -> dict[str, str]:
    """Modules that are sites, in the order of execution, and their kinds."""
    module = function.copied.module
    kinds = {name: EMBEDDING for name, m in module.named_modules() if isinstance(m, nn.Embedding)}
    for name, parent in module.named_modules():
        if isinstance(parent, (nn.ModuleList, nn.Sequential)):
            kinds |= {
                f"{name}.{k}" if name else k: BLOCKS
                for k, _ in parent.named_children()
                if f"{name}.{k}".lstrip(".") not in kinds
            }
    with torch.no_grad(), _watched(module, kinds) as seen:
        output = main_tensor(called(module, function.batch))
    shapes = {name: value.shape for name, value in seen.items()}
    blocks = [shapes[name] for name in seen if kinds[name] == BLOCKS]
    common = max(blocks, key=blocks.count, default=None)
    return {
        name: kinds[name]
        for name in seen
        if seen[name] is not output
        and (kinds[name] == EMBEDDING or (shapes[name] == common and _outermost(name, kinds, seen)))
    }


def _outermost(name: str, kinds: Mapping[str, str], seen: Mapping[str, Tensor]) -> bool:
    parts = name.split(".")
    return not any(
        kinds.get(above) == BLOCKS and above in seen
        for above in (".".join(parts[:length]) for length in range(1, len(parts)))
    )


@contextmanager
def _watched(module: nn.Module, names: Mapping[str, str]) -> Iterator[dict[str, Tensor]]:
    """The outputs of modules during a forward, in the order in which they return."""
    seen: dict[str, Tensor] = {}

    def watch(name: str) -> None:
        def after(_: nn.Module, __: object, output: object) -> None:
            value = output[0] if isinstance(output, tuple) and output else output
            if isinstance(value, Tensor) and value.is_floating_point():
                seen[name] = value

        handles.append(module.get_submodule(name).register_forward_hook(after))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    try:
        for name in names:
            watch(name)
        yield seen
    finally:
        for handle in handles:
            handle.remove()
