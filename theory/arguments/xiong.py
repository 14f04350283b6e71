"""Arguments about the statements of Xiong et al. 2020."""

from theory.arguments.argument import Argument

ARGUMENTS: tuple[Argument, ...] = ()
