"""ReZero (Bachlechner et al., UAI 2021): no layer norm, branches times a scalar that starts at 0.

A block is y + α G(y) with α = 0. One trainable α per layer serves all its blocks. Matrices are
Xavier.
"""

from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme

REZERO = Scheme("rezero", WIRINGS["rezero"], "Bachlechner et al., UAI 2021")
