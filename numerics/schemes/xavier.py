"""Xavier uniform on every matrix and no layer norm: the model T-Fixup repairs."""

from numerics.models.spec import Wiring
from numerics.schemes.scheme import Scheme

XAVIER = Scheme("xavier", Wiring.NONE, "Glorot & Bengio, AISTATS 2010")
