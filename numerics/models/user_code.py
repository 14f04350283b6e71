"""Python objects that a user names: ``MODULE:NAME`` or ``PATH.py:NAME``.

A model's factory, a scheme and a recipe of the user's own are all found this way. Every broken rule
is an `InputError` of one line. What the user's own code raises is a `UserCodeError`: one line as
well, with the user's exception as its cause, so that a command can print the whole traceback.
"""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from theory.errors import InputError, nearest


class UserCodeError(InputError):
    """Raised where the user's own code raised.

    The message shows that exception, and ``__cause__`` is it.
    """

    @property
    def full(self) -> str:
        """The traceback of the user's exception, as Python prints it."""
        cause = self.__cause__
        return str(self) if cause is None else "".join(traceback.format_exception(cause))


@dataclass(frozen=True)
class UserObject:
    """An object of the user's, and where it came from."""

    value: object
    folders: tuple[str, ...]
    """Folders from which the user's code may import while it runs."""
    digest: str
    """SHA-256 of the file that holds it, as it was read; of nothing where there is no file."""


def load_object(
    name: str,
    what: str,
    form: str,
    fits: Callable[[object], bool] = callable,
    *,
    as_it_is: bool = False,
) -> UserObject:
    """The object that ``package.module:NAME`` or ``path/to/file.py:NAME`` stands for.

    Parameters
    ----------
    name
        What the user wrote.
    what
        What the object is called in messages, such as ``factory``.
    form
        How it must be named, for the message where the name has another form.
    fits
        Which objects of the module are offered where the name in it is not there.
    as_it_is
        Whether a module's source is read now, as a file's always is, so that the digest is that of
        the code that runs: not of an earlier import, and not of cached bytecode. Whoever imported
        the module before keeps what they have.

    Raises
    ------
    InputError
        If the name has another form, or the file, the module or the name in it is not there.
    UserCodeError
        If importing it raises.

    Examples
    --------
    >>> load_object("math:pi", "number", "a number is named MODULE:NAME").value
    3.141592653589793
    """
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not attribute:
        raise InputError(f"{form}, got {name!r}")
    is_file = where.endswith(".py")
    folders = (
        (str(Path(where).resolve().parent), str(Path.cwd())) if is_file else (str(Path.cwd()),)
    )
    with importable(folders):
        module, digest = (
            _from_file(Path(where), what) if is_file else _from_name(where, what, as_it_is)
        )
    value: object = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            known = [key for key in vars(module) if fits(getattr(module, key, None))]
            raise nearest(
                part, [key for key in known if not key.startswith("_")], f"name in {where}"
            )
        value = getattr(value, part)
    return UserObject(value, folders, digest)


def user_error(what: str, raised: BaseException) -> UserCodeError:
    """One line for what the user's code raised: type, message, and the user's own last line."""
    text = " ".join(str(raised).split()) or "no message"
    text = text if len(text) <= 300 else text[:297] + "..."
    frames = traceback.extract_tb(raised.__traceback__)
    ours = str(Path(__file__).parents[1])
    own = [f for f in frames if "site-packages" not in f.filename and ours not in f.filename]
    place = f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    return UserCodeError(
        f"{what} raised {type(raised).__name__}: {text}{place} (--traceback shows it)"
    )


class _AsItIs(SourceFileLoader):
    """Loads a file as it is now, without cached bytecode, and keeps the digest of what it read."""

    digest = ""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Say that nothing is known of the file's age, so that no bytecode is read or written."""
        raise OSError(path)

    def get_data(self, path: str) -> bytes:
        """The file's content."""
        content = super().get_data(path)
        self.digest = hashlib.sha256(content).hexdigest()
        return content


def _from_file(path: Path, what: str) -> tuple[ModuleType, str]:
    if not path.is_file():
        raise InputError(f"the file of a {what} must exist, got {path}")
    name = f"tfixup_user_{path.stem}"
    loader = _AsItIs(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise InputError(f"the file of a {what} must be a Python file, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as raised:
        del sys.modules[name]
        raise user_error(f"importing {path}", raised) from raised
    return module, loader.digest


def _from_name(name: str, what: str, as_it_is: bool) -> tuple[ModuleType, str]:
    try:
        spec = importlib.util.find_spec(name) if as_it_is else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            return _source_as_it_is(spec)
        module = importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name and (name == missing.name or name.startswith(missing.name + ".")):
            raise InputError(
                f"the module of a {what} must be importable, and there is no {missing.name!r}"
            ) from None
        raise user_error(f"importing {name}", missing) from missing
    except (Exception, SystemExit) as raised:
        raise user_error(f"importing {name}", raised) from raised
    source = Path(module.__file__ or "") if hasattr(module, "__file__") else Path()
    content = source.read_bytes() if source.is_file() else b""
    return module, hashlib.sha256(content).hexdigest()


def _source_as_it_is(found: ModuleSpec) -> tuple[ModuleType, str]:
    """A module that runs the source as it is now; one that was imported before is put back."""
    loader = _AsItIs(found.name, str(found.origin))
    spec = importlib.util.spec_from_file_location(
        found.name,
        found.origin,
        loader=loader,
        submodule_search_locations=found.submodule_search_locations,
    )
    assert spec is not None  # A loader is given.
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.pop(found.name, None)
    sys.modules[found.name] = module  # dataclasses look their module up there
    try:
        loader.exec_module(module)
        return sys.modules[found.name], loader.digest  # A module may put another in its place.
    except (Exception, SystemExit):
        del sys.modules[found.name]
        raise
    finally:
        if before is not None:
            sys.modules[found.name] = before


@contextmanager
def importable(folders: tuple[str, ...]) -> Iterator[None]:
    """Let the user's code import what lies beside it and in the current directory."""
    new = [folder for folder in folders if folder not in sys.path]
    sys.path[:0] = new
    try:
        yield
    finally:
        for folder in new:
            if folder in sys.path:
                sys.path.remove(folder)
