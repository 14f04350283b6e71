"""Writes that never leave half a file and never replace anything but a plain file."""

import errno
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path

from theory.errors import InputError

_PART = re.compile(r"\.(?P<name>.+)\.\d+\.part")
"""How `atomically` names a file that is not finished: the target's name and the process."""


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place only if the block succeeds.

    A symbolic link is followed, so that the file behind it is replaced and the link stays. A
    device or a FIFO is not replaced: the content is written into it.

    Raises
    ------
    InputError
        If ``path`` is a folder or a socket.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomically(target) as path:
    ...     _ = path.write_text("whole")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('whole', 1)
    """
    target = followed(path)
    if _is_stream(target):
        yield target
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def followed(path: Path) -> Path:
    """The file that a link means in the end; any other path as it is given.

    Raises
    ------
    InputError
        If the links lead back to themselves.
    """
    return resolved(path) if path.is_symlink() else path


def resolved(path: Path) -> Path:
    """The absolute path behind all links, those of folders included.

    Raises
    ------
    InputError
        If the links lead back to themselves.
    """
    try:
        os.path.realpath(path, strict=True)
    except OSError as error:  # pathlib speaks of a loop in another way in each version of Python
        if error.errno == errno.ELOOP:
            raise InputError(f"{path} is a link that leads back to itself") from None
    return path.resolve()


def require_no_device(path: Path, what: str) -> None:
    """Raise unless a path may be read to its end: a device such as ``/dev/zero`` has none.

    Raises
    ------
    InputError
        If ``path`` is a device.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise InputError(f"{path} must be {what}, and is a device")


def _is_stream(path: Path) -> bool:
    """Whether ``path`` is a device or a FIFO, which one writes into; other kinds are refused."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISREG(mode):
        return False
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        return True
    raise InputError(f"an output must be a file, and {path} is a {_kind(mode)}")


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISSOCK, "socket"), (stat.S_ISBLK, "block device"))
    return next((name for test, name in kinds if test(mode)), "special file")


def require_writable(path: Path) -> None:
    """Raise before any work unless a file can be written at ``path``; nothing is left behind.

    Missing folders above it are an error: a misspelt path would otherwise make a tree.

    Raises
    ------
    InputError
        If ``path`` is empty, is a folder, lies below something that is not a folder or does not
        exist, or may not be written.
    """
    if str(path) in ("", "."):
        raise InputError("an output must be a file's name, got an empty one")
    try:
        target = followed(path)
        if _is_stream(target):
            return
        probe = target.with_name(f".{target.name}.{os.getpid()}.part")
        probe.touch()
        probe.unlink()
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(13, "not writable", str(target))
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror or error}") from None


def require_utf8(path: Path) -> None:
    r"""Raise unless the name can be written as UTF-8, which the Parquet writer demands.

    Examples
    --------
    >>> require_utf8(Path("Größe"))
    >>> require_utf8(Path(chr(0xDCFF)))
    Traceback (most recent call last):
    ...
    theory.errors.InputError: the name of a folder must be valid UTF-8, got '\udcff'
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"the name of a folder must be valid UTF-8, got {str(path)!a}") from None


def require_folder(path: Path) -> None:
    """Raise before any work unless files can be written into a folder at ``path``.

    The folder and those above it may be missing: they are tried, and nothing is left behind.

    Raises
    ------
    InputError
        If ``path`` is empty, is a file, lies below one, or may not be written.
    """
    if str(path) in ("", "."):
        raise InputError("out must be a folder of its own, got the working directory")
    require_utf8(path)
    made = []
    try:
        made = [one for one in (path, *path.parents) if not one.exists()]
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe.{os.getpid()}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror or error}") from None
    finally:
        for one in made:
            with suppress(OSError):
                one.rmdir()


def leftover_of(name: str) -> str | None:
    """The file that an unfinished file was meant to become; ``None`` if it is not one of ours.

    Examples
    --------
    >>> leftover_of(".config.json.123.part"), leftover_of(".thesis.part")
    ('config.json', None)
    """
    found = _PART.fullmatch(name)
    return found["name"] if found else None


def write_json(path: Path, content: object) -> None:
    """Write ``content`` as JSON, whole or not at all; NaN and infinities become strings."""
    with atomically(path) as temporary:
        temporary.write_text(json.dumps(jsonable(content), indent=1, allow_nan=False) + "\n")


def read_json(path: Path, what: str) -> dict[str, object]:
    """The JSON object in a file.

    Raises
    ------
    InputError
        If the file is missing, is not JSON, or is not an object; ``what`` says what was expected.
    """
    require_no_device(path, "a JSON file")
    try:
        content = json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path.parent} must hold {what}, has no {path.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} must be a JSON file: {_first_line(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} must be a JSON object, got {type(content).__name__}")
    return content


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def jsonable(value: object) -> object:
    """``value`` with dataclasses, paths and non-finite numbers made fit for strict JSON.

    Examples
    --------
    >>> jsonable({"a": float("inf"), "b": (1, Path("x"))})
    {'a': 'inf', 'b': [1, 'x']}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
