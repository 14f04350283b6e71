"""Models that no recipe names: what the conditions give them, and what a real step then does."""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from docs.tutorials.my_decoder import make
from numerics.cli.main import run
from numerics.own_model.check.solved_models import measure_solved, solve_model
from numerics.recipes.initialize import initialize_
from numerics.recipes.param_groups import param_groups
from numerics.statistics.exponents import fitted
from numerics.structure.user_factory import as_factory
from theory.errors import InputError


def decoder(layers):
    """The tutorial's Pre-LN decoder with a small batch."""
    return make(layers), torch.randint(128, (1, 6))


def post_norm(layers):
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False), torch.randn(1, 5, 16)


def encoder_decoder(layers):
    sizes = (16, 2, layers, layers, 32, 0.0)
    model = nn.Transformer(*sizes, batch_first=True, norm_first=False)
    return model, (torch.randn(1, 4, 16), torch.randn(1, 5, 16))


def pre_norm_pair(layers):
    model = nn.Transformer(16, 2, layers, layers, 32, 0.0, batch_first=True, norm_first=True)
    return model, (torch.randn(1, 4, 16), torch.randn(1, 5, 16))


class Multiplied(nn.Module):
    """x + N^power · W₂ relu(W₁ x/‖x‖), N times; one matrix for all layers if shared."""

    def __init__(self, layers, power=0.0, *, shared=False, normed=False):
        super().__init__()
        count = 1 if shared else layers
        self.ins = nn.ModuleList(nn.Linear(8, 16, bias=False) for _ in range(count))
        self.outs = nn.ModuleList(nn.Linear(16, 8, bias=False) for _ in range(count))
        self.layers, self.factor, self.normed = layers, layers**power, normed

    def forward(self, x):
        for layer in range(self.layers):
            own = layer % len(self.ins)
            read = nn.functional.rms_norm(x, (8,))
            added = self.outs[own](torch.relu(self.ins[own](read)))
            added = nn.functional.rms_norm(added, (8,)) if self.normed else added
            x = x + self.factor * added
        return nn.functional.rms_norm(x, (8,))


def multiplied(*args, **kwargs):
    return lambda layers: (Multiplied(layers, *args, **kwargs), torch.randn(2, 3, 8))


def without_additions(layers):
    return nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers))), torch.ones(1, 4)


@pytest.mark.parametrize("factory", [decoder, post_norm, encoder_decoder])
def test_without_multipliers_the_power_is_in_what_writes_and_rates_make_up_for_it(factory):
    found = solve_model(factory, "adamw", 32, base_layers=2)
    roles = found.recipe.factors
    writers = [role for role in roles if role.endswith(("out", ".w_out"))]
    assert writers
    assert {roles[role].rate for role in writers} == {1 / 16}
    assert {own.rate for role, own in roles.items() if role.endswith((".v", ".w_in"))} == {1 / 4}
    assert all(own.rate * own.weight_decay == 1 for own in roles.values())
    assert found.prescription.judgement.total.power == 0


@pytest.mark.parametrize(
    ("power", "out", "w_in"), [(0.0, -1, -1 / 2), (-0.5, -1 / 2, -1 / 2), (-1.0, 0, 0)]
)
def test_a_multiplier_of_the_forward_is_read_off_two_depths(power, out, w_in):
    found = solve_model(multiplied(power), "adamw", 32, base_layers=2).prescription.exponents
    assert (float(found["mlp.w_out"].rate), float(found["mlp.w_in"].rate)) == (out, w_in)
    assert float(found["mlp.w_out"].std) == (-1 / 2 if power == 0 else 0)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (multiplied(shared=True), "weights of its own"),
        (multiplied(normed=True), "only a multiplier"),
        (without_additions, "of kind other"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_line(factory, words):
    with pytest.raises(InputError, match=words) as refused:
        solve_model(factory, "adamw", 8)
    assert "\n" not in str(refused.value)


def test_adamw_moves_every_parameter_by_its_own_rate():
    model, batch = decoder(8)
    solution = solve_model(decoder, "adamw", 8, base_layers=2)
    initialize_(model, solution.recipe, torch.Generator().manual_seed(0), batch)
    groups: list[Any] = param_groups(model, solution.recipe, 1e-3, batch=batch, eps=0.0)
    before = copy.deepcopy(dict(model.named_parameters()))
    model(batch).square().sum().backward()
    torch.optim.AdamW(groups).step()
    moved = {
        name: float((p.detach() - before[name].detach()).abs().nan_to_num().max())
        for name, p in model.named_parameters()
    }
    assert moved["blocks.0.down.weight"] == pytest.approx(1e-3 / 4, rel=1e-2)
    assert moved["blocks.7.up.weight"] == pytest.approx(1e-3 / 2, rel=1e-2)
    assert moved["head.weight"] == pytest.approx(1e-3, rel=1e-2)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_muon_takes_the_hidden_groups():
    model, batch = decoder(8)
    groups: list[Any] = param_groups(model, "depth-mup", 1e-3, batch=batch)
    hidden = [group for group in groups if group["hidden"]]
    assert all(p.dim() == 2 for group in hidden for p in group["params"])
    assert sum(len(group["params"]) for group in hidden) == 8 * 4
    torch.optim.Muon(hidden)


@pytest.mark.slow
def test_the_solved_step_is_flat_and_without_the_rates_it_grows():
    ask = partial(measure_solved, as_factory(decoder), "adam", (4, 8, 16, 32), seeds=3)
    solved, plain = ask(base_layers=4), ask(base_layers=4, flat_rates=True)
    assert abs(fitted(solved.exponents["total"]).value) < 0.1
    assert fitted(plain.exponents["total"]).value > 0.7
    assert plain.flat("total") is False


def test_the_command_prints_conditions_numbers_and_code(capsys):
    arguments = ["solve", "--model", "docs/tutorials/my_decoder.py:make", "--layers", "8", "--json"]
    assert run([*arguments, "--optimizer", "adamw"]) == 0
    said = capsys.readouterr().out
    assert "share: mlp.w_out" in said
    assert "tfixup.param_groups" in said
    assert run([*arguments, "--optimizer", "adamw", "--recipe", "gpt2"]) == 2


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_the_two_ends_of_an_encoder_decoder_are_one_role_and_that_is_said():
    """Right for branches of N^(-1/2); under CompleteP's demand the encoder's needs another rate."""
    plain, complete = (
        solve_model(pre_norm_pair, "adamw", 4, base_layers=2, complete=complete)
        for complete in (False, True)
    )
    assert "end.gain" in plain.recipe.factors
    assert not any("end.gain" in note for note in plain.notes)
    assert any("end.gain" in note for note in complete.notes)
