"""The derivations that argue for or against each claim: the ledger's D column, one file per paper.

``tfixup derive`` prints arguments; `PROVIDERS` turns them into evidence.
"""

from collections.abc import Iterator
from functools import partial

from theory.arguments import admin, baselines, modern, ours, radam, tfixup, xiong
from theory.arguments.argument import Argument as Argument
from theory.claims import Context, Evidence, Kind, Level, Provider
from theory.derivations.derivation import Derivation
from theory.ledger import claim_named

ARGUMENTS: tuple[Argument, ...] = tuple(
    argument
    for source in (tfixup, xiong, admin, radam, baselines, modern, ours)
    for argument in source.ARGUMENTS
)


def arguments_about(claim: str) -> tuple[Argument, ...]:
    """Every derivation that speaks about a claim."""
    return tuple(argument for argument in ARGUMENTS if argument.claim == claim)


def derive(claim: str) -> tuple[Derivation, ...]:
    """The derivations that speak about a claim, built and not yet checked.

    Raises
    ------
    InputError
        If no row of the ledger has this id.

    Examples
    --------
    >>> [derivation.claim for derivation in derive("tfixup.encoder-scale")]
    ['tfixup.encoder-scale']
    """
    claim_named(claim)
    return tuple(argument.build() for argument in arguments_about(claim))


def _provide(claim: str, context: Context) -> Iterator[Evidence]:
    del context
    for argument in arguments_about(claim):
        yield argument.evidence()


PROVIDERS = tuple(
    Provider(
        (claim,), Kind.DERIVATION, Level.QUICK, partial(_provide, claim), f"{__name__}.{claim}"
    )
    for claim in dict.fromkeys(argument.claim for argument in ARGUMENTS)
)
"""One provider of derivations per claim."""
