"""Writing files: whole or not at all, and nothing but a plain file is replaced."""

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from numerics.stores.files import (
    atomically,
    followed,
    leftover_of,
    read_json,
    require_folder,
    require_writable,
    resolved,
    write_json,
)
from theory.errors import InputError


def test_a_failed_block_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with suppress(RuntimeError), atomically(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "old"


def test_a_fifo_is_written_into_and_stays_one(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    write_json(path, {"a": 1})
    reader.join()
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert '"a": 1' in read[0]


def test_a_device_is_written_into_and_stays_one():
    write_json(require_device(), {"a": 1})
    assert stat.S_ISCHR(require_device().stat().st_mode)


def require_device():
    return Path("/dev/null")


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path):
    (tmp_path / "real.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to("real.json")
    write_json(link, {"new": True})
    assert link.is_symlink()
    assert read_json(tmp_path / "real.json", "a test") == {"new": True}


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"must be a file, and .* is a folder"):
        write_json(tmp_path, {})


@pytest.mark.parametrize("name", ["", "missing/a.json", "file/a.json", "x" * 300])
def test_a_target_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    from pathlib import Path

    with pytest.raises(InputError) as caught:
        require_writable(Path(name))
    assert "\n" not in str(caught.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize("name", ["", ".", "file", "file/a", "x" * 300])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(InputError) as caught:
        require_folder(Path(name))
    assert "\n" not in str(caught.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]


def test_a_folder_that_can_be_written_is_left_as_it_is(tmp_path):
    require_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "c").mkdir()
    require_folder(tmp_path / "c")
    assert [entry.name for entry in tmp_path.rglob("*")] == ["c"]


def test_a_target_that_can_be_written_is_left_as_it_is(tmp_path):
    require_writable(tmp_path / "new.json")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.json").write_text("old")
    require_writable(tmp_path / "old.json")
    assert (tmp_path / "old.json").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "target"),
    [(".a.json.12.part", "a.json"), (".a.part", None), ("a.json.12.part", None), (".part", None)],
)
def test_leftovers_are_told_by_their_names(name, target):
    assert leftover_of(name) == target


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, b'"x"'])
def test_what_is_no_json_object_is_named_in_one_line(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json must be a JSON") as caught:
        read_json(tmp_path / "a.json", "a test")
    assert "\n" not in str(caught.value)


def test_a_link_that_leads_back_to_itself_is_named(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for use in (require_writable, followed):
        with pytest.raises(InputError, match="loop is a link that leads back to itself"):
            use(tmp_path / "loop")
    with pytest.raises(InputError, match="leads back"), atomically(tmp_path / "loop"):
        pass
    with pytest.raises(InputError, match="leads back"):
        resolved(tmp_path / "loop" / "below.json")


def test_a_device_is_not_read_to_its_end(tmp_path):
    with pytest.raises(InputError, match="/dev/zero must be a JSON file, and is a device"):
        read_json(Path("/dev/zero"), "a run")
    (tmp_path / "plain.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "plain.json", "a run") == {"a": 1}
