"""ReZero (Bachlechner et al., UAI 2021): Xavier, no layer norm, y + α G(y) with α = 0.

One trainable α per layer serves all its blocks.
"""

from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme

REZERO = Scheme("rezero", WIRINGS["rezero"], "Bachlechner et al., UAI 2021")
