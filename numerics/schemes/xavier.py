"""Xavier uniform on every matrix and no layer norm: the model T-Fixup repairs."""

from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme

XAVIER = Scheme("xavier", WIRINGS["none"], "Glorot & Bengio, AISTATS 2010")
