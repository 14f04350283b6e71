"""Writes the pages of the documentation that come from the code: none of their facts is typed.

``write_all`` writes derivations by paper, the table of claims, the help of each command, the public
API, the stored columns and the schemes into one folder.
"""

import io
import os
import re
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stdout, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from derivation_pages import write_derivations
from papers import heading
from recorded_tables import table, verdicts, write_tables


def write_all(folder: Path) -> None:
    """Write every generated page below ``folder``, replacing what stands there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (folder / f"{name}.md").write_text(make(), "utf-8")
    write_derivations(folder)
    write_tables(folder)
    for name, command in OUTPUTS.items():
        (folder / f"{name}.txt").write_text(printed(command), "utf-8")


ROOT = Path(__file__).parent.parent
COLUMNS = "96"
"""Width of what the tutorials show: as many characters as the pages' column holds."""
MY_DECODER, MY_LLAMA = (f"docs/tutorials/{name}.py:make" for name in ("my_decoder", "my_llama"))
OUTPUTS = {
    "check": f"check {MY_DECODER} --values 2,4,8,16 --optimizers adamw --seeds 2",
    "solve_recipe": "solve --recipe gpt2 --optimizer adamw",
    "solve_depth_mup": "solve --recipe depth-mup --optimizer adamw",
    "check_llama": f"check {MY_LLAMA} --values 2,4,8,16 --optimizers adamw --seeds 2",
    "solve_llama": f"solve --model {MY_LLAMA} --optimizer adamw --layers 32 --base-layers 4",
    "rates": f"check {MY_DECODER} --values 2,4,8,16 --optimizers adamw --seeds 2 --rates depth-mup",
    "audit": f"audit {MY_DECODER} --recipe gpt2 --values 4",
}
"""Commands whose output the tutorials show."""


def printed(command: str) -> str:
    """What a command prints when it is called in the repository's root."""
    from numerics.cli.main import run

    output = io.StringIO()
    with patch.dict(os.environ, COLUMNS=COLUMNS), chdir(ROOT), redirect_stdout(output):
        run(command.split())
    return output.getvalue()


def claims() -> str:
    """Every row of the ledger with its recorded verdict."""
    from theory.ledger import LEDGER

    recorded = verdicts()
    lines = [
        "# The claims",
        "",
        "Each row is one statement that `tfixup verify` decides. The verdict is the recorded one, "
        "`results/verify/verdicts.json`. `tfixup explain ID` shows what it rests on, "
        "[how the papers are read](../readings.md) what each statement was taken to say, and "
        "[a tutorial](../tutorials/verify-a-paper.md) what the verdicts mean.",
        "",
    ]
    for title in dict.fromkeys(heading(claim.paper) for claim in LEDGER):
        rows = [claim for claim in LEDGER if heading(claim.paper) == title]
        lines += [f"## {title}", ""]
        lines += [
            table(
                ("id", "where", "statement", "verdict"),
                (
                    (f"`{c.id}`", c.where, c.statement, recorded.get(c.id, "not recorded"))
                    for c in rows
                ),
            ),
            "",
        ]
    return "\n".join(lines)


def commands() -> str:
    """The help of each command, as the command prints it."""
    from numerics.cli.main import run

    lines = ["# The commands", "", "Each text below is what `tfixup COMMAND --help` prints.", ""]
    for name in ("", *command_names()):
        lines += [f"## tfixup {name}".rstrip(), "", "```text", help_text(run, name), "```", ""]
    return "\n".join(lines)


def command_names() -> tuple[str, ...]:
    """The names of the subcommands, in their order in the help."""
    from numerics.cli.main import COMMANDS

    return tuple(COMMANDS)


def help_text(run: Callable[[list[str]], int], name: str) -> str:
    """What ``tfixup NAME --help`` prints, without colours."""
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        run([*([name] if name else []), "--help"])
    return re.sub(r"\x1b\[[0-9;]*m", "", printed.getvalue()).rstrip()


def api() -> str:
    """The public face: every name of ``tfixup`` from its docstring."""
    import tfixup

    lines = [
        "# Python",
        "",
        "```{eval-rst}",
        ".. automodule:: tfixup",
        "   :no-members:",
        "```",
        "",
    ]
    for name in tfixup.__all__:
        found = getattr(tfixup, name)
        if isinstance(found, type):
            kind, extra = "autoclass", "   :members:"
        elif callable(found):
            kind, extra = "autofunction", ""
        else:
            entries = ", ".join(f"`{getattr(entry, 'id', entry)}`" for entry in found)
            lines += [f"## {name}", "", f"The entries are {entries}.", ""]
            continue
        lines += [f"## {name}", "", "```{eval-rst}", f".. {kind}:: tfixup.{name}"]
        lines += [*([extra] if extra else []), "```", ""]
    return "\n".join(lines)


def schemes() -> str:
    """Every initialisation scheme with its source."""
    from numerics.schemes import SCHEMES

    rows = ((f"`{name}`", scheme.source) for name, scheme in SCHEMES.items())
    opening = (
        "# The schemes",
        "",
        "A scheme draws this project's own models. `tfixup sweep --schemes NAME` and "
        "`tfixup train --scheme NAME` take its name. [Recipes](recipes.md) draw any model.",
        "",
    )
    return "\n".join((*opening, table(("name", "source"), rows), ""))


def recipes() -> str:
    """Every recipe by role, with what one step moves."""
    from theory.parametrisations.judgement import judge
    from theory.parametrisations.powers import RolePowers
    from theory.parametrisations.recipes import RECIPES
    from theory.parametrisations.step_laws import law_named

    lines = [
        "# The recipes",
        "",
        "A recipe says how the tensors of each role are drawn and how they learn. $N$ is the "
        "number of layers, $l$ the number of a layer, $n$ the width. $N_0$ and $n_0$ are the depth "
        "and the width at which a recipe was tuned. Rate, weight decay and ε are factors on the "
        "optimizer's own. A column that would hold 1 alone is left out. The last line of each "
        "recipe gives the power of $N$ by which one step moves the function: 0 is wanted.",
        "",
    ]
    for recipe in RECIPES.values():
        rules = {role: recipe.rule(role) for role in recipe.wired.used}
        rules = {role: rule for role, rule in rules.items() if rule != RolePowers()}
        moved = ", ".join(
            f"{law} {judge(recipe, law_named(law)).total.power}" for law in ("sgd", "adamw", "muon")
        )
        remark = f" Remark: {recipe.remark}." if recipe.remark else ""
        lines += [
            f"## {recipe.name}",
            "",
            f"{recipe.source}. Stated for {recipe.optimizer}.{remark}",
        ]
        lines += ["", _rules(rules), "", f"Powers of N in f's change: {moved}.", ""]
    return "\n".join(lines)


SIDES = {
    "multiplier": "multiplier",
    "std": "std",
    "rate": "rate",
    "weight decay": "weight_decay",
    "ε": "epsilon",
}
"""Columns of a recipe's table, and the attribute that each shows."""


def _rules(rules: Mapping[str, Any]) -> str:
    """A row per role, a column per side that is not 1 everywhere."""
    import sympy as sp

    columns = {
        name: [sp.sympify(getattr(rule, side)) for rule in rules.values()]
        for name, side in SIDES.items()
    }
    kept = {name: column for name, column in columns.items() if any(one != 1 for one in column)}
    cells = ((f"${sp.latex(one)}$" for one in row) for row in zip(*kept.values(), strict=True))
    rows = ((role, *own) for role, own in zip(rules, cells, strict=True))
    return table(("role", *kept), rows)


PAGES: dict[str, Callable[[], str]] = {
    "claims": claims,
    "commands": commands,
    "api": api,
    "schemes": schemes,
    "recipes": recipes,
}

if __name__ == "__main__":
    write_all(Path(__file__).parent / "_generated")
