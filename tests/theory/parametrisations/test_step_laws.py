"""Every rule's powers of gradient, weight and shape; structures by their parts; sums by numbers."""

from dataclasses import replace

import pytest
import sympy as sp

from theory.errors import InputError
from theory.parametrisations.block_sums import N, block_bound, bounds_of_sum
from theory.parametrisations.step_laws import STEP_LAWS, law_named
from theory.parametrisations.structures import STRUCTURES, ResidualStream, structure_named

# Name: powers of gradient and weight, whether a matrix moves orthogonally, adds up, is widened.
LAWS = {
    **dict.fromkeys(("sgd", "momentum", "momentum-noise"), (2, 0, False, True, False)),
    **dict.fromkeys(("sign", "adam", "adamw", "adam-noise", "lion"), (1, 0, False, True, False)),
    **dict.fromkeys(("lars", "lamb", "adafactor"), (1, 1, False, True, False)),
    **dict.fromkeys(("muon", "muon-spectral"), (1, 0, True, True, False)),
    "muon-match-rms-adamw": (1, 0, True, True, True),
    # A decay is as large as the weight; what has no gradient's sign adds up by chance.
    "weight-decay": (1, 1, False, False, False),
    "random": (1, 0, False, False, False),
}


def test_powers_of_every_rule() -> None:
    found = {
        name: (law.gradient_power, law.weight_power, law.orthogonal, law.coherent, law.widened)
        for name, law in STEP_LAWS.items()
    }
    assert found == LAWS
    for name, law in STEP_LAWS.items():
        assert law.name == name
        assert law.meaning.startswith("θ ←") or "∂L/∂f" in law.meaning or "sign" in law.meaning
        outside = law.meaning.endswith("; sign(g) outside the hidden matrices")
        assert outside == law.orthogonal


@pytest.mark.parametrize("name", LAWS)
def test_shapes_of_matrices_and_vectors(name: str) -> None:
    law = law_named(name)
    half = sp.Rational(1, 2)
    assert law.shape_power(matrix=True) == (half if law.orthogonal else 1)
    assert law.shape_power(matrix=False) == 1
    assert law.scaling_power((1, 3), matrix=True) == (3 * half if law.widened else 0)
    assert law.scaling_power((2, 1), matrix=True) == (1 if law.widened else 0)
    assert law.scaling_power((1, 3), matrix=False) == 0


def test_structures_by_their_parts() -> None:
    roles = {
        name: [branch.roles for stream in one.streams for branch in stream.branches]
        for name, one in STRUCTURES.items()
    }
    read = ("gain", "in", "out", "branch")
    both = [("in", "out", "branch")] * 2
    side = [
        [(f"{s}.in", f"{s}.out", f"{s}.branch")] * n for s, n in (("encoder", 2), ("decoder", 3))
    ]
    assert roles == {
        "pre-norm": [read] * 2,
        "pre-norm-biased": [read, read, ("bias", "branch")],
        "pre-norm-plain": both,
        "pre-norm-gated": [read, ("gain", "in", "in", "out", "branch")],
        "pre-norm-normed": [("in", "out", "gain", "branch")] * 2,
        "post-norm": [("in", "out")] * 2,
        "norm-free": both,
        "encoder-decoder": [*side[0], *side[1]],
        "pre-norm-encoder-decoder": [*side[0], *side[1]],
    }
    wirings = {name: {stream.wiring for stream in one.streams} for name, one in STRUCTURES.items()}
    assert {name for name, found in wirings.items() if found == {"none"}} == {
        *("norm-free", "encoder-decoder")
    }
    assert wirings["post-norm"] == {"post-norm"}
    for name, one in STRUCTURES.items():
        scored = [b.scores for stream in one.streams for b in stream.branches if b.scores]
        assert len(scored) == (3 if "encoder-decoder" in name else 1)
        normed = {branch.normed for stream in one.streams for branch in stream.branches}
        assert normed == ({2} if name == "pre-norm-normed" else {0})
        assert one.head == (
            None if one.streams[0].wiring == "none" or len(one.streams) > 1 else "head"
        )
    cross = structure_named("encoder-decoder")
    ((stream, branch),) = cross.readers(cross.stream("encoder"))
    assert (stream.name, branch.name, branch.scores) == (
        *("decoder", "encoder-attention", "decoder.score"),
    )
    assert cross.readers(cross.stream("decoder")) == ()
    assert structure_named("post-norm").streams[0].shortcut == "shortcut"
    assert "shortcut" in structure_named("post-norm").used
    assert "shortcut" not in structure_named("post-norm").trained


def test_structures_that_are_none() -> None:
    plain = structure_named("pre-norm")
    with pytest.raises(InputError, match="'gain' of pre-norm has none"):
        replace(plain, kinds={k: v for k, v in plain.kinds.items() if k != "gain"})
    with pytest.raises(InputError, match="unknown kind of role 'hiden': did you mean 'hidden'"):
        replace(plain, kinds=dict(plain.kinds) | {"in": "hiden"})
    with pytest.raises(
        InputError, match=r"unknown wiring 'pre' \(known: none, post-norm, pre-norm\)"
    ):
        ResidualStream("stream", "embedding", (), "pre")
    with pytest.raises(InputError, match="unknown structure 'pre-nrom': did you mean 'pre-norm'"):
        structure_named("pre-nrom")
    with pytest.raises(InputError, match="unknown optimizer 'adan': did you mean 'adam'"):
        law_named("adan")


@pytest.mark.parametrize("power", [-2, sp.Rational(-3, 2), -1, sp.Rational(-1, 2), 0, 1, 2])
@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_bounds_hold_the_sum(power: sp.Expr, count: int) -> None:
    low, high = (float(side.subs(N, count)) for side in bounds_of_sum(sp.sympify(power)))
    total = sum(float(k) ** float(power) for k in range(1, count + 1))
    assert low - 1e-12 <= total <= high + 1e-12
    assert high - low <= max(1.0, float(count) ** float(power)) + 1e-12


def test_the_sum_of_ones_is_bounded_by_itself() -> None:
    assert bounds_of_sum(sp.S.Zero) == (N, N + 1)
    step = block_bound(
        "no block is further than the last", sp.Symbol("l", positive=True) / N, sp.S.One
    )
    assert step.scope == "for every l from 1 to N"
    assert step.given == ("1 ≤ l ≤ N",)
