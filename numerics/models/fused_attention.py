"""The switch from the written-out attention of ``attention.py`` to torch's fused kernel."""

from torch import nn

from numerics.models.attention import Attention


def fuse_attention(model: nn.Module) -> None:
    """Give every attention of a model the fused kernel: faster, without forward-mode derivative.

    Examples
    --------
    >>> block = Attention(8, 2, biases=False)
    >>> fuse_attention(block)
    >>> block.fused
    True
    """
    for part in model.modules():
        if isinstance(part, Attention):
            part.fused = True
