"""Cards of a user's own model, from the JSON of ``tfixup check`` and ``tfixup audit``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numerics.report.cards import (
    Card,
    Fact,
    Figure,
    ReadRun,
    TextTable,
    facts,
    finite,
    number,
    span,
)
from theory.errors import InputError

_LAW = {True: "grows without bound", False: "is bounded", None: "is not decided"}


def check_run(document: Mapping[str, Any], path: Path, figures: tuple[Figure, ...]) -> ReadRun:
    """The run with one card per optimizer.

    Raises
    ------
    InputError
        If the document is damaged.
    """
    try:
        cards = tuple(_optimizer(one, document) for one in document["optimizers"])
        told = facts(
            [
                ("f", document["function"]),
                ("Structure", document["wiring"]),
                ("Copies", document["copies"]),
                ("Numbers' range", document["ranges"]),
                ("Without a gradient", document["dead"]),
                ("Wait for another tensor", document["waiting"]),
                *(("What to change", one) for one in document["advice"]),
                *(("Note", one) for one in document["notes"]),
            ]
        )
        title = f"Check of {document['name']} over {document['over']}"
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _damaged(path, "check --json", error) from None
    return ReadRun("check", str(path), title, cards, told, figures)


def _optimizer(one: Mapping[str, Any], document: Mapping[str, Any]) -> Card:
    total, over = one["total"], document["over"]
    what = "‖Δf‖/η" if over == "depth" else "RMS(Δx)/η"
    sizes = sorted(set(total["sizes"]))
    named = {"total": total}
    named |= {f"site {name}": series for name, series in one["sites"].items()}
    named |= {group["name"]: group["series"] for group in one["groups"]}
    rows = tuple(
        (name, *(number(_mean(series, size)) for size in sizes), _exponent(series))
        for name, series in named.items()
    )
    law = _LAW[total["law"]["unbounded"]]
    command = f"tfixup check {document['name']} --optimizers {one['optimizer']} "
    command += f"--values {','.join(map(str, document['sizes']))} --seeds {document['seeds']}"
    return Card(
        key=f"{document['name']} {over} {one['optimizer']}",
        title=f"{document['name']}, {one['optimizer']}",
        group="Checked models",
        verdict=one["verdict"],
        statement=f"{what} of one {one['optimizer']} step does not grow with {over}",
        where=f"{over} {sizes[0]} to {sizes[-1]}, {document['seeds']} seeds",
        kinds=("measurement",),
        facts=facts(
            [
                ("Law", f"{what} {law}: {total['law']['reason']}"),
                ("Exponent", _exponent(total)),
                ("Driven by", one["driver"]),
                ("Relative change", f"{number(one['relative'])} times the rate, at {sizes[-1]}"),
                ("Largest rate", one["largest_rate"]),
            ]
        ),
        tables=(
            TextTable(
                f"{what} by part, mean over the seeds",
                ("part", *map(str, sizes), "exponent [95 % interval]"),
                rows,
                len(sizes) + 1,
            ),
        ),
        commands=(command + ("" if over == "depth" else f" --over {over}"),),
        why=one["driver"] or f"{what} {law}, exponent {_exponent(total)}",
    )


def _mean(series: Mapping[str, Any], size: int) -> float | None:
    pairs = zip(series["sizes"], series["values"], strict=True)
    own = [finite(value) for at, value in pairs if at == size]
    known = [value for value in own if value is not None]
    return sum(known) / len(known) if own and len(known) == len(own) else None


def _exponent(series: Mapping[str, Any]) -> str:
    fit = series["law"]["exponent"]
    if "value" not in fit:
        return str(fit.get("reason", "—"))
    return f"{number(fit['value'])} {span(*fit['interval'])}"


def audit_run(document: Mapping[str, Any], path: Path) -> ReadRun:
    """The run with one card per audited depth.

    Raises
    ------
    InputError
        If the document is damaged.
    """
    try:
        model = document["model"]
        cards = tuple(_audit(one, str(model)) for one in document["audits"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _damaged(path, "audit --json", error) from None
    return ReadRun("audit", str(path), f"Audit of {model}", cards)


def _audit(one: Mapping[str, Any], model: str) -> Card:
    depth = one.get("depth")
    recipe = one["recipe"]
    command = f"tfixup audit {model}" + (f" --recipe {recipe}" if one["given"] else "")
    command += "" if depth is None else f" --values {depth}"
    nearest = one["nearest"]
    faults = [finding["text"] for finding in one["findings"] if finding["fault"]]
    named = f"its initialisation is that of {recipe}" if recipe else "its initialisation is sound"
    return Card(
        key=f"{model} depth {depth} {recipe}",
        title=model if depth is None else f"{model}, depth {depth}",
        group="Audited models",
        verdict="clean" if one["clean"] else "findings",
        statement=f"Every tensor is drawn as asked: {named}",
        where=f"{len(one['tensors'])} tensors",
        kinds=("measurement",),
        facts=facts(
            [
                ("Summary", one["summary"]),
                ("Recipe", nearest["words"] if nearest else recipe),
                ("Layers", one["layers"]),
                ("Residual additions", one["additions"]),
                ("First loss", _loss(one)),
            ]
        )
        + tuple(Fact("Fault" if f["fault"] else "Remark", f["text"]) for f in one["findings"])
        + tuple(Fact("Note", str(note)) for note in one["notes"]),
        tables=(_tensors(one["tensors"]),),
        commands=(command,),
        why=" ".join(faults[:3]) + (f" {len(faults) - 3} more." if len(faults) > 3 else ""),
    )


def _loss(one: Mapping[str, Any]) -> str:
    if one["first_loss"] is None:
        return ""
    wanted = one["log_vocabulary"]
    told = "" if wanted is None else f"; a guess among all words has {number(wanted)}"
    return number(one["first_loss"]) + told


def _tensors(rows: Sequence[Mapping[str, Any]]) -> TextTable:
    columns = ("parameter", "role", "drawn", "asked", "agrees", "std", "asked std", "factor")
    told = {True: "yes", False: "no", None: "—"}
    return TextTable(
        "Tensors: found and asked",
        columns,
        tuple(
            (
                str(row["parameter"]),
                str(row["role"]),
                str(row["distribution"]),
                number(row["asked"]),
                told[row["agrees"]] + (f": {row['problem']}" if row["problem"] else ""),
                number(row["std"]),
                number(row["asked_std"]),
                number(row["factor"]),
            )
            for row in rows
        ),
        3,
    )


def _damaged(path: Path, command: str, error: Exception) -> InputError:
    said = f"no {error}" if isinstance(error, KeyError) else error
    return InputError(f"{path} must be what {command} writes: {said}")
