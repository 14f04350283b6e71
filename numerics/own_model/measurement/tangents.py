"""J s, the forward derivative of a user's module along steps s of its parameters.

Any number of steps ride along in one forward pass (`torch.vmap` over `torch.func.jvp`), because J s
is linear in s. Where an operation has no forward derivative, J s comes from the reverse pass of a
reverse pass, and where that does not exist from a stated finite step.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import BackwardCFunction
from torch.func import jvp

from numerics.linearization.forward_operations import WrittenOut
from numerics.linearization.types import Parameters
from numerics.own_model.measurement.function import ModuleFunction

Method = Literal["forward", "forward, one at a time", "double backward", "finite step"]

AT_ONCE = 2**25
"""Numbers held by the tangents of one chunk of steps: a quarter of a gigabyte in float64."""
FINITE = {torch.float64: 1e-6, torch.float32: 1e-3}
"""Relative change of f at which a finite step is measured where nothing better exists: the error of
the difference of two steps is its square, and that of rounding its inverse."""
AGREEMENT = 1e-3
"""Relative difference that ⟨u, J s⟩ and ⟨Jᵀu, s⟩ may have where both derivatives are right."""
SUSPICION = 1e-5
"""Relative difference from which on a forward is run to see whether a parameter is read elsewhere
than from its module."""


@dataclass(frozen=True)
class Tangents:
    """How f moves under several steps s: J s of each."""

    values: Tensor
    """(steps, …f's shape)."""
    method: Method
    operation: str | None = None
    """The operation that has no forward derivative, where that decided the method."""
    eta: float | None = None
    """The step size of a finite step."""


def tangents(function: ModuleFunction, steps: Sequence[Parameters], cotangent: Tensor) -> Tangents:
    """The derivative of f along every step, J s, by the first method that works for the module.

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
        if _agrees(function, values, steps):
            return Tangents(values, "double backward", operation)
    except (NotImplementedError, RuntimeError):
        pass
    eta, values = _finite(function, steps)
    return Tangents(values, "finite step", operation, eta)


def inconsistency(
    gradients: Parameters, step: Parameters, tangent: Tensor, cotangent: Tensor
) -> float:
    """How far ⟨u, J s⟩ is from ⟨Jᵀu, s⟩, relative to the larger of the two or to their size.

    It is rounding where both derivatives are of one function, and more where a hand-written
    derivative is another function's.

    Examples
    --------
    >>> one = torch.ones(2)
    >>> inconsistency({"w": one}, {"w": one}, one, one)
    0.0
    >>> round(inconsistency({"w": 3 * one}, {"w": one}, one, one), 3)
    0.667
    """
    left = float((cotangent.double() * tangent.double()).sum())
    products = [(gradients[name] * s).sum() for name, s in step.items()]
    right = float(torch.stack(products).double().sum()) if products else 0.0
    size = float(tangent.double().norm()) * float(cotangent.double().norm())
    apart = abs(left - right)
    return apart / max(abs(right), 0.1 * size) if apart else 0.0


def _one_forward(function: ModuleFunction, step: Parameters) -> Tensor:
    """One tangent J s in one forward pass, without the machinery that many of them need."""

    def tangent() -> Tensor:
        with forward_ad.dual_level():
            duals = {
                name: forward_ad.make_dual(function.parameters[name], s) for name, s in step.items()
            }
            found = forward_ad.unpack_dual(function(duals)).tangent
        return torch.zeros(function.shape, dtype=function.dtype) if found is None else found

    return _written_out(tangent)


def _written_out(tangent: Callable[[], Tensor]) -> Tensor:
    """A forward derivative with its slow operations replaced, as far as that leaves it finite."""
    with torch.no_grad(), WrittenOut():
        found = tangent()
    if bool(found.isfinite().all()):
        return found
    with torch.no_grad(), WrittenOut(constants=False):
        return tangent()


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
    push = torch.vmap(lambda s: jvp(function, (at,), (s,))[1], randomness="same")
    return _written_out(lambda: push(stacked))


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
    """Tangents from two backward passes: J s = ∂⟨Jᵀu, s⟩/∂u, because Jᵀu is linear in u."""
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


def _agrees(function: ModuleFunction, values: Tensor, steps: Sequence[Parameters]) -> bool:
    """Whether the sum of the derivatives is that of a finite step, within its own error."""
    total = _summed(steps)
    _, finite = _finite(function, [total])
    exact = values.double().sum(0)
    scale = float(torch.linalg.vector_norm(finite.double()))
    return float((finite[0].double() - exact).norm()) <= 0.02 * max(scale, 1e-30)


def _finite(function: ModuleFunction, steps: Sequence[Parameters]) -> tuple[float, Tensor]:
    """Tangents from a finite step, (f(θ + ηs) − f(θ − ηs))/2η; f moves by about `FINITE`."""
    rows: list[Tensor] = []
    eta = aim = FINITE.get(function.dtype, 1e-2)
    with torch.no_grad():
        size = float(torch.linalg.vector_norm(function({}).double()))
        for step in steps:
            eta = aim / max(_size(step), 1e-30) * max(_size(function.parameters), 1e-30)
            change = _difference(function, step, eta)
            for _ in range(6):
                moved = float(change.double().norm())
                if size == 0 or 0.01 * aim * size <= moved <= 100 * aim * size or moved == 0:
                    break
                eta *= aim * size / moved
                change = _difference(function, step, eta)
            rows.append(change.div(2 * eta))
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
