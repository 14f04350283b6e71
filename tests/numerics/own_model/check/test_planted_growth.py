"""Mistakes planted in sound models: `check` says what grows, with the power known beforehand.

Each wrong model stands beside its sound neighbour. The powers: a step under SGD is J Jᵀu, so that
inputs left N^(1/4) too large move a stack without norms by N^(1/2); biases in front of the stream
move f alike at every layer, N in all; Adam's step on a branch multiplied by m moves f by N m.
"""

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from numerics.own_model.audit.audit import audit
from numerics.own_model.check.check import check
from numerics.own_model.check.result import Check
from numerics.own_model.check.types import SizeSeries
from numerics.statistics.exponents import Exponent
from tests.numerics.own_model.check import planted_growth as planted

Factory = Callable[[int], tuple[nn.Module, Tensor]]
DEPTHS = (4, 8, 16, 32)
SHALLOW = (2, 4, 8, 16)


def exponent(series: SizeSeries) -> float:
    fit = series.law.exponent
    assert isinstance(fit, Exponent)
    return fit.value


def found(factory: Factory, optimizer: str, depths: tuple[int, ...] = DEPTHS) -> Check:
    return check(factory, depths, (optimizer,), seeds=3)


def assert_grows(seen: Check, power: float, driver: str, within: float = 0.15) -> None:
    (one,) = seen.optimizers
    assert seen.verdict == "grows"
    assert seen.exit_code == 1
    assert exponent(one.total) == pytest.approx(power, abs=within)
    assert driver in one.driver
    assert seen.advice


def assert_flat(seen: Check) -> None:
    (one,) = seen.optimizers
    assert seen.verdict != "grows"
    assert seen.exit_code == 0
    assert abs(exponent(one.total)) < 0.15
    assert one.driver == ""
    assert seen.advice == ()


def test_a_stack_without_norms_is_flat_and_with_unscaled_inputs_it_is_not() -> None:
    assert_flat(found(planted.sound, "sgd", SHALLOW))
    wrong = found(planted.embeddings_unscaled, "sgd", SHALLOW)
    assert_grows(wrong, 0.5, "the MLP's output matrices (w_out)")
    assert "of the inputs, embeddings and positions alike" in wrong.advice[0]


def test_biases_in_front_of_the_stream_add_up() -> None:
    wrong = found(planted.output_biases, "sgd", SHALLOW)
    assert_grows(wrong, 0.7, "Driven by the biases", within=0.25)
    (biases,) = [g for g in wrong.optimizers[0].groups if g.name == "bias"]
    assert exponent(biases.series) == pytest.approx(1.0, abs=0.1)
    assert "divide their learning rate by N" in wrong.advice[0]
    assert not any("Without norms the scales decide" in said for said in wrong.advice)


@pytest.mark.slow
def test_adams_step_grows_by_what_the_multiplier_leaves() -> None:
    assert_flat(found(planted.complete_p, "adamw"))
    for factory, power in ((planted.root_for_whole, 0.5), (planted.no_multiplier, 0.9)):
        wrong = found(factory, "adamw")
        assert_grows(wrong, power, "the MLP's output matrices (w_out)")
        assert any("CompleteP" in said for said in wrong.advice)


@pytest.mark.slow
def test_a_stream_that_starts_small_voids_the_multiplier() -> None:
    assert_grows(found(planted.small_embeddings, "adamw"), 0.6, "(w_out)", within=0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "factory",
    [planted.copies, planted.constant_of_one_depth, planted.queries_for_values],
)
def test_scales_that_leave_the_stream_growing_make_the_step_exponential(factory: Factory) -> None:
    wrong = found(factory, "sgd")
    assert wrong.verdict == "grows"
    assert wrong.optimizers[0].total.law.law == "exponential"
    assert "attention's values (v)" in wrong.optimizers[0].driver


@pytest.mark.slow
def test_a_turned_sign_overflows_and_a_name_that_matched_nothing_grows() -> None:
    assert found(planted.exponents_sign_turned, "sgd").verdict == "grows"
    assert_grows(
        found(planted.values_left_out, "sgd"), 1.15, "attention's output matrices", within=0.3
    )


@pytest.mark.slow
def test_gates_at_zero_move_alone() -> None:
    assert_grows(found(planted.rezero, "sgd"), 0.6, "the scalars that multiply branches")


@pytest.mark.slow
def test_case_c5_layer_norm_and_scaled_positions_in_all_four_combinations() -> None:
    """The conditions are those of no norm and of scaled positions: the other three grow."""
    powers = {
        planted.positions_scaled: 0.0,
        planted.positions_unscaled: 0.5,
        planted.norm_kept: 0.65,
        planted.norm_kept_positions_unscaled: 0.65,
    }
    for factory, power in powers.items():
        seen = found(factory, "sgd", (6, 12, 24, 48))
        assert exponent(seen.optimizers[0].total) == pytest.approx(power, abs=0.15)
        assert (seen.verdict == "grows") is (power > 0)


@pytest.mark.parametrize("normed", [False, True])
def test_case_c5_audit_says_that_the_conditions_are_for_no_norm(normed: bool) -> None:
    model, ids = (planted.norm_kept if normed else planted.positions_scaled)(4)
    said = [f for f in audit(model, "tfixup", ids).findings if f.kind == "wiring"]
    assert len(said) == normed
    assert not normed or "derived without layer norm" in said[0].text
