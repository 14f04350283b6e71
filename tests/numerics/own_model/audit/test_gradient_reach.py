"""Weights, flags and forwards that an audit cannot judge: said, and never passed over."""

import pytest
import torch
from torch import Tensor

from numerics.own_model.audit.audit import audit
from numerics.own_model.audit.written import never_written
from numerics.own_model.measurement.measure import measure_module
from tests.numerics.own_model.audit.decoder import Decoder, Shape, draw_gpt2_
from theory.errors import InputError

IDS = torch.arange(32).reshape(2, 16)


class NoGrad(Decoder):
    @torch.no_grad()
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids)


class Inference(Decoder):
    @torch.inference_mode()
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids)


class Detached(Decoder):
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids).detach()


class HalfDetached(Decoder):
    """The first layer runs under no_grad, as a frozen trunk would."""

    def forward(self, ids: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.h[0](self.wte(ids))
        for block in list(self.h)[1:]:
            x = block(x)
        assert self.norm is not None
        return self.head(self.norm(x))


def drawn(kind: type[Decoder] = Decoder) -> Decoder:
    return draw_gpt2_(kind(Shape(layers=2, positions=False)))


@pytest.mark.parametrize("kind", [NoGrad, Inference, Detached])
def test_a_forward_without_gradients_is_refused(kind: type[Decoder]) -> None:
    model = drawn(kind)
    with pytest.raises(InputError, match="carries no gradient: remove no_grad"):
        audit(model, "gpt2", IDS)
    with pytest.raises(InputError, match="carries no gradient: remove no_grad"):
        measure_module(model, IDS)


def test_a_part_without_gradients_is_listed() -> None:
    (remark,) = audit(drawn(HalfDetached), "gpt2", IDS).findings
    assert remark.kind == "dead"
    assert not remark.fault
    assert "no gradient reaches them" in remark.text
    assert {"wte.weight", "h.0.attn.wq.weight", "h.0.mlp.w2.bias"} <= set(remark.tensors)
    assert not any(name.startswith(("h.1.", "norm", "head")) for name in remark.tensors)
    assert audit(drawn(), "gpt2", IDS).findings == ()


def test_frozen_tensors_keep_their_roles_and_are_not_compared() -> None:
    model = drawn()
    model.h[0].requires_grad_(False)
    with torch.no_grad():
        model.h[0].attn.wq.weight.mul_(50)  # pretrained, say
    found = audit(model, "gpt2", IDS)
    assert found.clean
    assert "; 6 frozen are not compared." in found.summary
    assert any("16 parameters" in note and "frozen" in note for note in found.notes)
    frozen = [row for row in found.rows if row.place.frozen and row.place.is_matrix]
    assert [row.place.role for row in frozen] == ["q", "k", "v", "out", "w_in", "w_out"]
    assert all(row.agrees is None for row in frozen)
    notes = measure_module(model, IDS)["sgd"].notes
    assert any("16 of 36 parameters are frozen" in note for note in notes)


def test_a_model_that_is_frozen_throughout_is_compared_and_not_measured() -> None:
    model = drawn()
    with torch.no_grad():
        model.h[0].attn.wq.weight.mul_(2)
    model.requires_grad_(False)
    found = audit(model, "gpt2", IDS)
    assert [finding.tensors for finding in found.faults] == [("h.0.attn.wq.weight",)]
    assert any("Every parameter is frozen" in note for note in found.notes)
    assert not any(p.requires_grad for p in model.parameters())
    with pytest.raises(InputError, match="every requires_grad is False"):
        measure_module(model, IDS)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    model = drawn()
    with torch.no_grad():
        model.h[1].attn.wq.weight[0, 0] = value
    with pytest.raises(InputError, match=r"h\.1\.attn\.wq\.weight has 1 of 4096 entries"):
        audit(model, "gpt2", IDS)


def test_a_nan_that_the_factory_writes_is_not_unwritten_memory() -> None:
    def written() -> Decoder:
        model = drawn()
        with torch.no_grad():
            model.h[1].attn.wq.weight.div_(0).mul_(0)
        return model

    class Unwritten(Decoder):
        def __init__(self, shape: Shape) -> None:
            super().__init__(shape)
            self.scale = torch.nn.Parameter(torch.Tensor(3))

    assert never_written(written) == ()
    assert never_written(lambda: Unwritten(Shape(layers=1))) == ("scale",)
