"""The structure of every foreign model: additions, wiring, rows of packed tensors."""

from dataclasses import replace
from typing import Any

import pytest

from tests.models.expected import ForeignModel, parts
from tests.models.zoo import FOREIGN, HANDWRITTEN, ZOO, installed, judge


def _marked(model: ForeignModel) -> object:
    marks = [] if model.library == "torch" else [pytest.mark.models]
    if not model.quick:
        marks.append(pytest.mark.many if model.library == "torch" else pytest.mark.slow)
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


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"kinds": "smsmsm"}, "additions"),
        ({"kinds": "smms"}, "wiring"),
        ({"streams": "encoder 2, decoder 2"}, "additions"),
        ({"wiring": "post"}, "wiring"),
        ({"wiring": "mis-wired"}, "wiring"),
        ({"final_norm": False}, "wiring"),
        ({"parallel": True}, "wiring"),
        ({"multipliers": (1.0, 0.5)}, "wiring"),
        ({"roles": {"*c_attn.weight": parts(0, k=32, q=32, v=32)}}, "rows"),
        ({"roles": {"*c_attn.weight": parts(1, q=32, k=32, v=32)}}, "rows"),
        ({"roles": {"*c_proj.weight": "w_out"}}, "rows"),
        ({"roles": {"no such name": "q"}}, "rows"),
        ({"kinds": ""}, "refused"),
    ],
)
def test_a_wrong_expectation_is_rejected(changes: dict[str, Any], part: str) -> None:
    right = next(model for model in HANDWRITTEN if model.name == "nanoGPT-like")
    assert judge(right).faults == ()
    found = judge(replace(right, **changes))
    assert found.faults
    assert getattr(found, part) is False
