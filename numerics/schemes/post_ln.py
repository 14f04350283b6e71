"""Post-LN: Xavier and LN(y + G(y)), the wiring of Vaswani et al. (2017)."""

from numerics.models.spec import Wiring
from numerics.schemes.scheme import Scheme

POST_LN = Scheme("post-ln", Wiring.POST_LN, "Vaswani et al., NeurIPS 2017")
