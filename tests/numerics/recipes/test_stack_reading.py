"""What the exponent solver is given of a traced model, and what it is refused."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.recipes.stack_reading import StackReading, multiplier_powers, read_stack
from numerics.structure.trace import trace_structure
from numerics.structure.types import Branch, BranchKind, Structure, TensorView
from theory.errors import InputError
from theory.parametrisations.structures import structure_named

D, HIDDEN = 8, 24


def branch(index: int, kind: BranchKind, stream: str = "stream", **own: object) -> Branch:
    plain = Branch(
        index, stream, index // 2 + 1, kind, True, False, False, True, path=f"blocks.{index}"
    )
    return replace(plain, **own)  # pyright: ignore[reportArgumentType]


def attention(index: int) -> tuple[TensorView, ...]:
    def view(name: str, role: str, part: str | None = None) -> TensorView:
        return TensorView(f"{index}.{name}", role, branch=index, part=part)  # pyright: ignore[reportArgumentType]

    return (
        view("norm", "norm_gain"),
        view("norm.bias", "norm_bias"),
        *(view(role, role) for role in ("q", "k", "v", "out")),
        *(view(f"{role}.bias", "bias", role) for role in ("q", "v", "out")),
    )


def mlp(index: int, *, gated: bool = False) -> tuple[TensorView, ...]:
    roles = ("w_in", "gate", "w_out") if gated else ("w_in", "w_out")
    return tuple(TensorView(f"{index}.{role}", role, branch=index) for role in roles)  # pyright: ignore[reportArgumentType]


BRANCHES = (
    branch(0, "self-attention"),
    branch(1, "mlp"),
    branch(2, "self-attention"),
    branch(3, "mlp"),
)
OUTSIDE = (
    TensorView("tokens", "embedding"),
    TensorView("norm", "norm_gain"),
    TensorView("head", "head"),
    TensorView("extra", "other"),
)
PLAIN = Structure(
    BRANCHES, (*OUTSIDE, *attention(0), *mlp(1), *attention(2), *mlp(3)), final_norm=True
)


def with_branches(structure: Structure = PLAIN, **own: object) -> Structure:
    changed = tuple(replace(one, **own) for one in structure.branches)  # pyright: ignore[reportArgumentType]
    return replace(structure, branches=changed)


def test_a_pre_norm_decoder_as_the_solver_sees_it() -> None:
    found = read_stack(PLAIN, "mine")
    assert found.stack.name == "mine"
    (stream,) = found.stack.streams
    assert (stream.name, stream.embedding, stream.wiring, stream.shortcut) == (
        "stream",
        "embedding",
        "pre-norm",
        None,
    )
    attends, feeds = stream.branches
    assert (attends.name, feeds.name) == ("attention", "mlp")
    assert attends.roles == tuple(
        f"attention.{role}" for role in ("norm.gain", "v", "out", "multiplier")
    )
    assert feeds.roles == ("mlp.w_in", "mlp.w_out", "mlp.multiplier")
    assert (attends.scores, feeds.scores) == ("attention.score", None)
    assert (attends.reads, attends.normed, attends.degree) == ("stream", 0, 1)
    assert dict(attends.offsets) == {
        "attention.norm.bias": "attention.norm.gain",
        "attention.score.bias": "attention.score",
        "attention.v.bias": "attention.v",
        "attention.out.bias": "attention.out",
    }
    assert feeds.offsets == ()
    assert dict(found.stack.kinds) == {
        **{f"attention.{role}": "hidden" for role in ("score", "v", "out")},
        **{f"attention.{role}.bias": "vector" for role in ("norm", "score", "v", "out")},
        "attention.norm.gain": "vector",
        "mlp.w_in": "hidden",
        "mlp.w_out": "hidden",
        **{f"{kind}.multiplier": "constant" for kind in ("attention", "mlp")},
        "embedding": "input",
        "end.gain": "vector",
        "head": "output",
    }
    assert (found.stack.head, dict(found.stack.final)) == ("head", {"end.gain": "stream"})
    assert found.multipliers == {"attention.multiplier": 1.0, "mlp.multiplier": 1.0}
    assert found.uncovered == ("extra",)


def test_gates_norms_inside_and_what_is_missing() -> None:
    views = (
        *mlp(0, gated=True),
        TensorView("in", "norm_gain", branch=0, part="w_in"),
        TensorView("shift", "norm_bias", branch=0),
        TensorView("after", "norm_bias", branch=0, part="w_in"),
    )
    own = Structure((branch(0, "gated-mlp"),), views, False)
    found = read_stack(own)
    (feeds,) = found.stack.streams[0].branches
    assert feeds.roles == (
        *("mlp.gate", "mlp.w_in", "mlp.w_in.norm.gain", "mlp.w_out", "mlp.multiplier"),
    )
    assert (feeds.normed, feeds.degree) == (2, 2)
    # Without a gain before the branch its bias is added to what the branch reads.
    assert dict(feeds.offsets) == {
        "mlp.norm.bias": None,
        "mlp.w_in.norm.bias": "mlp.w_in.norm.gain",
    }
    assert found.stack.streams[0].embedding == "input"
    assert found.stack.kinds["input"] == "constant"
    assert (found.stack.head, dict(found.stack.final)) == (None, {})
    normed = read_stack(with_branches(own, norm_after=True))
    assert normed.stack.streams[0].branches[0].normed == 4
    trained = with_branches(
        replace(own, views=(*mlp(0), TensorView("s", "scalar", branch=0))), branch_multiplier=None
    )
    (feeds,) = read_stack(trained).stack.streams[0].branches
    assert feeds.roles == ("mlp.w_in", "mlp.w_out", "mlp.scale")
    assert read_stack(trained).stack.kinds["mlp.scale"] == "vector"
    assert "mlp.multiplier" not in read_stack(trained).multipliers


def test_post_norm_has_a_shortcut_and_two_streams_have_names() -> None:
    sides: list[tuple[str, BranchKind]] = [
        *(("encoder", "self-attention"), ("encoder", "mlp")),
        *(("decoder", "self-attention"), ("decoder", "cross-attention"), ("decoder", "mlp")),
    ]
    branches = tuple(
        branch(i, kind, stream, norm_before=False, norm_on_stream=True, shortcut_multiplier=2.5)
        for i, (stream, kind) in enumerate(sides)
    )
    gains = tuple(TensorView(f"{i}.gain", "norm_gain", branch=i) for i in range(5))
    views = (*attention(0)[2:], *mlp(1), *attention(2)[2:], *attention(3)[2:], *mlp(4), *gains)
    found = read_stack(Structure(branches, (*OUTSIDE, *views), True))
    first, second = found.stack.streams
    assert (first.name, second.name) == ("encoder", "decoder")
    assert (first.wiring, second.wiring) == ("post-norm", "post-norm")
    assert (first.shortcut, second.shortcut) == ("encoder.shortcut", "decoder.shortcut")
    assert (first.embedding, second.embedding) == ("embedding", "decoder.input")
    assert found.multipliers["decoder.shortcut"] == found.multipliers["encoder.shortcut"] == 2.5
    assert found.stack.kinds["decoder.shortcut"] == "constant"
    assert [one.name for one in second.branches] == [
        *("decoder attention", "decoder cross", "decoder mlp"),
    ]
    assert [one.reads for one in second.branches] == ["decoder", "encoder", "decoder"]
    assert [one.reads for one in first.branches] == ["encoder", "encoder"]
    # The gain on the normed stream is an offset behind all else in the branch.
    assert dict(first.branches[1].offsets) == {
        "encoder.mlp.stream.norm.gain": "encoder.mlp.multiplier"
    }
    assert dict(found.stack.final) == {"end.gain": "decoder"}


def mixed(*changes: dict[str, object]) -> Structure:
    own = [
        replace(one, **change)  # pyright: ignore[reportArgumentType]
        for one, change in zip(PLAIN.branches, changes, strict=False)
    ]
    return replace(PLAIN, branches=(*own, *PLAIN.branches[len(own) :]))


@pytest.mark.parametrize(
    ("structure", "words"),
    [
        (
            replace(PLAIN, understood=False, reasons=("First.", "Second.")),
            "a model must be understood to be solved: First. Second.",
        ),
        (Structure((), OUTSIDE, False), "must have residual connections to be solved, and none"),
        (
            replace(PLAIN, shared=("tokens", "2.k")),
            "weights of its own, and 2.k is read by several",
        ),
        (
            mixed({"stream": "a"}, {"stream": "b"}, {"stream": "c"}, {"stream": "c"}),
            "two streams at most, and 3 were found",
        ),
        (mixed({}, {"kind": "other"}), "the addition at blocks.1 is of kind other, of which"),
        (mixed({}, {"kind": "other", "path": ""}), "the addition at 1 is of kind other"),
        (
            mixed({}, {"norm_before": False}),
            "the norms of the stream stream must stand at one place, and stand at several",
        ),
        (
            with_branches(norm_on_stream=True),
            "the norms of the stream stream must stand at one place",
        ),
        (
            replace(PLAIN, views=(*PLAIN.views, TensorView("b", "bias", branch=3, part="w_in"))),
            "must be alike, and blocks.1 and blocks.3 differ in w_in.bias",
        ),
        (
            mixed({}, {"norm_after": True}),
            r"blocks.1 and blocks.3 differ in \(True, False\), \(True, True\)",
        ),
        (
            replace(PLAIN, views=tuple(v for v in PLAIN.views if v.role != "w_out")),
            "no matrix that writes to the stream was found in blocks.1",
        ),
        (
            with_branches(shortcut_multiplier=0.5),
            "the shortcut is multiplied by 0.5 in a stream without norms after the additions",
        ),
        (
            mixed({}, {"branch_multiplier": 0.5}),
            "the multiplier mlp.multiplier must be one number for all layers, and is 0.5 to 1",
        ),
        (
            mixed({}, {"branch_multiplier": None}, {}, {"branch_multiplier": None}),
            "the multiplier mlp.multiplier is trained or one per channel, without a role",
        ),
    ],
)
def test_what_the_solver_has_no_conditions_for_is_refused(structure: Structure, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_stack(structure)


def test_numbers_that_differ_by_rounding_are_one() -> None:
    near = mixed({}, {"branch_multiplier": 1 + 5e-7})
    assert read_stack(near).multipliers["mlp.multiplier"] == 1 + 5e-7


def powers(deep: float, shallow: float, ratio: float) -> float:
    stack = structure_named("pre-norm")
    at, base = (StackReading(stack, {"branch": m}, ()) for m in (deep, shallow))
    return float(multiplier_powers(at, base, ratio)["branch"])


@pytest.mark.parametrize("power", [-1, -3 / 4, -1 / 2, -3 / 8, 0, 1 / 4, 1])
@pytest.mark.parametrize("ratio", [2.0, 12.5])
def test_powers_of_multipliers(power: float, ratio: float) -> None:
    assert powers(0.3 * ratio**power, 0.3, ratio) == power
    assert powers(0.3 * ratio**power * (1 + 5e-7), 0.3, ratio) == power


@pytest.mark.parametrize(
    ("deep", "shallow", "ratio", "words"),
    [
        (0.5, 1.0, 3.0, "branch is 1 and 0.5 at two depths, which is no power of the depth"),
        (-0.5, 1.0, 4.0, "the multiplier branch must be positive, got -0.5"),
        (1.0, 0.0, 4.0, "the multiplier branch must be positive, got 0"),
        (0.5 * (1 + 2e-6), 1.0, 4.0, "no power of the depth"),
        (0.5, 1.0, 1.0, "no power of the depth"),
    ],
)
def test_multipliers_that_are_no_powers(
    deep: float, shallow: float, ratio: float, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        powers(deep, shallow, ratio)


def test_a_multiplier_of_one_depth_alone_is_1_at_the_other() -> None:
    stack = structure_named("pre-norm")
    deep, shallow = StackReading(stack, {"a": 0.5}, ()), StackReading(stack, {"b": 0.25}, ())
    found = multiplier_powers(deep, shallow, 4.0)
    assert {role: float(power) for role, power in found.items()} == {"a": -0.5, "b": 1.0}
    assert multiplier_powers(deep, deep, 1.0) == {"a": 0}


class PeriNorm(nn.Module):
    """x + γ₂ norm(W₂ relu(W₁ γ₁ norm(x))), read from a real forward."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(11, D)
        self.before = nn.ModuleList(nn.RMSNorm(D) for _ in range(2))
        self.after = nn.ModuleList(nn.RMSNorm(D) for _ in range(2))
        self.up = nn.ModuleList(nn.Linear(D, HIDDEN, bias=False) for _ in range(2))
        self.down = nn.ModuleList(nn.Linear(HIDDEN, D, bias=False) for _ in range(2))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)
        for before, after, up, down in zip(
            self.before, self.after, self.up, self.down, strict=True
        ):
            x = x + 0.5 * after(down(F.relu(up(before(x)))))
        return x


def test_a_traced_model_with_a_norm_on_what_it_adds() -> None:
    torch.manual_seed(0)
    found = read_stack(trace_structure(PeriNorm(), torch.tensor([[1, 2, 3]])))
    (feeds,) = found.stack.streams[0].branches
    assert feeds.roles == tuple(
        f"mlp.{role}" for role in ("norm.gain", "w_in", "w_out", "w_out.norm.gain", "multiplier")
    )
    # Everything before the last gain is a direction without a size.
    assert feeds.normed == 3
    assert found.multipliers["mlp.multiplier"] == pytest.approx(0.5)
