"""Models, schemes, measurement, training and the ``tfixup`` command.

The names below are loaded on first use, so that the command line starts without torch.

Examples
--------
>>> import torch
>>> from numerics import ModelSpec, build, measure_update, random_batch
>>> generator = torch.Generator().manual_seed(0)
>>> model = build("tfixup", ModelSpec(encoder_layers=6, decoder_layers=6), generator)
>>> report = measure_update(model, random_batch(model.spec, generator), generator)
>>> sorted(report.update)[:3]
['decoder', 'decoder.cross_attention', 'decoder.mlp']
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numerics.measure.updates import measure_update as measure_update
    from numerics.measure.updates import measure_updates as measure_updates
    from numerics.models import ModelSpec as ModelSpec
    from numerics.models import Transformer as Transformer
    from numerics.models.tokens import random_batch as random_batch
    from numerics.schemes import build as build

__all__ = ["ModelSpec", "Transformer", "build", "measure_update", "measure_updates", "random_batch"]

_HOMES = {
    "ModelSpec": "numerics.models",
    "Transformer": "numerics.models",
    "build": "numerics.schemes",
    "measure_update": "numerics.measure.updates",
    "measure_updates": "numerics.measure.updates",
    "random_batch": "numerics.models.tokens",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'numerics' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
