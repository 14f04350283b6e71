"""A user's factory: what loads, what is refused, and in which words."""

import random
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from numerics.models.spec import ModelSpec
from numerics.models.user_code import UserCodeError
from numerics.schemes import build
from numerics.structure.user_factory import (
    Built,
    as_factory,
    call,
    load_factory,
    run_model,
    seeded,
)
from theory.errors import InputError

MODEL = """
import torch
from torch import nn
from beside import WIDTH

class Net(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.table = nn.Embedding(11, WIDTH, padding_idx=0)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))

    def forward(self, ids):
        x = self.table(ids)
        for layer in self.layers:
            x = x + layer(x)
        return x

def make(depth):
    return Net(depth)

def with_batch(depth):
    return Net(depth), torch.ones(1, 3, dtype=torch.long)

def raises(depth):
    raise RuntimeError("no such\\ndepth")

def number(depth):
    return depth

def always(depth):
    return Net(2)

NET = Net(3)
"""


def _tensors(built: Built) -> tuple[Tensor, ...]:
    assert isinstance(built.batch, tuple)
    return built.batch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("WIDTH = 8\n")
    path = tmp_path / "my.py"
    path.write_text(MODEL)
    return path


def test_factory_in_a_file_gets_depth_and_a_batch(file: Path) -> None:
    built = load_factory(f"{file}:make").build(3)
    assert len(built.model.layers) == 3  # pyright: ignore
    (ids,) = _tensors(built)
    assert ids.shape == (2, 16)
    assert 0 < int(ids.min()) <= int(ids.max()) < 11  # row 0 is padding
    assert "random token ids below 11" in built.notes[0]
    assert call(built.model, built.batch).shape == (2, 16, 8)  # pyright: ignore


def test_the_users_batch_is_kept(file: Path) -> None:
    built = load_factory(f"{file}:with_batch").build(1)
    assert built.batch.shape == (1, 3)  # pyright: ignore
    assert built.notes == ()


def test_a_module_stands_for_its_own_factory(file: Path) -> None:
    assert load_factory(f"{file}:NET").takes == 0
    assert len(load_factory(f"{file}:NET").build().model.layers) == 3  # pyright: ignore


def test_seed_decides_the_weights_and_generators_are_restored(file: Path) -> None:
    factory = load_factory(f"{file}:make")
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second, other = (factory.build(1, seed=s).model for s in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.table.weight, second.table.weight)  # pyright: ignore
    assert not torch.equal(first.table.weight, other.table.weight)  # pyright: ignore


def test_seeding_leaves_pythons_generator_as_it_was() -> None:
    python = random.getstate()
    with seeded(0):
        first = random.random()
    with seeded(0):
        assert random.random() == first
    assert random.getstate() == python


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{file}", "MODULE:FACTORY"),
        ("{file}:mkae", "did you mean 'make'"),
        ("{folder}/none.py:make", "must exist"),
        ("no_such_package.models:make", "there is no 'no_such_package'"),
        ("torch.no_such:make", "there is no 'torch.no_such'"),
        ("math:pi", "must be callable"),
    ],
)
def test_names_that_do_not_load(file: Path, name: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        load_factory(name.format(file=file, folder=file.parent))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("number", "returned int"),
        ("make", "needs the argument 'depth'"),
    ],
)
def test_factories_that_are_refused(file: Path, factory: str, words: str) -> None:
    loaded = load_factory(f"{file}:{factory}")
    with pytest.raises(InputError, match=words):
        loaded.build(*(() if factory == "make" else (2,)))


def test_the_users_exception_is_one_line_with_its_traceback_kept(file: Path) -> None:
    with pytest.raises(UserCodeError) as raised:
        load_factory(f"{file}:raises").build(2)
    assert "RuntimeError: no such depth at my.py:" in str(raised.value)
    assert 'raise RuntimeError("no such' in raised.value.full
    (file.parent / "broken.py").write_text("1 / 0\n")
    with pytest.raises(UserCodeError, match="ZeroDivisionError"):
        load_factory(f"{file.parent}/broken.py:make")


def test_an_empty_batch_is_refused() -> None:
    factory = as_factory(lambda n: (nn.Linear(n, 2), torch.zeros(0, n)))
    with pytest.raises(InputError, match="must hold entries"):
        factory.build(2)
    assert as_factory(lambda n: (nn.Linear(n, 2), torch.zeros(1, n))).build(2).batch is not None


def _not_finite() -> nn.Module:
    model = nn.Linear(4, 4)
    with torch.no_grad():
        model.weight[0, 0] = float("nan")
    return model


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear(4, 4, device="meta"), "meta device"),
        (lambda: nn.Linear(4, 4).half(), "float16"),
        (_not_finite, "weight has 1 of 16 entries"),
        (lambda: nn.LazyLinear(4), "lazy"),
        (nn.ReLU, "must have parameters"),
        (lambda: (nn.Linear(4, 4), "text"), "a batch must be a tensor"),
        (lambda: nn.Conv3d(3, 3, 3), "return \\(model, batch\\)"),
    ],
)
def test_models_that_are_refused(make: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        as_factory(make).build()
    assert "\n" not in str(refused.value)


def test_a_batch_that_does_not_fit_is_the_users_own_error() -> None:
    built = as_factory(lambda: (nn.Linear(4, 4), torch.zeros(2, 3))).build()
    with pytest.raises(UserCodeError, match="forward of Linear raised RuntimeError"):
        run_model(built.model, built.batch)


def test_width_goes_to_the_argument_named_so() -> None:
    def make(depth: int = 1, width: int = 4) -> nn.Module:
        return nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))

    assert as_factory(make).build(width=8).model[0].in_features == 8  # pyright: ignore
    assert len(as_factory(make).build(3, 8).model) == 3  # pyright: ignore
    with pytest.raises(InputError, match="must take 1 argument"):
        as_factory(lambda: nn.Linear(2, 2)).build(4)


def test_default_batch_fits_two_stacks_and_vectors() -> None:
    def ours(n: int) -> nn.Module:
        return build("tfixup", ModelSpec(n, n, vocabulary=50), torch.Generator())

    source, target = _tensors(as_factory(ours).build(1))
    assert source.shape == target.shape == (2, 16)
    assert int(source.max()) < 50
    built = as_factory(lambda: nn.MultiheadAttention(32, 2)).build()
    assert len(built.batch) == 3


def test_short_position_tables_shorten_the_batch() -> None:
    class Short(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(30, 8), nn.Embedding(9, 8)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))

    built = as_factory(Short).build()
    assert _tensors(built)[0].shape == (2, 8)
    assert "below 30" in built.notes[0]


def test_what_a_factory_takes_and_needs() -> None:
    def make(depth: int, width: int = 4, *, seed: int = 0) -> nn.Module:
        return nn.Linear(depth, width + seed)

    factory = as_factory(make)
    assert (factory.takes, factory.needs) == (2, 1)
    assert factory.name.endswith("make")
    assert as_factory(make, "mine").name == "mine"
    assert as_factory(lambda *sizes: nn.Linear(*sizes)).takes is None
    assert as_factory(lambda *sizes: nn.Linear(*sizes)).needs == 0
    assert as_factory(int).takes is None  # Python cannot say
    built = as_factory(lambda *sizes: nn.Linear(*sizes)).build(3, 5)
    assert (built.model.in_features, built.model.out_features) == (3, 5)  # pyright: ignore


def test_arguments_by_place_and_by_name() -> None:
    seen: list[tuple[int, int]] = []

    def make(a: int = 1, hidden: int = 2) -> nn.Module:
        seen.append((a, hidden))
        return nn.Linear(2, 2)

    def named(layers: int = 1, dropout: float = 0.0, d_model: int = 2) -> nn.Module:
        seen.append((layers, d_model))
        assert dropout == 0.0
        return nn.Linear(2, 2)

    as_factory(make).build(5, 7, with_batch=False)
    as_factory(make).build(5, with_batch=False)
    as_factory(named).build(5, 7, with_batch=False)
    as_factory(named).build(width=7, with_batch=False)
    assert seen == [(5, 7), (5, 2), (5, 7), (1, 7)]
    one = as_factory(lambda depth: nn.Linear(depth, 2), "mine")
    words = "the factory mine must take 2 argument\\(s\\), the size first, got one that takes 1"
    with pytest.raises(InputError, match=words):
        one.build(2, 3)
    none = as_factory(lambda: nn.Linear(2, 2), "mine")
    with pytest.raises(InputError, match="must take 1 argument\\(s\\), the depth first"):
        none.build(2)
    with pytest.raises(InputError, match="the factory mine needs the argument 'depth': pass a"):
        one.build()


def test_batches_of_every_form() -> None:
    linear, x = nn.Linear(2, 2), torch.ones(1, 2)
    for batch in (x, (x,), {"input": x}):
        built = as_factory(lambda given=batch: (linear, given)).build()
        assert torch.equal(run_model(built.model, built.batch), linear(x))  # pyright: ignore
        assert built.notes == ()
    listed = as_factory(lambda: [linear, [x]]).build()
    assert isinstance(listed.batch, tuple)
    assert as_factory(lambda: (linear, None)).build(with_batch=False).batch == ()
    for empty in (torch.ones(0, 2), (x, torch.ones(0)), {"input": torch.ones(0, 2)}):
        with pytest.raises(InputError, match="mine's has a tensor of none"):
            as_factory(lambda given=empty: (linear, given), "mine").build()
    with pytest.raises(InputError, match="of keywords, got set from mine"):
        as_factory(lambda: (linear, {1}), "mine").build()
    with pytest.raises(InputError, match="and mine returned tuple"):
        as_factory(lambda: (linear, x, x), "mine").build()


def test_weights_that_are_not_finite_may_be_asked_for() -> None:
    assert as_factory(_not_finite).build(finite=False, with_batch=False).model is not None
    model = nn.Linear(2, 2)
    model.register_buffer("ones", torch.ones(2, dtype=torch.float16))
    with pytest.raises(InputError, match="and ones is float16: call"):
        as_factory(lambda: model).build()
    model.register_buffer("ones", torch.full((2,), float("nan")))
    assert as_factory(lambda: model).build().model is model  # a mask may hold what it likes


def test_exits_and_missing_imports_of_the_users_code(file: Path) -> None:
    folder = file.parent
    (folder / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(UserCodeError, match=r"importing .* raised SystemExit: 3"):
        load_factory(f"{folder}/leaves.py:make")
    (folder / "lacks.py").write_text("import no_such_thing\n")
    with pytest.raises(UserCodeError, match="raised ModuleNotFoundError: No module named 'no_su"):
        load_factory(f"{folder}/lacks.py:make")
    before = list(sys.path)
    assert load_factory(f"{file}:NET.layers").takes == 0
    assert sys.path == before
    assert load_factory(f"{file}:make").folders == (str(folder), str(Path.cwd()))
    assert "tfixup_user_leaves" not in sys.modules
    assert "tfixup_user_my" in sys.modules
    with pytest.raises(UserCodeError, match="the factory exits raised SystemExit: 4"):
        as_factory(lambda: sys.exit(4), "exits").build()
