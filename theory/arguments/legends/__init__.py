"""What every name in a derivation means: a table for each paper, keyed by claim."""

from collections.abc import Mapping

from theory.arguments.legends import admin, baselines, modern, ours, radam, tfixup, xiong

_TABLES: Mapping[str, Mapping[str, str]] = {
    **tfixup.TABLES,
    **xiong.TABLES,
    **admin.TABLES,
    **radam.TABLES,
    **baselines.TABLES,
    **ours.TABLES,
    **modern.TABLES,
}


def meanings(claim: str) -> Mapping[str, str]:
    """Meaning of each name in the derivations about a claim.

    Examples
    --------
    >>> meanings("tfixup.eq6")["N_e"]
    'layers of the encoder'
    """
    return _TABLES[claim]
