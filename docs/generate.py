"""Writes the pages of the documentation that come from the code: none of their facts is typed.

``write_all`` writes derivations by paper, the table of claims, the help of each command, the public
API, the stored columns and the schemes into one folder.
"""

import io
import json
import re
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout, suppress
from pathlib import Path

from recorded_tables import write_tables

PAPERS = {
    "tfixup": "T-Fixup (Huang et al. 2020)",
    "xiong": "Xiong et al. 2020",
    "admin": "Admin (Liu et al. 2020)",
    "radam": "RAdam (Liu et al. 2020)",
    "libraries": "Libraries",
    "ours": "Questions of our own",
}
OTHERS = "Other named schemes"


def write_all(folder: Path) -> None:
    """Write every generated page below ``folder``, replacing what stands there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (folder / f"{name}.md").write_text(make(), "utf-8")
    write_tables(folder)
    for name, command in OUTPUTS.items():
        (folder / f"{name}.txt").write_text(printed(command), "utf-8")


TUTORIALS = Path(__file__).parent / "tutorials"
MY_DECODER, MY_LLAMA = (f"{TUTORIALS / name}:make" for name in ("my_decoder.py", "my_llama.py"))
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
    """What a command prints, with the tutorials' own paths as the tutorials write them."""
    from numerics.cli.main import run

    output = io.StringIO()
    with redirect_stdout(output):
        run(command.split())
    return output.getvalue().replace(str(TUTORIALS), "docs/tutorials")


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    r"""A Markdown table; bars inside cells are escaped.

    Examples
    --------
    >>> print(table(("a", "b"), [(1, "x|y")]))
    | a | b |
    |---|---|
    | 1 | x\\|y |
    """
    names = tuple(header)
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for row in rows:
        cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def claims() -> str:
    """Every row of the ledger."""
    from theory.ledger import LEDGER

    lines = ["# The claims", "", "Each row is one statement that `tfixup verify` decides.", ""]
    for paper in dict.fromkeys(claim.paper for claim in LEDGER):
        rows = [claim for claim in LEDGER if claim.paper == paper]
        lines += [f"## {PAPERS.get(paper, paper)}", ""]
        lines += [
            table(
                ("id", "where", "statement"), ((f"`{c.id}`", c.where, c.statement) for c in rows)
            ),
            "",
        ]
    return "\n".join(lines)


def derivations() -> str:
    """Every derivation, paper by paper, with the outcome of each step's check."""
    from theory.arguments import ARGUMENTS
    from theory.arguments.render import as_json

    (document,) = as_json(ARGUMENTS)
    found = json.loads(document)
    lines = [
        "# The derivations",
        "",
        "SymPy checked each step when this page was built, and rejected a false variant of each.",
        "The same derivations print in a terminal by `tfixup derive CLAIM`.",
        "",
    ]
    paper = ""
    for argument in found:
        if (own := argument["claim"].partition(".")[0]) != paper:
            paper = own
            lines += [f"## {PAPERS.get(paper, paper)}", ""]
        lines += [
            f"### {argument['title']}",
            "",
            f"`{argument['claim']}`: {argument['statement']}",
            "",
        ]
        if legend := argument.get("legend"):
            lines += [
                "Where " + "; ".join(f"{name}: {what}" for name, what in legend.items()) + ".",
                "",
            ]
        for number, step in enumerate(argument["steps"], start=1):
            mark = step.get("checked") or ("checked" if step["holds"] else "FAILS")
            lines += [f"{number}. {step['because']} *({mark})*", ""]
            lines += ["   $$", f"   {step['latex']}", "   $$", ""]
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
    return "# The schemes\n\n" + table(("name", "source"), rows) + "\n"


def recipes() -> str:
    """Every recipe by role, with what one step moves."""
    from theory.parametrisations.judgement import judge
    from theory.parametrisations.powers import RolePowers
    from theory.parametrisations.recipes import RECIPES
    from theory.parametrisations.step_laws import law_named

    lines = [
        "# The recipes",
        "",
        "Formulas in N layers, layer number l, width n; N_0 and n_0 are the depth and the width at "
        "which a recipe was tuned. Rate, weight decay and ε are factors on the optimizer's own. "
        "The last line of each gives the power of N by which f moves in one step.",
        "",
    ]
    header = ("role", "multiplier", "std", "rate", "weight decay", "ε")
    for recipe in RECIPES.values():
        rules = ((role, recipe.rule(role)) for role in recipe.wired.used)
        rows = [
            (
                role,
                *(f"`{side}`" for side in (r.multiplier, r.std, r.rate, r.weight_decay, r.epsilon)),
            )
            for role, r in rules
            if r != RolePowers()
        ]
        moved = ", ".join(
            f"{law} {judge(recipe, law_named(law)).total.power}" for law in ("sgd", "adamw", "muon")
        )
        remark = f" Remark: {recipe.remark}." if recipe.remark else ""
        lines += [
            f"## {recipe.name}",
            "",
            f"{recipe.source}. Stated for {recipe.optimizer}.{remark}",
        ]
        lines += ["", table(header, rows), "", f"Powers of N in f's change: {moved}.", ""]
    return "\n".join(lines)


PAGES: dict[str, Callable[[], str]] = {
    "claims": claims,
    "derivations": derivations,
    "commands": commands,
    "api": api,
    "schemes": schemes,
    "recipes": recipes,
}

if __name__ == "__main__":
    write_all(Path(__file__).parent / "_generated")
