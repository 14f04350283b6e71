"""Dynamic linear combination of layers (Wang et al., ACL 2019): every layer reads all below.

Xavier in a Pre-LN or Post-LN Transformer; the weights of the layers below start as row averages
(`numerics.models.history`).
"""

from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme

_PAPER = "Wang et al., ACL 2019"
DLCL_PRE = Scheme("dlcl-pre", WIRINGS["dlcl-pre"], _PAPER)
DLCL_POST = Scheme("dlcl-post", WIRINGS["dlcl-post"], _PAPER)
