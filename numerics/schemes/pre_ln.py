"""Pre-LN with Xavier and one final layer norm per stack: each block is y + G(LN(y))."""

from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme

PRE_LN = Scheme("pre-ln", WIRINGS["pre-ln"], "Xiong et al., ICML 2020")
