"""The one exception for input that breaks a stated rule."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A rule was broken by the caller; the message names the rule and the offending value.

    The command line prints it as one line and exits with code 2, before any work starts.
    """


def nearest(name: str, known: Iterable[str], what: str) -> InputError:
    """Error for an unknown ``name``, offering the closest of ``known``.

    Examples
    --------
    >>> print(nearest("tfixpu", ["tfixup", "xavier"], "scheme"))
    unknown scheme 'tfixpu': did you mean 'tfixup'? (known: tfixup, xavier)
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    offer = f" did you mean {close[0]!r}?" if close else ""
    return InputError(f"unknown {what} {name!r}:{offer} (known: {', '.join(names)})")


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
