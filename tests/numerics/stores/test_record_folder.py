import json

import pytest

from numerics.cli.main import run
from numerics.stores import record_folder as module
from numerics.stores.record_folder import record_folder
from theory.errors import InputError


@pytest.fixture
def ours(tmp_path):
    run_folder = tmp_path / "ours" / "fig2" / "some-run"
    run_folder.mkdir(parents=True)
    (run_folder / "provenance.json").write_text(json.dumps({"versions": {"tfixup": "0.1.0"}}))
    return tmp_path / "ours"


def test_a_folder_of_that_name_in_the_working_directory_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "manifest.json").write_text('{"kind": "another tool"}')
    monkeypatch.chdir(tmp_path)
    assert record_folder(None).path == module.BESIDE
    assert record_folder(None).found


def test_the_folder_that_the_user_names_is_read(ours, tmp_path):
    assert record_folder(ours).path == ours
    with pytest.raises(InputError, match="recorded"):
        record_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has none"):
        record_folder(tmp_path / "empty")


def test_without_records_beside_the_packages_only_ours_are_read(ours, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BESIDE", tmp_path / "nothing")
    other = tmp_path / "other"
    (other / "results").mkdir(parents=True)
    found = record_folder(None, other)
    assert not found.found
    assert "no recorded runs" in found.told
    assert "holds none of this tool's" in found.told
    assert not record_folder(None, tmp_path).found
    ours.rename(tmp_path / "results")
    found = record_folder(None, tmp_path)
    assert found.path == tmp_path / "results"
    assert str(tmp_path / "results") in found.told


def test_an_installed_package_reads_the_records_inside_it(ours, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BESIDE", tmp_path / "nothing")
    monkeypatch.setattr(module, "INSIDE", ours)
    found = record_folder(None, tmp_path)
    assert found.path == ours
    assert found.told.endswith("part of the package")


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, '{"versions": []}', '{"kind": 3}'])
def test_damaged_files_are_not_ours(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    assert not module.is_ours(tmp_path)


def test_verify_names_the_folder_in_its_output(tmp_path, monkeypatch, capsys):
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "v.json"
    wanted = ["verify", "--claims", "eq3", "--workers", "1", "--json", str(out)]
    assert run(wanted) == 0
    printed = capsys.readouterr()
    assert str(module.BESIDE) in printed.out + printed.err
    document = json.loads(out.read_text())
    assert document["records"] == f"recorded runs: {module.BESIDE.name}, beside the packages"
    assert [claim["id"] for claim in document["claims"]] == ["tfixup.eq3"]
