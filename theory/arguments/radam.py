"""Arguments about the statements of RAdam (Liu et al., ICLR 2020)."""

from theory.arguments.argument import Argument

ARGUMENTS: tuple[Argument, ...] = ()
