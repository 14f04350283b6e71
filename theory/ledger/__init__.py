"""The rows of the ledger, a file a paper."""

from theory.claims import Claim
from theory.errors import nearest
from theory.ledger import admin, baselines, modern, ours, radam, tfixup, xiong

LEDGER: tuple[Claim, ...] = tuple(
    row for source in (tfixup, xiong, admin, radam, baselines, modern, ours) for row in source.ROWS
)
"""Every claim, in the order of the papers."""


def claim_named(identifier: str) -> Claim:
    """The row of that id; an unknown id is an error that offers the nearest.

    Examples
    --------
    >>> claim_named("tfixup.eq1").where
    'Eq. 1'
    """
    rows = {claim.id: claim for claim in LEDGER}
    if identifier not in rows:
        raise nearest(identifier, rows, "claim")
    return rows[identifier]
