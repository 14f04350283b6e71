"""Cases B3, B6, D6, F5 and H4: shares of single roles, dead tensors, and heads."""

import pytest
import torch
from torch import Tensor, nn

from numerics.own_model.audit.audit import audit
from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import module_function
from numerics.own_model.measurement.measure import measure_module
from numerics.own_model.measurement.walk import walk
from numerics.recipes.initialize import initialize_
from numerics.structure.trace import trace_structure
from tests.numerics.own_model.audit.decoder import decoder
from tests.numerics.own_model.check.models import Block, Model, gpt2_, tokens, xavier_

IDS = torch.arange(64).reshape(4, 16)


def test_case_b3_xavier_is_of_the_matrix_and_not_of_a_head() -> None:
    drawn = []
    for heads in (1, 4, 8):
        model = decoder(layers=2, heads=heads)
        initialize_(model, "xavier", torch.Generator().manual_seed(0), IDS)
        drawn.append(model.h[0].attn.wv.weight)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])
    # A head's Xavier at h = 8 is √(2/(1 + 1/8)) larger, and the audit says so.
    with torch.no_grad():
        for block in model.h:
            block.attn.wv.weight.mul_((2 / (1 + 1 / 8)) ** 0.5)
    (finding,) = audit(model, "xavier", IDS).faults
    assert finding.factor == pytest.approx(1.3333, rel=0.01)


def test_case_b6_queries_drawn_by_the_heads_width() -> None:
    heads, d = 4, 64
    model = decoder(layers=2, heads=heads)
    initialize_(model, "mitchell", torch.Generator().manual_seed(0), IDS)
    assert audit(model, "mitchell", IDS).clean
    with torch.no_grad():
        for block in model.h:
            for matrix in (block.attn.wq, block.attn.wk, block.attn.wv):
                nn.init.trunc_normal_(matrix.weight, std=0.25, a=-0.75, b=0.75)  # √(h/d)
    found = audit(model, "mitchell", IDS)
    off = [f for f in found.faults if "h.0.attn.wq.weight" in f.tensors and f.factor]
    assert off[0].factor == pytest.approx(heads**0.5, rel=0.03)
    assert d // heads == 16


class Unread(Model):
    """The MLP reads the stream, and the norm's result is not used."""

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for block in self.blocks:
            x = x + block.attention(block.norm1(x))
            block.norm2(x)
            x = x + block.mlp(x)
        return self.head(self.norm(x))


def test_case_d6_a_norm_that_nothing_reads() -> None:
    model = gpt2_(Unread(2))
    dead = {f"blocks.{layer}.norm2.{name}" for layer in (0, 1) for name in ("weight", "bias")}
    found = measure_module(model, tokens(), structure=trace_structure(model, tokens()))["sgd"]
    assert dead <= set(found.dead)
    listed = [f for f in audit(model, "gpt2:std=0.08", tokens()).findings if f.kind == "dead"]
    assert any(dead <= set(f.tensors) for f in listed)


def test_case_f5_rezeros_gates_have_equal_shares_and_adams_total_is_linear() -> None:
    totals = {}
    for layers in (4, 8):
        model = xavier_(Model(layers, "rezero"))
        structure = trace_structure(model, tokens())
        found = measure_module(model, tokens(), ("sgd", "adam"), structure=structure)
        own = [v for name, v in found["adam"].by_layer.items() if name.startswith("layer")]
        assert len(own) == layers
        assert max(own) < 2.5 * min(own)  # the same stream, other matrices
        totals[layers] = found["adam"].by_role["scalar"]
        assert found["adam"].by_role["q"] == found["adam"].by_role["w_out"] == 0
    # Each gate moves by η: L steps of random direction and common sign add up between √L and L.
    assert 2**0.5 * 0.8 < totals[8] / totals[4] < 2.6


def test_case_h4_a_zero_query_leaves_the_keys_still_for_one_step() -> None:
    model = gpt2_(Model(2))
    with torch.no_grad():
        for block in model.blocks:
            assert isinstance(block, Block)
            block.attention.q.weight.zero_()
    structure = trace_structure(model, tokens())
    found = measure_module(model, tokens(), structure=structure)["sgd"]
    assert found.by_role["k"] == 0
    assert found.by_role["q"] > 0
    assert found.by_role["v"] > 0
    assert {"blocks.0.attention.k.weight", "blocks.1.attention.k.weight"} <= set(found.dead)
    with measuring():
        function = module_function(model, tokens())
    waking = walk(function, "sgd", rate=0.1, count=2, seed=0).waking
    assert "blocks.0.attention.k.weight" in waking
