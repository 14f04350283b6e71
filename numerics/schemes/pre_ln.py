"""Pre-LN: Xavier and y + G(LN(y)), with one final layer norm per stack."""

from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme

PRE_LN = Scheme("pre-ln", WIRINGS["pre-ln"], "Xiong et al., ICML 2020")
