"""Arguments about initialisations of today's decoder-only models."""

from theory.arguments.argument import Argument
from theory.parametrisations import gpt2_update

ARGUMENTS = (
    Argument(
        "modern.gpt2-stream",
        "N blocks add c/N each: y_N² = e² + c",
        gpt2_update.stream,
    ),
    Argument(
        "modern.gpt2-update",
        "output matrices move f by Θ(N): their gradient does not contain their own size",
        gpt2_update.update,
        refutes=True,
    ),
)
