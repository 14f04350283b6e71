"""Folders: claimed once, locked while written, and cleaned of one's own leftovers only."""

import multiprocessing

import pytest

from numerics.stores.folder import ResultFolder
from theory.errors import InputError


def folder(path):
    return ResultFolder(path, "config.json", "run", ("*.json", "log.parquet"))


def test_a_folder_left_by_a_kill_at_the_first_file_is_new(tmp_path):
    (tmp_path / ".config.json.123.part").touch()
    folder(tmp_path).require_usable()
    with folder(tmp_path).exclusively():
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["thesis.tex", ".thesis.part", ".thesis.tex.123.part", "x.part"])
def test_other_peoples_files_are_refused_and_never_removed(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=r"must be a new folder or hold this very run"):
        folder(tmp_path).require_usable()
    with folder(tmp_path).exclusively():
        assert (tmp_path / name).read_text() == "mine"


def test_a_link_that_is_named_like_a_leftover_is_not_one(tmp_path):
    (tmp_path / "real").write_text("mine")
    (tmp_path / ".config.json.1.part").symlink_to("real")
    with folder(tmp_path).exclusively():
        assert (tmp_path / ".config.json.1.part").is_symlink()


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="must be a folder, got the file"):
        folder(tmp_path / "out").require_usable()


def test_folders_made_for_the_lock_alone_are_removed(tmp_path):
    with folder(tmp_path / "a" / "b").exclusively():
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with folder(tmp_path / "mine").exclusively():
        pass
    with folder(tmp_path / "a").exclusively():
        (tmp_path / "a" / "log.parquet").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "mine"]


def test_a_file_cannot_be_locked_as_a_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with (
        pytest.raises(InputError, match="must be a folder, got the file"),
        folder(tmp_path / "out").exclusively(),
    ):
        pass


def _hold(path, locked, release):
    with folder(path).exclusively():
        locked.set()
        release.wait()


def test_one_process_writes_at_a_time_and_a_dead_one_lets_go(tmp_path):
    context = multiprocessing.get_context("spawn")
    locked, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, locked, release))
    other.start()
    assert locked.wait(60)
    second = folder(tmp_path).exclusively()
    with pytest.raises(InputError, match="another run is writing to"):
        second.__enter__()
    other.kill()
    other.join()
    with folder(tmp_path).exclusively():
        pass


@pytest.mark.parametrize("name", ["dangling", "dangling/below", "x\udcff", "file/below"])
def test_a_path_that_can_be_no_folder_is_refused_in_our_words(tmp_path, name):
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    folder = ResultFolder(tmp_path / name, "own.json", "sweep", ("*.json",))
    refused = pytest.raises(InputError, match=r"must be a folder|cannot write to|valid UTF-8")
    with refused, folder.exclusively():
        raise AssertionError("it was opened")
