"""Weights that are computed before they are read, and stacks that are applied more than once."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.structure.trace import trace_structure
from numerics.structure.types import Structure
from tests.models.handwritten.nano_gpt import NanoGPT

IDS = torch.randint(0, 64, (2, 8), generator=torch.Generator().manual_seed(0))
THIRDS = {"q": tuple(range(32)), "k": tuple(range(32, 64)), "v": tuple(range(64, 96))}


class Ternary(nn.Linear):
    """Weights rounded to −1, 0, 1 and activations to eight bits, both with a straight-through
    gradient."""

    def forward(self, input: Tensor) -> Tensor:
        scale = 1 / self.weight.abs().mean().clamp(min=1e-5)
        rounded = (self.weight * scale).round().clamp(-1, 1) / scale
        weight = self.weight + (rounded - self.weight).detach()
        size = 127 / input.abs().max(-1, keepdim=True).values.clamp(min=1e-5)
        bits = (input * size).round().clamp(-128, 127) / size
        return F.linear(input + (bits - input).detach(), weight, self.bias)


def rounded() -> nn.Module:
    model = NanoGPT(2)
    for block in model.h:
        block.attn.c_attn, block.attn.c_proj = Ternary(32, 96), Ternary(32, 32)  # type: ignore
        block.mlp[0], block.mlp[2] = Ternary(32, 128), Ternary(128, 32)  # type: ignore
    return model


def normed() -> nn.Module:
    model = NanoGPT(2)
    for block in model.h:
        nn.utils.parametrizations.weight_norm(block.attn.c_attn)  # type: ignore[union-attr]
        nn.utils.parametrizations.spectral_norm(block.mlp[0])  # type: ignore[index]
    return model


class Autocast(NanoGPT):
    def forward(self, ids: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(ids)


def rows(found: Structure, name: str) -> dict[str, tuple[int, ...] | None]:
    return {v.part or v.role: v.rows for v in found.views if v.parameter == name}


def fans(found: Structure, name: str) -> set[tuple[int | None, int | None]]:
    return {(v.fan_in, v.fan_in_axis) for v in found.views if v.parameter == name}


def test_rounded_weights_and_activations_keep_their_roles() -> None:
    found = trace_structure(rounded(), IDS)
    assert [b.kind for b in found.branches] == ["self-attention", "mlp"] * 2
    assert rows(found, "h.0.attn.c_attn.weight") == THIRDS
    assert rows(found, "h.0.mlp.0.weight") == {"w_in": None}
    assert fans(found, "h.0.attn.c_proj.weight") == {(32, 1)}


def test_weights_of_a_cast_keep_their_roles() -> None:
    plain = trace_structure(NanoGPT(2), IDS)
    cast = trace_structure(Autocast(2), IDS)
    assert cast.branches == plain.branches
    assert set(cast.views) == set(plain.views)


def test_direction_and_length_of_normed_weights() -> None:
    found = trace_structure(normed(), IDS)
    name = "h.0.attn.c_attn.parametrizations.weight.original"
    assert rows(found, f"{name}1") == THIRDS
    assert rows(found, f"{name}0") == THIRDS
    assert {v.role for v in found.views if v.parameter == f"{name}0"} == {"scalar"}
    spectral = "h.0.mlp.0.parametrizations.weight.original"
    assert rows(found, spectral) == {"w_in": None}
    assert fans(found, spectral) == {(32, 1)}


class Pair(nn.Module):
    """Both sides of a pair through one stack."""

    def __init__(self, stack: NanoGPT) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.stack(first).mean(1) @ self.stack(second).mean(1).T


class OneByOne(nn.Module):
    def __init__(self, stack: NanoGPT) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, ids: Tensor) -> Tensor:
        return torch.stack([self.stack(row[None])[0] for row in ids])


@pytest.mark.parametrize(("model", "batch"), [(Pair, (IDS, IDS)), (OneByOne, IDS)])
def test_a_stack_applied_to_several_inputs_counts_once(model: type[nn.Module], batch) -> None:
    torch.manual_seed(0)
    found = trace_structure(model(NanoGPT(2)), batch)
    plain = trace_structure(NanoGPT(2), IDS)
    assert found.depth == plain.depth
    assert found.layers == plain.layers
    assert found.shared == ()
    assert rows(found, "stack.h.1.attn.c_attn.weight") == THIRDS
    assert any("applied to several inputs" in reason for reason in found.reasons)


def test_stacks_with_weights_of_their_own_are_not_merged() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = NanoGPT(1), NanoGPT(2)

        def forward(self, ids: Tensor) -> Tensor:
            return self.first(ids) + self.second(ids)

    found = trace_structure(Two(), IDS)
    assert found.depth == 6
    assert [name for name, _ in found.end_norms] == ["stream", "stream-2"]
