"""Reads a path that a command wrote, whatever command it was, as a `Run`."""

from pathlib import Path

from numerics.report.cards import ReadRun
from numerics.stores.seals import read_sealed
from theory.errors import InputError

_ASKED = "a JSON file of verify, check or audit, or a folder of check, sweep, train or reproduce"


def read_run(path: Path, place: int = 0) -> ReadRun:
    """The run at a path.

    Parameters
    ----------
    path
        A file or a folder.
    place
        A number that no other run of the page has: it tells the names in their figures apart.

    Raises
    ------
    InputError
        If nothing is there, the kind is unknown, or a file is damaged.
    """
    if not path.exists():
        raise InputError(f"a run must be {_ASKED}, and {path} does not exist")
    prefix = f"run{place}-"
    if path.is_dir():
        return _folder(path, prefix)
    return _file(path, prefix)


def _folder(path: Path, prefix: str) -> ReadRun:
    from numerics.report.runs import experiment_run, sweep_run, training_run

    if (path / "manifest.json").exists():
        return sweep_run(path, prefix)
    if (path / "verdict.json").exists():
        return experiment_run(path, prefix)
    if (path / "check.json").exists():
        return _file(path / "check.json", prefix)
    if any(path.rglob("outcome.json")):
        return training_run(path, prefix)
    raise InputError(f"a run must be {_ASKED}, and the folder {path} holds none of them")


def _file(path: Path, prefix: str) -> ReadRun:
    from numerics.report.claims import claims_run
    from numerics.report.models import audit_run, check_run
    from numerics.report.runs import experiment_run, figure_file, sweep_run

    document = read_sealed(path, "a run's JSON")
    if isinstance(document.get("claims"), list):
        return claims_run(document, path, prefix)
    if isinstance(document.get("audits"), list):
        return audit_run(document, path)
    if isinstance(document.get("optimizers"), list) and "over" in document:
        what = f"{document.get('name')} over {document.get('over')}"
        beside = path.with_name("check.svg") if path.name == "check.json" else None
        figures = figure_file(beside, what, f"{prefix}check-") if beside else ()
        return check_run(document, path, figures)
    if path.name == "verdict.json" and "experiment" in document:
        return experiment_run(path.parent, prefix)
    if path.name == "manifest.json" and document.get("kind") == "tfixup sweep":
        return sweep_run(path.parent, prefix)
    held = ", ".join(list(document)[:4]) or "nothing"
    raise InputError(f"a run must be {_ASKED}, and {path} is an object of another kind ({held})")
