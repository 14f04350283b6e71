"""How the words of a command line become a command, with help that fits the terminal.

The parser is tyro. Three things are added. An option that may be left out is shown by the kind of
its value, ``PATH`` and not ``{None}|PATH``. The prose of a command's help is broken between words
at the width of the terminal. The help of an option is running text.
"""

import io
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import tyro
from tyro.conf import arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from numerics.cli.option_help import join_lines
from theory.errors import InputError

METAVARS: Mapping[type, str] = {str: "STR", int: "INT", float: "FLOAT", Path: "PATH"}
"""The kinds of values that an option may have, as the help shows them."""
WIDEST = 100
"""Characters of a line of prose in the help, also on a wider terminal."""

_EMPTY = re.compile(r"--[\w-]+=")

_registry = ConstructorRegistry()


@_registry.primitive_rule
def _optional(found: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """One value of a plain kind, or nothing: ``None`` cannot be typed, only left out."""
    if get_origin(found.type) not in (Union, UnionType):
        return None
    kinds = [kind for kind in get_args(found.type) if kind is not type(None)]
    if len(kinds) != 1 or len(get_args(found.type)) != 2 or kinds[0] not in METAVARS:
        return None
    (kind,) = kinds
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=METAVARS[kind],
        instance_from_str=lambda words: kind(words[0]),
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: ["none" if value is None else str(value)],
    )


class _Held(io.StringIO):
    """Holds what is printed, and answers for terminal and encoding like the stream it replaces."""

    def __init__(self, stands_for: Any) -> None:
        super().__init__()
        self._stands_for = stands_for

    def isatty(self) -> bool:
        return self._stands_for.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stands_for, "encoding", None) or "utf-8"


def parsed(kind: Any, prog: str, arguments: Sequence[str], description: str | None = None) -> Any:
    """The command that ``arguments`` describe; exits with 2 if they are malformed, 0 after help.

    Parameters
    ----------
    kind
        A command's class, or the union of all.
    prog
        How the command is called, such as ``tfixup solve``.
    arguments
        The words after it.
    description
        What the help says first; the docstring of the class unless given.

    Raises
    ------
    InputError
        If a word is empty.
    """
    _refuse_empty(arguments)
    if not {"-h", "--help"}.isdisjoint(arguments):
        join_lines(kind)
    held = _Held(sys.stdout)
    root: Any = Annotated[kind, arg(name="")]
    try:
        with redirect_stdout(held):
            return tyro.cli(
                root,
                prog=prog,
                description=description,
                args=list(arguments),
                registry=_registry,
            )
    finally:
        width = min(shutil.get_terminal_size().columns, WIDEST)
        print(wrapped(held.getvalue(), width), end="")


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Raise at an empty word: as a path it would be the working directory, as a name any name."""
    for before, word in zip(("", *arguments), arguments, strict=False):
        name = before if word == "" and before.startswith("--") else word
        if word == "" or _EMPTY.fullmatch(word):
            shown = name.strip("-=") or "an argument"
            raise InputError(f"{shown} needs a value, got an empty one: leave it out")


def wrapped(text: str, width: int) -> str:
    r"""The same text with lines that are too long broken between words.

    Examples
    --------
    >>> print(wrapped("usage: one [-h]\n\nOne sentence of some words, too long for a line.\n", 40))
    usage: one [-h]
    <BLANKLINE>
    One sentence of some words, too long for
    a line.
    <BLANKLINE>
    """
    return "\n".join(
        line
        if len(line) <= width or not line[0].isalpha()
        else textwrap.fill(line, max(width, 40), break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )
