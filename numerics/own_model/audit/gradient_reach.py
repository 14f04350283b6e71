"""Whether the forward lets gradients through to the parameters that it reads.

A forward under ``torch.no_grad``, or one that detaches what it computed, gives the right numbers
and trains nothing. One forward with gradients on shows which parameters the output's graph ends at.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from numerics.models.user_code import user_error
from numerics.own_model.audit.finding import Finding, count_names, plural
from numerics.own_model.measurement.output import leaves
from numerics.structure.default_batch import ModelBatch
from numerics.structure.private_copy import (
    detached,
    eager,
    private_copy,
    quiet_forward,
    without_cache,
)
from numerics.structure.record import named_tensors
from theory.errors import InputError


def unreached(model: nn.Module, batch: ModelBatch) -> tuple[str, ...]:
    """Trainable parameters that the forward reads and that no gradient of its output reaches.

    A model whose every parameter is frozen is judged as if all of them were trained.

    Parameters
    ----------
    model, batch
        The module and arguments for one forward; neither is changed.

    Raises
    ------
    InputError
        If the output carries no gradient at all.
    UserCodeError
        If the forward raises with gradients on.

    Examples
    --------
    >>> class Cut(nn.Sequential):
    ...     def forward(self, x):
    ...         return self[1](self[0](x).detach())
    >>> unreached(Cut(nn.Linear(2, 2, bias=False), nn.Linear(2, 2)), torch.ones(1, 2))
    ('0.weight',)
    """
    frozen = not any(p.requires_grad for p in model.parameters())
    args, kwargs = without_cache(model, batch)
    with quiet_forward(), private_copy(model, share=not frozen) as work:
        if frozen and work is eager(model):
            return ()  # it cannot be copied, and its flags are the user's
        if frozen:
            work.requires_grad_(True)
        args, kwargs = detached(args), detached(kwargs)
        try:
            with torch.enable_grad(), _Reads() as reads:
                returned = work(*args, **kwargs)
        except Exception as raised:
            what = f"the forward of {type(model).__name__} with gradients on"
            raise user_error(what, raised) from raised
        floats = [t for _, t in named_tensors(returned) if t.is_floating_point()]
        reached = set().union(*(leaves(t.grad_fn) | {id(t)} for t in floats if t.requires_grad))
        if floats and not reached:
            raise InputError(
                "the output must depend on the parameters through autograd, and that of "
                f"{type(model).__name__} carries no gradient: remove no_grad, inference_mode or "
                "detach from the forward"
            )
        return tuple(
            name
            for name, p in work.named_parameters()
            if p.requires_grad and id(p) in reads.seen and id(p) not in reached
        )


def unreached_findings(names: tuple[str, ...]) -> Iterator[Finding]:
    """The remark about such parameters, which is no fault: some are cut off on purpose."""
    if names:
        verb = "is" if len(names) == 1 else "are"
        yield Finding(
            "dead",
            f"{plural(len(names), 'parameter')} ({count_names(names)}) {verb} read by the forward, "
            "and no gradient reaches them: no_grad, detach or a choice such as argmax stands "
            "between.",
            names,
            fault=False,
        )


class _Reads(TorchFunctionMode):
    """Notes which tensors were arguments of an operation that gave a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            given = (*args, *(kwargs or {}).values())
            self.seen.update(id(value) for value in given if isinstance(value, nn.Parameter))
        return result
