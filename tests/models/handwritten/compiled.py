"""A decoder behind `torch.compile`: the compiled module is traced as the module that it wraps."""

import torch
from torch import Tensor, nn

from tests.models.handwritten.llama2_c import make as make_llama


def make(layers: int) -> tuple[nn.Module, Tensor]:
    net, ids = make_llama(layers)
    return torch.compile(net), ids  # type: ignore[return-value]
