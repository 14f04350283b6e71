"""The one exception for input that breaks a stated rule, and the rules that raise it."""

import difflib
import importlib
from collections.abc import Iterable
from typing import Any

_SHORT_LIST = 12
"""Names that an error shows in full."""
_LONGEST_NAME = 60
"""Letters of an unknown name that an error repeats."""
_LISTED = ("claim", "scheme", "experiment", "recipe")
"""What ``tfixup list`` prints."""
_OPTIMIZERS = "tfixup list optimizers shows which command knows which"


class InputError(ValueError):
    """A rule was broken by the caller; the message names the rule and the offending value.

    The command line prints it as one line and exits with code 2, before any work starts.
    """


def nearest(name: str, known: Iterable[str], what: str) -> InputError:
    """Error for an unknown ``name``, offering the closest of ``known``.

    A short list is shown whole. Of a long one the three closest are offered, and the command that
    prints it where there is one.

    Examples
    --------
    >>> print(nearest("tfixpu", ["tfixup", "xavier"], "scheme"))
    unknown scheme 'tfixpu': did you mean 'tfixup'? (known: tfixup, xavier)
    >>> print(nearest("eq66", ["eq6", *(f"name{i}" for i in range(30))], "claim"))
    unknown claim 'eq66': did you mean 'eq6'? (tfixup list claims shows all 31)
    >>> print(nearest("slove", ["solve", *(f"name{i}" for i in range(30))], "command"))
    unknown command 'slove': did you mean 'solve'? (tfixup --help shows all 31)
    """
    names = sorted(known)
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
    close = difflib.get_close_matches(name[:_LONGEST_NAME], names, n=3)
    words = [repr(word) for word in close]
    offer = f": did you mean {' or '.join(words)}?" if words else ""
    if len(names) <= _SHORT_LIST:
        rest = f"known: {', '.join(names)}"
        if what == "optimizer":
            rest += f"; {_OPTIMIZERS}"
    elif what == "optimizer":
        rest = _OPTIMIZERS
    elif what == "command":
        rest = f"tfixup --help shows all {len(names)}"
    elif what in _LISTED:
        rest = f"tfixup list {what}s shows all {len(names)}"
    else:
        rest = f"one of {len(names)}, such as {', '.join(names[:3])}"
    return InputError(f"unknown {what} {shown!r}{offer} ({rest})")


def require_positive(**values: int) -> None:
    """Raise unless every named value is an integer of at least 1.

    Examples
    --------
    >>> require_positive(depth=0)
    Traceback (most recent call last):
    ...
    theory.errors.InputError: depth must be an integer of at least 1, got 0
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} must be an integer of at least 1, got {value!r}")


def require_within(low: float, high: float, **values: float) -> None:
    """Raise unless every named value is a finite number between ``low`` and ``high``.

    Examples
    --------
    >>> require_within(0, 1, dropout=float("nan"))
    Traceback (most recent call last):
    ...
    theory.errors.InputError: dropout must be between 0 and 1, got nan
    """
    for name, value in values.items():
        if not low <= value <= high:
            raise InputError(f"{name} must be between {low:g} and {high:g}, got {value!r:.60}")


def words_of(name: str, text: str) -> tuple[str, ...]:
    """The words of a comma-separated list, of which none may be empty or given twice.

    Examples
    --------
    >>> words_of("depths", "1, 2")
    ('1', '2')
    >>> words_of("depths", "1,,2")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: depths must be a comma-separated list without gaps, got '1,,2'
    """
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise InputError(f"{name} must be a comma-separated list without gaps, got {text!r:.60}")
    if len(set(words)) < len(words):
        twice = next(word for word in words if words.count(word) > 1)
        raise InputError(f"{name} must be a list without repetition, got {twice!r:.60} twice")
    return words


def integer_of(name: str, word: str) -> int:
    """The integer that a word of plain digits names.

    Examples
    --------
    >>> integer_of("depths", "1_2")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: depths must be integers in plain digits, got '1_2'
    """
    if not (word.isascii() and word.isdecimal()) or len(word) > _LONGEST_NAME:
        raise InputError(f"{name} must be integers in plain digits, got {word!r:.60}")
    return int(word)


def extra(module: str, name: str = "train") -> Any:
    """Import a module of the extra ``name``.

    Raises
    ------
    InputError
        If it is not installed; the message says how to install it in the checkout.

    Examples
    --------
    >>> extra("no_such_module")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: no_such_module is not installed: pip install -e '.[train]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        # No index offers this package, and another one there may bear its name.
        raise InputError(f"{missing} is not installed: pip install -e '.[{name}]'") from None
