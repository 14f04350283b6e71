"""Statements of the theory checked by machine: Coq theorems, interval enclosures, SMT solvers.

The solvers come with the extra ``proofs``, Coq comes from the system. Where one is missing there
are no proofs of its kind, and `hints` says what to install. A statement that was not checked is
never shown as proved. With ``REQUIRE_COQ=1``, a missing Coq counts as a check that could not be
made.
"""

from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING

from theory.claims import Provider
from theory.errors import nearest

if TYPE_CHECKING:
    from proofs.result import Result

KINDS = ("coq", "interval", "smt")

MISSING = tuple(
    distribution
    for module, distribution in (
        ("flint", "python-flint"),
        ("z3", "z3-solver"),
        ("cvc5", "cvc5"),
    )
    if find_spec(module) is None
)
"""Distributions that interval and SMT proofs need and that are not installed."""


def hints() -> tuple[str, ...]:
    """One line per kind of proof that cannot be checked here, with what to install."""
    from proofs import coqc as coq

    lines = []
    if MISSING:
        lines.append(
            f"intervals and SMT were not checked: pip install -e '.[proofs]' ({', '.join(MISSING)})"
        )
    if reason := coq.unusable():
        lines.append(f"Coq theorems were not checked: {reason}")
    return tuple(lines)


def providers() -> tuple[Provider, ...]:
    """Every provider of proofs that can run here; Coq's too where the environment requires it."""
    from proofs import coqc as coq

    theorems = coq.PROVIDERS if coq.required() or not coq.unusable() else ()
    if MISSING:
        return theorems
    from proofs import intervals, smt

    return (*theorems, *intervals.PROVIDERS, *smt.PROVIDERS)


def results(kind: str, *, fresh: bool = False) -> "tuple[Result, ...]":
    """Check every statement of one kind: ``coq``, ``interval`` or ``smt``.

    With ``fresh`` no remembered outcome of Coq is used.

    Raises
    ------
    InputError
        For an unknown kind; the message offers the nearest.

    Examples
    --------
    >>> results("cok")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: unknown kind 'cok': did you mean 'coq'? (known: coq, interval, smt)
    """
    if kind not in KINDS:
        raise nearest(kind, KINDS, "kind")
    if kind == "coq":
        from proofs import bridge
        from proofs import coqc as coq
        from proofs.compilation_cache import default_folder

        return (*coq.check(cache=None if fresh else default_folder()), bridge.check())
    if MISSING:
        return ()
    from proofs import intervals, smt

    return intervals.check() if kind == "interval" else smt.check()


def versions() -> dict[str, str]:
    """Versions of the provers; ``not installed`` where one is missing."""
    from proofs import coqc as coq

    found = {}
    for distribution in ("python-flint", "z3-solver", "cvc5"):
        try:
            found[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            found[distribution] = "not installed"
    return {"coqc": "not installed" if coq.unusable() else coq.version(), **found}
