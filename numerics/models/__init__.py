"""The encoder-decoder Transformer and its specification."""

from numerics.models.spec import ModelSpec as ModelSpec
from numerics.models.spec import Positions as Positions
from numerics.models.spec import Wiring as Wiring
from numerics.models.transformer import Transformer as Transformer
