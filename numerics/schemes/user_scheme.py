"""A scheme of the user's own, named ``MODULE:NAME`` or ``PATH.py:NAME``.

What was measured with a scheme must not depend on what its file says later. A name is therefore
*pinned* before work starts: ``my.py:HALVED`` becomes ``my.py:HALVED@1f2e3d4c``. The digits are the
first of the SHA-256 of the file. A pinned name whose file has changed is refused. What the file
imports is not part of the digest.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from numerics.models.spec import ModelSpec
from numerics.models.user_code import UserObject, load_object, user_error
from numerics.schemes.scheme import Scheme
from theory.errors import InputError

_FORM = "MODULE:NAME or PATH.py:NAME"
DIGITS = 8
"""Hexadecimal digits of the SHA-256 in a pinned name."""


@dataclass(frozen=True)
class UserSchemeName:
    """The parts of a name such as ``my.py:HALVED@1f2e3d4c:std=0.1``."""

    place: str
    """``MODULE:NAME`` or ``PATH.py:NAME``."""
    digest: str
    """The pinned digits, or nothing."""
    settings: tuple[str, ...]
    """What is changed, as ``KEY=NUMBER``."""

    @property
    def text(self) -> str:
        """The name as it is written."""
        pin = f"@{self.digest}" if self.digest else ""
        return ":".join((self.place + pin, *self.settings))


def user_scheme_name(name: str) -> UserSchemeName | None:
    """The parts of a user's name; ``None`` where the name has another form.

    Examples
    --------
    >>> user_scheme_name("my.py:HALVED@1f2e3d4c:std=0.1").settings
    ('std=0.1',)
    >>> user_scheme_name("gpt2:std=0.1") is None
    True
    """
    where, *words = name.split(":")
    if not where or not words or not words[0] or "=" in words[0]:
        return None
    attribute, _, digest = words[0].partition("@")
    return UserSchemeName(f"{where}:{attribute}", digest, tuple(words[1:]))


def load_user_scheme(name: UserSchemeName) -> Scheme:
    """The scheme of a user's name without its settings.

    Raises
    ------
    InputError
        If there is no such file, module or name, if it is no scheme, or if the name is pinned and
        the file has changed.
    """
    return (_pinned if name.digest else _load)(name.place, name.digest)[0]


def pin(name: UserSchemeName) -> UserSchemeName:
    """The name with the digits of its file."""
    return replace(name, digest=_load(name.place, name.digest)[1][:DIGITS])


def require_prescription(scheme: Scheme, spec: ModelSpec) -> None:
    """Ask a scheme for its numbers, so that an error in its code shows before work starts.

    Raises
    ------
    InputError
        If the scheme is not defined for the model, or names a role that there is not.
    UserCodeError
        If its code raises.
    """
    try:
        scheme.prescribe(scheme.adapt(spec))
    except InputError:
        raise
    except Exception as raised:
        raise user_error(f"the scheme {scheme.name}", raised) from raised


def user_object(name: UserSchemeName, what: str = "scheme") -> object:
    """What stands under a user's name; ``what`` is what messages call it."""
    return _found(name.place, what).value


def _found(place: str, what: str) -> UserObject:
    form = f"a {what} of your own is named {_FORM}"
    return load_object(place, what, form, _is_scheme, as_it_is=True)


def _is_scheme(value: object) -> bool:
    return isinstance(value, Scheme)


def _load(place: str, digest: str) -> tuple[Scheme, str]:
    found = _found(place, "scheme")
    if not isinstance(found.value, Scheme):
        raise InputError(
            f"a scheme must be a tfixup.Scheme, got {place} of type {type(found.value).__name__}"
        )
    if digest and not found.digest.startswith(digest):
        raise InputError(
            f"the file of scheme {place} must be the one that was used, SHA-256 {digest}…, and is "
            f"now {found.digest[:DIGITS]}…: use another folder, or put the file back"
        )
    return found.value, found.digest


# A worker process asks for the same scheme at every task.
_pinned = lru_cache(maxsize=64)(_load)
