"""The measured function f(θ) of a Transformer, as a function of a dictionary of named parameters.

f = f_d(f_e(x; θ_e), y; θ_d) is the decoder's output before the output projection, or the output of
the one stack there is. With inputs ``free`` the embedded inputs x and y are parameters (``source``,
``target``); with ``table`` the embedding and position tables are. Parameters that f does not depend
on (the output projection) are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from numerics.linearization.autodiff import Parameters
from numerics.models import ModelSpec, Transformer
from theory.errors import nearest, require_positive

Inputs = Literal["free", "table"]


@dataclass(frozen=True)
class TokenBatch:
    """Token inputs; S source and T target tokens a sequence. A stack alone reads its own side."""

    source_BS: Int[Tensor, "B S"]
    target_BT: Int[Tensor, "B T"]
    padding_BS: Bool[Tensor, "B S"] | None = None
    """True where a source token is padding, to be hidden from attention."""

    def to(self, device: torch.device | str) -> "TokenBatch":
        """The same tokens on another device."""
        padding = None if self.padding_BS is None else self.padding_BS.to(device)
        return TokenBatch(self.source_BS.to(device), self.target_BT.to(device), padding)


def random_batch(
    spec: ModelSpec,
    generator: torch.Generator,
    *,
    sequences: int = 8,
    tokens: int = 16,
    device: torch.device | str = "cpu",
) -> TokenBatch:
    """Uniform random tokens, drawn on the CPU so that a seed means the same on every device.

    Examples
    --------
    >>> batch = random_batch(ModelSpec(1, 1), torch.Generator().manual_seed(0))
    >>> tuple(batch.source_BS.shape), batch.padding_BS
    ((8, 16), None)
    """
    require_positive(sequences=sequences, tokens=tokens)
    shape = (2, sequences, tokens)
    source, target = torch.randint(spec.vocabulary, shape, generator=generator).to(device)
    return TokenBatch(source, target)


def check_inputs(inputs: str) -> None:
    """Raise unless ``inputs`` is ``free`` or ``table``."""
    if inputs not in ("free", "table"):
        raise nearest(inputs, ("free", "table"), "kind of inputs")


class _Features(nn.Module):
    """f from tokens, or from embedded inputs that were handed in."""

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


def embed(
    model: Transformer, batch: TokenBatch
) -> tuple[Float[Tensor, "B S D"], Float[Tensor, "B T D"]]:
    """The embedded inputs x and y of an encoder-decoder."""
    return model.embed_source(batch.source_BS), model.embed_target(batch.target_BT)


def embed_inputs(model: Transformer, batch: TokenBatch) -> dict[str, Tensor]:
    """The embedded inputs by name: ``source`` of an encoder, ``target`` of a decoder."""
    inputs = {}
    if model.spec.has_encoder:
        inputs["source"] = model.embed_source(batch.source_BS)
    if model.spec.has_decoder:
        inputs["target"] = model.embed_target(batch.target_BT)
    return inputs


def output_table(model: Transformer) -> Float[Tensor, "V D"]:
    """What takes f to logits: the target embedding where there is no table of its own."""
    return model.target_embedding if model.output is None else model.output


def output_shape(spec: ModelSpec, batch: TokenBatch) -> tuple[int, int, int]:
    """(B, T, D) of f; (B, S, D) for an encoder alone.

    Examples
    --------
    >>> output_shape(ModelSpec(1, 1), random_batch(ModelSpec(1, 1), torch.Generator(), tokens=3))
    (8, 3, 64)
    """
    sequences, tokens = (batch.target_BT if spec.has_decoder else batch.source_BS).shape
    return sequences, tokens, spec.d_model


def features_of(
    model: Transformer, batch: TokenBatch, inputs: Inputs = "free"
) -> tuple[Callable[[Parameters], Tensor], dict[str, Tensor]]:
    """f as a function of its named parameters, and the parameters' present values.

    ``model`` must be in evaluation mode.

    Examples
    --------
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
