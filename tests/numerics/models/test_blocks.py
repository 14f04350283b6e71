"""What passes through residual blocks, and how wirings are told by their choices."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from numerics.models import WIRINGS, ModelSpec, Wiring, wiring_named
from numerics.models.blocks import residual_blocks, watch, watch_norms
from numerics.models.roles import LEAF_PARTS
from numerics.schemes import build
from theory.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")

SPEC = ModelSpec(2, 2, d_model=8, d_ff=12, vocabulary=20, dropout=0.3)
TOKENS = torch.arange(10).view(2, 5)


def _model(scheme: str) -> Any:
    return build(scheme, SPEC, torch.Generator().manual_seed(0), dtype=torch.float64)


def test_blocks_come_in_the_order_of_the_forward_pass():
    model = _model("pre-ln")
    with watch(model.eval()) as sites:
        model.features(TOKENS, TOKENS)
    found = [(stack, layer, kind, block) for stack, layer, kind, block in residual_blocks(model)]
    assert [(site.stack, site.layer, site.kind, site.block) for site in sites] == found
    assert {site.part for site in sites} == set(LEAF_PARTS[1:])
    for site, following in pairwise(sites[:4]):
        assert site.after is following.before


@pytest.mark.parametrize("scheme", ["xavier", "pre-ln", "post-ln", "admin", "rezero", "r-fixup"])
def test_what_a_block_reads_and_adds(scheme):
    model = _model(scheme)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    with watch(model.eval()) as sites:
        memory = model.encode(model.embed_source(TOKENS))
        model.decode(memory, model.embed_target(TOKENS))
    for site in sites:
        block: Any = site.block
        read = site.before if block.shift is None else site.before + block.shift
        if block.wiring.norm_before:
            read = block.norm(read)
        torch.testing.assert_close(site.read, read)
        attends = site.kind != "mlp"
        context = (site.memory, site.blocked) if attends else ()
        torch.testing.assert_close(site.branch, block.branch(read, *context))
        assert (site.memory is memory) == (site.kind == "cross_attention")
        assert (site.blocked is not None) == (site.kind == "self_attention")


def test_stopping_before_the_sum_takes_part_in_it():
    model = _model("admin")
    seen = []

    def double(site):
        seen.append(hasattr(site, "after"))
        with torch.no_grad():
            site.block.omega.mul_(2)

    with watch(model.eval(), stop=double) as sites:
        model.encode(model.embed_source(TOKENS))
    assert seen == [False] * 4
    for site in sites:
        block: Any = site.block
        assert torch.equal(block.omega, 2 * _start(site))
        expected = block.norm(block.omega * site.before + site.branch)
        torch.testing.assert_close(site.after, expected)


def _start(site):
    return dict(_model("admin").named_parameters())[f"{site.name}.omega"].detach()


def test_hooks_are_gone_however_the_context_ends():
    model = _model("post-ln")
    with pytest.raises(RuntimeError, match="stopped"), watch(model), watch_norms(model, print):
        raise RuntimeError("stopped")
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_wirings_are_their_choices():
    assert len(set(WIRINGS.values())) == len(WIRINGS)
    assert all(wiring.name == name for name, wiring in WIRINGS.items())
    assert Wiring(norm_before=True) == wiring_named("pre-ln")
    assert Wiring(norm_before=True, norm_after=True).name == "norm_before=True, norm_after=True"
    with pytest.raises(InputError, match=r"unknown wiring 'pre-nl': did you mean 'pre-ln'"):
        wiring_named("pre-nl")
