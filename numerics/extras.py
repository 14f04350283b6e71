"""Libraries of the extras of ``pyproject.toml``, asked for only when they are used."""

import importlib
from typing import Any

from theory.errors import InputError


def extra(module: str, name: str = "train") -> Any:
    """Import a module of the extra ``name``.

    Raises
    ------
    InputError
        If it is not installed; the message says how to install it.

    Examples
    --------
    >>> extra("no_such_module")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: no_such_module is not installed: pip install 'tfixup[train]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        raise InputError(f"{missing} is not installed: pip install 'tfixup[{name}]'") from None
