import json

import pytest

from numerics import verify as module
from numerics.stores.files import jsonable
from numerics.verify import ProviderJob, as_document, providers, selected, unmade, verify
from theory.claims import Context, Control, Evidence, Kind, Level, Outcome, Provider
from theory.errors import InputError


def test_claims_are_selected_by_pattern_and_unknown_ones_refused():
    assert [claim.id for claim in selected("tfixup.eq[678]")] == [
        "tfixup.eq6",
        "tfixup.eq7",
        "tfixup.eq8",
    ]
    with pytest.raises(InputError, match=r"did you mean 'tfixup\.goal'"):
        selected("tfixup.goall")


def test_verdicts_and_document_of_a_cheap_claim():
    context = Context()
    (found,) = verify(selected("rezero.isometry"), context, workers=1)
    assert found.outcome is Outcome.HOLDS
    document = json.loads(json.dumps(jsonable(as_document((found,), context)), allow_nan=False))
    (claim,) = document["claims"]
    assert claim["verdict"] == "holds"
    assert {item["kind"] for item in claim["evidence"]} >= {"derivation", "measurement"}
    assert all(item["control"]["rejected"] for item in claim["evidence"])
    assert {"kind", "passed", "value", "expected", "tolerance", "seconds", "source"} <= set(
        claim["evidence"][0]
    )


def test_verdicts_are_told_as_soon_as_their_last_check_is_made(monkeypatch):
    def evidence(*claims):
        return lambda _: tuple(
            Evidence(claim, Kind.MEASUREMENT, True, "", Control("", True)) for claim in claims
        )

    told: list[str] = []
    names = {"both": ("tfixup.goal", "tfixup.eq6"), "last": ("tfixup.eq6",)}
    made = [
        Provider(claims, Kind.MEASUREMENT, Level.QUICK, evidence(*claims), name)
        for name, claims in names.items()
    ]
    monkeypatch.setattr(module, "providers", lambda: tuple(made))
    found = verify(
        selected("tfixup.eq7,tfixup.goal,tfixup.eq6"),
        Context(),
        on_done=lambda done, *_: told.append(f"{done} done"),
        on_decided=lambda item: told.append(f"{item.claim.id} {item.outcome}"),
    )
    # Without a check a claim is undecided from the start; eq6 waits for its second one.
    assert told == [
        "tfixup.eq7 undecided",
        "1 done",
        "tfixup.goal holds",
        "2 done",
        "tfixup.eq6 holds",
    ]
    assert {f"{item.claim.id} {item.outcome}" for item in found} <= set(told)


def test_a_check_that_raises_is_reported_and_never_taken_for_a_pass(monkeypatch):
    def broken(_):
        raise RuntimeError("no such device")

    provider = Provider(("tfixup.goal",), Kind.MEASUREMENT, Level.QUICK, broken, "broken")
    monkeypatch.setattr(module, "providers", lambda: (provider,))
    (found,) = verify(selected("tfixup.goal"), Context(), workers=1)
    assert found.outcome is Outcome.UNDECIDED
    assert not found.sound
    assert "no such device" in found.evidence[0].summary


def test_a_job_finds_its_provider_by_name():
    name = next(p.name for p in providers() if p.claims == ("tfixup.eq6",))
    (item,) = ProviderJob(name, Context()).run()
    assert item.claim == "tfixup.eq6"
    assert item.seconds > 0


def test_evidence_of_a_lost_check_is_not_admissible():
    provider = providers()[0]
    assert not any(item.admissible for item in unmade(provider, RuntimeError("lost")))
