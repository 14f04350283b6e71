"""Cases I1, I2, I4, I5, I6, I8: what a harness meets in other people's models."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.own_model.measurement import function
from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import module_function
from numerics.own_model.measurement.measure import ModuleUpdate, measure_module
from numerics.own_model.measurement.tangents import tangents
from numerics.own_model.measurement.update_steps import steps
from numerics.own_model.measurement.walk import walk
from tests.numerics.own_model.check.models import Attention, Model, gpt2_, tokens
from theory.errors import InputError

D = 16


def digest(model: nn.Module) -> dict[str, tuple[bytes, bool]]:
    """Every tensor's bits and every module's mode."""
    tensors = {
        name: (t.detach().numpy().tobytes(), t.requires_grad)
        for name, t in [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]
    }
    modes = {f"mode {n}": (b"", m.training) for n, m in model.named_modules(remove_duplicate=False)}
    return tensors | modes


def finite(
    model: nn.Module, batch: Any, optimizer: str, eta: float = 1e-6, **options: Any
) -> float:
    """‖f(θ + ηs) − f(θ − ηs)‖/2η in float64, by hand on a copy."""
    with measuring():
        f = module_function(model, batch, **options)
        _, g = f.gradient(f.random_cotangent(0))
        step = steps(optimizer, [g], f.parameters)
        with torch.no_grad():
            ends = [
                f({name: f.parameters[name] + sign * eta * s for name, s in step.items()})
                for sign in (1, -1)
            ]
    return float((ends[0] - ends[1]).norm()) / (2 * eta)


def total(model: nn.Module, batch: Any, optimizer: str = "sgd", **options: Any) -> ModuleUpdate:
    return measure_module(model, batch, (optimizer,), split=False, **options)[optimizer]


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", "adamw", "adamw:weight_decay=0.1:eps=1e-4", "lamb", "adafactor", "muon", "lion"],
)
def test_limit_is_that_of_finite_differences(optimizer: str) -> None:
    torch.manual_seed(0)
    model = gpt2_(Model(2))
    found = measure_module(model, tokens(), (optimizer,))[optimizer]
    if optimizer != "muon":  # whose embeddings and head are told apart from hidden matrices
        assert found.total == pytest.approx(finite(model, tokens(), optimizer), rel=1e-6)
    assert found.method == "forward"
    assert found.dtype == "float64"


@pytest.mark.parametrize("training", [True, False])
def test_case_i1_fused_attention_has_no_forward_derivative(training: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(D, 4, 32, dropout=0.1, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).train(training)
    x = torch.randn(2, 5, D)
    found = total(encoder, x)
    assert found.method == "forward"
    assert found.total == pytest.approx(finite(encoder, x, "sgd"), rel=1e-6)


def test_case_i1_fused_is_eager() -> None:
    class Eager(Attention):
        def forward(self, x: Tensor) -> Tensor:
            q, k, v = (
                m(x).unflatten(-1, (4, -1)).transpose(1, 2) for m in (self.q, self.k, self.v)
            )
            scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
            return self.o((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    torch.manual_seed(0)
    fused = Attention(D, causal=False)
    eager = Eager(D, causal=False)
    eager.load_state_dict(fused.state_dict())
    x = torch.randn(2, 5, D)
    assert total(fused, x, output="logits").total == pytest.approx(
        total(eager, x, output="logits").total, rel=1e-9
    )


def test_case_i1_attention_without_weights() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(D, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.attention(x, x, x, need_weights=False)[0]

    torch.manual_seed(0)
    assert total(Layer(), torch.randn(2, 5, D)).method == "forward"


def test_case_i2_padding_rows_count_for_nothing() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(D, 4, 32, dropout=0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    x = torch.randn(2, 6, D)
    mask = torch.zeros(2, 6, dtype=torch.bool)
    mask[0, 4:] = True
    mask[:, 5] = True
    noisy = torch.where(mask[..., None], x + 1e3 * torch.randn(2, 6, D), x)
    for optimizer in ("sgd", "adamw"):
        clean, loud = (
            total(encoder, {"src": one, "src_key_padding_mask": mask}, optimizer)
            for one in (x, noisy)
        )
        assert loud.total == pytest.approx(clean.total, rel=1e-9)
    # The control: without the mask the noise is heard.
    assert total(encoder, noisy).total != pytest.approx(total(encoder, x).total, rel=1e-3)
    assert any("9 of 12 positions" in note for note in clean.notes)
    assert torch.backends.mha.get_fastpath_enabled()


def test_case_i2_mask_by_position_and_tokens_first() -> None:
    torch.manual_seed(0)
    encoder = nn.TransformerEncoderLayer(D, 4, 32, dropout=0.0)
    x = torch.randn(3, 3, D)  # as many tokens as sequences: only the module says which is which
    mask = torch.tensor([[False, False, True], [False] * 3, [False] * 3])
    noisy = x.clone()
    noisy[2, 0] += 1e3
    clean, loud = (total(encoder, (one, None, mask)).total for one in (x, noisy))
    assert loud == pytest.approx(clean, rel=1e-9)


def test_case_i4_tied_tensor_moves_once_in_both_uses() -> None:
    torch.manual_seed(0)
    model = gpt2_(Model(2, tied=True))
    found = total(model, tokens(), output="logits")
    assert found.total == pytest.approx(finite(model, tokens(), "sgd", output="logits"), rel=1e-6)
    untied = copy.deepcopy(model)
    untied.head.weight = nn.Parameter(model.embedding.weight.detach().clone())
    assert total(untied, tokens(), output="logits").total != pytest.approx(found.total, rel=1e-5)


@pytest.mark.parametrize("kept", [True, False], ids=["first forward kept", "forward again"])
def test_case_i4_one_memory_under_two_parameters(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The checks of types in our tests draw random numbers, as a forward with dropout does; which of
    # the two ways a user's model takes is therefore set here.
    states = iter(range(1000))
    monkeypatch.setattr(function, "_generators", lambda: 0 if kept else next(states))
    torch.manual_seed(0)
    model = gpt2_(Model(2, tied=True))
    aliased = copy.deepcopy(model)
    aliased.head.weight = nn.Parameter(aliased.embedding.weight.data)
    assert total(aliased, tokens(), output="logits").total == pytest.approx(
        total(model, tokens(), output="logits").total, rel=1e-12
    )


class Twice(nn.Module):
    """One submodule reachable by two paths."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(D, D)
        self.b = self.a
        self.norm = nn.BatchNorm1d(D)
        self.kept = nn.Dropout(0.5).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.kept(self.norm(self.b(torch.tanh(self.a(x)))))


def test_case_i5_the_users_model_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    model, x = Twice(), torch.randn(8, D)
    before, state = digest(model), torch.get_rng_state()
    first = measure_module(model, x, ("sgd", "adamw"))
    again = measure_module(model, x, ("sgd", "adamw"))
    assert digest(model) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert first == again
    assert first["sgd"].total == pytest.approx(finite(model, x, "sgd"), rel=1e-6)
    assert all(p.grad is None for p in model.parameters())


def test_case_i5_functional_call_would_spoil_it() -> None:
    """The control: what torch 2.13 does to such a model."""
    torch.manual_seed(0)
    model, x = Twice().eval(), torch.randn(8, D)
    before = model.a.weight.detach().clone()
    moved = {name: p.detach() + 1 for name, p in model.named_parameters()}
    torch.func.functional_call(model, moved, (x,))
    if torch.equal(before, model.a.weight):
        pytest.skip("this torch puts the values back")
    assert not torch.equal(before, model.a.weight)


def test_case_i6_all_groups_at_once_are_each_alone() -> None:
    torch.manual_seed(0)
    model = gpt2_(Model(3))
    with measuring():
        f = module_function(model, tokens())
        u = f.random_cotangent(0)
        _, g = f.gradient(u)
        step = steps("sgd", [g], f.parameters)
        each = [{name: s} for name, s in step.items()]
        together = tangents(f, each, u)
        alone = [tangents(f, [one], u).values[0] for one in each]
    assert together.method == "forward"
    torch.testing.assert_close(together.values, torch.stack(alone), rtol=1e-10, atol=1e-12)


def test_case_i6_what_vmap_refuses_is_done_one_by_one() -> None:
    class Item(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(D, D)
            self.outer = nn.Linear(D, D)

        def forward(self, x: Tensor) -> Tensor:
            y = self.inner(x)
            return self.outer(y if float(y.detach().sum().item()) > -1e9 else -y).relu()

    torch.manual_seed(0)
    model, x = Item(), torch.randn(4, D)
    found = measure_module(model, x)["sgd"]
    assert found.total == pytest.approx(finite(model, x, "sgd"), rel=1e-6)


def test_case_i8_dropout_is_off_and_modes_are_kept() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(D, 4, 32, dropout=0.5, batch_first=True)
    layer.linear2.eval()
    x = torch.randn(2, 5, D)
    before = digest(layer)
    values = [total(layer, x).total for _ in range(2)]
    assert values[0] == values[1] == total(copy.deepcopy(layer).eval(), x).total
    assert digest(layer) == before


def test_case_i8_dropout_that_ignores_the_mode() -> None:
    class Always(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Linear(D, D)

        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(torch.tanh(self.w(x)), 0.5, training=True)

    torch.manual_seed(0)
    found = total(Always(), torch.randn(4, D))
    assert any("dropout outside training mode" in note for note in found.notes)

    class Noise(Always):
        def forward(self, x: Tensor) -> Tensor:
            return self.w(x) + torch.rand(())

    with pytest.raises(InputError, match="same output twice"):
        total(Noise(), torch.randn(4, D), output="logits")


class Cube(torch.autograd.Function):
    """x³ without a forward derivative, as older code writes it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return grad[0] * 3 * x**2


class CubeOnce(Cube):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return grad[0] * 3 * x**2


@pytest.mark.parametrize(
    ("function", "method", "within"),
    [(Cube, "double backward", 1e-6), (CubeOnce, "finite step", 1e-4)],
)
def test_operations_without_forward_derivative(function: Any, method: str, within: float) -> None:
    class Custom(nn.Module):
        def __init__(self, by_hand: bool) -> None:
            super().__init__()
            self.inner, self.outer = nn.Linear(D, D), nn.Linear(D, D)
            self.by_hand = by_hand

        def forward(self, x: Tensor) -> Tensor:
            y = self.inner(x)
            return torch.tanh(self.outer(function.apply(y) if self.by_hand else y**3))

    torch.manual_seed(0)
    model, x = Custom(True), torch.randn(4, D)
    plain = Custom(False)
    plain.load_state_dict(model.state_dict())
    found = measure_module(model, x)["sgd"]
    assert found.method == method
    assert found.operation == function.__name__
    assert found.total == pytest.approx(total(plain, x).total, rel=within)
    assert any(function.__name__ in note for note in found.notes)


def test_keys_bias_has_no_step_under_sign() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(D, 2, batch_first=True)
    x = torch.randn(2, 5, D)
    with measuring():
        f = module_function(attention, (x, x, x))
        _, g = f.gradient(f.random_cotangent(0))
        made = steps("adam", [g], f.parameters)["in_proj_bias"]
    q, k, v = made.chunk(3)
    assert bool((k == 0).all())
    torch.testing.assert_close(q.abs(), torch.ones_like(q), rtol=1e-6, atol=0)
    torch.testing.assert_close(v.abs(), torch.ones_like(v), rtol=1e-6, atol=0)
    # The control: what the plain rule makes of rounding.
    assert bool((g["in_proj_bias"].chunk(3)[1] != 0).any())


def test_compiled_model_is_measured_as_written() -> None:
    torch.manual_seed(0)
    model = gpt2_(Model(1))
    plain = total(model, tokens()).total
    assert total(torch.compile(model, backend="eager"), tokens()).total == plain  # type: ignore[arg-type]


def test_two_zeros_in_a_product_never_move() -> None:
    class Product(nn.Module):
        def __init__(self, inner: float) -> None:
            super().__init__()
            self.base = nn.Linear(D, D)
            self.a, self.b = nn.Linear(D, D, bias=False), nn.Linear(D, D, bias=False)
            with torch.no_grad():
                self.b.weight.zero_()
                self.a.weight.mul_(inner)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.tanh(self.base(x))
            return torch.tanh(x + self.b(self.a(x)))

    torch.manual_seed(0)
    with measuring():
        waits = module_function(Product(1.0), torch.randn(4, D))
        never = module_function(Product(0.0), torch.randn(4, D))
    one = walk(waits, "adamw", rate=1e-2, count=2)
    two = walk(never, "adamw", rate=1e-2, count=3)
    assert one.waking == ("a.weight",)
    assert one.dead == ()
    assert two.dead == ("a.weight", "b.weight")
    assert all(change > 0 for change in one.changes)


def test_first_step_of_a_walk_is_the_limit() -> None:
    torch.manual_seed(0)
    model = gpt2_(Model(2))
    with measuring():
        f = module_function(model, tokens())
    rate = 1e-7
    change = walk(f, "sgd", rate=rate, count=1).changes[0]
    assert change / rate == pytest.approx(total(model, tokens()).total, rel=1e-3)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_a_bare_name_has_no_weight_decay_and_a_number_has_torchs(weight_decay: float) -> None:
    theta = {"w": torch.tensor([2.0, -3.0], dtype=torch.float64)}
    gradient = torch.tensor([0.5, 0.7], dtype=torch.float64)
    parameter = nn.Parameter(theta["w"].clone())
    parameter.grad = gradient.clone()
    torch.optim.AdamW([parameter], lr=1e-3, weight_decay=weight_decay).step()
    taken = (parameter.detach() - theta["w"]) / 1e-3
    name = f"adamw:weight_decay={weight_decay}" if weight_decay else "adamw"
    made = steps(name, [{"w": gradient}], theta)["w"]
    assert torch.allclose(made, taken, rtol=1e-6)
    other = steps("adamw:weight_decay=0.1", [{"w": gradient}], theta)["w"]
    assert not torch.allclose(other, taken, rtol=1e-3)
