"""The answer of ``tfixup solve`` for a reader: a table of scales, then what they rest on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_WIDEST = 100_000
"""Columns within which a table is laid out to see how many it needs."""


def print_solution(document: dict[str, Any]) -> None:
    """Print scales, conditions, shares, assumptions and the other reading.

    No number and no formula is cut short: in a terminal it continues on the next line, elsewhere
    the table is as wide as it must be.
    """
    from rich.console import Console

    console = Console()
    tables = [_scales(document), *([_shares(document)] if document["shares"] else [])]
    if not sys.stdout.isatty():
        unbounded = Console(width=_WIDEST)
        needed = max(unbounded.measure(table).maximum for table in tables)
        console = Console(width=max(console.width, needed))
    console.print(tables[0])
    for line in (*_conditions(document), *_remarks(document)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for table in tables[1:]:
        console.print(table)


def _scales(document: dict[str, Any]) -> Table:
    from rich.markup import escape

    published = any("published" in entry for entry in document["scales"].values())
    depths = (("N_e", "encoder_layers"), ("N_d", "decoder_layers"))
    title = ", ".join(
        (
            str(document["preset"] or document["architecture"]),
            *(f"{letter} = {document[key]}" for letter, key in depths if key in document),
            str(document["optimizer"]),
        )
    )
    head = ("factor for", "", "value", *(("published",) if published else ()), "formula")
    table = _table(escape(title), head)
    for entry in document["scales"].values():
        value, printed = entry["value"], entry.get("published", "")
        table.add_row(
            escape(entry["meaning"]),
            entry["symbol"],
            "" if value is None else f"{value:.12f}",
            *((f"{printed:.12f}" if isinstance(printed, float) else printed,) if published else ()),
            escape(_formula(entry)),
        )
    return table


def _table(title: str, head: tuple[str, ...]) -> Table:
    from rich.table import Table

    table = Table(title=title)
    for column in head:
        table.add_column(column, overflow="fold")
    return table


def _formula(entry: dict[str, Any]) -> str:
    if "power" not in entry:
        return entry["formula"]
    law = f"{entry['constant']:.6g} {entry['depth']}^({entry['power']})"
    if entry["exact"]:
        return f"{law} = {entry['formula']}"
    return f"{entry['formula']} ~ {law} as {entry['depth']} → ∞".strip()


def _shares(document: dict[str, Any]) -> Table:
    table = _table("shares of each stack's update", ("stack", "block", "share", "in deep stacks"))
    for share in document["shares"]:
        value = share["value"]
        table.add_row(
            share["stack"],
            share["block"],
            share["formula"] if value is None else f"{100 * value:.3g} %",
            _share_law(share),
        )
    return table


def _share_law(share: dict[str, Any]) -> str:
    if share["power"] is None:
        return "decided by the free norms" if share["free"] else "no formula in the depth"
    if share["power"] == "0":
        constant = share["constant"]
        return "constant" if constant is None else f"→ {100 * constant:.3g} %"
    constant = "" if share["constant"] is None else f"{share['constant']:.3g} "
    verb = "falls" if share["power"].startswith("-") else "grows"
    return f"{verb} as {constant}N^({share['power']})"


def _conditions(document: dict[str, Any]) -> list[str]:
    return [
        f"condition {name}: {item['left_side']} = {_shown(item['value'])} "
        f"(asked: {item['asked']}{_unmet(item['order'])})"
        for name, item in document["conditions"].items()
    ]


def _shown(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _unmet(order: str) -> str:
    if order == "free":
        return ", which is left to the choice of the free norms"
    return "" if order in ("Θ(1)", "unknown") else f", but it is {order}"


def _remarks(document: dict[str, Any]) -> list[str]:
    lines = [f"assumed: {words}" for words in document["assumed"]]
    if document["free"]:
        lines.append(f"a family: free are {', '.join(document['free'])}")
    if "other_reading" in document:
        other = document["other_reading"]
        scales = ", ".join(f"{key} {_shown(value)}" for key, value in other["scales"].items())
        lines.append(
            f"unequal stacks: the table is by {other['printed']}; by {other['reading']} "
            f"(--input-depth {other['input_depth']}) {scales}"
        )
    lines += [
        f"learning rate: {document[key]}" if key == "learning_rate" else document[key]
        for key in ("leading", "unpublished", "learning_rate")
        if key in document
    ]
    return lines
