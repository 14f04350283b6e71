import gzip

import pytest

from numerics.data import text_files
from numerics.data.text_files import read_text_folder
from theory.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for stem, pairs in (("train", 3), ("val", 2), ("test_2016", 1)):
        for side in ("de", "en"):
            lines = "".join(f"{side} {i} ä\n" for i in range(pairs))
            (tmp_path / f"{stem}.{side}").write_text(lines, encoding="utf-8")
    return tmp_path


def test_plain_files(folder):
    corpus = read_text_folder(folder)
    assert corpus.train.de == ("de 0 ä", "de 1 ä", "de 2 ä")
    assert corpus.validation.en == ("en 0 ä", "en 1 ä")
    assert {name: len(part) for name, part in corpus.tests.items()} == {"test_2016": 1}


def test_compressed_files_read_the_same(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("gz")
    for path in folder.iterdir():
        (other / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read_text_folder(other) == read_text_folder(folder)


def test_last_line_needs_no_newline_and_windows_newlines_are_fine(folder):
    (folder / "val.de").write_bytes(b"eins\r\nzwei")
    assert read_text_folder(folder).validation.de == ("eins", "zwei")


def test_unicode_line_separators_do_not_split_lines(folder):
    (folder / "val.de").write_text("eins\u2028eins\nzwei\x0bzwei\n", encoding="utf-8")
    assert len(read_text_folder(folder).validation) == 2


def test_missing_side(folder):
    (folder / "train.en").unlink()
    with pytest.raises(InputError, match=r"must hold train\.en or train\.en\.gz"):
        read_text_folder(folder)


def test_a_test_set_needs_both_sides(folder):
    (folder / "test_2016.de").unlink()
    with pytest.raises(InputError, match=r"must hold test_2016\.de"):
        read_text_folder(folder)


def test_unequal_line_counts_are_both_named(folder):
    (folder / "train.en").write_text("one\n")
    with pytest.raises(InputError, match=r"train\.de and train\.en .* got 3 and 1"):
        read_text_folder(folder)


def test_undecodable_line_is_named(folder):
    (folder / "train.de").write_bytes(b"gut\ncaf\xe9\ngut\n")
    with pytest.raises(InputError, match=r"train\.de, line 2: .*UTF-8.* 0xe9 at column 4"):
        read_text_folder(folder)


def test_empty_file(folder):
    (folder / "val.en").write_bytes(b"")
    with pytest.raises(InputError, match=r"val\.en must hold at least one sentence"):
        read_text_folder(folder)


def test_damaged_gzip(folder):
    (folder / "val.en.gz").write_bytes(gzip.compress(b"one\ntwo\n")[:-4])
    with pytest.raises(InputError, match=r"val\.en\.gz must be a readable file"):
        read_text_folder(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"text:DIR needs a folder, got .*nowhere"):
        read_text_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n\n", "must hold sentences, got 3 blank lines"),
        (b"one\rtwo\rthree\n\n", r"line 1: lines must end in \\n or \\r\\n, got \\r alone"),
    ],
)
def test_lines_that_are_no_sentences(folder, content, message):
    (folder / "train.de").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_text_folder(folder)


def test_a_small_file_that_unpacks_to_much_is_refused(folder, monkeypatch):
    monkeypatch.setattr(text_files, "LARGEST", 2**20)
    (folder / "train.de").unlink()
    (folder / "train.de.gz").write_bytes(gzip.compress(b"\n" * (2**20 + 1)))
    with pytest.raises(InputError, match="must hold at most 1 MiB of text, and holds more"):
        read_text_folder(folder)


def test_one_pair_has_no_interval(folder):
    for side in ("de", "en"):
        (folder / f"val.{side}").write_text("one\n")
    with pytest.raises(InputError, match=r"val\.\* must hold 2 sentences or more, got 1"):
        read_text_folder(folder)
