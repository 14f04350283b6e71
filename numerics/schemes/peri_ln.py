"""Peri-LN (Kim et al., 2025; Gemma 2): norms before each branch and on its output.

A block is x + N(G(N(x))) with RMS norms. There is one more norm on the embedded inputs and one at
the end. Matrices and tables are N(0, 0.02).
"""

from numerics.models.norms import RMS_NORM
from numerics.models.wiring import WIRINGS
from numerics.schemes.flat import Flat

PERI_LN = Flat(
    "peri-ln",
    WIRINGS["peri-ln"],
    "Kim et al., arXiv:2502.02732",
    norm=RMS_NORM,
    embedding_norm=True,
)
