"""Arguments about the statements of Admin (Liu et al., EMNLP 2020)."""

from theory.arguments.argument import Argument

ARGUMENTS: tuple[Argument, ...] = ()
