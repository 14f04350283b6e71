"""Checksums that travel with what they protect, so that a changed byte is an error, not a number.

A *sealed file* ends with a line that holds the SHA-256 of all bytes before it. A *sealed JSON
object* has a field ``sha256`` over its other fields. A file that other programs read, such as a
Parquet table, cannot carry either; its digest stands in the sealed object beside it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from numerics.stores.files import jsonable, read_json, write_json
from theory.errors import InputError

_LABEL = b"\ntfixup-sha256:"
_FOOTER = len(_LABEL) + 64
FIELD = "sha256"


class DamagedError(InputError):
    """What was read is not what was written."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(content: bytes) -> bytes:
    """``content`` with its checksum behind it.

    Examples
    --------
    >>> opened(sealed(b"weights"))
    b'weights'
    """
    return content + _LABEL + hashlib.sha256(content).hexdigest().encode()


def is_sealed(content: bytes) -> bool:
    """Whether there is a checksum at the end; files of earlier versions have none."""
    return content[-_FOOTER:].startswith(_LABEL)


def opened(content: bytes) -> bytes:
    """The content without its checksum.

    Raises
    ------
    DamagedError
        If the checksum is another one, or is cut off.
    """
    if not is_sealed(content):
        raise DamagedError("it has no checksum at its end")
    body, footer = content[:-_FOOTER], content[-64:]
    if hashlib.sha256(body).hexdigest().encode() != footer:
        raise DamagedError("its checksum is another one")
    return body


def sealed_object(content: Mapping[str, object]) -> dict[str, object]:
    """A JSON object with the checksum of its other fields in the field ``sha256``.

    Examples
    --------
    >>> whole = sealed_object({"loss": 1.5})
    >>> check_object(whole, "outcome.json")
    >>> whole["sha256"][:8]
    'e07c0495'
    """
    plain = jsonable({key: value for key, value in content.items() if key != FIELD})
    assert isinstance(plain, dict)
    return {**plain, FIELD: _digest(plain)}


def check_object(content: Mapping[str, object], what: str) -> None:
    """Raise if a sealed object was changed; one without a checksum is of an earlier version.

    Raises
    ------
    DamagedError
        If the checksum belongs to other fields.
    """
    told = content.get(FIELD)
    if told is None:
        return
    plain = {key: value for key, value in content.items() if key != FIELD}
    if told != _digest(plain):
        raise DamagedError(
            f"{what} was changed after it was written: its checksum belongs to other content"
        )


def write_sealed(path: Path, content: Mapping[str, object]) -> None:
    """Write a sealed JSON object, whole or not at all; NaN and infinities become strings.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "outcome.json"
    >>> write_sealed(target, {"loss": 1.5})
    >>> read_sealed(target, "an outcome")["loss"]
    1.5
    """
    write_json(path, sealed_object(content))


def read_sealed(path: Path, what: str) -> dict[str, object]:
    """The JSON object in a file, its checksum compared; ``what`` says what was expected.

    A file without a checksum was written by an earlier version or by hand, and is read as it is.

    Raises
    ------
    InputError
        If the file is missing, is not JSON, or is not an object.
    DamagedError
        If the checksum belongs to other content.
    """
    content = read_json(path, what)
    check_object(content, str(path))
    return content


def check_file(path: Path, digests: Mapping[str, object], remedy: str) -> None:
    """Raise if a file is not the one whose digest is recorded; without a record, nothing is said.

    A record may list several digests, of which one must match: a file and its record cannot be
    replaced in one step, so the new digest is recorded beside the old one first. ``remedy`` says
    what the user can do.

    Raises
    ------
    DamagedError
        If the file's digest is not among those recorded for its name.
    """
    told = digests.get(path.name)
    if told is None:
        return
    accepted = told if isinstance(told, list) else [told]
    if sha256_of(path) not in accepted:
        raise DamagedError(f"{path} was changed after it was written: {remedy}")


def _digest(plain: Mapping[str, object]) -> str:
    text = json.dumps(plain, sort_keys=True, allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
