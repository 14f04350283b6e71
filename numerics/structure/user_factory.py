"""A user's own model, loaded by name: ``MODULE:FACTORY`` or ``PATH.py:FACTORY``.

A factory takes the depth, or nothing, and returns a module, or a module and a batch. Every broken
rule is an `InputError` of one line. What the user's own code raises is a `UserCodeError`.
"""

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from numerics.models.user_code import importable, load_object, user_error
from numerics.structure.default_batch import ModelBatch, default_batch
from theory.errors import InputError

WIDTH_NAMES = ("width", "d_model", "dim", "d", "n_embd", "hidden_size")
"""Names under which a factory usually takes its width."""


@dataclass(frozen=True)
class Built:
    """What a factory gave: a module and a batch that fits it."""

    model: nn.Module
    batch: ModelBatch
    """A tuple of positional arguments, a mapping of keyword arguments, or one tensor."""
    notes: tuple[str, ...] = ()
    """What was decided for the user, in sentences: that a batch was made, and of what."""


@dataclass(frozen=True)
class UserFactory:
    """A factory and where it came from."""

    name: str
    """What the user wrote."""
    make: Callable[..., object]
    folders: tuple[str, ...] = ()
    """Folders from which the user's code may import while it runs."""

    @property
    def takes(self) -> int | None:
        """How many positional arguments it can take; ``None`` where Python cannot say."""
        found = _parameters(self.make)
        return None if found is None else len(found)

    @property
    def needs(self) -> int:
        """How many arguments without a default it has."""
        return sum(p.default is p.empty for p in _parameters(self.make) or ())

    def build(
        self,
        depth: int | None = None,
        width: int | None = None,
        *,
        seed: int = 0,
        with_batch: bool = True,
        finite: bool = True,
    ) -> Built:
        """Call the factory under a seeded global generator, which is restored afterwards.

        Parameters
        ----------
        depth, width
            What the factory is called with; ``None`` leaves an argument out.
        seed
            Seed of torch's and Python's global generators during the call.
        with_batch
            Whether to make a batch where the factory returns none, which runs the model once.
        finite
            Whether weights that are not finite are refused.

        Raises
        ------
        InputError
            If what comes back is no module, lies on the meta device, is in half precision on the
            CPU, has weights that are not finite, or has no batch that fits.
        UserCodeError
            If the factory itself raises.
        """
        arguments, named = self._arguments(depth, width)
        with importable(self.folders), seeded(seed):
            try:
                made = self.make(*arguments, **named)
            except (Exception, SystemExit) as raised:
                raise user_error(f"the factory {self.name}", raised) from raised
        model, batch = _taken_apart(made, self.name)
        require_measurable(model, finite=finite)
        if _is_empty(batch):
            raise InputError(f"a batch must hold entries, and {self.name}'s has a tensor of none")
        if batch is not None or not with_batch:
            return Built(model, () if batch is None else batch)
        with importable(self.folders), seeded(seed):
            batch, note = default_batch(model)
        return Built(model, batch, (note,))

    def _arguments(
        self, depth: int | None, width: int | None
    ) -> tuple[tuple[int, ...], dict[str, int]]:
        """Positional and named arguments of the call."""
        found = _parameters(self.make)
        names = [p.name for p in found or ()]
        if depth is None and width is None:
            if self.needs:
                raise InputError(
                    f"the factory {self.name} needs the argument {names[0]!r}: pass a depth"
                )
            return (), {}
        given = [value for value in (depth, width) if value is not None]
        if found is not None and len(names) < len(given):
            what = "depth" if len(given) == 1 and depth is not None else "size"
            raise InputError(
                f"the factory {self.name} must take {len(given)} argument(s), the {what} first, "
                f"got one that takes {len(names)}"
            )
        if width is not None:
            at = next((name for name in names if name in WIDTH_NAMES), None)
            if at is not None:
                return (() if depth is None else (depth,)), {at: width}
        return tuple(given), {}


def load_factory(name: str) -> UserFactory:
    """The factory that ``package.module:name`` or ``path/to/file.py:name`` stands for.

    A module in place of a factory is taken as a factory of that one module.

    Raises
    ------
    InputError
        If the name has another form, or the file, the module or the name in it is not there.
    UserCodeError
        If importing it raises.

    Examples
    --------
    >>> load_factory("torch.nn:Linear").takes
    5
    >>> load_factory("torch.nn")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: a model is named MODULE:FACTORY or PATH.py:FACTORY, got 'torch.nn'
    """
    found = load_object(name, "factory", "a model is named MODULE:FACTORY or PATH.py:FACTORY")
    return as_factory(found.value, name, found.folders)


def as_factory(value: object, name: str = "", folders: tuple[str, ...] = ()) -> UserFactory:
    """A factory from a Python object: a function, a class, or a module that is always the same."""
    label = name or getattr(value, "__qualname__", type(value).__name__)
    if isinstance(value, nn.Module):
        module = value
        return UserFactory(label, lambda: module, folders)
    if not callable(value):
        raise InputError(f"a factory must be callable, got {label} of type {type(value).__name__}")
    return UserFactory(label, value, folders)


def _is_empty(batch: ModelBatch | None) -> bool:
    values = batch.values() if isinstance(batch, Mapping) else batch
    values = (values,) if isinstance(values, Tensor) else values or ()
    return any(isinstance(value, Tensor) and not value.numel() for value in values)


def require_measurable(model: nn.Module, *, finite: bool = True) -> None:
    """Refuse a module without weights, on the meta device, in fp16 on the CPU, or not finite.

    Examples
    --------
    >>> require_measurable(nn.Linear(2, 2, device="meta"))
    Traceback (most recent call last):
    ...
    theory.errors.InputError: weights must have data, and weight is on the meta device: initialise
    the model before it is handed over
    """
    named = [*model.named_parameters(), *model.named_buffers()]
    if not any(True for _ in model.parameters()):
        raise InputError(f"a model must have parameters, and {type(model).__name__} has none")
    for name, tensor in named:
        if isinstance(tensor, (nn.UninitializedParameter, nn.UninitializedBuffer)):
            raise InputError(f"weights must have a shape, and {name} is lazy: run the model once")
        if tensor.is_meta:
            raise InputError(
                f"weights must have data, and {name} is on the meta device: initialise the model "
                "before it is handed over"
            )
        if tensor.dtype is torch.float16 and tensor.device.type == "cpu":
            raise InputError(
                f"weights on the CPU must be float32, float64 or bfloat16, and {name} is float16: "
                "call .float() in the factory"
            )
    for name, tensor in model.named_parameters() if finite else ():
        bad = int((~torch.isfinite(tensor.detach())).sum())
        if bad:
            raise InputError(
                f"weights must be finite, and {name} has {bad} of {tensor.numel()} entries that "
                "are not"
            )


def run_model(model: nn.Module, batch: ModelBatch) -> object:
    """One forward of the model on the batch; the user's own errors come as `UserCodeError`."""
    try:
        return call(model, batch)
    except Exception as raised:
        raise user_error(f"the forward of {type(model).__name__}", raised) from raised


def call(model: nn.Module, batch: ModelBatch) -> object:
    """The model on a batch: a tensor, a tuple of arguments, or a mapping of keywords."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, (tuple, list)) else model(batch)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU and Python's global generators, and put both back afterwards."""
    before = random.getstate()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before)


def _taken_apart(made: object, name: str) -> tuple[nn.Module, ModelBatch | None]:
    if isinstance(made, nn.Module):
        return made, None
    if isinstance(made, (tuple, list)) and len(made) == 2 and isinstance(made[0], nn.Module):
        batch = made[1]
        if batch is not None and not isinstance(batch, (Tensor, tuple, list, Mapping)):
            raise InputError(
                "a batch must be a tensor, a tuple of arguments or a mapping of keywords, got "
                f"{type(batch).__name__} from {name}"
            )
        return made[0], tuple(batch) if isinstance(batch, list) else batch
    raise InputError(
        f"a factory must return a torch.nn.Module, or a module and a batch, and {name} returned "
        f"{type(made).__name__}"
    )


def _parameters(make: Callable[..., object]) -> list[inspect.Parameter] | None:
    try:
        found = list(inspect.signature(make).parameters.values())
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in found):
        return None
    return [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
