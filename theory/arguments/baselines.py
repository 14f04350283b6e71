"""Arguments about the statements of the named baselines."""

from theory.arguments.argument import Argument

ARGUMENTS: tuple[Argument, ...] = ()
