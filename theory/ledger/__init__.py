"""The rows of the ledger, one file per paper."""

from difflib import get_close_matches

from theory.claims import Claim
from theory.errors import InputError, nearest
from theory.ledger import (
    admin,
    baselines,
    libraries,
    modern,
    ours,
    radam,
    tfixup,
    transfer,
    xiong,
)

LEDGER: tuple[Claim, ...] = tuple(
    row
    for source in (tfixup, xiong, admin, radam, baselines, modern, transfer, libraries, ours)
    for row in source.ROWS
)
"""Every claim, in the order of the papers."""


def claim_named(identifier: str) -> Claim:
    """The row of that id, whole or without its paper; an unknown id offers the nearest.

    Raises
    ------
    InputError
        If no row has the id, or rows of several papers have it.

    Examples
    --------
    >>> claim_named("tfixup.eq1").where, claim_named("eq1").id
    ('Eq. 1', 'tfixup.eq1')
    """
    rows = [claim for claim in LEDGER if identifier in (claim.id, claim.id.partition(".")[2])]
    if len(rows) > 1:
        several = ", ".join(claim.id for claim in rows)
        raise InputError(f"claim {identifier!r} is ambiguous: it may be one of {several}")
    if not rows:
        raise unknown_claim(identifier)
    return rows[0]


def unknown_claim(identifier: str) -> InputError:
    """The error for an id that no row has, with the nearest id, whole or without its paper."""
    known = [claim.id for claim in LEDGER]
    names = {claim.id.partition(".")[2]: claim.id for claim in reversed(LEDGER)}
    short = get_close_matches(identifier, names, n=1)
    if "." in identifier or not short:
        return nearest(identifier, known, "claim")
    return InputError(f"unknown claim {identifier!r}: did you mean {names[short[0]]!r}?")
