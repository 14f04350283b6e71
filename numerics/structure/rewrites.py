"""Fused operations recorded as the single steps that they stand for.

``addmm(x, A, B)`` with an activation x is a product and an addition, and may be a residual
addition; ``lerp(x, F, w)`` is (1 − w)·x + w·F; ``glu`` is a gate. Each rewrite runs its steps
through the recorder and returns their result.
"""

from collections.abc import Callable
from typing import Any

import torch

aten = torch.ops.aten
Rewrite = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


def _scaled(run: Rewrite, tensor: Any, factor: Any) -> Any:
    return tensor if factor == 1 else run(aten.mul.Tensor, (tensor, factor), {})


def _finish(func: Any, run: Rewrite, target: Any, result: Any) -> Any:
    """Write the result into the first argument where the fused operation works in place."""
    if not func.__name__.split(".")[0].endswith("_"):
        return result
    return run(aten.copy_.default, (target, result), {})


def _add_product(product: Any) -> Callable[..., Any]:
    def rewrite(func: Any, run: Rewrite, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        stream, first, second = args[:3]
        result = _scaled(run, run(product, (first, second), {}), kwargs.get("alpha", 1))
        stream_part = _scaled(run, stream, kwargs.get("beta", 1))
        return _finish(func, run, stream, run(aten.add.Tensor, (stream_part, result), {}))

    return rewrite


def _add_pointwise(pointwise: Any) -> Callable[..., Any]:
    def rewrite(func: Any, run: Rewrite, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        stream, first, second = args[:3]
        result = _scaled(run, run(pointwise, (first, second), {}), kwargs.get("value", 1))
        return _finish(func, run, stream, run(aten.add.Tensor, (stream, result), {}))

    return rewrite


def _lerp(func: Any, run: Rewrite, args: tuple[Any, ...], _: dict[str, Any]) -> Any:
    start, end, weight = args[:3]
    rest = 1 - weight if not isinstance(weight, torch.Tensor) else None
    if rest is None:
        rest = run(aten.rsub.Scalar, (weight, 1), {})
    first = run(aten.mul.Tensor, (start, rest), {})
    second = run(aten.mul.Tensor, (end, weight), {})
    return _finish(func, run, start, run(aten.add.Tensor, (first, second), {}))


def _glu(_: Any, run: Rewrite, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensor = args[0]
    axis = args[1] if len(args) > 1 else kwargs.get("dim", -1)
    first, gate = run(aten.split.Tensor, (tensor, tensor.shape[axis] // 2, axis), {})
    return run(aten.mul.Tensor, (first, run(aten.sigmoid.default, (gate,), {})), {})


REWRITES: dict[Any, Callable[..., Any]] = {
    aten.addmm: _add_product(aten.mm.default),
    aten.addmm_: _add_product(aten.mm.default),
    aten.baddbmm: _add_product(aten.bmm.default),
    aten.baddbmm_: _add_product(aten.bmm.default),
    aten.addcmul: _add_pointwise(aten.mul.Tensor),
    aten.addcmul_: _add_pointwise(aten.mul.Tensor),
    aten.addcdiv: _add_pointwise(aten.div.Tensor),
    aten.addcdiv_: _add_pointwise(aten.div.Tensor),
    aten.lerp: _lerp,
    aten.lerp_: _lerp,
    aten.glu: _glu,
}
"""The steps that each aten operation stands for, where its first argument is an activation."""
