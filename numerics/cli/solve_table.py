"""The answer of ``tfixup solve`` for a reader: a table of scales, then what they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def print_solution(document: dict[str, Any]) -> None:
    """Print scales, conditions, shares, assumptions and the other reading.

    No number and no formula is cut short, and none is broken inside a word.
    """
    from numerics.report.tables import output_console, say

    console = output_console()
    _print_scales(console, document)
    for label, text in (*_conditions(document), *_remarks(document)):
        say(console, "", f"{label}{text}", indent=4)
    if document["shares"]:
        _print_shares(console, document)


def _print_scales(console: Console, document: dict[str, Any]) -> None:
    from numerics.report.tables import Column, print_table

    depths = (("N_e", "encoder_layers"), ("N_d", "decoder_layers"))
    title = ", ".join(
        (
            str(document["preset"] or document["architecture"]),
            *(f"{letter} = {document[key]}" for letter, key in depths if key in document),
            str(document["optimizer"]),
        )
    )
    columns = (
        Column("factor for", prose=True),
        Column(""),
        Column("value"),
        Column("published"),
        Column("formula", formula=True),
    )
    rows = []
    for entry in document["scales"].values():
        value, printed = entry["value"], entry.get("published", "")
        rows.append(
            (
                entry["meaning"],
                entry["symbol"],
                "" if value is None else f"{value:.12f}",
                f"{printed:.12f}" if isinstance(printed, float) else printed,
                _formula(entry),
            )
        )
    print_table(console, title, columns, rows, name=1)


def _formula(entry: dict[str, Any]) -> str:
    if "power" not in entry:
        return entry["formula"]
    law = f"{entry['constant']:.6g} {entry['depth']}^({entry['power']})"
    if entry["exact"]:
        return f"{law} = {entry['formula']}"
    return f"{entry['formula']} ~ {law} as {entry['depth']} → ∞".strip()


def _print_shares(console: Console, document: dict[str, Any]) -> None:
    from numerics.report.tables import Column, print_table

    columns = (Column("block"), Column("share", formula=True), Column("in deep stacks", prose=True))
    rows = []
    for share in document["shares"]:
        value = share["value"]
        told = share["formula"] if value is None else f"{100 * value:.3g} %"
        rows.append((f"{share['stack']} {share['block']}", told, _share_law(share)))
    print_table(console, "shares of each stack's update", columns, rows)


def _share_law(share: dict[str, Any]) -> str:
    if share["power"] is None:
        return "decided by the free norms" if share["free"] else "no formula in the depth"
    if share["power"] == "0":
        constant = share["constant"]
        return "constant" if constant is None else f"→ {100 * constant:.3g} %"
    constant = "" if share["constant"] is None else f"{share['constant']:.3g} "
    verb = "falls" if share["power"].startswith("-") else "grows"
    return f"{verb} as {constant}N^({share['power']})"


def _conditions(document: dict[str, Any]) -> list[tuple[str, str]]:
    from numerics.report.verdicts import NO_BREAK

    return [
        (
            f"condition {name}: ",
            f"{item['left_side']} = {_shown(item['value'])} "
            f"(asked:{NO_BREAK}{item['asked']}{_unmet(item['order'])})",
        )
        for name, item in document["conditions"].items()
    ]


def _shown(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _unmet(order: str) -> str:
    if order == "free":
        return ", which is left to the choice of the free norms"
    return "" if order in ("Θ(1)", "unknown") else f", but it is {order}"


def _remarks(document: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [("assumed: ", words) for words in document["assumed"]]
    if document["free"]:
        lines.append(("a family: ", f"free are {', '.join(document['free'])}"))
    if "other_reading" in document:
        other = document["other_reading"]
        scales = ", ".join(f"{key} {_shown(value)}" for key, value in other["scales"].items())
        told = (
            f"the table is by {other['printed']}; by {other['reading']} "
            f"(--input-depth {other['input_depth']}) {scales}"
        )
        lines.append(("unequal stacks: ", told))
    lines += [
        ("learning rate: " if key == "learning_rate" else "", document[key])
        for key in ("leading", "unpublished", "learning_rate")
        if key in document
    ]
    return lines
