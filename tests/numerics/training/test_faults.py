import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from polars.testing import assert_frame_equal

from numerics.data.tokenizer import train_tokenizer
from numerics.training import checkpoint, loop, task
from numerics.training.config import USUAL_VOCABULARY
from numerics.training.loop import run_training
from numerics.training.recorded import (
    CHECKPOINT,
    CONFIG,
    OUTCOME,
    goes_further,
    place,
    read_run,
)
from tests.numerics.training.short_run import FEW, TINY, contents, interrupt, losses
from theory.errors import InputError

pytestmark = pytest.mark.usefixtures("few_validation_pairs")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scheme": "xavier"}, "config scheme is 'tfixup' there and 'xavier' here"),
        ({"lr": 2e-3}, "config lr is 0.001 there and 0.002 here"),
        ({"data_seed": 1}, "holds another run: config data_seed is 0 there and 1 here"),
    ],
)
def test_a_folder_of_another_run_is_left_alone(whole, change, message):
    before = contents(whole)
    with pytest.raises(InputError, match=message):
        run_training(replace(TINY, **change), whole)
    assert contents(whole) == before


def test_settings_are_compared_before_the_data_are_read(whole, monkeypatch):
    def load_corpus(_):
        raise AssertionError("the data are read")

    monkeypatch.setattr(loop, "load_corpus", load_corpus)
    with pytest.raises(InputError, match="config seed is 0 there and 1 here"):
        run_training(replace(TINY, seed=1, vocabulary=None), whole)
    for same in (TINY, replace(TINY, steps=99), replace(TINY, vocabulary=None)):
        with pytest.raises(AssertionError, match="the data are read"):
            run_training(same, whole)


@pytest.mark.parametrize("change", [{"average": 2}, {"steps": 15}, {"lr": 2e-3}])
def test_only_more_steps_take_a_run_further(whole, tmp_path, change):
    longer = {"config": replace(TINY, steps=99).stored()}
    assert goes_further(longer, {"config": TINY.stored()})
    other = {"config": replace(TINY, **({"steps": 99} | change)).stored()}
    stored = {"config": replace(TINY, average=change.get("average", 1)).stored()}
    assert not goes_further(other, stored)
    # A folder without its checkpoint, as in a record, is left alone too.
    shutil.copytree(whole, tmp_path / "record")
    for file in (tmp_path / "record").glob("checkpoint*"):
        file.unlink()
    before = contents(tmp_path / "record")
    with pytest.raises(InputError, match="config steps is 16 there and 99 here"):
        run_training(replace(TINY, steps=99), tmp_path / "record")
    assert contents(tmp_path / "record") == before


@pytest.mark.parametrize(("usual", "trained"), [(12, [12]), (900, [900, 13])])
def test_the_tokenizer_of_a_run_is_trained_once(tmp_path, monkeypatch, usual, trained):
    """Where the data support fewer tokens than usual, a first training finds out how many."""
    folder, asked = tmp_path / "text", []
    folder.mkdir()
    for name in ("train.de", "train.en", "val.de", "val.en"):
        (folder / name).write_text(f"a b c {usual}\n" * 20)

    def counted(text, vocabulary):
        asked.append(vocabulary)
        return train_tokenizer(text, vocabulary)

    monkeypatch.setattr(task, "USUAL_VOCABULARY", usual)
    monkeypatch.setattr(task, "train_tokenizer", counted)
    run = run_training(
        replace(TINY, data=f"text:{folder}", vocabulary=None, steps=1), tmp_path / "run"
    )
    assert asked == trained
    assert run.config["vocabulary"] == trained[-1]


def test_other_text_under_the_same_config_is_another_run(tmp_path):
    folder, out = tmp_path / "text", tmp_path / "run"
    folder.mkdir()
    for stem in ("train", "val"):
        for side in ("de", "en"):
            (folder / f"{stem}.{side}").write_text(f"{side} a b c\n" * 20)
    config = replace(TINY, data=f"text:{folder}", vocabulary=14, steps=1)
    run = run_training(config, out)
    assert run.data == read_run(out).data
    assert run.data["train_pairs"] == 20
    assert str(tmp_path) not in "".join(path.read_text() for path in out.glob("*.json"))
    (folder / "val.en").write_text("en c b a\n" * 20)
    with pytest.raises(InputError, match="holds another run: data sha256 is"):
        run_training(config, out)


def test_small_data_get_the_vocabulary_that_they_support_unless_one_is_given(tmp_path, capsys):
    folder, out = tmp_path / "text", tmp_path / "run"
    folder.mkdir()
    for name in ("train.de", "train.en", "val.de", "val.en"):
        (folder / name).write_text("der Hund bellt laut\n" * 20)
    small = replace(TINY, data=f"text:{folder}", vocabulary=None, steps=1)
    run = run_training(small, out, progress=True)
    size = run.config["vocabulary"]
    assert size is not None
    assert size < USUAL_VOCABULARY
    said = capsys.readouterr().err
    assert "reading the data" in said
    assert f"vocabulary: {size} tokens, the most that these data support (usually 1,000)" in said
    assert f"--vocabulary {size} " in run.provenance["command"]
    assert run_training(small, out) == run_training(replace(small, vocabulary=size), out) == run
    with pytest.raises(InputError, match=f"vocabulary may be at most {size} "):
        run_training(replace(small, vocabulary=size + 1), tmp_path / "other")


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(InputError, match="must be a new folder or hold this very run"):
        run_training(TINY, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scheme": "tfixpu"}, "unknown scheme 'tfixpu': did you mean 'tfixup'"),
        ({"heads": 3}, "heads must divide the width d_model, got heads=3, d_model=16"),
        ({"layers": 0}, "layers must be an integer of at least 1, got 0"),
        ({"vocabulary": 100_000}, r"vocabulary may be at most \d+ .* got 100000"),
        ({"tokens": 8}, r"at least the longest sentence's \d+, got 8"),
        ({"data": "text:nowhere"}, "needs a folder, got nowhere"),
    ],
)
def test_bad_input_makes_no_folder(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        run_training(replace(TINY, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a device that is there")
def test_a_missing_device(tmp_path):
    with pytest.raises(InputError, match="device cuda needs a CUDA device"):
        run_training(replace(TINY, device="cuda"), tmp_path / "run")


def test_a_damaged_checkpoint_is_named(tmp_path):
    out = tmp_path / "run"
    interrupt(TINY, out, 4)
    path = out / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    before = contents(out)
    with pytest.raises(InputError, match=r"checkpoint\.pt must be a whole checkpoint"):
        run_training(TINY, out)
    assert contents(out) == before


def test_a_newest_checkpoint_cut_short_falls_back_on_the_one_before(whole, tmp_path, capsys):
    out = tmp_path / "run"
    interrupt(TINY, out, 10)
    path = out / CHECKPOINT
    assert [file.name for file in checkpoint.kept(path)] == ["checkpoint.pt", "checkpoint-1.pt"]
    path.write_bytes(path.read_bytes()[:1000])
    run_training(TINY, out)
    said = capsys.readouterr().err
    assert "checkpoint.pt must be a whole checkpoint" in said
    assert "going on from checkpoint-1.pt, step 6" in said
    assert_frame_equal(losses(out), losses(whole), check_exact=True)


def test_a_checkpoint_of_another_run_shows_every_difference(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    interrupt(TINY, one, 4)
    config = replace(TINY, lr=0.5, schedule="tfixup")
    interrupt(config, other, 4)
    shutil.copy(one / CHECKPOINT, other / CHECKPOINT)
    found = r"is of another run: .*lr is 0.001 there and 0.5 here; .*'constant' there and 'tfixup'"
    with pytest.raises(InputError, match=found):
        run_training(config, other)


def test_killed_between_the_renames_of_a_checkpoint(whole, tmp_path):
    out = tmp_path / "run"
    interrupt(TINY, out, 10)
    (out / CHECKPOINT).replace(out / "checkpoint-7.pt")
    (out / "checkpoint-1.pt").replace(out / "checkpoint-8.pt")
    run_training(TINY, out)
    assert_frame_equal(losses(out), losses(whole), check_exact=True)
    assert len(checkpoint.kept(out / CHECKPOINT)) == checkpoint.LEAST_KEPT


def forget_checksums(folder):
    """Make the record one of an earlier version, which held no checksums."""
    stored = json.loads((folder / OUTCOME).read_text())
    del stored["files"], stored["sha256"]
    (folder / OUTCOME).write_text(json.dumps(stored))


@pytest.mark.parametrize("name", [CONFIG, "provenance.json", "log.parquet", OUTCOME])
def test_a_record_that_was_edited_is_named(whole, tmp_path, name):
    shutil.copytree(whole, tmp_path / "run")
    content = (tmp_path / "run" / name).read_bytes()
    (tmp_path / "run" / name).write_bytes(content.replace(b"1", b"2", 1))
    with pytest.raises(InputError, match=rf"{name} was changed after it was written"):
        read_run(tmp_path / "run")


def test_every_changed_byte_of_a_checkpoint_is_noticed(whole, tmp_path):
    content = (whole / CHECKPOINT).read_bytes()
    file = tmp_path / CHECKPOINT
    for at in range(0, len(content), len(content) // 60):
        file.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        with pytest.raises(InputError, match="must be a whole checkpoint"):
            checkpoint.averaged_weights(file, 1)


@pytest.mark.parametrize(
    "content",
    [[], None, torch.zeros(2), {"progress": None}, {"progress": {"step": 1}, "model": {}}],
    ids=str,
)
def test_a_checkpoint_of_other_content_is_named(tmp_path, content):
    torch.save(content, tmp_path / CHECKPOINT)
    with pytest.raises(InputError, match="must be a whole checkpoint") as caught:
        checkpoint.averaged_weights(tmp_path / CHECKPOINT, 1)
    assert "\n" not in str(caught.value)


def test_an_empty_checkpoint_falls_back_on_the_one_before(whole, tmp_path):
    out = tmp_path / "run"
    interrupt(TINY, out, 10)
    (out / CHECKPOINT).write_bytes(b"")
    (out / "checkpoint-old.pt").write_text("mine")
    run_training(TINY, out)
    assert_frame_equal(losses(out), losses(whole), check_exact=True)
    assert (out / "checkpoint-old.pt").read_text() == "mine"


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    held = place(tmp_path / "run").exclusively()
    with held, pytest.raises(InputError, match="another run is writing to"):
        run_training(TINY, tmp_path / "run")


@pytest.mark.parametrize("name", [CONFIG, OUTCOME])
def test_a_damaged_record_is_named(whole, tmp_path, name):
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert read_run(tmp_path).outcome == read_run(whole).outcome
    forget_checksums(tmp_path)
    (tmp_path / name).write_text("{")
    with pytest.raises(InputError, match=f"{name} must be a JSON file"):
        read_run(tmp_path)
    (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="must hold a whole run"):
        read_run(tmp_path)


@pytest.mark.slow
def test_killed_at_any_moment_and_restarted_is_bit_identical(whole, tmp_path):
    out = tmp_path / "run"
    script = (
        "import sys; from pathlib import Path\n"
        f"from numerics.training import task; task.VALIDATION_PAIRS = {FEW}\n"
        "from numerics.training.config import TrainConfig\n"
        "from numerics.training.loop import run_training\n"
        f"run_training({TINY!r}, Path(sys.argv[1]))"
    )
    ran = subprocess.Popen([sys.executable, "-c", script, str(out)])
    while not (out / CHECKPOINT).exists() and ran.poll() is None:
        time.sleep(0.01)
    ran.send_signal(signal.SIGKILL)
    ran.wait()
    run_training(TINY, out)
    assert_frame_equal(losses(out), losses(whole), check_exact=True)
