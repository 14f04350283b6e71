"""Standard deviations that are solved for a model, by hand, and what the forward makes of them."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from docs.tutorials.my_decoder import make
from numerics.recipes.draw import Draw, constant, normal
from numerics.recipes.factors import UNCHANGED, Factors
from numerics.recipes.factors_by_parameter import factors_by_parameter
from numerics.recipes.initialize import initialize_
from numerics.recipes.param_groups import param_groups
from numerics.recipes.solved import Solved, solve_traced
from numerics.structure.types import Structure
from tests.numerics.recipes.places import place_of, setting_of
from theory.errors import InputError

IDS = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8]])


def solved(layers: int, base_layers: int, *, tied: bool = False, complete: bool = False):
    torch.manual_seed(0)
    deep, base = make(layers), make(base_layers)
    for model in (deep, base):
        if tied:
            model.head.weight = model.tokens.weight
    found = solve_traced(
        deep, IDS, base, "adamw", layers=layers, base_layers=base_layers, complete=complete
    )
    return deep, found


@pytest.mark.parametrize(("layers", "base_layers"), [(8, 2), (8, 8), (3, 12)])
def test_branches_add_up_to_what_enters(layers: int, base_layers: int) -> None:
    """2N branches of size (2N)^(-1/2) on a stream that starts at RMS 1: GPT-2's factor."""
    model, found = solved(layers, base_layers)
    assert dict(found.inputs) == {"stream": pytest.approx(1.0)}
    assert (found.recipe.name, found.recipe.source, found.recipe.rule) == (
        "solved",
        f"solved for adamw, {layers} layers",
        "matrices 1/√fan_in, branches that add up to what enters the stream",
    )
    assert dict(found.recipe.sizes) == {
        "attention.out": pytest.approx((2 * layers) ** -0.5),
        "mlp.w_out": pytest.approx((2 * layers) ** -0.5),
    }
    # Two tables enter, each of half the mean square.
    assert dict(found.recipe.tables) == {
        "tokens.weight": pytest.approx(0.5**0.5),
        "places.weight": pytest.approx(0.5**0.5),
    }
    initialize_(model, found.recipe, torch.Generator().manual_seed(0), IDS)
    for name, fan_in, size in (
        ("qkv.weight", 64, 1.0),
        ("up.weight", 64, 1.0),
        ("out.weight", 64, (2 * layers) ** -0.5),
        ("down.weight", 256, (2 * layers) ** -0.5),
    ):
        weight = dict(model.blocks[-1].named_parameters())[name].detach()
        assert float(weight.std()) == pytest.approx(size * fan_in**-0.5, rel=0.05), name
    assert float(model.head.weight.detach().std()) == pytest.approx(64**-0.5, rel=0.05)
    assert float(model.tokens.weight.detach().std()) == pytest.approx(0.5**0.5, rel=0.05)
    entering = model.tokens(IDS) + model.places(torch.arange(8))
    assert entering.detach().square().mean().sqrt().item() == pytest.approx(1.0, rel=0.1)


def test_completep_asks_for_smaller_branches_and_says_nothing_of_one_stream() -> None:
    _, found = solved(8, 2, complete=True)
    # At the base 1/√(2 N₀), and N^(-1) instead of N^(-1/2) from there on.
    assert found.recipe.sizes["mlp.w_out"] == pytest.approx(0.5 * 2 / 8)
    assert found.notes == ()


def test_a_tied_table_has_the_size_of_a_head() -> None:
    model, found = solved(4, 4, tied=True)
    size = 64**-0.5
    assert dict(found.recipe.tables) == {
        "tokens.weight": pytest.approx(size),
        "places.weight": pytest.approx(size),
    }
    # A norm stands before every branch, and the branches are as large as what enters.
    assert found.inputs["stream"] == pytest.approx((2 * size**2) ** 0.5)
    assert found.recipe.sizes["mlp.w_out"] == pytest.approx(found.inputs["stream"] / 8**0.5)
    assert model.head.weight is model.tokens.weight


class Scaled(nn.Module):
    """x + m · W₂ relu(W₁ norm(x)), with tables that the forward multiplies, and sinusoids."""

    def __init__(self, layers: int, multiplier: float = 1.0) -> None:
        super().__init__()
        self.tokens, self.multiplier = nn.Embedding(50, 16), multiplier
        self.up = nn.ModuleList(nn.Linear(16, 32, bias=False) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(32, 16, bias=False) for _ in range(layers))
        self.register_buffer("waves", torch.sin(torch.arange(128.0).view(8, 16)))

    def forward(self, ids: Tensor) -> Tensor:
        x = 4.0 * self.tokens(ids) + self.waves
        for up, down in zip(self.up, self.down, strict=True):
            x = x + self.multiplier * down(F.relu(up(F.rms_norm(x, (16,)))))
        return F.rms_norm(x, (16,))


def test_multipliers_of_the_forward_are_divided_out() -> None:
    torch.manual_seed(0)
    deep, base = Scaled(6, 0.25), Scaled(3, 0.25)
    found = solve_traced(deep, IDS, base, "adamw", layers=6, base_layers=3)
    assert dict(found.recipe.tables) == {"tokens.weight": pytest.approx(1 / 4)}
    waves = float(deep.waves.square().mean())  # pyright: ignore[reportCallIssue]
    entering = math.sqrt(1 + waves)
    assert found.inputs["stream"] == pytest.approx(entering)
    # Six additions, each multiplied by a quarter.
    assert found.recipe.sizes["mlp.w_out"] == pytest.approx(entering * 6**-0.5 * 4)
    assert found.reading.multipliers["mlp.multiplier"] == pytest.approx(0.25)


def test_models_of_two_depths_must_have_the_same_roles() -> None:
    torch.manual_seed(0)
    with pytest.raises(InputError, match="the same roles at both depths, and has others"):
        solve_traced(make(4), IDS, Scaled(2), "adamw", layers=4, base_layers=2)
    for layers, base_layers in ((0, 2), (2, 0)):
        with pytest.raises(InputError, match=r"layers .* got 0"):
            solve_traced(make(2), IDS, make(2), "adamw", layers=layers, base_layers=base_layers)


def test_what_a_solved_recipe_asks_by_role() -> None:
    setting = setting_of(2, 64)
    bare = Solved("mine", "here", "a rule")
    assert (dict(bare.sizes), dict(bare.tables), dict(bare.factors)) == ({}, {}, {})
    assert bare.ask(place_of("q", setting), setting) == normal(1 / 8)
    assert bare.ask(place_of("head", setting), setting) == normal(1 / 8)
    assert bare.ask(place_of("embedding", setting), setting) is None
    assert bare.ask(place_of("other", setting), setting) is None
    assert bare.ask(place_of("bias", setting), setting) == constant(0.0)
    assert bare.ask(place_of("norm_bias", setting), setting) == constant(0.0)
    assert bare.ask(place_of("norm_gain", setting), setting) == constant(1.0)
    assert bare.factors_of(place_of("q", setting)) == UNCHANGED
    sizes = {"attention.out": 0.5, "attention.norm.gain": 0.25, "mlp.w_in": 3.0}
    factors = {"attention.score": Factors(0.5, 2.0, 1.0)}
    own = replace(bare, sizes=sizes, tables={"w": 0.3}, factors=factors)

    def asked(role: str, **change: object) -> Draw | None:
        place = replace(place_of(role, setting), **change)  # pyright: ignore[reportArgumentType]
        return own.ask(place, setting)

    assert asked("out") == normal(0.5 / 8)
    assert asked("w_in") == normal(3 / 8)
    assert asked("norm_gain") == constant(0.25)
    assert asked("embedding") == asked("positions") == normal(0.3)
    assert asked("q") == normal(1 / 8)
    assert own.factors_of(place_of("k", setting)) == Factors(0.5, 2.0, 1.0)
    assert own.factors_of(place_of("v", setting)) == UNCHANGED


def test_groups_hold_the_parameters_that_no_role_names() -> None:
    class Extra(Scaled):
        def __init__(self) -> None:
            super().__init__(2)
            self.unused = nn.Parameter(torch.ones(3))
            self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)

    torch.manual_seed(0)
    model = Extra()
    recipe = Solved("mine", "", "", factors={"mlp.w_out": Factors(0.25, 4.0, 0.5)})
    groups = param_groups(model, recipe, 2e-3, weight_decay=0.1, eps=1e-6, batch=IDS)
    names = {id(p): name for name, p in model.named_parameters()}
    told = {}
    for group in groups:
        settings = [group[key] for key in ("lr", "weight_decay", "eps", "hidden")]
        told |= {names[id(p)]: settings for p in group["params"]}  # pyright: ignore[reportGeneralTypeIssues]
    assert told == {
        **{f"down.{i}.weight": [5e-4, 0.4, 5e-7, True] for i in range(2)},
        **{f"up.{i}.weight": [2e-3, 0.1, 1e-6, True] for i in range(2)},
        "tokens.weight": [2e-3, 0.1, 1e-6, False],
        "unused": [2e-3, 0.1, 1e-6, False],
    }
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="positive and finite"):
            param_groups(model, recipe, bad, batch=IDS)


def test_rates_by_role_need_a_structure_and_say_what_is_missing() -> None:
    model = Scaled(2)
    unread = Structure((), (), False, understood=False, reasons=("Nothing adds up.",))
    with pytest.raises(InputError, match="understood structure for rates by role: Nothing adds up"):
        factors_by_parameter(model, "depth-mup", unread)
    with pytest.raises(InputError, match=r"for rates by role$"):
        factors_by_parameter(model, "depth-mup", Structure((), (), False))
