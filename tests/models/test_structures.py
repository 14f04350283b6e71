"""The structure of every foreign model: additions, wiring, rows of packed tensors."""

import pytest

from tests.models.expected import ForeignModel
from tests.models.zoo import FOREIGN, HANDWRITTEN, ZOO, installed, judge


def _marked(model: ForeignModel) -> object:
    marks = [] if model.library == "torch" else [pytest.mark.models]
    if not model.quick:
        marks.append(pytest.mark.slow)
    if not installed(model):
        marks.append(pytest.mark.skip(reason=f"{model.library} is not installed"))
    return pytest.param(model, id=model.name, marks=marks)


@pytest.mark.parametrize("model", [_marked(model) for model in ZOO])
def test_structure_is_right(model: ForeignModel) -> None:
    assert judge(model).faults == ()


def test_there_are_at_least_30_foreign_models_of_20_families_and_12_written_by_hand() -> None:
    assert len(FOREIGN) >= 30
    assert len({model.family for model in FOREIGN}) >= 20
    assert len(HANDWRITTEN) >= 12
    assert len({model.name for model in ZOO}) == len(ZOO)
