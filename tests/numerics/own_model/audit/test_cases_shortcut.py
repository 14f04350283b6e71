"""Cases B4 and F3: a power of the depth on q, k and v; shortcuts that no profiling pass set."""

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from numerics.cli.main import run
from numerics.own_model.audit.audit import Audit, audit
from numerics.own_model.check.check import check
from numerics.recipes.initialize import initialize_
from tests.numerics.own_model.audit.decoder import Block, Decoder, Shape, decoder

IDS = torch.arange(64).reshape(4, 16)


class AdminBlock(Block):
    """LN(ω∘x + F(x)), as ports of Admin write it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.omega1 = nn.Parameter(torch.ones(shape.d))
        self.omega2 = nn.Parameter(torch.ones(shape.d))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x * self.omega1 + self.attn(x))
        return self.norm2(x * self.omega2 + self.mlp(x))


class AdminDecoder(Decoder):
    def __init__(self, layers: int = 3) -> None:
        shape = Shape(layers=layers, norm="on-stream", positions=False, bias=False)
        super().__init__(shape)
        self.h: Any = nn.ModuleList(AdminBlock(shape) for _ in range(layers))
        with torch.no_grad():
            for p in self.parameters():
                if p.dim() == 2:
                    nn.init.xavier_normal_(p)


def profiled(model: AdminDecoder) -> list[float]:
    """ω_i = √(Σ_{j<i} Var[F_j]) from hooks on the branches: the port's missing pass."""
    variances: list[float] = []
    branches = [branch for block in model.h for branch in (block.attn, block.mlp)]
    hooks = [
        b.register_forward_hook(lambda *a: variances.append(float(a[2].var(correction=0))))
        for b in branches
    ]
    with torch.no_grad():
        model(IDS)
    for hook in hooks:
        hook.remove()
    return [1.0, *(sum(variances[:i]) ** 0.5 for i in range(1, len(variances)))]


def unset(found: Audit) -> list:
    return [finding for finding in found.findings if finding.kind == "unprofiled"]


def test_case_f3_omega_was_never_profiled() -> None:
    torch.manual_seed(0)
    model = AdminDecoder()
    asked = profiled(model)
    (finding,) = unset(audit(model, "admin", IDS))
    assert finding.fault
    assert len(finding.tensors) == 6
    assert finding.found == 1.0
    assert finding.wanted == pytest.approx(asked[-1], rel=1e-4)
    assert "profiling pass never ran" in finding.text
    assert f"asks {asked[1]:.4g} in the second block" in finding.text
    with torch.no_grad():
        omegas = [p for block in model.h for p in (block.omega1, block.omega2)]
        for omega, value in zip(omegas, asked, strict=True):
            omega.fill_(value)
    assert not unset(audit(model, "admin", IDS))


def test_case_f3_without_the_recipe_it_is_a_remark() -> None:
    torch.manual_seed(0)
    (finding,) = unset(audit(AdminDecoder(), None, IDS))
    assert not finding.fault


def test_case_f3_radams_step_is_named() -> None:
    def make(n: int) -> tuple[nn.Module, Tensor]:
        return AdminDecoder(n), IDS

    found = check(make, (1, 2, 3), ("radam",), seeds=1)
    assert any("radam: step 1 is measured" in note and "from step 6 on" in note
               for note in found.notes)  # fmt: skip
    momentum = check(make, (1, 2, 3), ("sgd",), seeds=1)
    assert found.optimizers[0].total.values == pytest.approx(momentum.optimizers[0].total.values)


def test_case_b4_attention_counts_four_matrices(capsys: pytest.CaptureFixture[str]) -> None:
    """R-Fixup's L^(−1/(2m − 2)) with m = 4 for attention and 2 for the MLP, L = 120 blocks."""

    def solved(layers: str) -> dict[str, Any]:
        assert run(["solve", "--preset", "r-fixup", "--layers", layers, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    scales = solved("24")["scales"]
    assert scales["attention q, k, v"]["value"] == pytest.approx(0.450267, abs=5e-7)
    assert scales["MLP first matrix"]["value"] == pytest.approx(0.091287, abs=5e-7)
    assert any("= 120 blocks" in words for words in solved("24")["assumed"])
    powers = {name: entry["power"] for name, entry in solved("N")["scales"].items()}
    assert powers == {"attention q, k, v": "-1/6", "MLP first matrix": "-1/2"}


def test_case_b4_the_exponent_that_a_model_has() -> None:
    """With q, k and v times L^(−1/2) the audit finds L^(−1/2), where R-Fixup asks L^(−1/6)."""
    factors: dict[int, float] = {}
    for layers in (3, 12):
        model = decoder(layers=layers)
        initialize_(model, "xavier", torch.Generator().manual_seed(0))
        with torch.no_grad():
            for block in model.h:
                for linear in (block.attn.wq, block.attn.wk, block.attn.wv):  # pyright: ignore
                    linear.weight.mul_(layers**-0.5)  # pyright: ignore
        (finding,) = [f for f in audit(model, "xavier").findings if f.kind == "scale"]
        assert f"√{layers} (√N, N layers) times too small" in finding.text
        assert len(finding.tensors) == 3 * layers
        assert finding.factor is not None
        factors[layers] = finding.factor
    power = math.log(factors[12] / factors[3]) / math.log(4)
    assert power == pytest.approx(-0.5, abs=0.02)
    assert abs(power + 1 / 6) > 0.3
