"""LayerNorm Scaling (Sun et al., "The curse of depth", 2025): norms of layer l times 1/√l.

The model is Pre-LN with RMS norms. Both norms of layer l, from 1, are multiplied by l^(-1/2).
Matrices and tables are N(0, 0.02).
"""

from numerics.models.norms import NormKind, NormTraits
from numerics.models.wiring import WIRINGS
from numerics.schemes.flat import Flat

LAYERNORM_SCALING = Flat(
    "layernorm-scaling",
    WIRINGS["pre-ln"],
    "Sun et al., arXiv:2502.05795",
    norm=NormTraits(NormKind.RMS, by_layer=True),
)
