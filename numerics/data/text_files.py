"""Reads a user's own folder of parallel text: ``train``, ``val`` and any ``test*``, two files each.

``train.de`` and ``train.en`` hold one sentence per line, in UTF-8. Line i of one file translates
line i of the other. Each file may be compressed, as ``train.de.gz``.
"""

import gzip
import zlib
from pathlib import Path

from numerics.data.corpus import Corpus, ParallelText
from theory.errors import InputError

LARGEST = 2**30
"""Bytes of one file's text: more does not fit the memory that training needs beside it."""
LEAST = 2
"""Sentences of a file: the interval of a mean over sentences needs two."""


def read_text_folder(folder: Path) -> Corpus:
    """Read ``train``, ``val`` and every ``test*`` pair of a folder.

    Raises
    ------
    InputError
        If the folder or a side is missing, a file is unreadable, too large, blank, of fewer than
        two lines, or of line ends of carriage returns alone, a line is not UTF-8, or two sides
        differ in length. The message names the file, the value and the rule.
    """
    if not folder.is_dir():
        raise InputError(f"data text:DIR needs a folder, got {folder}")
    stems = {_stem(path) for side in ("de", "en") for path in folder.glob(f"test*.{side}*")}
    tests = {stem: _read_pair(folder, stem) for stem in sorted(stems - {""})}
    train, validation = _read_pair(folder, "train"), _read_pair(folder, "val")
    for stem, pairs in (("train", train), ("val", validation)):
        if len(pairs) < LEAST:
            raise InputError(
                f"{folder}/{stem}.* must hold {LEAST} sentences or more, got {len(pairs)}"
            )
    return Corpus("text", train, validation, tests)


def _stem(path: Path) -> str:
    plain = path.name.removesuffix(".gz")
    return plain[:-3] if plain.endswith((".de", ".en")) else ""


def _read_pair(folder: Path, stem: str) -> ParallelText:
    de, en = _find(folder, stem, "de"), _find(folder, stem, "en")
    sources, targets = _read_lines(de), _read_lines(en)
    if len(sources) != len(targets):
        raise InputError(
            f"{de.name} and {en.name} must have as many lines, "
            f"got {len(sources)} and {len(targets)}"
        )
    return ParallelText(sources, targets)


def _find(folder: Path, stem: str, side: str) -> Path:
    for name in (f"{stem}.{side}.gz", f"{stem}.{side}"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} must hold {stem}.{side} or {stem}.{side}.gz, and holds neither")


def _read_lines(path: Path) -> tuple[str, ...]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            # A few megabytes of gzip may hold a thousand times as much.
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} must be a readable file: {error}") from None
    if len(content) > LARGEST:
        raise InputError(f"{path} must hold at most {LARGEST >> 20} MiB of text, and holds more")
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if not lines:
        raise InputError(f"{path} must hold at least one sentence, and is empty")
    if not any(line.strip() for line in lines):
        raise InputError(f"{path} must hold sentences, got {len(lines)} blank lines")
    for number, line in enumerate(lines, start=1):
        if b"\r" in line[:-1]:
            raise InputError(
                f"{path}, line {number}: lines must end in \\n or \\r\\n, got \\r alone"
            )
    return tuple(_decode(line, path, number) for number, line in enumerate(lines, start=1))


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {number}: every line must be UTF-8, "
            f"got the byte {line[error.start]:#04x} at column {error.start + 1}"
        ) from None
