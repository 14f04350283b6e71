"""Who wrote each parameter while a model was built: nobody, or a constant that was then redrawn.

Memory that nobody wrote may hold any number. Under torch's deterministic algorithms new memory is
filled with NaN instead, so that an unwritten parameter is found every time. The writes are recorded
below the module system, in their order, by the storage that each operation writes.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from numerics.own_model.audit.finding import Finding, count_names, plural
from numerics.structure.user_factory import seeded

_CONSTANT = ("zero_", "fill_", "zeros_like", "ones_like")
_RANDOM = ("normal_", "uniform_", "random_", "bernoulli_", "trunc_normal_", "exponential_")


def never_written(factory: Callable[[], object], *, seed: int = 0) -> tuple[str, ...]:
    """Names of the parameters that hold unwritten memory after ``factory()``.

    Parameters
    ----------
    factory
        Builds the model, and takes no argument.
    seed
        Seed of the global generators during the call; they are restored.

    Examples
    --------
    >>> class Net(nn.Linear):
    ...     def __init__(self):
    ...         super().__init__(2, 2)
    ...         self.gate = nn.Parameter(torch.empty(3))
    >>> never_written(Net)
    ('gate',)
    """
    with _filled(), seeded(seed):
        found = _not_a_number(_module(factory()))
    if not found:
        return ()
    # A NaN that is there as well where new memory holds numbers was written by the factory.
    with _Numbers(), seeded(seed):
        written = _not_a_number(_module(factory()))
    return tuple(name for name in found if name not in written)


def _not_a_number(model: nn.Module) -> tuple[str, ...]:
    with torch.no_grad():
        return tuple(name for name, p in model.named_parameters() if bool(torch.isnan(p).any()))


def never_written_findings(names: tuple[str, ...]) -> Iterator[Finding]:
    """The finding about parameters that were never written."""
    if names:
        yield Finding(
            "never-written",
            f"{plural(len(names), 'parameter')} ({count_names(names)}) "
            f"{'was' if len(names) == 1 else 'were'} never written: what it holds was in memory, "
            "another number in every run.",
            names,
        )


def overwritten(factory: Callable[[], object], *, seed: int = 0) -> tuple[str, ...]:
    """Names of the parameters that were set to a constant in place and then drawn at random.

    A constant at construction (``nn.Parameter(torch.zeros(…))``) is a placeholder and does not
    count; ``nn.init.zeros_`` on what was drawn before is a decision.

    Examples
    --------
    >>> def make():
    ...     net = nn.Linear(4, 4)
    ...     nn.init.zeros_(net.weight)
    ...     return nn.init.normal_(net.weight) is not None and net
    >>> overwritten(make)
    ('weight',)
    """
    with seeded(seed), _Writes() as writes:
        model = _module(factory())
    found = []
    for name, parameter in model.named_parameters():
        history = writes.history.get(parameter.untyped_storage().data_ptr(), [])
        whole = [kind for kind, count in history if count == parameter.numel()]
        if "constant" in whole and "random" in whole[whole.index("constant") + 1 :]:
            entries = parameter.detach().reshape(-1)
            if not bool((entries == entries[0]).all()):
                found.append(name)
    return tuple(found)


def changed(before: dict[str, Tensor], model: nn.Module) -> tuple[str, ...]:
    """Names of the parameters that were constant in ``before`` and are not now.

    For a hook of the user's own: keep ``{n: p.detach().clone() …}`` after ``__init__``, and call
    this after the parent's initialisation.
    """
    found = []
    for name, parameter in model.named_parameters():
        old = before.get(name)
        if old is not None and bool((old == old.reshape(-1)[0]).all()):
            new = parameter.detach()
            if not bool((new == new.reshape(-1)[0]).all()):
                found.append(name)
    return tuple(found)


def overwritten_findings(names: tuple[str, ...], model: nn.Module) -> Iterator[Finding]:
    """The remark about parameters that were set to a constant and then drawn again."""
    if names:
        parameters = dict(model.named_parameters())
        std = float(parameters[names[0]].detach().double().std())
        yield Finding(
            "overwritten",
            f"{plural(len(names), 'parameter')} ({count_names(names)}) "
            f"{'was' if len(names) == 1 else 'were'} set to a constant and then drawn again (std "
            f"{std:.4g}): what the last writer draws, and not what the constructor wrote.",
            names,
            std,
            0.0,
        )


def _module(made: object) -> nn.Module:
    model = made[0] if isinstance(made, tuple) else made
    assert isinstance(model, nn.Module)
    return model


@contextmanager
def _filled() -> Iterator[None]:
    """New memory is NaN; the flags are restored afterwards."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        memory.fill_uninitialized_memory = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=only)
        memory.fill_uninitialized_memory = fill


class _Numbers(TorchDispatchMode):
    """New memory holds a finite number."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if "empty" in func._schema.name and isinstance(result, Tensor) and not result.is_meta:
            return result.fill_(0.5)
        return result


class _Writes(TorchDispatchMode):
    """Records the kind and size of every write in place, by storage."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[int, list[tuple[str, int]]] = {}
        self.kept: list[Any] = []  # storages stay alive, so that addresses are not used twice

    def __torch_dispatch__(
        self,
        func: Any,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2]
        if name.endswith("_") and args and isinstance(args[0], Tensor) and not args[0].is_meta:
            kind = "constant" if name in _CONSTANT else "random" if name in _RANDOM else "other"
            storage = args[0].untyped_storage()
            key = storage.data_ptr()
            if key not in self.history:
                self.kept.append(storage)
            self.history.setdefault(key, []).append((kind, args[0].numel()))
        return result
