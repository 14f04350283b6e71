"""The function f(θ) whose change under an optimizer step is measured.

f is a Transformer's output before the output projection, as a function of a dictionary of named
parameters: f = f_d(f_e(x; θ_e), y; θ_d), or the output of the one stack there is. With inputs
``free`` the embedded inputs x and y are parameters (``source``, ``target``). With inputs ``table``
the embedding and position tables are. The output projection is left out: f does not depend on it.
"""

import copy
from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from numerics.linearization.types import Parameters
from numerics.models import Transformer
from numerics.models.tokens import TokenBatch, embed_inputs
from theory.errors import nearest

InputKind = Literal["free", "table"]


def check_inputs(inputs: str) -> None:
    """Refuse any kind of inputs but ``free`` and ``table``.

    Raises
    ------
    InputError
        Naming the nearest known kind.
    """
    if inputs not in get_args(InputKind):
        raise nearest(inputs, get_args(InputKind), "kind of inputs")


def in_precision(model: Transformer, dtype: torch.dtype) -> Transformer:
    """Return ``model`` in ``dtype`` and without dropout: a copy only where it differs."""
    random = model.training and model.spec.dropout > 0
    if model.target_embedding.dtype is dtype and not random:
        return model
    # What stands in the memo is not copied once more.
    values = (*model.parameters(), *model.buffers())
    memo: dict[int, object] = {id(value): _converted(value, dtype) for value in values}
    return copy.deepcopy(model, memo).eval()


def _converted(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy of a parameter or buffer in ``dtype``; whole numbers and truth values stay so."""
    own = value.detach().to(dtype if value.is_floating_point() else value.dtype, copy=True)
    return nn.Parameter(own, value.requires_grad) if isinstance(value, nn.Parameter) else own


class _Features(nn.Module):
    """The function f of tokens, or of embedded inputs that were handed in."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: TokenBatch, given: Parameters) -> Float[Tensor, "B T D"]:
        """Embed what was not handed in, encode, decode."""
        inputs = given or embed_inputs(self.model, batch)
        padding = None if batch.padding_BS is None else batch.padding_BS[:, None, None, :]
        memory = self.model.encode(inputs["source"], padding) if "source" in inputs else None
        if "target" in inputs:
            return self.model.decode(memory, inputs["target"], padding)
        assert memory is not None
        return memory


def features_of(
    model: Transformer, batch: TokenBatch, inputs: InputKind = "free"
) -> tuple[Callable[[Parameters], Tensor], dict[str, Tensor]]:
    """Return f as a function of its named parameters, and the parameters' present values.

    ``model`` must be in evaluation mode.

    Examples
    --------
    >>> from numerics.models import ModelSpec
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("tfixup", ModelSpec(1, 1), generator).eval()
    >>> function, parameters = features_of(model, random_batch(model.spec, generator))
    >>> tuple(function(parameters).shape), tuple(parameters["source"].shape)
    ((8, 16, 64), (8, 16, 64))
    """
    check_inputs(inputs)
    held = {name: value.detach() for name, value in model.named_parameters() if name != "output"}
    if inputs == "free":
        with torch.no_grad():
            embedded = embed_inputs(model, batch)
        tables = ("_embedding", "_positions")
        held = {n: v for n, v in held.items() if not n.endswith(tables)} | embedded
    module = _Features(model)

    def function(parameters: Parameters) -> Tensor:
        tensors = {
            f"model.{name}": value
            for name, value in parameters.items()
            if name not in ("source", "target")
        }
        given = {name: parameters[name] for name in ("source", "target") if name in parameters}
        return functional_call(module, tensors, (batch, given))

    return function, held
