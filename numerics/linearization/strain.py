"""How much a forward pass amplifies rounding errors: the warning light of a measurement's accuracy.

Two operations of a Transformer amplify them. A softmax of logits z turns a relative error ε of z
into a relative error ε|z| of its weights, and where |z| is large a weight's derivative is decided
by ties. A layer norm subtracts the mean of its input and turns a relative error ε into ε |mean|/σ.
The *strain* of a forward pass is the largest |z| and |mean|/σ in it. It is below 20 in every model
that a scheme draws with layer norms or small scales. Errors multiply from layer to layer, so a
measurement is already checked where the strain is moderate: see `numerics.measure.accuracy`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode


def norm_strain(
    mean: Float[Tensor, "*rows"], inverse: Float[Tensor, "*rows"]
) -> Float[Tensor, "*rows"]:
    """Return |mean|/σ, and infinity where the variance overflowed, so that 1/σ came out as 0.

    Examples
    --------
    >>> norm_strain(torch.tensor([2.0, 2.0]), torch.tensor([3.0, 0.0]))
    tensor([6., inf])
    """
    return torch.where(inverse > 0, mean.abs() * inverse, float("inf"))


class StrainGauge(TorchFunctionMode):
    """While active, records the strain of every softmax and layer norm that is called.

    Examples
    --------
    >>> with StrainGauge() as gauge:
    ...     _ = torch.tensor([1.0, -30.0, -torch.inf]).softmax(-1)
    >>> gauge.strain(like=torch.zeros(1))
    tensor(30.)
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[Tensor] = []

    def strain(self, *, like: Tensor) -> Float[Tensor, ""]:
        """Return the largest strain so far, 0 if there was none, on the device of ``like``."""
        return torch.stack([like.new_zeros(()), *self._seen]).amax()

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, and look at what it reads."""
        del types
        name = getattr(func, "__name__", "")
        if name in _READERS and args:
            with torch.no_grad():
                read = [x.detach() for x in args[:2] if isinstance(x, Tensor)]
                self._seen.append(_READERS[name](*read))
        return func(*args, **(kwargs or {}))


def _softmax(logits: Tensor, *_: Tensor) -> Float[Tensor, ""]:
    # Minus infinity hides a key; it is exact.
    return torch.where(logits == float("-inf"), 0, logits).abs().amax()


def _layer_norm(rows: Tensor, *_: Tensor) -> Float[Tensor, ""]:
    variance, mean = torch.var_mean(rows, dim=-1, correction=0)
    return norm_strain(mean, (variance + torch.finfo(rows.dtype).tiny).rsqrt()).amax()


def _attention(query: Tensor, key: Tensor) -> Float[Tensor, ""]:
    return (query @ key.mT).abs().amax() * query.shape[-1] ** -0.5


_READERS = {
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "scaled_dot_product_attention": _attention,
}
