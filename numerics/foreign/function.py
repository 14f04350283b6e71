"""A user's module as a function f of its trainable parameters on one batch, with Jᵀu and J s.

One reverse pass gives f and g = Jᵀu. The forward derivatives J s of any number of steps s come from
one forward pass in which all of them ride along (`torch.vmap` over `torch.func.jvp`), because J s
is linear in s. Where an operation has no forward derivative they come from the reverse pass of a
reverse pass, and where that does not exist from a stated finite step in float64.
"""

import inspect
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import BackwardCFunction
from torch.func import jvp

from numerics.default_batch import Batch
from numerics.foreign.attention import WrittenOut
from numerics.foreign.output import Measured, Output, find_measured
from numerics.foreign.padding import valid_positions
from numerics.foreign.private_copy import Parameters, PrivateCopy, in_dtype, private_copy
from numerics.structure.private_copy import without_cache
from numerics.structure.record import NoDropout
from numerics.user_factory import user_error
from theory.errors import InputError

Method = Literal["forward", "forward, one at a time", "double backward", "finite step"]

AT_ONCE = 2**25
"""Numbers held by the tangents of one chunk of steps: a quarter of a gigabyte in float64."""
FINITE = 1e-6
"""Relative change of f at which a finite step is measured where nothing better exists."""
AGREEMENT = 1e-3
"""⟨u, J s⟩ = ⟨Jᵀu, s⟩ must hold to this part where both derivatives are right."""


@dataclass(frozen=True)
class ModuleFunction:
    """f(θ) of a private copy of a module, on one batch."""

    copied: PrivateCopy
    batch: Batch
    measured: Measured
    valid: Tensor | None
    """Where the output counts, or ``None`` for everywhere."""
    shape: torch.Size
    """Of f."""
    dropout_inside: bool = False
    """Whether the forward asks for dropout outside training mode, so that it must be removed."""
    fresh: list[Tensor] = field(default_factory=list)
    """The output of the forward that found f, with its graph, until the first gradient uses it."""

    @property
    def parameters(self) -> Parameters:
        """θ."""
        return self.copied.parameters

    @property
    def dtype(self) -> torch.dtype:
        """The precision of θ."""
        return next(iter(self.parameters.values())).dtype

    def __call__(self, values: Parameters) -> Tensor:
        """f with these values of some parameters, 0 at positions that do not count."""
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
        """f(θ) and Jᵀu; a parameter that f does not depend on has the gradient 0."""
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
            leaves = {name: p for name, p in held.items() if p is not None}
            return leaves, self._counted(self.fresh.pop())
        at = self.parameters if values is None else values
        leaves = {name: value.detach().requires_grad_() for name, value in at.items()}
        return leaves, self(leaves)

    def random_cotangent(self, seed: int) -> Tensor:
        """Gaussian u on the positions that count, of norm 1, the same for every precision."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(*self.shape, generator=generator, dtype=torch.float64)
        if self.valid is not None:
            drawn = drawn.masked_fill(~self.valid.cpu(), 0.0)
        value = drawn / torch.linalg.vector_norm(drawn)
        return value.to(next(iter(self.parameters.values())).device)


@dataclass(frozen=True)
class Tangents:
    """J s of several steps s."""

    values: Tensor
    """(steps, …f's shape)."""
    method: Method
    operation: str | None = None
    """The operation that has no forward derivative, where that decided the method."""
    eta: float | None = None
    """The step size of a finite step."""


def module_function(
    model: torch.nn.Module,
    batch: Batch,
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
        See `numerics.foreign.output.Output`.
    mask
        Valid positions, where the batch does not say them.
    dtype
        Precision; ``None`` leaves each tensor as it is.

    Raises
    ------
    InputError
        If the model's forward raises, is random with dropout off, or has no floating output.
    """
    copied = private_copy(model, dtype)
    args, kwargs = without_cache(copied.module, in_dtype(batch, dtype))
    own_batch: Batch = args
    if kwargs:
        named = zip(inspect.signature(copied.module.forward).parameters, args, strict=False)
        own_batch = dict(named) | kwargs
    try:
        before = _generators()
        measured = find_measured(copied.module, own_batch, output)
        value = measured.first
        assert value is not None
        made = ModuleFunction(copied, own_batch, replace(measured, first=None), None, value.shape)
        if _generators() == before:
            made.fresh.append(value)
        else:
            made = _without_dropout(made)
    except InputError:
        raise
    except Exception as raised:
        raise user_error(f"the forward of {type(model).__name__}", raised) from raised
    valid = valid_positions(copied.module, own_batch, value.shape, mask)
    return replace(made, valid=valid)


def tangents(function: ModuleFunction, steps: Sequence[Parameters], cotangent: Tensor) -> Tangents:
    """J s of every step, by the first method that works for all operations of the module.

    Parameters
    ----------
    function
        f.
    steps
        Each a direction for some of the parameters; the others stand still.
    cotangent
        u, of f's shape: where derivatives backwards are differentiated again.

    Raises
    ------
    InputError
        If not even a finite step can be taken.
    """
    if not steps:
        return Tangents(torch.zeros(0, *function.shape, dtype=function.dtype), "forward")
    operation = None
    try:
        if len(steps) == 1:
            return Tangents(_one_forward(function, steps[0])[None], "forward")
        return Tangents(_forward(function, steps), "forward")
    except (NotImplementedError, RuntimeError) as raised:
        first: Exception = raised
    if len(steps) > 1:
        try:
            values = torch.stack([_one_forward(function, step) for step in steps])
            return Tangents(values, "forward, one at a time", _operation(first, function))
        except (NotImplementedError, RuntimeError) as raised:
            first = raised
    operation = _operation(first, function)
    try:
        values = _double_backward(function, steps, cotangent)
        if _agrees(function, values, steps, cotangent):
            return Tangents(values, "double backward", operation)
    except (NotImplementedError, RuntimeError):
        pass
    eta, values = _finite(function, steps)
    return Tangents(values, "finite step", operation, eta)


def consistent(gradients: Parameters, step: Parameters, tangent: Tensor, cotangent: Tensor) -> bool:
    """Whether ⟨u, J s⟩ = ⟨Jᵀu, s⟩: false where a hand-written derivative is another function's.

    Examples
    --------
    >>> one = torch.ones(2)
    >>> consistent({"w": one}, {"w": one}, one, one)
    True
    >>> consistent({"w": 3 * one}, {"w": one}, one, one)
    False
    """
    left = float((cotangent.double() * tangent.double()).sum())
    right = sum(float((gradients[name].double() * s.double()).sum()) for name, s in step.items())
    size = float(tangent.double().norm()) * float(cotangent.double().norm())
    return abs(left - right) <= AGREEMENT * max(abs(right), 0.1 * size)


def _generators() -> tuple[bytes, object]:
    """The states of the generators that a forward may draw from."""
    return torch.get_rng_state().numpy().tobytes(), random.getstate()


def _without_dropout(function: ModuleFunction) -> ModuleFunction:
    """The forward draws random numbers: dropout inside it is removed, and nothing may be left."""
    removed = replace(function, dropout_inside=True, fresh=[])
    with torch.no_grad():
        values = [removed({}) for _ in range(2)]
    if not torch.equal(*values) and not bool(values[0].isnan().any()):
        raise InputError("a forward must give the same output twice with dropout off, and does not")
    return removed


def _one_forward(function: ModuleFunction, step: Parameters) -> Tensor:
    """J s in one forward pass, without the machinery that many of them need."""
    with torch.no_grad(), WrittenOut(), forward_ad.dual_level():
        duals = {
            name: forward_ad.make_dual(function.parameters[name], s) for name, s in step.items()
        }
        found = forward_ad.unpack_dual(function(duals)).tangent
    return torch.zeros(function.shape, dtype=function.dtype) if found is None else found


def _forward(function: ModuleFunction, steps: Sequence[Parameters]) -> Tensor:
    found = [_forward_chunk(function, chunk) for chunk in _chunks(function, steps)]
    return torch.cat(found)


def _forward_chunk(function: ModuleFunction, steps: Sequence[Parameters]) -> Tensor:
    """One pass for the primal values and the tangents of all steps of a chunk."""
    names = [name for name in function.parameters if any(name in step for step in steps)]
    at = {name: function.parameters[name] for name in names}
    stacked = {
        name: torch.stack([step.get(name, torch.zeros_like(at[name])) for step in steps])
        for name in names
    }
    with torch.no_grad(), WrittenOut():
        push = torch.vmap(lambda s: jvp(function, (at,), (s,))[1], randomness="same")
        return push(stacked)


def _chunks(
    function: ModuleFunction, steps: Sequence[Parameters]
) -> Iterator[Sequence[Parameters]]:
    numbers = sum(value.numel() for value in function.parameters.values())
    size = max(1, AT_ONCE // max(numbers, 1))
    for start in range(0, len(steps), size):
        yield steps[start : start + size]


def _double_backward(
    function: ModuleFunction, steps: Sequence[Parameters], cotangent: Tensor
) -> Tensor:
    """J s = ∂⟨Jᵀu, s⟩/∂u, for Jᵀu is linear in u."""
    leaves = {n: value.detach().requires_grad_() for n, value in function.parameters.items()}
    output = function(leaves)
    u = cotangent.to(output.dtype).requires_grad_()
    found = torch.autograd.grad(
        output, list(leaves.values()), u, create_graph=True, allow_unused=True
    )
    gradients = dict(zip(leaves, found, strict=True))
    rows: list[Tensor] = []
    for step in steps:
        parts = [
            (gradients[name] * s).sum()
            for name, s in step.items()
            if (g := gradients[name]) is not None and g.requires_grad
        ]
        pushed = None
        if parts:
            (pushed,) = torch.autograd.grad(
                torch.stack(parts).sum(), u, retain_graph=True, allow_unused=True
            )
        rows.append(torch.zeros_like(u) if pushed is None else pushed)
    return torch.stack(rows).detach()


def _agrees(
    function: ModuleFunction, values: Tensor, steps: Sequence[Parameters], cotangent: Tensor
) -> bool:
    """Whether the sum of the derivatives is that of a finite step, within its own error."""
    total = _summed(steps)
    _, finite = _finite(function, [total])
    exact = values.double().sum(0)
    scale = float(torch.linalg.vector_norm(finite.double()))
    del cotangent
    return float((finite[0].double() - exact).norm()) <= 0.02 * max(scale, 1e-30)


def _finite(function: ModuleFunction, steps: Sequence[Parameters]) -> tuple[float, Tensor]:
    """(f(θ + ηs) − f(θ − ηs))/2η with an η that moves f by about a millionth of its size."""
    rows: list[Tensor] = []
    eta = FINITE
    with torch.no_grad():
        size = float(torch.linalg.vector_norm(function({}).double()))
        for step in steps:
            eta = FINITE / max(_size(step), 1e-30) * max(_size(function.parameters), 1e-30)
            for _ in range(6):
                change = _difference(function, step, eta)
                moved = float(change.double().norm())
                if size == 0 or 0.01 * FINITE * size <= moved <= 100 * FINITE * size or moved == 0:
                    break
                eta *= FINITE * size / moved
            rows.append(change / (2 * eta))
    return eta, torch.stack(rows)


def _difference(function: ModuleFunction, step: Parameters, eta: float) -> Tensor:
    ends = [
        function({name: function.parameters[name] + sign * eta * s for name, s in step.items()})
        for sign in (1.0, -1.0)
    ]
    return ends[0] - ends[1]


def _size(tensors: Mapping[str, Tensor]) -> float:
    return sum(float(t.double().square().sum()) for t in tensors.values()) ** 0.5


def _summed(steps: Sequence[Parameters]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for step in steps:
        for name, s in step.items():
            total[name] = total[name] + s if name in total else s
    return total


def _operation(raised: Exception, function: ModuleFunction) -> str:
    """The name of the operation without a forward derivative."""
    text = " ".join(str(raised).split())
    for pattern in (r"forward AD with (\S+) that does not", r"derivative for (\S+) is not impl"):
        if found := re.search(pattern, text):
            return found.group(1)
    if "autograd.Function" in text or "custom" in text.lower():
        names = _custom_functions(function)
        if names:
            return ", ".join(names)
    return text[:80]


def _custom_functions(function: ModuleFunction) -> tuple[str, ...]:
    """Names of the hand-written autograd functions that f's graph contains."""
    leaves = {n: value.detach().requires_grad_() for n, value in function.parameters.items()}
    seen: set[Any] = set()
    names: dict[str, None] = {}
    stack: list[Any] = [function(leaves).grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, BackwardCFunction):
            names[type(node).__name__.removesuffix("Backward")] = None
        stack += [parent for parent, _ in node.next_functions]
    return tuple(names)
