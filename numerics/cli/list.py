"""``tfixup list``: the names that the other commands take, with a line about each."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

OWN = {
    "schemes": "One of your own: PATH.py:NAME or MODULE:NAME, an object of a tfixup.Scheme.",
    "recipes": "One of your own: PATH.py:NAME or MODULE:NAME, an object of a tfixup.Recipe or "
    "tfixup.Scheme.",
}
"""What can be named that is not in the list."""


@dataclass(frozen=True)
class List:
    """List what there is: recipes, schemes, claims, optimizers or experiments."""

    what: Positional[Literal["recipes", "schemes", "claims", "optimizers", "experiments"]]
    """What to list."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print the names with what they stand for."""
        found = {
            "recipes": recipes,
            "schemes": schemes,
            "claims": claims,
            "optimizers": optimizers,
            "experiments": experiments,
        }[self.what]()
        if self.json:
            import json

            print(json.dumps(found, indent=1))
            return 0
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        shown = Table(box=None, pad_edge=False, show_header=False)
        shown.add_column(no_wrap=True, style="bold")
        shown.add_column(overflow="fold")
        for name, line in found.items():
            shown.add_row(escape(name), escape(line))
        console = Console()
        console.print(shown)
        if self.what in OWN:
            console.print(f"\n{OWN[self.what]}", highlight=False)
        return 0


def recipes() -> dict[str, str]:
    """What `tfixup audit --recipe` and `initialize_` take."""
    from numerics.recipes import ALIASES, RECIPES

    others = {name: [a for a, to in ALIASES.items() if to == name] for name in RECIPES}
    return {
        name: f"{recipe.rule}. {recipe.wiring}. {recipe.source}."
        + (f" Also: {', '.join(others[name])}." if others[name] else "")
        + (f" Not covered: {recipe.leaves}." if recipe.leaves else "")
        for name, recipe in RECIPES.items()
    }


def schemes() -> dict[str, str]:
    """What `tfixup sweep --schemes` and `tfixup train --scheme` take."""
    from numerics.recipes.from_scheme import FROM_SCHEMES
    from numerics.schemes import SCHEMES

    return {
        name: f"{FROM_SCHEMES[name].rule}. Wiring {scheme.wiring.name}. {scheme.source}."
        for name, scheme in SCHEMES.items()
    }


def claims() -> dict[str, str]:
    """What `tfixup verify` decides."""
    from theory.ledger import LEDGER

    return {claim.id: claim.statement for claim in LEDGER}


def optimizers() -> dict[str, str]:
    """What solve, sweep, check and train take, each with the commands that know it."""
    from numerics.cli.optimizer_names import known_optimizers

    return {
        name: f"{known.meaning.rstrip('.')}. In {', '.join(known.commands)}."
        for name, known in known_optimizers().items()
    }


def experiments() -> dict[str, str]:
    """What `tfixup reproduce` repeats."""
    from numerics.training.experiments import EXPERIMENTS

    return {name: experiment.question for name, experiment in EXPERIMENTS.items()}
