"""Groups of parameters: they add up, and each is what its own step does."""

import polars as pl
import pytest
import torch
from torch.func import functional_call

from numerics.cli.plot import Plot
from numerics.figures.layer_profile import draw_profile, profile_rows
from numerics.figures.sweep import PANELS, draw_sweep
from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.groupings import GROUPINGS, groups_of
from numerics.linearization.measured_function import features_of
from numerics.measure.by_group import norms
from numerics.models import ModelSpec
from numerics.models.roles import ALL_PARTS
from numerics.models.tokens import embed_inputs, random_batch
from numerics.schemes import build
from numerics.sweeps.run import SweepConfig, SweepSettings, exponent_table, run_sweep
from numerics.sweeps.settings import DETAILS
from tests.numerics.linearized import linearized
from theory.errors import InputError

SPEC = ModelSpec(2, 3, d_model=8, d_ff=12, vocabulary=30, biases=True)
SMALL = SweepSettings(d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4, detail="layer")


def _case(scheme):
    generator = torch.Generator().manual_seed(0)
    model = build(scheme, SPEC, generator, dtype=torch.float64).eval()
    batch = random_batch(SPEC, generator, sequences=2, tokens=3)
    return model, batch, random_cotangent((2, 3, 8), torch.Generator().manual_seed(1))


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("scheme", ["tfixup", "pre-ln", "dlcl-post", "rezero", "r-fixup", "admin"])
def test_groups_are_a_partition_and_add_up(scheme, grouping):
    model, batch, u = _case(scheme)
    _, parameters = features_of(model, batch)
    count = sum(
        piece.of(parameters[piece.parameter]).numel()
        for pieces in groups_of(parameters, grouping).values()
        for piece in pieces
    )
    assert count == sum(value.numel() for value in parameters.values())
    found = linearized(model, batch, u, groups=grouping)
    whole = linearized(model, batch, u)
    torch.testing.assert_close(found.tangents.sum(0), whole.tangents.sum(0), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.energies.sum(), whole.energies.sum(), rtol=1e-9, atol=0)


def test_a_group_is_the_limit_of_a_step_of_it_alone():
    model, batch, u = _case("tfixup")
    found = linearized(model, batch, u, groups="layer")
    inputs = embed_inputs(model, batch)
    before = model.decode(model.encode(inputs["source"]), inputs["target"])
    moved = [name for name, _ in model.named_parameters() if name.startswith("decoder.1.mlp.")]
    slopes = torch.autograd.grad(
        before, [model.get_parameter(name) for name in moved], u(before.detach())
    )
    eta = 1e-6
    stepped = {
        name: model.get_parameter(name).detach() - eta * slope
        for name, slope in zip(moved, slopes, strict=True)
    }
    after = functional_call(model, stepped, (batch.source_BS, batch.target_BT))
    still = functional_call(model, {}, (batch.source_BS, batch.target_BT))
    assert model.output is not None  # the projection, which a step of the block leaves alone
    tangent = found.tangents[found.groups.index("decoder.mlp.1")]
    torch.testing.assert_close(
        (after - still) / eta, tangent @ model.output.T, rtol=1e-4, atol=1e-8
    )


def test_packed_projections_are_told_apart():
    model, batch, u = _case("tfixup")
    found = linearized(model, batch, u, groups="matrix")
    sizes = dict(zip(found.groups, norms(found).tolist(), strict=True))
    assert sizes["decoder.self_attention.v"] > 3 * sizes["decoder.self_attention.q"] > 0
    # A key's bias shifts all logits of a query alike, so the softmax does not see it.
    assert sizes["encoder.attention.k_bias"] < 1e-12 * sizes["encoder.attention.v_bias"]


def test_an_unknown_grouping_offers_the_nearest():
    with pytest.raises(InputError, match="unknown grouping 'layr': did you mean 'layer'"):
        groups_of({}, "layr")


def test_a_sweep_s_details_are_groupings():
    assert set(DETAILS) <= set(GROUPINGS)


@pytest.fixture(scope="module")
def found():
    return run_sweep(SweepConfig(("tfixup", "post-ln"), ("sgd", "sign"), (1, 2, 4), 2, SMALL))


def test_a_sweep_by_layer_adds_rows_and_changes_none(found):
    config = SweepConfig(
        ("tfixup",), ("sgd",), (2,), 1, SweepSettings(**{**vars(SMALL), "detail": "part"})
    )
    plain = run_sweep(config)
    same = found.join(plain, on=["scheme", "optimizer", "n_encoder", "seed", "part", "quantity"])
    assert len(same) == len(plain)
    assert (same["value"] == same["value_right"]).all()
    blocks = found.filter((pl.col("n_encoder") == 4) & ~pl.col("part").is_in(ALL_PARTS))
    assert blocks["part"].n_unique() == 5 * 4
    logits = blocks.filter(pl.col("quantity") == "logits_rms")
    assert logits["part"].n_unique() == 3 * 4
    assert (logits["value"] > 0).all()
    assert found["finite"].all()


def test_the_exponents_are_of_parts_and_of_the_largest_layer_where_asked(found):
    assert set(exponent_table(found, from_depth=1)["part"]) <= set(ALL_PARTS)
    detailed = exponent_table(found, from_depth=1, detail="layer")
    assert set(detailed["part"]) - set(ALL_PARTS) == {
        f"{part}.*" for part in ALL_PARTS if "." in part
    }
    update = detailed.filter((pl.col("scheme") == "tfixup") & (pl.col("quantity") == "update"))
    row = update.filter((pl.col("part") == "decoder.mlp.*") & (pl.col("optimizer") == "sgd"))
    assert row["exponent"].item() < -0.5


def test_the_profile_is_n_times_the_geometric_mean(found):
    profile = profile_rows(found)
    line = profile.filter(
        (pl.col("scheme") == "tfixup")
        & (pl.col("optimizer") == "sgd")
        & (pl.col("block") == "decoder.mlp")
        & (pl.col("depth") == 4)
    )
    assert line["layer"].to_list() == [0, 1, 2, 3]
    two = found.filter(
        (pl.col("scheme") == "tfixup")
        & (pl.col("optimizer") == "sgd")
        & (pl.col("part") == "decoder.mlp.3")
        & (pl.col("quantity") == "update")
        & (pl.col("n_encoder") == 4)
    )["value"].to_list()
    assert line["share"][3] == pytest.approx(4 * (two[0] * two[1]) ** 0.5)
    assert len(draw_profile(found).axes) == 10


def test_a_figure_and_exponents_by_matrix():
    settings = SweepSettings(**{**vars(SMALL), "detail": "matrix"})
    found = run_sweep(SweepConfig(("pre-ln",), ("sgd",), (1, 2), 1, settings))
    below = [part for part in dict.fromkeys(found["part"]) if part not in ALL_PARTS]
    figure = draw_sweep(found, from_depth=1, panels=below)
    assert sum(panel.get_visible() for panel in figure.axes) == len(below) > len(PANELS)
    assert len(draw_sweep(found, from_depth=1).axes) == len(PANELS)
    assert {"decoder.mlp.w2", "encoder.attention.q", "encoder.norm", "embeddings.source"} < set(
        exponent_table(found, from_depth=1, detail="matrix")["part"]
    )
    with pytest.raises(InputError, match="a profile needs rows by layer"):
        draw_profile(found)


@pytest.mark.parametrize(("kind", "detail"), [("layers", "layer"), ("matrices", "matrix")])
def test_figures_need_a_sweep_of_that_detail(tmp_path, kind, detail):
    settings = SweepSettings(**{**vars(SMALL), "detail": detail})
    run_sweep(SweepConfig(("tfixup",), ("sgd",), (1,), 1, settings), tmp_path)
    assert Plot(tmp_path, kind=kind).run() == 0
    assert (tmp_path / f"update-{kind}.svg").exists()
    other = "matrices" if kind == "layers" else "layers"
    with pytest.raises(InputError, match=f"kind {other} needs a sweep of detail"):
        Plot(tmp_path, kind=other).run()
