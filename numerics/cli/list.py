"""``tfixup list``: the names that the other commands take, with a line about each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
        from numerics.report.tables import output_console
        from numerics.report.verdicts import hanging, show

        console = output_console()
        show(console, lines(found, console.width))
        if self.what in OWN:
            show(console, (("", ""), *hanging("", OWN[self.what], console.width)))
        return 0


def lines(found: "Mapping[str, str]", width: int) -> "Iterator[tuple[str, str]]":
    """Each name with its text behind it, or below it where that would leave a narrow column.

    Examples
    --------
    >>> named = {"sgd": "Gradient descent.", "a-name-that-is-long": "Another."}
    >>> [line for line, _ in lines({"sgd": "Gradient descent."}, 60)]
    ['sgd  Gradient descent.']
    >>> [line for line, _ in lines(named, 40)]
    ['sgd', '    Gradient descent.', 'a-name-that-is-long', '    Another.']
    """
    from numerics.report.verdicts import hanging

    widest = max(map(len, found), default=0) + 2
    for name, text in found.items():
        if widest > width // 3:
            yield name, "bold"
            yield from hanging("    ", text, width)
        else:
            yield from hanging(f"{name:<{widest}}", text, width)


def recipes() -> dict[str, str]:
    """What `tfixup audit --recipe` and `initialize_` take."""
    from numerics.recipes import ALIASES, RECIPES

    others = {name: [a for a, to in ALIASES.items() if to == name] for name in RECIPES}
    return {
        name: f"{recipe.rule}; {recipe.wiring}; {recipe.source}."
        + (f" Also: {', '.join(others[name])}." if others[name] else "")
        + (f" Not covered: {recipe.leaves}." if recipe.leaves else "")
        for name, recipe in RECIPES.items()
    }


def schemes() -> dict[str, str]:
    """What `tfixup sweep --schemes` and `tfixup train --scheme` take."""
    from numerics.recipes.from_scheme import FROM_SCHEMES
    from numerics.schemes import SCHEMES

    return {
        name: f"{FROM_SCHEMES[name].rule}; wiring {scheme.wiring.name}; {scheme.source}."
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
        name: f"{known.meaning.rstrip('.').replace('``', '')}. In {', '.join(known.commands)}."
        for name, known in known_optimizers().items()
    }


def experiments() -> dict[str, str]:
    """What `tfixup reproduce` repeats."""
    from numerics.training.experiments import EXPERIMENTS

    return {name: experiment.question for name, experiment in EXPERIMENTS.items()}
