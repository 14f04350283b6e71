"""What an audit finds, in words, and how findings are ranked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from numerics.recipes.place import ParameterPlace

SEVERITY = {
    "never-written": 100,
    "asked-not-found": 97,
    "torch-defaults": 95,
    "no-norm-free-path": 92,
    "wiring": 90,
    "copies": 86,
    "mixed-recipes": 84,
    "first-loss": 82,
    "wrong-base": 81,
    "wrong-tensor": 80,
    "branch-factor": 78,
    "unprofiled": 77,
    "shortcut": 76,
    "scale": 70,
    "one-tensor": 68,
    "outliers": 66,
    "overwritten": 64,
    "shape": 60,
    "value": 58,
    "bias": 56,
    "gain": 55,
    "zero": 54,
    "padding": 52,
    "tied": 50,
    "inputs": 46,
    "norms": 44,
    "dead": 42,
    "truncation": 30,
}
"""Order of the findings: what makes all others doubtful comes first."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    kind: str
    """A key of `SEVERITY`."""
    text: str
    """What was found, what is asked, and the factor between, in sentences."""
    tensors: tuple[str, ...] = ()
    """Names of the parameters concerned."""
    found: float | None = None
    """The number found, where one number says it: mostly a standard deviation."""
    wanted: float | None = None
    """The number asked."""
    factor: float | None = None
    """Found over asked."""
    fault: bool = True
    """Whether it makes the audit fail; a remark about what the recipe cannot change does not."""

    @property
    def severity(self) -> int:
        """Rank: findings are listed from the highest."""
        return SEVERITY[self.kind]


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Faults from the gravest, then remarks; within a kind, findings on more tensors come first."""
    return tuple(
        sorted(findings, key=lambda f: (not f.fault, -f.severity, -len(f.tensors), f.text))
    )


def pattern(name: str) -> str:
    """A parameter's name with its numbers taken out: the same for every layer.

    Examples
    --------
    >>> pattern("transformer.h.11.attn.c_proj.weight")
    'transformer.h.*.attn.c_proj.weight'
    """
    return re.sub(r"(?<=[._])\d+(?=[._]|$)|^\d+(?=\.)", "*", name)


def count_names(names: Iterable[str]) -> str:
    """Parameters by pattern, with how many there are of each; one named twice counts once.

    Examples
    --------
    >>> count_names(["h.0.o.weight", "h.1.o.weight", "head.weight"])
    '2 h.*.o.weight, head.weight'
    """
    kinds: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        kinds.setdefault(pattern(name), []).append(name)
    shown = [f"{len(own)} {kind}" if len(own) > 1 else own[0] for kind, own in kinds.items()]
    rest = f" and {len(shown) - 4} more kinds" if len(shown) > 4 else ""
    return ", ".join(shown[:4]) + rest


def label(place: ParameterPlace) -> str:
    """The parameter's name, with the role where the parameter plays several."""
    split = place.view.rows is not None or place.view.expert is not None
    return f"{place.name} ({place.role})" if split else place.name


def names_of(places: Iterable[ParameterPlace]) -> tuple[str, ...]:
    """Labels of places, each once, in order."""
    return tuple(dict.fromkeys(label(place) for place in places))


def plural(count: int, noun: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> plural(1, "tensor"), plural(3, "tensor")
    ('1 tensor', '3 tensors')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"
