"""Pre-LN: Xavier and y + G(LN(y)), with one final layer norm a stack."""

from numerics.models.spec import Wiring
from numerics.schemes.scheme import Scheme

PRE_LN = Scheme("pre-ln", Wiring.PRE_LN, "Xiong et al., ICML 2020")
