"""Runs the ledger's providers and computes every verdict: the main job.

Providers run in parallel processes. One that raises is reported as a check that could not be
made, which is never taken for a pass.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from fnmatch import fnmatch

from numerics.executors import Local, outcomes
from numerics.results import commit, versions
from proofs import providers as proofs
from theory.arguments import PROVIDERS as DERIVATIONS
from theory.claims import (
    Claim,
    Context,
    Control,
    Evidence,
    Level,
    Provider,
    Verdict,
    verdict,
)
from theory.ledger import LEDGER, unknown_claim


def providers() -> tuple[Provider, ...]:
    """Every provider: derivations, proofs, measurements, training."""
    from numerics.evidence import PROVIDERS as OBSERVATIONS

    return (*DERIVATIONS, *proofs(), *OBSERVATIONS)


@dataclass(frozen=True)
class Job:
    """One provider, named by its position so that a worker process can find it."""

    position: int
    context: Context

    def run(self) -> tuple[Evidence, ...]:
        """Run the provider; an exception becomes evidence that decides nothing."""
        provider = providers()[self.position]
        try:
            return provider(self.context)
        except Exception as failure:
            return unmade(provider, failure)


def selected(pattern: str) -> tuple[Claim, ...]:
    """Claims whose id matches a shell pattern, or one of several separated by commas.

    A pattern may leave out the paper, as the tables do.

    Examples
    --------
    >>> [claim.id for claim in selected("eq1")]
    ['tfixup.eq1']
    >>> [claim.id for claim in selected("tfixup.eq[67],ours.*-scale")]
    ['tfixup.eq6', 'tfixup.eq7', 'ours.adam-scale']
    """
    patterns = [word.strip() for word in pattern.split(",")]
    for word in patterns:
        if not any(_matches(claim, word) for claim in LEDGER):
            raise unknown_claim(word)
    return tuple(claim for claim in LEDGER if any(_matches(claim, word) for word in patterns))


def _matches(claim: Claim, word: str) -> bool:
    return fnmatch(claim.id, word) or fnmatch(claim.id.partition(".")[2], word)


def verify(
    claims: tuple[Claim, ...],
    context: Context,
    *,
    workers: int,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[Verdict, ...]:
    """Run every provider that speaks about ``claims`` and compute their verdicts.

    Parameters
    ----------
    claims
        Rows of the ledger.
    context
        Level, seed, recorded results, device.
    workers
        Processes.
    on_done
        Called with (finished, total) as providers finish.
    """
    wanted = {claim.id for claim in claims}
    jobs = [
        Job(position, context)
        for position, provider in enumerate(providers())
        if wanted & set(provider.claims)
        and (provider.level is Level.QUICK or context.level is Level.FULL)
    ]
    found: dict[int, tuple[Evidence, ...]] = {}
    for job, outcome in outcomes(Job.run, jobs, Local(workers)):
        if isinstance(outcome, Exception):
            outcome = unmade(providers()[job.position], outcome)
        found[job.position] = outcome
        if on_done is not None:
            on_done(len(found), len(jobs))
    evidence = [item for position in sorted(found) for item in found[position]]
    return tuple(verdict(claim, evidence) for claim in claims)


def unmade(provider: Provider, failure: Exception) -> tuple[Evidence, ...]:
    """Evidence that decides nothing, for a check that could not be made."""
    return tuple(
        Evidence(
            claim,
            provider.kind,
            None,
            f"the check could not be made: {type(failure).__name__}: {failure}",
            Control("none was reached", False),
        )
        for claim in provider.claims
    )


def as_document(verdicts: tuple[Verdict, ...], context: Context) -> dict[str, object]:
    """The JSON document: environment, and every claim with its verdict and evidence."""
    return {
        "version": versions()["tfixup"],
        "level": str(context.level),
        "seed": context.seed,
        "environment": versions() | {"commit": commit(), "device": context.device},
        "claims": [_claim_document(item) for item in verdicts],
    }


def _claim_document(item: Verdict) -> dict[str, object]:
    claim = item.claim
    return {
        "id": claim.id,
        "paper": claim.paper,
        "where": claim.where,
        "statement": claim.statement,
        "assumptions": claim.assumptions,
        "verdict": str(item.outcome),
        "summary": item.qualification,
        "expected": None if claim.expected is None else str(claim.expected),
        "evidence": [asdict(evidence) for evidence in item.evidence],
    }
