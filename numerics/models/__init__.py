"""The Transformer and its specification."""

from numerics.models.spec import Architecture as Architecture
from numerics.models.spec import ModelSpec as ModelSpec
from numerics.models.spec import Positions as Positions
from numerics.models.spec import architecture_named as architecture_named
from numerics.models.spec import single_stack as single_stack
from numerics.models.transformer import Transformer as Transformer
from numerics.models.wiring import WIRINGS as WIRINGS
from numerics.models.wiring import Wiring as Wiring
from numerics.models.wiring import wiring_named as wiring_named
