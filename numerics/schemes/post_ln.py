"""Post-LN, the wiring of Vaswani et al. (2017), with Xavier: each block is LN(y + G(y))."""

from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme

POST_LN = Scheme("post-ln", WIRINGS["post-ln"], "Vaswani et al., NeurIPS 2017")
