"""Cards of what was run: sweeps, training runs, and experiments of the papers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numerics.report import drawings
from numerics.report.cards import Card, Figure, ReadRun, TextTable, facts, number, span
from numerics.stores.files import require_no_device
from numerics.stores.seals import read_sealed
from theory.errors import InputError

if TYPE_CHECKING:
    from numerics.training.recorded import RecordedRun

LEAST_DEPTH = 6
"""Least depth that enters the exponents, as in ``tfixup sweep``."""
_MOST_CURVES = 8
"""Schemes up to which the curves are drawn; of more, the exponents."""


def sweep_run(folder: Path, prefix: str) -> ReadRun:
    """The run with one card per pair of scheme and optimizer.

    Raises
    ------
    InputError
        If the folder is damaged or has no rows.
    """
    from numerics.figures.exponents import draw_exponents
    from numerics.figures.sweep import draw_sweep
    from numerics.sweeps.run import exponent_table
    from numerics.sweeps.store import open_for_reading

    store = open_for_reading(folder)
    rows = store.rows()
    manifest: dict[str, Any] = read_sealed(folder / "manifest.json", "a sweep")
    if rows.is_empty():
        raise InputError(f"{folder} holds a sweep without finished rows")
    table = exponent_table(rows, from_depth=LEAST_DEPTH, detail=store.settings.detail)
    update = [row for row in table.iter_rows(named=True) if row["quantity"] == "update"]
    command = _command(manifest)
    pairs = dict.fromkeys((row["scheme"], row["optimizer"]) for row in update)
    pairs |= dict.fromkeys(zip(rows["scheme"], rows["optimizer"], strict=True))
    cards = tuple(
        _pair(folder, pair, [r for r in update if (r["scheme"], r["optimizer"]) == pair], command)
        for pair in pairs
    )
    few = rows["scheme"].n_unique() <= _MOST_CURVES
    fitted = any(row["exponent"] is not None for row in update)
    if few or not fitted:
        drawn, what = draw_sweep(rows), "‖Δf‖/η against depth: line, mean; band, range of the seeds"
    else:
        drawn, what = draw_exponents(table), "Depth exponents with their 95 % intervals"
    figure = Figure(what, drawings.from_figure(drawn, f"{prefix}sweep-"))
    told = facts([*manifest["settings"].items(), ("rows", len(rows)), ("command", command)])
    return ReadRun("sweep", str(folder), f"Sweep in {folder}", cards, told, (figure,))


def _pair(
    folder: Path, pair: tuple[str, str], rows: Sequence[Mapping[str, Any]], command: str
) -> Card:
    scheme, optimizer = pair
    total = next((row for row in rows if row["part"] == "total"), None)
    note = "" if total is None else str(total["note"])
    words = {"flat": "flat over depth", "undecided": "not decided"}
    words |= {word: f"{word} with depth" for word in ("grows", "shrinks")}
    found = "too few depths for an exponent" if total is None else note
    if total is not None and total["exponent"] is not None:
        found = f"‖Δf‖/η ~ N^p, p = {number(total['exponent'])} "
        found += span(total["low"], total["high"])
    return Card(
        key=f"{scheme} {optimizer}",
        title=f"{scheme}, {optimizer}",
        group="Sweeps",
        verdict=words.get(note, "no exponent"),
        statement=f"‖Δf‖/η of one {optimizer} step keeps its size over depth under {scheme}",
        where=f"N ≥ {LEAST_DEPTH}",
        kinds=("measurement",),
        facts=facts([("Found", found)]),
        tables=(
            TextTable(
                "Depth exponent p of ‖Δf‖/η ~ N^p by part",
                ("part", "verdict", "p", "95 % interval", "points"),
                tuple(
                    (
                        row["part"],
                        row["note"],
                        number(row["exponent"]),
                        "—" if row["exponent"] is None else span(row["low"], row["high"]),
                        number(row["points"]),
                    )
                    for row in rows
                ),
                3,
            ),
        )
        if rows
        else (),
        commands=tuple(filter(None, (command, f"tfixup plot {folder}"))),
        why=found,
    )


def _command(record: Mapping[str, Any]) -> str:
    runs = record.get("runs") or [{}]
    made = runs[-1].get("provenance", {}) if isinstance(runs[-1], dict) else {}
    # What an interpreter was asked to run as a module is what a user types as the command.
    return str(made.get("command", "")).replace("python -m tfixup.__main__", "tfixup", 1)


def training_run(folder: Path, prefix: str) -> ReadRun:
    """The run with one card per training run below a folder.

    Raises
    ------
    InputError
        If one of them is damaged.
    """
    from numerics.training.experiments.curves import draw_losses
    from numerics.training.recorded import read_runs

    runs = read_runs(folder)
    figures = []
    for place, baseline in enumerate(dict.fromkeys(run.unigram_loss for run in runs)):
        same = [run for run in runs if run.unigram_loss == baseline]
        drawn = draw_losses(same, lambda run: run.path.resolve().name)
        what = f"Validation loss over steps; the unigram loss is {number(baseline)}"
        figures.append(Figure(what, drawings.from_figure(drawn, f"{prefix}loss{place}-")))
    cards = tuple(_trained(run, folder) for run in runs)
    title = f"Training runs in {folder}"
    return ReadRun("train", str(folder), title, cards, (), tuple(figures))


def _trained(run: "RecordedRun", folder: Path) -> Card:
    name = str(run.path.relative_to(folder))
    name = run.path.resolve().name if name == "." else name
    config = {key: value for key, value in run.config.items() if value is not None}
    scheme, layers = config.get("scheme"), config.get("layers")
    return Card(
        key=name,
        title=name,
        group="Training runs",
        verdict=str(run.outcome),
        statement=f"{scheme} with {layers} layers trains with {config.get('optimizer')}",
        where=f"{run.steps} steps",
        kinds=("training",),
        facts=facts(
            [
                ("Found", run.reason),
                ("Validation loss", f"{number(run.validation_loss)} {span(*run.interval)}"),
                ("Unigram loss", run.unigram_loss),
                ("Gain", f"95 % interval {span(*run.gain_interval)} nats per token"),
                *((f"BLEU, {name}", value) for name, value in run.bleu.items()),
                ("Tokens per second", round(run.tokens_per_second)),
                ("Device", run.provenance.get("device")),
                ("Commit", run.provenance.get("commit")),
            ]
        ),
        tables=(
            TextTable(
                "Settings",
                ("setting", "value"),
                tuple((str(key), number(value)) for key, value in config.items()),
                1,
            ),
        ),
        commands=tuple(filter(None, (str(run.provenance.get("command", "")),))),
        why=run.reason,
    )


def experiment_run(folder: Path, prefix: str) -> ReadRun:
    """The run with the card of one experiment, and its figure.

    Raises
    ------
    InputError
        If verdict or figure is damaged.
    """
    path = folder / "verdict.json"
    document: dict[str, Any] = read_sealed(path, "an experiment's verdict")
    try:
        name, scale = str(document["experiment"]), str(document["scale"])
        interval = document.get("interval")
        taken = {str(run): str(told) for run, told in document["runs"].items()}
        card = Card(
            key=f"{name} {scale}",
            title=name,
            group="Experiments",
            verdict=str(document["answer"]),
            statement=str(document["question"]),
            where=f"{scale} scale, {len(taken)} runs",
            kinds=("training",),
            facts=facts(
                [
                    ("Found", document["line"]),
                    ("Size of the effect", document.get("value")),
                    ("95 % interval", "" if interval is None else span(*interval)),
                ]
            ),
            tables=(
                TextTable("Runs and how they ended", ("run", "outcome"), tuple(taken.items())),
            ),
            commands=(f"tfixup reproduce {name}" + (" --quick" if scale == "quick" else ""),),
            why=str(document["line"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} must be what reproduce writes: {error!r}") from None
    drawn = figure_file(folder / "figure.svg", f"{name}: {document['question']}", prefix)
    title = f"Experiment {name}"
    return ReadRun("reproduce", str(folder), title, (card,), (), drawn)


def figure_file(path: Path, caption: str, prefix: str) -> tuple[Figure, ...]:
    """The figure in a file; none where there is no file."""
    require_no_device(path, "a figure")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InputError(f"{path} must be a readable figure: {error.strerror}") from None
    return (Figure(caption, drawings.safe_svg(content, prefix, str(path))),)
