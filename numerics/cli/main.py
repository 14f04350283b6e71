"""The ``tfixup`` command: picks a subcommand, turns whatever goes wrong into one line.

Subcommands are frozen dataclasses with a ``run`` method that imports what it needs, so that
``tfixup --help`` loads neither SymPy nor torch.

Exit codes: 0 done, 1 a check failed, 2 a rule was broken by the caller, 3 the machine failed (a
full disk, no memory, a lost cluster), 130 interrupted.
"""

import io
import os
import shutil
import sys
import textwrap
import traceback
from concurrent.futures import BrokenExecutor
from errno import EILSEQ, ENAMETOOLONG
from typing import Annotated, get_args

from tyro.conf import subcommand

from numerics.cli.ascii_letters import use_spelled_letters
from numerics.cli.audit import AuditCommand
from numerics.cli.check import CheckCommand
from numerics.cli.derive import Derive
from numerics.cli.explain import Explain
from numerics.cli.list import List
from numerics.cli.parsing import parsed
from numerics.cli.plot import Plot
from numerics.cli.prove import Prove
from numerics.cli.report import Report
from numerics.cli.reproduce import Reproduce
from numerics.cli.solve import Solve
from numerics.cli.sweep import Sweep
from numerics.cli.train import Train
from numerics.cli.verify import Verify
from theory.errors import InputError, nearest

Command = (
    Annotated[Verify, subcommand("verify")]
    | Annotated[Explain, subcommand("explain")]
    | Annotated[Derive, subcommand("derive")]
    | Annotated[Prove, subcommand("prove")]
    | Annotated[Solve, subcommand("solve")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Plot, subcommand("plot")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Reproduce, subcommand("reproduce")]
    | Annotated[Report, subcommand("report")]
    | Annotated[CheckCommand, subcommand("check")]
    | Annotated[AuditCommand, subcommand("audit")]
    | Annotated[List, subcommand("list")]
)
COMMANDS = {kind.__metadata__[0].name: kind.__origin__ for kind in get_args(Command)}
"""The class of every command by its name, in the order of the help."""
DESCRIPTION = "Does this Transformer initialisation do what its theory says?"
BROKEN_RULE, MACHINE, INTERRUPTED = 2, 3, 130
GOES_ON = dict.fromkeys(("train", "reproduce"), "the same command goes on where it stopped") | {
    "sweep": "the same command goes on where it stopped, if it has --out",
    "verify": "the rows above are decided; --claims PATTERN checks the rest, or fewer",
    "check": "nothing was stored; fewer --values or --seeds are quicker",
}
"""How to go on after an interruption, by command."""


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Exit code of ``tfixup ARGUMENTS``; malformed options exit with 2 from the parser.

    ``--version`` prints the version. With ``TFIXUP_TRACEBACK=1`` a failure is shown with its
    traceback too.
    """
    _print_everywhere()
    if arguments == ["--version"]:
        print(_version())
        return 0
    try:
        return _command(arguments).run()
    except InputError as broken:
        return _failed(broken, str(broken), BROKEN_RULE)
    except KeyboardInterrupt as stopped:
        told = GOES_ON.get(next(iter(arguments), ""), "nothing was changed")
        return _failed(stopped, f"interrupted: {told}", INTERRUPTED)
    except BrokenPipeError:
        # The reader has what it wanted. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError as full:
        return _failed(full, "the memory is full: fewer layers, seeds or workers", MACHINE)
    except RecursionError as deep:
        return _failed(deep, "the input nests too deeply", BROKEN_RULE)
    except OSError as failed:
        where = f" {failed.filename}" if failed.filename else ""
        told = failed.strerror or _first_line(failed)
        # No file can have such a name, whatever the machine's state.
        code = BROKEN_RULE if failed.errno in (ENAMETOOLONG, EILSEQ) else MACHINE
        return _failed(failed, f"the system refused{where}: {told}", code)
    except BrokenExecutor as died:
        told = "a worker process died twice at the same task, perhaps of a full memory"
        return _failed(died, told, MACHINE)
    except Exception as fault:
        told = f"{type(fault).__name__}: {_first_line(fault)}"
        hint = "a fault of this program; TFIXUP_TRACEBACK=1 shows where"
        return _failed(fault, f"{told} ({hint})", MACHINE)
    except BaseException as panic:
        # The Parquet reader's panics are no Exception; SystemExit is the parser's own.
        if type(panic).__name__ != "PanicException":
            raise
        return _failed(panic, f"a file could not be read: {_first_line(panic)}", BROKEN_RULE)


def _command(arguments: list[str]) -> Command:
    """The command that the words ask for; a misspelt option meets only its own command's."""
    first = arguments[0] if arguments else ""
    if not first or first.startswith("-"):
        return parsed(Command, "tfixup", arguments, DESCRIPTION)
    if first not in COMMANDS:
        raise nearest(first, COMMANDS, "command")
    return parsed(COMMANDS[first], f"tfixup {first}", arguments[1:])


def _failed(error: BaseException, message: str, code: int) -> int:
    if os.environ.get("TFIXUP_TRACEBACK", "") not in ("", "0"):
        traceback.print_exception(error)
    print(_broken_for_terminal(f"tfixup: error: {' '.join(message.split())}"), file=sys.stderr)
    return code


def _broken_for_terminal(line: str) -> str:
    """``line`` broken between words where a terminal shows it; a file or a pipe gets one line."""
    if not sys.stderr.isatty():
        return line
    width = shutil.get_terminal_size().columns
    if "COLUMNS" not in os.environ:
        width = os.get_terminal_size(sys.stderr.fileno()).columns or width
    return textwrap.fill(
        line,
        max(width, 20),
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), "no message")


def _print_everywhere() -> None:
    """Let a terminal without UTF-8 print formulas with their letters spelled."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in (
            "utf-8",
            "utf8",
        ):
            stream.reconfigure(errors=use_spelled_letters())


def _version() -> str:
    from importlib import metadata

    return f"tfixup {metadata.version('tfixup')}"


if __name__ == "__main__":
    main()
