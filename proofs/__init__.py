"""Statements checked by machine: interval enclosures and SMT solvers.

The solvers come with the extra ``proofs``. Without them there are no proof providers, and
`MISSING` names what to install; an unchecked statement is never shown as proved.
"""

from importlib.util import find_spec

from theory.claims import Provider

MISSING = tuple(
    distribution
    for module, distribution in (("flint", "python-flint"), ("z3", "z3-solver"))
    if find_spec(module) is None
)
"""Distributions that the proofs need and that are not installed."""


def providers() -> tuple[Provider, ...]:
    """Every provider of proofs that can run here."""
    if MISSING:
        return ()
    from proofs import intervals, smt

    return (*intervals.PROVIDERS, *smt.PROVIDERS)
