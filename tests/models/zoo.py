"""All foreign models of the tests, and the structure found for each of them."""

from dataclasses import replace
from importlib.util import find_spec

from numerics.structure.trace import trace_structure
from tests.models.consistency import inconsistent
from tests.models.decoders import DECODERS
from tests.models.encoder_decoders import ENCODER_DECODERS
from tests.models.encoders import ENCODERS
from tests.models.expected import ForeignModel, Score, score
from tests.models.experts import EXPERTS
from tests.models.further import FURTHER
from tests.models.handwritten_models import HANDWRITTEN
from tests.models.variants import VARIANTS
from tests.models.vision import VISION
from tests.models.x_transformers_models import X_TRANSFORMERS

FOREIGN: list[ForeignModel] = [
    *DECODERS,
    *ENCODERS,
    *ENCODER_DECODERS,
    *VISION,
    *EXPERTS,
    *FURTHER,
    *X_TRANSFORMERS,
]
"""Models of libraries that tests need and the tool does not."""
ZOO: list[ForeignModel] = [*HANDWRITTEN, *VARIANTS, *FOREIGN]


def installed(model: ForeignModel) -> bool:
    """Whether the library that a model comes from can be imported."""
    return find_spec(model.library) is not None


def judge(model: ForeignModel) -> Score:
    """Build a model, trace it, and compare its structure with the right one."""
    net, batch = model.build()
    found = trace_structure(net, batch, output=model.output)
    said = score(model, found)
    if said.refused or not model.kinds:
        return said
    return replace(said, faults=(*said.faults, *inconsistent(model, net, batch, found)))
