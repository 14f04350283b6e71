"""Powers that differ over the layers, stacks by name, and what a prescription says and refuses."""

import pytest
import sympy as sp

from theory.errors import InputError
from theory.parametrisations import judgement
from theory.parametrisations.powers import Powers
from theory.parametrisations.prescriptions import prescribe
from theory.parametrisations.sizes import StructurePowers
from theory.parametrisations.step_laws import law_named
from theory.parametrisations.structures import structure_named
from theory.scales.architectures import encoder_decoder, layout_named, single

HALF = sp.Rational(1, 2)
FIRST, LAST = sp.S.Zero, sp.S.One


def powers_of(name: str, **own: Powers) -> StructurePowers:
    return StructurePowers(structure_named(name), own, law_named("sgd"))


@pytest.mark.parametrize(
    ("role", "own", "apart"),
    [
        # What multiplies the role's entries: the writer's l^(-1/2), not its own.
        ("in", {"std_by_layer": -HALF}, HALF),
        ("gain", {"std_by_layer": -HALF}, HALF),
        ("score", {"std_by_layer": -HALF}, HALF),
        ("out", {"std_by_layer": -HALF}, 0),
        # A multiplier of the writer stands before its own gradient as well.
        ("in", {"multiplier_by_layer": -HALF}, HALF),
        ("out", {"multiplier_by_layer": -HALF}, HALF),
    ],
)
def test_gradients_of_the_first_layers_where_writers_shrink(
    role: str, own: dict[str, sp.Expr], apart: sp.Expr
) -> None:
    """Branches l^(-1/2) keep a stream of size 1 to a logarithm, so that its norm takes nothing."""
    found = powers_of("pre-norm", out=Powers(**own))
    (stream,) = found.structure.streams
    attention = stream.branches[0]
    first, last = (found.gradient(stream, attention, role, t) for t in (FIRST, LAST))
    assert first - last == apart
    assert found.gradient(stream, attention, role) == last
    assert found.output(attention, stream, FIRST) - found.output(attention, stream, LAST) == HALF
    assert found.output(attention, stream, LAST) == -HALF
    assert [found.stream_size(stream, t) for t in (FIRST, LAST)] == [0, 0]
    assert [found.sensitivity(stream, t) for t in (FIRST, LAST)] == [0, 0]


def test_a_stream_that_grows_takes_from_later_layers() -> None:
    found = powers_of("pre-norm")
    (stream,) = found.structure.streams
    assert [found.stream_size(stream, t) for t in (FIRST, HALF, LAST)] == [0, HALF / 2, HALF]
    assert [found.sensitivity(stream, t) for t in (FIRST, LAST)] == [0, -HALF]
    steady = StructurePowers(found.structure, {}, law_named("sgd"), steady=True)
    assert steady.stream_size(stream) == 0


@pytest.mark.parametrize("depths", [(3, 7), sp.symbols("N M", positive=True)])
def test_stacks_by_name_have_the_depths_given(depths: tuple[sp.Expr, sp.Expr]) -> None:
    encoder, decoder = depths
    assert layout_named("encoder-only", encoder, decoder) == single("encoder", sp.sympify(encoder))
    assert layout_named("decoder-only", encoder, decoder) == single("decoder", sp.sympify(decoder))
    assert layout_named("encoder-decoder", encoder, decoder) == encoder_decoder(
        sp.sympify(encoder), sp.sympify(decoder)
    )
    gated = layout_named("decoder-only", encoder, decoder, mlp="gated", parallel=True, ties=False)
    assert gated == single("decoder", sp.sympify(decoder), mlp="gated", parallel=True, ties=False)
    with pytest.raises((sp.SympifyError, InputError)):
        layout_named("decoder-only", 3, "7")  # pyright: ignore[reportArgumentType]
    with pytest.raises((sp.SympifyError, InputError)):
        layout_named("encoder-only", "3", 7)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lamb"])
def test_factors_are_those_of_the_depth_over_the_base(optimizer: str) -> None:
    pre, law = structure_named("pre-norm"), law_named(optimizer)
    found = prescribe(pre, law, 64, base_layers=4)
    assert (found.layers, found.base_layers, found.optimizer) == (64, 4, optimizer)
    for role, own in found.factors.items():
        powers = found.exponents[role]
        assert own.rate == pytest.approx(16 ** float(powers.rate)), role
        assert own.multiplier == pytest.approx(16 ** float(powers.multiplier)), role
        assert own.std == pytest.approx(16 ** float(powers.std)), role
    assert found.judgement.total.power == 0
    at_base = prescribe(pre, law, 4, base_layers=4)
    assert {own.rate for own in at_base.factors.values()} == {1.0}
    assert {own.multiplier for own in at_base.factors.values()} == {1.0}


def test_without_multipliers_writers_carry_the_power() -> None:
    pre, law = structure_named("pre-norm"), law_named("adamw")
    bare = prescribe(pre, law, 64, base_layers=4, multipliers=False)
    assert bare.factors["branch"].multiplier == 1
    assert bare.factors["out"].std == pytest.approx(1 / 4)
    assert (bare.factors["out"].rate, bare.factors["in"].rate) == (
        pytest.approx(1 / 16),
        pytest.approx(1 / 4),
    )
    given = prescribe(pre, law, 64, base_layers=4, multipliers=False, given={"branch": -HALF})
    assert given.factors["branch"].multiplier == pytest.approx(1 / 4)
    assert given.factors["out"].std == 1
    complete = prescribe(pre, law, 64, base_layers=4, complete=True)
    assert complete.factors["branch"].multiplier == pytest.approx(1 / 16)


@pytest.mark.parametrize(("layers", "base"), [(0, 4), (64, 0), (-1, 4), (64, -2)])
def test_depths_of_a_prescription_are_positive(layers: int, base: int) -> None:
    with pytest.raises(InputError, match=r"layers must be .* got (0|-1|-2)"):
        prescribe(structure_named("pre-norm"), law_named("adamw"), layers, base_layers=base)


def test_a_role_is_named_with_its_block_where_blocks_differ() -> None:
    found = {
        ("in", "attention"): 1,
        ("in", "MLP"): 2,
        ("out", "attention"): 3,
        ("out", "MLP"): 3,
        ("end.gain", ""): 4,
        ("both", ""): 5,
        ("both", "MLP"): 6,
    }
    assert judgement._named(found) == {
        ("in", "in in attention"): 1,
        ("in", "in in MLP"): 2,
        ("out", "out"): 3,
        ("end.gain", "end.gain"): 4,
        ("both", "both"): 5,
        ("both", "both in MLP"): 6,
    }
