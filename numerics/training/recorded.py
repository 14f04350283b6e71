"""A run on disk: config.json, provenance.json, outcome.json, log.parquet, and its checkpoint.

Stored files hold no text of the data and no path of a machine: a user's folder is identified by
pair counts and a checksum.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from numerics.stores.folder import ResultFolder
from numerics.stores.provenance import Provenance
from numerics.stores.seals import check_file, read_sealed, sha256_of, write_sealed
from numerics.training.config import USUAL_VOCABULARY, TrainConfig
from numerics.training.outcome import RunJudgement, RunOutcome
from theory.errors import InputError

CONFIG, PROVENANCE, OUTCOME = "config.json", "provenance.json", "outcome.json"
LOG, CHECKPOINT = "log.parquet", "checkpoint.pt"


def read_log(path: Path) -> pl.DataFrame:
    """The log of the run in a folder, a row per step.

    Raises
    ------
    InputError
        If it is missing or cannot be read.
    """
    try:
        return pl.read_parquet(path / LOG, glob=False)
    except FileNotFoundError:
        raise InputError(f"{path} must hold a run's log, has no {LOG}") from None
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        detail = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path / LOG} must be a Parquet table: {detail}") from None


@dataclass(frozen=True)
class RecordedRun:
    """A finished run, as read back from its folder."""

    path: Path
    config: Mapping[str, Any]
    """The settings of `TrainConfig`; ``data`` is ``generated`` or ``text:DIR``."""
    data: Mapping[str, Any]
    """Pair counts and checksum of the data."""
    provenance: Mapping[str, Any]
    outcome: RunOutcome
    reason: str
    """The numbers that decided, in one line."""
    validation_loss: float
    """Nats per token after the last step."""
    interval: tuple[float, float]
    """95 % interval of the validation loss over sentences."""
    unigram_loss: float
    """Loss of the best predictor that ignores context, on the same sentences."""
    gain_interval: tuple[float, float]
    """95 % interval of the unigram loss minus the validation loss, paired by sentence."""
    uniform_loss: float
    """log V."""
    steps: int
    """Steps taken; fewer than configured if the run diverged."""
    tokens_per_second: float
    dropped: int
    """Pairs left out because a side is too long."""
    bleu: Mapping[str, float]
    """BLEU by held-out set, where it was taken (`numerics.training.evaluate`)."""


def identity(config: TrainConfig, facts: Mapping[str, object], device: str) -> dict[str, Any]:
    """The content of config.json; a run continues in a folder only if its own is equal."""
    return {"config": config.stored() | {"device": device}, "data": dict(facts)}


def place(out: Path) -> ResultFolder:
    """The folder of a run: its marker, and the names of the files that are written into it."""
    names = ("*.json", "log.parquet", "bleu-*.parquet", "checkpoint*.pt")
    return ResultFolder(out, CONFIG, "run", names)


def require_same_settings(out: Path, config: TrainConfig, device: str) -> None:
    """Refuse a folder of other settings before the data are read, which takes longer.

    Raises
    ------
    InputError
        If ``out`` holds a run of other settings, or other files; nothing is touched.
    """
    place(out).require_usable()
    if not (out / CONFIG).exists():
        return
    stored = {"config": _read(out / CONFIG).get("config", {})}
    settings = config.stored() | {"device": device}
    if config.vocabulary is None:  # The data will say.
        settings["vocabulary"] = complete(stored["config"])["vocabulary"]
    own = {"config": settings}
    if (different := differences(own, stored)) and not _goes_further(out, own, stored):
        raise InputError(f"{out} holds another run: {different}")


def goes_further(own: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether a run is the stored one with more steps.

    Its first steps are the same, as no schedule depends on their number. A run whose last
    checkpoints are averaged keeps its number, as a checkpoint more would enter the average.

    Examples
    --------
    >>> short, long, other = ({"config": one} for one in ({"steps": 5}, {"steps": 8}, {"seed": 1}))
    >>> goes_further(long, short), goes_further(short, long), goes_further(other, short)
    (True, False, False)
    """
    mine, theirs = complete(own.get("config", {})), complete(stored.get("config", {}))
    steps = theirs["steps"]
    same = dict(own) | {"config": mine | {"steps": steps}}
    more = isinstance(steps, int) and mine["steps"] > steps
    return more and mine["average"] == 1 and not differences(same, stored)


def _goes_further(out: Path, own: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether the run of a folder can be taken on to ``own``, from its checkpoint."""
    return goes_further(own, stored) and ((out / CHECKPOINT).exists() or not is_finished(out))


def is_done(out: Path, own: Mapping[str, Any]) -> bool:
    """Whether a folder holds this very run, finished.

    Raises
    ------
    InputError
        If it holds another run, finished, that ``own`` does not take further.
    """
    if not is_finished(out):
        return False
    stored = _read(out / CONFIG)
    if different := differences(own, stored):
        if _goes_further(out, own, stored):
            return False
        raise InputError(f"{out} holds another run: {different}")
    return True


def claim_folder(out: Path, own: Mapping[str, Any]) -> None:
    """Write config.json into a new run folder, or make sure that the run already there is this one.

    A run that is this one with fewer steps is taken on: what was concluded at its end is removed.

    Raises
    ------
    InputError
        If ``out`` holds another run, or other files; nothing is touched.
    """
    path = out / CONFIG
    place(out).require_usable()
    if not path.exists():
        write_sealed(path, own)
        return
    stored = _read(path)
    if not (different := differences(own, stored)):
        return
    if not _goes_further(out, own, stored):
        raise InputError(f"{out} holds another run: {different}")
    # In this order a process that is killed in between leaves an unfinished run, which goes on.
    for name in (OUTCOME, PROVENANCE, *(file.name for file in out.glob("bleu-*"))):
        (out / name).unlink(missing_ok=True)
    write_sealed(path, own)


def differences(own: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Every setting and fact of the data in which two identities differ, in one line.

    Examples
    --------
    >>> differences({"config": {"lr": 1, "seed": 0}}, {"config": {"lr": 2, "seed": 0}})
    'config lr is 2 there and 1 here'
    """
    found = []
    for section in ("config", "data"):
        mine, other = own.get(section, {}), theirs.get(section, {})
        if section == "config":
            mine, other = complete(mine), complete(other)
        found += [
            f"{section} {name} is {other.get(name)!r} there and {mine.get(name)!r} here"
            for name in dict.fromkeys((*mine, *other))
            if mine.get(name) != other.get(name)
            and (name != "checkpoint_every" or mine.get("average", 1) > 1)
        ]
    return "; ".join(found)


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Add the defaults of settings that did not exist when the run was stored."""
    return TrainConfig(vocabulary=USUAL_VOCABULARY).stored() | dict(config)


def write_outcome(
    out: Path,
    judgement: RunJudgement,
    provenance: Provenance,
    *,
    steps: int,
    tokens_per_second: float,
    dropped: int,
) -> None:
    """Write provenance.json and then outcome.json, whose presence marks the run as finished.

    outcome.json holds the checksums of the other files and its own.
    """
    write_sealed(out / PROVENANCE, asdict(provenance))
    files = {name: sha256_of(out / name) for name in (CONFIG, PROVENANCE, LOG)}
    rest = {"steps": steps, "tokens_per_second": tokens_per_second, "dropped": dropped}
    write_sealed(out / OUTCOME, asdict(judgement) | rest | {"files": files})


def is_finished(path: Path) -> bool:
    """Whether the folder holds a run that came to its end."""
    return (path / OUTCOME).exists()


def read_run(path: Path) -> RecordedRun:
    """Read a finished run.

    Raises
    ------
    InputError
        If the folder holds no finished run, or one of its files is damaged.
    """
    names = (CONFIG, PROVENANCE, OUTCOME)
    stored, provenance, outcome = (_read(path / name) for name in names)
    try:
        for name in outcome.get("files", {}):
            check_file(path / name, outcome["files"], "take the run again in a new folder")
        return RecordedRun(
            path=path,
            config=complete(stored["config"]),
            data=stored["data"],
            provenance=provenance,
            outcome=RunOutcome(outcome["outcome"]),
            reason=outcome["reason"],
            validation_loss=float(outcome["validation"]["value"]),
            interval=_interval(outcome["validation"]),
            unigram_loss=float(outcome["unigram_loss"]),
            gain_interval=_interval(outcome["gain"]),
            uniform_loss=float(outcome["uniform_loss"]),
            steps=int(outcome["steps"]),
            tokens_per_second=float(outcome["tokens_per_second"]),
            dropped=int(outcome.get("dropped", 0)),
            bleu=_bleu(path),
        )
    except InputError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{path} must hold a whole run, but {error} is wrong or missing") from None


def read_runs(folder: Path) -> list[RecordedRun]:
    """Every finished run below ``folder``, by path."""
    return [read_run(path.parent) for path in sorted(folder.rglob(OUTCOME))]


def _bleu(path: Path) -> dict[str, float]:
    files = sorted(path.glob("bleu-*.json"))
    stored = [_read(file) for file in files]
    return {one["dataset"]: float(one["bleu"]) for one in stored}


def _interval(estimate: Mapping[str, Any]) -> tuple[float, float]:
    return float(estimate["low"]), float(estimate["high"])


def _read(path: Path) -> dict[str, Any]:
    return read_sealed(path, "a finished run")
