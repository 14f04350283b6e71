"""A user's module as a function f of its trainable parameters on one batch, with its gradient."""

import inspect
import random
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from numerics.models.user_code import user_error
from numerics.own_model.measurement.conditions import any_attention
from numerics.own_model.measurement.output import Measured, Output, find_measured, leaves
from numerics.own_model.measurement.padding import valid_positions
from numerics.own_model.measurement.private_copy import (
    Parameters,
    PrivateCopy,
    in_dtype,
    private_copy,
)
from numerics.structure.default_batch import ModelBatch
from numerics.structure.private_copy import without_cache
from numerics.structure.record import NoDropout
from theory.errors import InputError

ROUNDINGS = 1e3
"""Units of rounding by which two forwards without dropout may differ; dropout changes a tenth."""


@dataclass(frozen=True)
class ModuleFunction:
    """A private copy of a module on one batch, as a function f(θ) of its parameters."""

    copied: PrivateCopy
    batch: ModelBatch
    measured: Measured
    valid: Tensor | None
    """Where the output counts, or ``None`` for everywhere."""
    shape: torch.Size
    """Shape of the function's value."""
    dropout_inside: bool = False
    """Whether the forward asks for dropout outside training mode, so that it must be removed."""
    fresh: list[Tensor] = field(default_factory=list)
    """The output of the forward that found f, with its graph, until the first gradient uses it."""

    @property
    def parameters(self) -> Parameters:
        """The parameters θ that the optimizer trains, by name."""
        return self.copied.parameters

    @property
    def dtype(self) -> torch.dtype:
        """The precision of θ."""
        return next(iter(self.parameters.values())).dtype

    def __call__(self, values: Parameters) -> Tensor:
        """The function with these values of some parameters; 0 at positions that do not count."""
        with self.copied.at(values) as module:
            if self.dropout_inside:
                with NoDropout():
                    output = self.measured.of(module, self.batch)
            else:
                output = self.measured.of(module, self.batch)
        return self._counted(output)

    def _counted(self, output: Tensor) -> Tensor:
        return output if self.valid is None else output.masked_fill(~self.valid, 0.0)

    def gradient(
        self, cotangent: Tensor, values: Parameters | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The value f(θ) and the gradient Jᵀu, 0 where f does not depend on a parameter."""
        leaves, output = self._with_graph(values)
        if not output.requires_grad:
            raise InputError(
                "the output must depend on the parameters through autograd, and it carries no "
                "gradient: remove no_grad or inference_mode from the forward"
            )
        found = torch.autograd.grad(
            output, list(leaves.values()), cotangent.to(output.dtype), allow_unused=True
        )
        return output.detach(), {
            name: torch.zeros_like(leaves[name]) if g is None else g
            for name, g in zip(leaves, found, strict=True)
        }

    def _with_graph(self, values: Parameters | None) -> tuple[dict[str, Tensor], Tensor]:
        """Leaves that require gradients and f of them."""
        if values is None and self.fresh:
            held = {
                name: module._parameters[attribute]
                for name, ((module, attribute), *_) in self.copied.slots.items()
            }
            leaves: dict[str, Tensor] = {name: p for name, p in held.items() if p is not None}
            return leaves, self._counted(self.fresh.pop())
        at = self.parameters if values is None else values
        leaves = {name: value.detach().requires_grad_() for name, value in at.items()}
        return leaves, self(leaves)

    def require_moved(self) -> None:
        """Raise if the forward reads a parameter elsewhere than from the module that owns it."""
        with torch.enable_grad():
            fresh = {
                name: value.clone().requires_grad_() for name, value in self.parameters.items()
            }
            reached = leaves(self(fresh).grad_fn)
        for name, ((module, attribute), *_) in self.copied.slots.items():
            if id(module._parameters[attribute]) in reached:
                raise InputError(
                    f"a parameter must be read from the module that owns it, and the forward of "
                    f"{type(self.copied.module).__name__} reads {name} from a closure, a default "
                    "or a list"
                )

    def random_cotangent(self, seed: int) -> Tensor:
        """A Gaussian cotangent of norm 1 on the positions that count, alike in every precision."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(*self.shape, generator=generator, dtype=torch.float64)
        if self.valid is not None:
            drawn = drawn.masked_fill(~self.valid.cpu(), 0.0)
        value = drawn / torch.linalg.vector_norm(drawn)
        return value.to(next(iter(self.parameters.values())).device)


def module_function(
    model: torch.nn.Module,
    batch: ModelBatch,
    *,
    output: Output = None,
    mask: Tensor | None = None,
    dtype: torch.dtype | None = torch.float64,
) -> ModuleFunction:
    """A module as a function of its parameters; call it and its result under `measuring`.

    Parameters
    ----------
    model, batch
        The user's, neither of them changed.
    output
        See `numerics.own_model.measurement.output.Output`.
    mask
        Valid positions, where the batch does not say them.
    dtype
        Precision; ``None`` leaves each tensor as it is. A forward that does not run in float64 is
        measured in float32, which a note says.

    Raises
    ------
    InputError
        If the model's forward raises, is random with dropout off, or has no floating output.
    """
    if dtype is torch.float64:
        try:
            return _in_precision(model, batch, output, mask, dtype)
        except InputError as in_double:
            try:
                made = _in_precision(model, batch, output, mask, torch.float32)
            except InputError:
                raise in_double from in_double.__cause__
        notes = (*made.copied.notes, "The forward does not run in float64: measured in float32.")
        return replace(made, copied=replace(made.copied, notes=notes))
    return _in_precision(model, batch, output, mask, dtype)


def _in_precision(
    model: torch.nn.Module,
    batch: ModelBatch,
    output: Output,
    mask: Tensor | None,
    dtype: torch.dtype | None,
) -> ModuleFunction:
    copied = private_copy(model, dtype)
    args, kwargs = without_cache(copied.module, in_dtype(batch, dtype))
    own_batch: ModelBatch = args
    if kwargs:
        named = zip(inspect.signature(copied.module.forward).parameters, args, strict=False)
        own_batch = dict(named) | kwargs
    try:
        before = _generators()
        with any_attention():
            measured = find_measured(copied.module, own_batch, output)
        value = measured.first
        assert value is not None
        _require_own_parameters(model, value)
        made = ModuleFunction(copied, own_batch, replace(measured, first=None), None, value.shape)
        if _generators() == before:
            made.fresh.append(value)
        else:
            made = _without_dropout(made)
            made.require_moved()  # without the first forward's graph, gradients miss such reads
    except InputError:
        raise
    except Exception as raised:
        raise user_error(f"the forward of {type(model).__name__}", raised) from raised
    valid = valid_positions(copied.module, own_batch, value.shape, mask)
    return replace(made, valid=valid)


def _require_own_parameters(model: torch.nn.Module, value: Tensor) -> None:
    """Raise if the copy's forward reads parameters of the module that it is a copy of."""
    reached = leaves(value.grad_fn)
    outside = next((name for name, p in model.named_parameters() if id(p) in reached), None)
    if outside is not None:
        raise InputError(
            f"a forward must use the parameters of the module that it is called on, and that of a "
            f"copy of {type(model).__name__} still reads the original's {outside}, as through a "
            "global variable: make it an attribute of the module"
        )


def _generators() -> tuple[bytes, object]:
    """The states of the generators that a forward may draw from."""
    return torch.get_rng_state().numpy().tobytes(), random.getstate()


def _without_dropout(function: ModuleFunction) -> ModuleFunction:
    """Remove the dropout that a forward asks for, and require that nothing else is random."""
    removed = replace(function, dropout_inside=True, fresh=[])
    with torch.no_grad():
        for made in (function, removed):
            first, second = made({}), made({})
            if equal_but_rounding(first, second) or bool(first.isnan().any()):
                return made
    raise InputError("a forward must give the same output twice with dropout off, and does not")


def equal_but_rounding(first: Tensor, second: Tensor) -> bool:
    """Whether two outputs are equal up to rounding, which changes with their place in memory.

    Examples
    --------
    >>> one = torch.ones(2)
    >>> equal_but_rounding(one, one * (1 + 1e-6)), equal_but_rounding(one, one * 1.01)
    (True, False)
    """
    apart = float((first - second).abs().max()) if first.numel() else 0.0
    return apart <= ROUNDINGS * torch.finfo(first.dtype).eps * float(first.abs().max())
