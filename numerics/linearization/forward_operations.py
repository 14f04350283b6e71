"""Operations whose forward derivative torch takes slowly, written so that it is fast.

The forward derivative of x ∘ c, with c a number or a tensor that does not move, costs torch 2.13 a
tenth to a third of a millisecond whatever the size: it works out the shape of a zero in Python.
Models that write out norms, rotary positions or GELU have several such operations per layer. Here
c is either handed over as a number, which takes a rule of its own, or has zeros for its tangent.
The numbers are the same, but for a zero times an infinite value: `WrittenOut` can leave tensors to
torch.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from numerics.linearization.written_attention import attention

SMALL = 2**18
"""Entries up to which the products with a tangent of zeros cost less than the slow rule.

On one thread both take half a millisecond there.
"""
_OWN = (Tensor, nn.Parameter)
_ATEN = torch.ops.aten


class WrittenOut(TorchFunctionMode):
    """Replaces what has a slow forward derivative, while the context lasts.

    Parameters
    ----------
    constants
        Whether products with tensors that do not move are replaced too. Where the other operand is
        infinite, as a masked logit is, their tangent is then NaN.

    Examples
    --------
    >>> from torch.func import jvp
    >>> x, c = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    >>> with WrittenOut():
    ...     jvp(lambda x: (2 * x + 1) * c, (x,), (x,))
    (tensor([ 9., 20.]), tensor([ 6., 16.]))
    """

    def __init__(self, *, constants: bool = True) -> None:
        super().__init__()
        self._written = _WITH_CONSTANTS if constants else _WRITTEN

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a torch function, or what stands for it."""
        del types
        return self._written.get(func, func)(*args, **(kwargs or {}))


def _moves(x: Tensor) -> bool | None:
    """Whether a tensor has a tangent; ``None`` inside a `torch.vmap`, which does not say."""
    try:
        return forward_ad.unpack_dual(x).tangent is not None
    except RuntimeError:
        return None


def _still(x: Tensor) -> Tensor:
    """A tensor that does not move, with zeros for its tangent."""
    return forward_ad.make_dual(x, torch.zeros_like(x))


def _of_two(
    plain: Callable[..., Tensor],
    with_number: Callable[[Tensor, int | float], Tensor],
    *,
    constants: bool,
) -> Callable[..., Tensor]:
    """An operation of two operands, by the rule that suits the second."""

    def written(*args: Any, **kwargs: Any) -> Tensor:
        if len(args) != 2 or kwargs or type(args[0]) not in _OWN:
            return plain(*args, **kwargs)
        x, y = args
        if type(y) in (int, float):
            return with_number(x, y)
        floating = constants and type(y) in _OWN and x.is_floating_point() and y.is_floating_point()
        if not floating or max(x.numel(), y.numel()) > SMALL:
            return plain(x, y)
        match _moves(x), _moves(y):
            case True, False:
                y = _still(y)
            case False, True:
                x = _still(x)
        return plain(x, y)

    return written


def _layer_norm(
    x: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer norm; its gain and bias are small, and often stand still."""
    if _moves(x):
        weight, bias = (
            _still(own) if own is not None and _moves(own) is False else own
            for own in (weight, bias)
        )
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


def _number_over(x: Tensor, number: int | float) -> Tensor:
    return _ATEN.mul.Scalar(x.reciprocal(), number)


_WITH_NUMBER: Mapping[str, Callable[[Tensor, int | float], Tensor]] = {
    **dict.fromkeys(("mul", "multiply"), _ATEN.mul.Scalar),
    "add": _ATEN.add.Scalar,
    **dict.fromkeys(("sub", "subtract"), _ATEN.sub.Scalar),
    **dict.fromkeys(("rsub", "__rsub__"), _ATEN.rsub.Scalar),
    **dict.fromkeys(("div", "divide", "true_divide"), _ATEN.div.Scalar),
    "__rtruediv__": _number_over,
}
_OPERATIONS = {
    plain: with_number
    for name, with_number in _WITH_NUMBER.items()
    for place in (torch, Tensor)
    if (plain := getattr(place, name, None)) is not None
}
_WRITTEN: Mapping[Any, Callable[..., Tensor]] = {
    F.scaled_dot_product_attention: attention,
    **{plain: _of_two(plain, own, constants=False) for plain, own in _OPERATIONS.items()},
}
_WITH_CONSTANTS: Mapping[Any, Callable[..., Tensor]] = {
    **_WRITTEN,
    F.layer_norm: _layer_norm,
    **{plain: _of_two(plain, own, constants=True) for plain, own in _OPERATIONS.items()},
}
