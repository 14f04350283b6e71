"""GPAS (arXiv:2506.22049): Pre-LN whose stream each layer may damp by a trained gate.

Behind every block the stream z becomes z − silu(g) [z], with one gate g per layer and [z] without a
gradient of its own: activations shrink, gradients do not. At g = 0 the model is Pre-LN, and only
∂f/∂g is new: −z/2, as silu'(0) = 1/2. Matrices and tables are N(0, 0.02), with RMS norms and SwiGLU
as in the authors' Llama. Their clipping of the gate's gradient is no part of the initialisation.
"""

from numerics.models.mlp import SWIGLU
from numerics.models.norms import RMS_NORM
from numerics.models.wiring import WIRINGS
from numerics.schemes.flat import Flat

GPAS = Flat("gpas", WIRINGS["gpas"], "arXiv:2506.22049", norm=RMS_NORM, mlp=SWIGLU)
