"""OLMo 2 (2025): norms on the branches' outputs and on queries and keys, one standard deviation.

A block is x + N(G(x)), with RMS norms and no norm before the branch. Queries and keys are
normalised over the whole vector. The MLP is a SwiGLU, and there is a final norm. Matrices and
tables are N(0, 0.02) cut at ±3σ. ``olmo2-relu`` has no gate: a branch of degree one passes on as
much of a cotangent as it adds, where SwiGLU passes on twice that.
"""

from dataclasses import replace

from numerics.models.attention import QKNorm
from numerics.models.mlp import RELU_MLP, SWIGLU
from numerics.models.norms import RMS_NORM
from numerics.models.wiring import WIRINGS
from numerics.schemes.flat import Flat

OLMO2 = Flat(
    "olmo2",
    WIRINGS["branch-norm"],
    "allenai/OLMo-core, reordered_norm with InitMethod.normal",
    cut=3.0,
    norm=RMS_NORM,
    mlp=SWIGLU,
    qk_norm=QKNorm.ALL,
)
OLMO2_RELU = replace(OLMO2, name="olmo2-relu", source="ours: OLMo 2 without its gate", mlp=RELU_MLP)
