"""Post-LN: Xavier and LN(y + G(y)), the wiring of Vaswani et al. (2017)."""

from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme

POST_LN = Scheme("post-ln", WIRINGS["post-ln"], "Vaswani et al., NeurIPS 2017")
