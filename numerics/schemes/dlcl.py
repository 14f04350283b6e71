"""Dynamic linear combination of layers (Wang et al., ACL 2019): every layer reads all below.

Matrices are Xavier, in a Pre-LN or a Post-LN Transformer. The weights by which a layer reads the
layers below start equal: at first it reads their average (`numerics.models.history`).
"""

from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme

_PAPER = "Wang et al., ACL 2019"
DLCL_PRE = Scheme("dlcl-pre", WIRINGS["dlcl-pre"], _PAPER)
DLCL_POST = Scheme("dlcl-post", WIRINGS["dlcl-post"], _PAPER)
