"""Learning rates by role: a scheme's factors on a model of somebody else."""

import pytest
import torch

from numerics.own_model.check.check import check
from numerics.own_model.check.scheme_rates import scheme_rates
from numerics.structure.trace import trace_structure
from numerics.structure.user_factory import Built
from tests.numerics.own_model.check.models import Model, gpt2_, tokens
from theory.errors import InputError


def factors(scheme: str, layers: int, width: int) -> dict[str, float]:
    model, ids = Model(layers, d=width), tokens()
    return scheme_rates(scheme, Built(model, ids), trace_structure(model, ids))


@pytest.mark.parametrize(("layers", "width"), [(2, 64), (8, 64), (8, 256)])
def test_completeps_rates_fall_with_the_width(layers: int, width: int) -> None:
    found = factors("completep", layers, width)
    assert found["blocks.0.attention.q.weight"] == pytest.approx(256 / width)
    assert found["blocks.1.mlp.w2.weight"] == pytest.approx(256 / width)
    assert found["embedding.weight"] == found["blocks.0.norm1.weight"] == 1


@pytest.mark.parametrize("layers", [2, 8])
def test_depth_mups_rates_fall_with_the_depth(layers: int) -> None:
    found = factors("depth-mup", layers, 48)
    for name in ("blocks.0.attention.q.weight", "blocks.1.norm2.bias"):
        assert found[name] == pytest.approx((2 / layers) ** 0.5)
    assert found["embedding.weight"] == found["head.weight"] == 1


def test_a_step_with_a_schemes_rates() -> None:
    def make(n: int) -> tuple[Model, torch.Tensor]:
        return gpt2_(Model(n)), tokens()

    plain = check(make, (2, 4, 8), ("adamw",), seeds=1)
    scaled = check(make, (2, 4, 8), ("adamw",), seeds=1, rates="depth-mup")
    groups = [{g.name: g.series for g in c.optimizers[0].groups} for c in (plain, scaled)]
    for name, factor in (("w_out", 0.5), ("q", 0.5), ("embedding", 1.0)):
        assert groups[1][name].at(8) == pytest.approx(factor * groups[0][name].at(8))
        assert groups[1][name].at(2) == pytest.approx(groups[0][name].at(2))


def test_rates_need_a_scheme_and_roles() -> None:
    with pytest.raises(InputError, match="completep"):
        check(lambda n: Model(n), (2, 3, 4), rates="complete")
    linear = torch.nn.Linear(4, 4)
    with pytest.raises(InputError, match="understood structure"):
        scheme_rates("depth-mup", Built(linear, torch.ones(2, 4)), None)
