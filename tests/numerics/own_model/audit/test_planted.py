"""Mistakes that people make, each planted in a small decoder, and its healthy twin."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from numerics.own_model.audit.audit import audit
from tests.numerics.own_model.audit.decoder import Decoder
from tests.numerics.own_model.audit.planted_models import (
    Adapted,
    Conv1D,
    Experts,
    GroupedAttention,
    LowRank,
    QKNormAttention,
    TransposedMLP,
    dialect,
    draw_,
)

D, D_FF, V, LAYERS, HEADS = 64, 128, 200, 4, 4
IDS = torch.arange(64).reshape(4, 16)
DEPTH = math.sqrt(2 * LAYERS)


def named(model: nn.Module, *ends: str) -> list[nn.Parameter]:
    """Parameters whose names end so."""
    return [p for name, p in model.named_parameters() if name.endswith(ends)]


def times(*ends: str, factor: float) -> Callable[[Decoder], None]:
    """The mistake of multiplying some tensors."""

    def plant(model: Decoder) -> None:
        for p in named(model, *ends):
            p.mul_(factor)

    return plant


def constant(*ends: str, value: float) -> Callable[[Decoder], None]:
    """The mistake of filling some tensors."""

    def plant(model: Decoder) -> None:
        for p in named(model, *ends):
            p.fill_(value)

    return plant


def depth_factor_on_the_embedding(model: Decoder) -> None:
    model.wte.weight.div_(DEPTH)
    times("wo.weight", "w2.weight", factor=DEPTH)(model)


def one_generator_for_all_layers(model: Decoder) -> None:
    for block in model.h:
        torch.manual_seed(3)
        for p in named(block, "wq.weight", "wk.weight", "wv.weight"):
            p.normal_(0.0, 0.02)


def last_layer_forgotten(model: Decoder) -> None:
    for module in model.h[-1].modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()


def cut_at_one_sigma(model: Decoder) -> None:
    for p in named(model, "w1.weight"):
        nn.init.trunc_normal_(p, std=0.02, a=-0.02, b=0.02)


def orthogonal_everywhere(model: Decoder) -> None:
    for p in named(model, "wq.weight", "wk.weight"):
        nn.init.orthogonal_(p)


def xavier_on_the_packed_matrix(model: Decoder) -> None:
    for p in named(model, "qkv.weight"):
        nn.init.xavier_uniform_(p)


def xavier_of_the_whole_width(model: Decoder) -> None:
    for p in named(model, "wk.weight", "wv.weight"):
        p.normal_(0.0, math.sqrt(2 / (D + D)))


def fans_of_the_wrong_axis(model: Decoder) -> None:
    for module in model.modules():
        if isinstance(module, Conv1D):
            module.weight.normal_(0.0, module.weight.shape[1] ** -0.5)


def gate_is_a_copy(model: Decoder) -> None:
    for block in model.h:
        assert block.mlp.w3 is not None
        block.mlp.w3.weight.copy_(block.mlp.w1.weight)


def gpt2(**changes: object) -> Callable[[], nn.Module]:
    return lambda: draw_(dialect(**changes))  # type: ignore[arg-type]


def xavier(**changes: object) -> Callable[[], nn.Module]:
    """Xavier's matrices by role, embeddings and head of d^(-1/2)."""

    def make() -> nn.Module:
        model = draw_(dialect(**changes), std=D**-0.5)  # type: ignore[arg-type]
        with torch.no_grad():
            for p in named(model, "wq.weight", "wk.weight", "wv.weight", "wo.weight", "w1.weight",
                           "w2.weight"):  # fmt: skip
                nn.init.xavier_uniform_(p)
            for p in named(model, "qkv.weight"):
                for part in p.chunk(3):
                    nn.init.xavier_uniform_(part)
        return model

    return make


def by_fan_in() -> nn.Module:
    """Mitchell's 1/√fan_in cut at 3σ, writers of layer l ÷ √(2l), in transposed matrices."""
    model = dialect(mlp=TransposedMLP)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() < 2:
                p.fill_(float(name.endswith("weight")))
                continue
            fan_in = p.shape[0] if ".mlp." in name else D
            writer = name.endswith(("wo.weight", "w2.weight"))
            layer = int(name.split(".")[1]) + 1 if writer else 0
            std = fan_in**-0.5 / (math.sqrt(2 * layer) if writer else 1)
            nn.init.trunc_normal_(p, std=std, a=-3 * std, b=3 * std)
    return model


def lora() -> nn.Module:
    model = dialect()
    for block in model.h:
        block.attn.wo = LowRank(block.attn.wo)  # type: ignore[assignment]
    draw_(model)
    with torch.no_grad():
        for p in named(model, "wo.b"):
            p.zero_()
    return model


def adapted() -> nn.Module:
    model = dialect()
    for block in model.h:
        block.attn.wq = Adapted(block.attn.wq)
        block.attn.wv = Adapted(block.attn.wv)
    draw_(model)
    with torch.no_grad():
        for p in named(model, "lora_B.x.weight"):
            p.zero_()
    return model


@dataclass(frozen=True)
class Planted:
    """One mistake and what an audit must say of it."""

    name: str
    make: Callable[[], nn.Module]
    plant: Callable[[Decoder], object]
    kind: str
    """Of the finding that names it."""
    tensor: str
    """One tensor that the finding must list."""
    factor: float | None = None
    """Found over asked."""
    recipe: str = "gpt2"
    words: str = ""


GATED = {"gated": True, "bias": False}
CASES = (
    Planted("the depth's factor on the embedding", gpt2(), depth_factor_on_the_embedding,
            "scale", "h.0.attn.wo.weight", DEPTH),
    Planted("the depth's factor on v", gpt2(),
            lambda m: (times("wv.weight", factor=1 / DEPTH)(m),
                       times("wo.weight", factor=DEPTH)(m), None)[-1],
            "wrong-tensor", "h.0.attn.wo.weight"),
    Planted("1/√L for 1/√(2L)", gpt2(), times("wo.weight", "w2.weight", factor=math.sqrt(2)),
            "scale", "h.1.mlp.w2.weight", math.sqrt(2)),
    Planted("a variance given as a deviation", gpt2(),
            times("wq.weight", "wk.weight", factor=math.sqrt(0.02) / 0.02),
            "scale", "h.0.attn.wq.weight", 7.071),
    Planted("a head drawn as an embedding", gpt2(), times("head.weight", factor=50),
            "first-loss", "head.weight", 8.0),
    Planted("an embedding of N(0, 1) tied afterwards", gpt2(tied=True),
            times("wte.weight", factor=50), "first-loss", "wte.weight", 8.0),
    Planted("Xavier's fans on the embedding", gpt2(),
            times("wte.weight", factor=math.sqrt(2 / (V + D)) / 0.02),
            "one-tensor", "wte.weight", 4.352),
    Planted("positions of N(0, 1)", gpt2(), times("wpe.weight", factor=50),
            "torch-defaults", "wpe.weight"),
    Planted("gains of 0", gpt2(), constant("norm1.weight", value=0.0), "gain", "h.0.norm1.weight"),
    Planted("gains of the norms of q and k drawn", gpt2(attention=QKNormAttention),
            lambda m: [p.normal_(0.0, 0.02) for p in named(m, "q_norm.weight")],
            "gain", "h.2.attn.q_norm.weight"),
    Planted("biases drawn", gpt2(),
            lambda m: [p.normal_(0.0, 0.02) for p in named(m, "w1.bias")],
            "bias", "h.0.mlp.w1.bias"),
    Planted("one generator's state for all layers", gpt2(), one_generator_for_all_layers,
            "copies", "h.3.attn.wv.weight"),
    Planted("the gate is a copy of the up-projection", gpt2(**GATED), gate_is_a_copy,
            "copies", "h.0.mlp.w3.weight"),
    Planted("the last layer forgotten", gpt2(), last_layer_forgotten,
            "scale", "h.3.attn.wq.weight"),
    Planted("cut at one σ", gpt2(), cut_at_one_sigma, "scale", "h.0.mlp.w1.weight", 0.540),
    Planted("orthogonal matrices", gpt2(), orthogonal_everywhere,
            "scale", "h.0.attn.wk.weight", 6.25),
    Planted("an output of 0 in a product with 0", gpt2(),
            constant("wo.weight", "wv.weight", value=0.0), "dead", "h.0.attn.wv.weight"),
    Planted("a router of N(0, 1)", gpt2(mlp=Experts), times("router.weight", factor=50),
            "scale", "h.0.mlp.router.weight", 50.0),
    Planted("both factors of LoRA at 0", lora, constant("wo.a", value=0.0),
            "dead", "h.0.attn.wo.a"),
    Planted("both factors at 0 in one of two low-rank additions of a block", adapted,
            constant("wv.lora_A.x.weight", value=0.0), "dead", "h.0.attn.wv.lora_A.x.weight"),
    Planted("Xavier on q, k, v as one matrix", xavier(packed=True), xavier_on_the_packed_matrix,
            "scale", "h.0.attn.qkv.weight (q)", 0.7071, "xavier"),
    Planted("Xavier's fans of all heads on grouped k and v",
            xavier(attention=GroupedAttention, positions=False), xavier_of_the_whole_width,
            "scale", "h.0.attn.wk.weight", math.sqrt(0.75), "xavier"),
    Planted("the wrong axis of a transposed matrix", by_fan_in, fans_of_the_wrong_axis,
            "scale", "h.1.mlp.w1.weight", math.sqrt(0.5), "mitchell"),
)  # fmt: skip


def made(case: Planted, *, healthy: bool) -> nn.Module:
    torch.manual_seed(0)
    model = case.make()
    if not healthy:
        with torch.no_grad():
            case.plant(model)  # type: ignore[arg-type]
    return model


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_mistake_is_named_with_its_factor(case: Planted) -> None:
    found = audit(made(case, healthy=False), case.recipe, IDS)
    own = [f for f in found.faults if f.kind == case.kind and case.tensor in f.tensors]
    assert own, [(f.kind, f.text) for f in found.findings]
    if case.factor is not None:
        assert own[0].factor == pytest.approx(case.factor, rel=0.06)  # of 256 entries


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_healthy_twin_has_no_finding(case: Planted) -> None:
    found = audit(made(case, healthy=True), case.recipe, IDS)
    assert found.clean, [(f.kind, f.text) for f in found.faults]


def test_the_batch_is_of_the_vocabulary() -> None:
    ids: Tensor = IDS
    assert int(ids.max()) < V
