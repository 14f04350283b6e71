"""Runs the ledger's providers and computes every verdict: the main job.

Providers run in parallel processes. One that raises is reported as a check that could not be
made, which is never taken for a pass.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from numerics.executors import Local, outcomes
from numerics.stores.provenance import commit, versions
from numerics.stores.seals import read_sealed
from proofs import providers as proofs
from theory.arguments import PROVIDERS as DERIVATIONS
from theory.claims import (
    Claim,
    Context,
    Control,
    Evidence,
    Kind,
    Level,
    Provider,
    Reading,
    Verdict,
    verdict,
)
from theory.errors import InputError, words_of
from theory.ledger import LEDGER, unknown_claim


def providers() -> tuple[Provider, ...]:
    """Every provider: derivations, proofs, measurements, training."""
    from numerics.evidence import PROVIDERS as OBSERVATIONS

    return (*DERIVATIONS, *proofs(), *OBSERVATIONS)


def providers_by_name() -> dict[str, Provider]:
    """Every provider under its unique name, in the order of `providers`."""
    every = providers()
    named = {provider.name: provider for provider in every}
    assert len(named) == len(every), "two providers have one name"
    return named


@dataclass(frozen=True)
class ProviderJob:
    """One provider, by the name under which a worker process finds it."""

    name: str
    context: Context

    def run(self) -> tuple[Evidence, ...]:
        """Run the provider; an exception becomes evidence that decides nothing."""
        provider = providers_by_name()[self.name]
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
    patterns = words_of("claims", pattern)
    for word in patterns:
        if not any(_matches(claim, word) for claim in LEDGER):
            raise unknown_claim(word)
    return tuple(claim for claim in LEDGER if any(_matches(claim, word) for word in patterns))


def _matches(claim: Claim, word: str) -> bool:
    return fnmatch(claim.id, word) or fnmatch(claim.id.partition(".")[2], word)


def verify(
    claims: str | tuple[Claim, ...] = "*",
    context: Context | None = None,
    *,
    workers: int = 1,
    on_done: Callable[[int, int, Sequence[str]], None] | None = None,
    on_decided: Callable[[Verdict], None] | None = None,
) -> tuple[Verdict, ...]:
    """Run every provider that speaks about ``claims`` and compute their verdicts.

    Parameters
    ----------
    claims
        Rows of the ledger, or a pattern of ids as `selected` takes it.
    context
        Level, seed, recorded results, device; the quick level unless given.
    workers
        Processes.
    on_done
        Called with (finished, total, claims) as each provider finishes.
    on_decided
        Called with each verdict as soon as the last provider that speaks about its claim finished.
    """
    if isinstance(claims, str):
        claims = selected(claims)
    context = context or Context()
    wanted = {claim.id for claim in claims}
    known = providers_by_name()
    jobs = [
        ProviderJob(name, context)
        for name, provider in known.items()
        if wanted & set(provider.claims)
        and (provider.level is Level.QUICK or context.level is Level.FULL)
    ]
    found: dict[str, tuple[Evidence, ...]] = {}
    decided: dict[str, Verdict] = {}

    def decide() -> None:
        """Give each claim its verdict once no check is open that may speak about it."""
        open_ = {claim for job in jobs if job.name not in found for claim in known[job.name].claims}
        for claim in claims:
            if claim.id not in open_ | decided.keys():
                decided[claim.id] = verdict(claim, _in_order(found, known))
                if on_decided is not None:
                    on_decided(decided[claim.id])

    decide()
    for job, outcome in outcomes(ProviderJob.run, jobs, Local(workers)):
        if isinstance(outcome, Exception):
            outcome = unmade(known[job.name], outcome)
        found[job.name] = outcome
        if on_done is not None:
            on_done(len(found), len(jobs), known[job.name].claims)
        decide()
    return tuple(decided[claim.id] for claim in claims)


def _in_order(found: Mapping[str, tuple[Evidence, ...]], names: Iterable[str]) -> list[Evidence]:
    """The evidence so far, in the order of the providers whichever finished first."""
    return [item for name in names for item in found.get(name, ())]


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


def from_document(
    path: Path, claims: tuple[Claim, ...] = LEDGER
) -> tuple[Context, tuple[Verdict, ...]]:
    """The verdicts on ``claims`` from a JSON document that `as_document` made.

    Each verdict is computed again from the stored evidence, by the rule as it is now.

    Raises
    ------
    InputError
        If the file is no such document.
    """
    document: dict[str, Any] = read_sealed(path, "verdicts")
    try:
        level, seed = Level(document["level"]), int(document["seed"])
        stored = {row["id"]: row["evidence"] for row in document["claims"]}
        evidence = [_stored_evidence(item) for items in stored.values() for item in items]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} must be what verify --json writes: {error!r}") from None
    told = tuple(verdict(claim, evidence) for claim in claims if claim.id in stored)
    return Context(level, seed), told


def _stored_evidence(item: dict[str, Any]) -> Evidence:
    known = {entry.name for entry in fields(Evidence)}
    values = {name: value for name, value in item.items() if name in known}
    interval = values.get("interval")
    return Evidence(
        **values
        | {
            "kind": Kind(values["kind"]),
            "reading": Reading(values["reading"]),
            "control": Control(**values["control"]),
            "interval": None if interval is None else (float(interval[0]), float(interval[1])),
        }
    )
