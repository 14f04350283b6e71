"""Which commands know an optimizer, in one table: a name means the same rule in all of them.

Not every command can take every rule. ``tfixup solve`` needs the rule as a function of one
gradient and one weight, ``sweep`` and ``check`` as a step that is made of gradients, and ``train``
as an optimizer that runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownOptimizer:
    """The name of an optimizer, what its step is, and the commands that take it."""

    name: str
    meaning: str
    """One line about the step."""
    commands: tuple[str, ...]
    """The commands, such as ``("solve", "sweep", "check", "train")``."""


def known_optimizers() -> Mapping[str, KnownOptimizer]:
    """Every optimizer by name, with the commands that take it, read off the commands' own tables.

    Examples
    --------
    >>> known_optimizers()["adamw"].commands
    ('solve', 'sweep', 'check', 'train')
    >>> known_optimizers()["muon"].commands
    ('solve', 'sweep', 'check', 'train')
    """
    from typing import get_args, get_type_hints

    from numerics.linearization.update_directions import DIRECTIONS
    from numerics.own_model.measurement.update_steps import optimizer_names
    from numerics.training.config import TrainConfig
    from theory.scales.update_rules import RULES

    tables: Mapping[str, tuple[str, ...]] = {
        "solve": tuple(RULES),
        "sweep": tuple(DIRECTIONS),
        "check": optimizer_names(),
        "train": get_args(get_type_hints(TrainConfig)["optimizer"]),
    }
    meanings = {name: rule.meaning for name, rule in RULES.items()}
    meanings |= {name: (way.__doc__ or "").splitlines()[0] for name, way in DIRECTIONS.items()}
    names = dict.fromkeys(name for table in tables.values() for name in table)
    return {
        name: KnownOptimizer(
            name, meanings[name], tuple(told for told, table in tables.items() if name in table)
        )
        for name in names
    }
