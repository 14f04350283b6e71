"""Whether a training run would fit the memory, estimated before anything is built.

The estimate counts the weights four times: themselves, their gradients and Adam's two averages. It
adds the activations that the backward pass reads: about 12 streams of width d and 4 of width d_ff
per token and layer, and the logits three times per batch. It is a lower bound, so a run whose
estimate exceeds the free memory cannot work.
"""

from numerics.executors.machine import free_bytes
from numerics.models import ModelSpec
from theory.errors import InputError

_BYTES = 4
_GIB = 2**30


def training_bytes(spec: ModelSpec, tokens: int) -> int:
    """Least number of bytes that a run needs, for batches of ``tokens`` target tokens.

    Examples
    --------
    >>> training_bytes(ModelSpec(6, 6), 2048) < 2**30 < training_bytes(ModelSpec(6000, 6000), 2048)
    True
    """
    d, layers = spec.d_model, spec.encoder_layers + spec.decoder_layers
    attentions = spec.encoder_layers + 2 * spec.decoder_layers
    weights = attentions * 4 * d**2 + layers * 2 * d * spec.d_ff + 3 * spec.vocabulary * d
    activations = tokens * (layers * (12 * d + 4 * spec.d_ff) + 3 * spec.vocabulary)
    return _BYTES * (4 * weights + activations)


def require_memory(spec: ModelSpec, tokens: int, device: str) -> None:
    """Raise unless the run would fit what is free on the device.

    Raises
    ------
    InputError
        If the estimate exceeds the free memory; the message gives both in GiB.
    """
    needed, free = training_bytes(spec, tokens), free_bytes(device)
    if needed > free:
        raise InputError(
            f"this run needs at least {needed / _GIB:.1f} GiB and {free / _GIB:.1f} GiB are free: "
            f"fewer layers, a smaller width or fewer tokens"
        )
