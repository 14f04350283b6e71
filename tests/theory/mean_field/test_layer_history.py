"""A stack whose layers read averages of all layers below, against what can be said by hand."""

import pytest

from theory.mean_field.attention_moments import Fluctuations
from theory.mean_field.history_cotangents import pull_history
from theory.mean_field.layer_history import Branched, HistoryWiring, run_history
from theory.mean_field.norm_moments import isotropic_cotangent
from theory.mean_field.residual_block import BlockKind, MeanFieldBlock, NetworkSetting, NormPlace
from theory.moments.softmax_moments import uniform
from theory.moments.token_gram import diagonal

INFINITE = NetworkSetting(64, 128, lambda n, *_: uniform(n), Fluctuations())
NORMS = {HistoryWiring.PRE: NormPlace.PRE, HistoryWiring.POST: NormPlace.POST}


def mlp(norm, growth):
    """An MLP block that adds ``growth`` to a normalised token's second moment."""
    square = (2 * growth / (64 * 128)) ** 0.5
    return MeanFieldBlock("decoder.mlp", BlockKind.MLP, {"w1": square, "w2": square}, norm)


def passed(history, growth, layers):
    blocks = (mlp(NORMS[history], growth),) * layers
    return run_history(((4.0,),), blocks, history, "decoder", None, INFINITE)


@pytest.mark.parametrize("history", list(HistoryWiring))
def test_two_layers_by_hand(history):
    """One layer, one token: y_0 of length² 4, a branch of length² g on the normalised token."""
    g = 0.5
    tape = passed(history, g, 1)
    (block,) = (one for one in tape.operations if isinstance(one, Branched))
    assert diagonal(block.passed.output_gram) == pytest.approx((g,))
    assert tape.output.gram[0][0] == pytest.approx(1)
    # Pre-LN averages x̂ and (x̂ + G)/√(1 + g); Post-LN 2 x̂ and (x̂ + G)/√(1 + g).
    start = {HistoryWiring.PRE: 1, HistoryWiring.POST: 2}[history]
    shares = ((start + (1 + g) ** -0.5) / 2, (g / (1 + g)) ** 0.5 / 2)
    length = shares[0] ** 2 + shares[1] ** 2
    mix = tape.mixes[-1]
    assert [mix[0][0] * 2, mix[1][0] * g**0.5] == pytest.approx([s / length**0.5 for s in shares])
    u = isotropic_cotangent(((1.0,),), INFINITE.fluctuations)
    pulled = pull_history(tape, u, 1, INFINITE)
    on_input, energies = pulled.inputs, pulled.energies
    # δ meets x̂ by both paths; the branch gives back g times what reached it.
    reached = 1 / (4 * (1 + g) * length)
    straight = (start + (1 + g) ** -0.5) ** 2 / (4 * length)
    assert on_input[0][0] == pytest.approx((straight + g * reached) / 4)
    assert on_input[0][0] != pytest.approx((straight + 2 * g * reached) / 4, rel=0.01)
    assert energies["decoder.mlp.w2"] == pytest.approx(energies["decoder.mlp.w1"])


@pytest.mark.parametrize("history", list(HistoryWiring))
def test_without_branches_a_stack_is_a_layer_norm(history):
    tape = passed(history, 1e-12, 3)
    u = isotropic_cotangent(((1.0,),), INFINITE.fluctuations)
    pulled = pull_history(tape, u, 1, INFINITE)
    on_input, energies = pulled.inputs, pulled.energies
    assert on_input[0][0] == pytest.approx(1 / 4)
    assert energies["decoder.mlp.w2"] < 1e-4 < energies["decoder.history"]
