"""What enters a stream: each input's share of its mean square, and the width of a head.

One forward is watched. The inputs of a stream are what an embedding gives and what is added to it
before any operation that is not linear: x₀ = Σ mᵢ eᵢ with constant multipliers mᵢ. The share of an
input is the mean square of its term over the sum of all terms' mean squares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from numerics.recipes.place import ModelSizes, setting_of
from numerics.structure.default_batch import ModelBatch
from numerics.structure.types import Structure
from numerics.structure.user_factory import call, seeded


@dataclass(frozen=True)
class Input:
    """One term of what enters a stream."""

    name: str
    """The parameter it is read from, or what kind of constant it is."""
    mean_square: float
    share: float
    """Its share of the sum of the mean squares of all terms."""
    multiplier: float
    """Constant factor between the table and the stream; it is 1 for a constant term."""


@dataclass(frozen=True)
class Ends:
    """What one forward shows of a model's two ends."""

    inputs: tuple[tuple[Input, ...], ...]
    """The inputs of each stream, in the order of the forward."""
    norms: tuple[float, ...]
    """The largest norm of an input token of each stream: DT-Fixup's μ."""
    head_width: int | None
    """Width of one attention head: the contracted length of the first scores."""
    read: Mapping[str, float]
    """The RMS of what each matrix multiplied last: about 1 for a head behind a norm."""
    output: Tensor | None
    """What the forward returned, if that is or holds a floating-point tensor."""


def watch_ends(model: nn.Module, batch: ModelBatch) -> Ends:
    """Run the model once, with dropout off, and note its inputs, head width and output."""
    names = {id(p): name for name, p in model.named_parameters()}
    modes = {module: module.training for module in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        model.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), seeded(0), _Watch(names) as watch:
            output = call(model, batch)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, training in modes.items():
            module.training = training
    streams = watch.streams()
    return Ends(
        tuple(_shares(terms) for terms in streams),
        tuple(_largest_norm(terms) for terms in streams),
        watch.head_width,
        watch.read,
        first(output),
    )


def first(output: object) -> Tensor | None:
    """The first floating-point tensor of an output: logits or hidden states."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    if isinstance(output, dict):
        keyed = output.get("logits", output.get("last_hidden_state"))
        values: Any = [keyed] if isinstance(keyed, Tensor) else list(output.values())
    else:
        values = output if isinstance(output, (tuple, list)) else []
    return next((t for t in map(first, values) if t is not None), None)


_KEEPING = (
    *("dropout", "contiguous", "clone", "identity"),
    *("to", "type", "float", "double", "half", "bfloat16"),
)
"""Operations after which the numbers are what they were, dropout being off."""
_Terms = list[tuple[str, Tensor, float]]


def _shares(terms: _Terms) -> tuple[Input, ...]:
    squares = [float((tensor.detach().double() * m).square().mean()) for _, tensor, m in terms]
    total = sum(squares) or 1.0
    return tuple(
        Input(name, square, square / total, m)
        for (name, _, m), square in zip(terms, squares, strict=True)
    )


def _largest_norm(terms: _Terms) -> float:
    summed = torch.zeros((), dtype=torch.float64)
    for _, tensor, m in terms:
        summed = summed + tensor.double() * m
    return float(summed.detach().norm(dim=-1).max())


def setting_for(structure: Structure, model: nn.Module, ends: Ends) -> ModelSizes:
    """Sizes of the model, with what its ends show."""
    tables = {view.parameter for view in structure.of_role("positions")}
    multipliers = [i.multiplier for stream in ends.inputs for i in stream if i.name in tables]
    heads = [ends.read[v.parameter] for v in structure.of_role("head") if v.parameter in ends.read]
    return setting_of(
        structure,
        model,
        head_width=ends.head_width,
        head_input=heads[-1] if heads else None,
        position_multiplier=multipliers[0] if multipliers else 1.0,
    )


class _Watch(TorchFunctionMode):
    """Follows linear combinations of embedded tokens until something else is done with them."""

    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()
        self.names = names
        self.terms: dict[int, _Terms] = {}
        self.kept: list[Tensor] = []  # ids stay unique while the tensors live
        self.ended: list[_Terms] = []
        self.derived: set[int] = set()
        self.head_width: int | None = None
        self.read: dict[str, float] = {}

    def streams(self) -> list[_Terms]:
        """The sums that were read by something that is no longer linear, each once."""
        found: list[_Terms] = []
        for terms in self.ended:
            tables = {name for name, _, _ in terms}
            if not any(tables <= {name for name, _, _ in other} for other in found):
                found = [f for f in found if not {name for name, _, _ in f} <= tables]
                found.append(terms)
        return found

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self._follow(getattr(func, "__name__", ""), func, args, kwargs or {}, result)
        return result

    def _follow(
        self,
        name: str,
        func: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Tensor,
    ) -> None:
        tensors = [a for a in args if isinstance(a, Tensor)]
        table = self._table(name, func, args, kwargs)
        if table is not None:
            # A copy: what is added to the rows in place is a term of its own.
            self._set(result, [(self.names[id(table)], result.detach().clone(), 1.0)])
            return
        if func is F.linear and len(tensors) > 1 and id(tensors[1]) in self.names:
            rms = tensors[0].double().square().mean().sqrt()
            self.read[self.names[id(tensors[1])]] = float(rms)
        self._scores(name, tensors, result)
        own = [t for t in tensors if id(t) in self.terms]
        if not result.is_floating_point():
            return
        combined = self._combine(name.strip("_"), args, own, result) if own else None
        if combined is not None:
            self._set(result, combined)
            return
        if own or any(id(t) in self.derived or id(t) in self.names for t in tensors):
            self.kept.append(result)
            self.derived.add(id(result))
        if not own:
            return
        if name not in ("size", "dim", "__get__"):
            self.ended.extend(self.terms[id(t)] for t in own)

    def _table(
        self, name: str, func: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor | None:
        """The parameter whose rows are looked up, if that is what the operation does."""
        given = (*args, kwargs.get("weight"))
        table = given[1 if func is F.embedding else 0] if len(given) > 1 else None
        if func is F.embedding or name == "__getitem__":
            return table if id(table) in self.names else None
        return None

    def _combine(
        self,
        name: str,
        args: tuple[Any, ...],
        own: list[Tensor],
        result: Tensor,
    ) -> _Terms | None:
        """Terms of the result of a linear operation; ``None`` of any other."""
        one = self.terms[id(own[0])]
        if name in ("add", "radd", "iadd"):
            other = next((a for a in args[:2] if a is not own[0]), own[0])
            if not isinstance(other, Tensor) or id(other) in self.derived:
                return None
            return one + self._terms_of(other, result)
        if name in ("mul", "rmul", "imul", "div", "truediv"):
            factor = next((a for a in args[:2] if a is not own[0]), None)
            value = _number(factor)
            if not value:
                return None
            m = 1 / value if "div" in name else value
            return [(label, tensor, m * before) for label, tensor, before in one]
        if name in _KEEPING:
            return one
        return None

    def _terms_of(self, tensor: Tensor, result: Tensor) -> _Terms:
        if id(tensor) in self.terms:
            return self.terms[id(tensor)]
        name = self.names.get(id(tensor), "a constant such as sinusoids")
        return [(name, tensor.detach().expand_as(result), 1.0)]

    def _set(self, result: Tensor, terms: _Terms) -> None:
        self.kept.append(result)
        self.terms[id(result)] = terms

    def _scores(self, name: str, tensors: list[Tensor], result: Tensor) -> None:
        """The first product of two batches of matrices, or fused attention's first operand."""
        if self.head_width is not None or not tensors:
            return
        if name == "scaled_dot_product_attention":
            self.head_width = tensors[0].shape[-1]
        products = ("matmul", "__matmul__", "bmm", "baddbmm", "einsum")
        if name in products and len(tensors) >= 2 and result.dim() >= 3:
            a, b = tensors[-2:]
            if a.dim() >= 3 and b.dim() >= 3 and not {id(a), id(b)} & set(self.names):
                self.head_width = a.shape[-1]


def _number(value: object) -> float | None:
    if isinstance(value, Tensor):
        return float(value) if value.numel() == 1 and not value.requires_grad else None
    return float(value) if isinstance(value, (int, float)) else None
