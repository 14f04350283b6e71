"""``tfixup derive [CLAIM]``: a derivation, each step checked as it is printed."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

_DEFAULT = "tfixup.encoder-scale"


@dataclass(frozen=True)
class Derive:
    """Print a derivation step by step; SymPy checks each step as it is printed.

    Without a claim: the path from Eq. 5 to the encoder's scale 0.669628722978 N^(-1/4).
    """

    claim: Positional[Annotated[str | None, arg(metavar="CLAIM")]] = None
    """Identifier of a claim, such as tfixup.thm31-repaired, or thm31-repaired."""
    format: str = "text"
    """What is printed: text, latex or json."""
    all: bool = False
    """Print every derivation there is."""

    def run(self) -> int:
        """Print the derivation; exit with 1 if a step fails or its altered version passes."""
        from numerics.report.tables import output_console
        from theory.arguments import ARGUMENTS, arguments_about
        from theory.arguments.render import renderer_named, text
        from theory.errors import InputError
        from theory.ledger import claim_named

        if self.all and self.claim is not None:
            raise InputError(f"a claim is not read with --all, got {self.claim}")
        render = renderer_named(self.format)
        claim = claim_named(self.claim or _DEFAULT).id
        chosen = ARGUMENTS if self.all else arguments_about(claim)
        if not chosen:
            with_one = ", ".join(dict.fromkeys(argument.claim for argument in ARGUMENTS))
            raise InputError(f"no derivation speaks about {claim}; there are: {with_one}")
        lines = render(chosen)
        if render is text:
            console = output_console()
            use_unicode = console.encoding.startswith("utf")
            lines = text(chosen, console.width, use_unicode=use_unicode)
        while True:
            try:
                print(next(lines), flush=True)
            except StopIteration as done:
                return 0 if done.value else 1
