"""The ``tfixup`` command: picks a subcommand, turns a broken rule into one line and exit code 2.

Subcommands are frozen dataclasses with a ``run`` method that imports what it needs, so that
``tfixup --help`` loads neither SymPy nor torch.
"""

import sys
from typing import Annotated

import tyro
from tyro.conf import arg, subcommand

from numerics.cli.audit import Audit
from numerics.cli.check import Check
from numerics.cli.derive import Derive
from numerics.cli.list import List
from numerics.cli.plot import Plot
from numerics.cli.prove import Prove
from numerics.cli.reproduce import Reproduce
from numerics.cli.solve import Solve
from numerics.cli.sweep import Sweep
from numerics.cli.train import Train
from numerics.cli.verify import Verify
from theory.errors import InputError

Command = (
    Annotated[Verify, subcommand("verify")]
    | Annotated[Derive, subcommand("derive")]
    | Annotated[Prove, subcommand("prove")]
    | Annotated[Solve, subcommand("solve")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Plot, subcommand("plot")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Reproduce, subcommand("reproduce")]
    | Annotated[Check, subcommand("check")]
    | Annotated[Audit, subcommand("audit")]
    | Annotated[List, subcommand("list")]
)


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Exit code of ``tfixup ARGUMENTS``; malformed options exit with 2 from the parser."""
    try:
        command: Command = tyro.cli(
            Annotated[Command, arg(name="")],  # type: ignore[arg-type]
            prog="tfixup",
            description="Does this Transformer initialisation do what its theory says?",
            args=arguments,
        )
        return command.run()
    except InputError as broken:
        print(f"tfixup: error: {broken}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
