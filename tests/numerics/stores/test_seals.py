"""Checksums: every changed byte is found."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.stores.seals import (
    DamagedError,
    check_file,
    check_object,
    is_sealed,
    opened,
    sealed,
    sealed_object,
    sha256_of,
)


@given(st.binary(max_size=200), st.data())
def test_one_changed_bit_is_found_wherever_it_is(content, data):
    whole = bytearray(sealed(content))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedError):
        opened(bytes(whole))


@given(st.binary(max_size=200))
def test_what_is_unchanged_is_opened(content):
    assert is_sealed(sealed(content))
    assert opened(sealed(content)) == content


@pytest.mark.parametrize(
    "change", [{"loss": 0.1}, {"steps": -1}, {"more": 1}, {"sha256": "0" * 64}]
)
def test_an_edited_object_is_found_after_a_round_trip(change):
    whole = json.loads(json.dumps(sealed_object({"loss": float("nan"), "steps": 3, "x": (1, 2)})))
    check_object(whole, "outcome.json")
    with pytest.raises(DamagedError, match=r"outcome\.json was changed"):
        check_object(whole | change, "outcome.json")


def test_objects_and_files_of_earlier_versions_are_read(tmp_path):
    check_object({"loss": 1.0}, "outcome.json")
    (tmp_path / "rows").write_bytes(b"x")
    check_file(tmp_path / "rows", {}, "")


def test_a_file_may_have_the_old_or_the_new_digest_while_it_is_replaced(tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(b"old")
    old = sha256_of(path)
    path.write_bytes(b"new")
    both = {"rows": [old, sha256_of(path)]}
    check_file(path, both, "")
    path.write_bytes(b"other")
    with pytest.raises(DamagedError, match="changed after it was written: measure again"):
        check_file(path, both, "measure again")
