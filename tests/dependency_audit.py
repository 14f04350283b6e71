"""What is asked of every dependency, offline: a pin, that very version, a licence on the list."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
PERMISSIVE = "use, change and redistribution in any project, with the notice kept"
WEAK = "imported unchanged, never copied here: only changes to the library itself must be shared"
LICENCES: Mapping[str, str] = {
    "0bsd": PERMISSIVE,
    "apache": PERMISSIVE,
    "bsd": PERMISSIVE,
    "bsl-1.0": PERMISSIVE,
    "cc0-1.0": PERMISSIVE,
    "cnri-python": PERMISSIVE,
    "isc": PERMISSIVE,
    "mit": PERMISSIVE,
    "psf": PERMISSIVE,
    "zlib": PERMISSIVE,
    "mpl": WEAK,
    "lgpl": WEAK,
    "public domain": "no rights are reserved",
}
"""The kinds of licences that a dependency may have, each with the reason."""
UNSTATED: Mapping[str, str] = {
    "cvc5": "its metadata is silent; its repository's COPYING is the three-clause BSD licence"
}
"""Distributions without a licence in their metadata, each with where it was read."""
KNOWN_BAD: Mapping[str, tuple[str, ...]] = {
    "torch": ("2.5.1",),  # CVE-2025-32434: weights_only=True ran code up to and with this release
    "jinja2": ("3.1.5",),  # CVE-2025-27516: a template could leave the sandbox
}
"""Releases that must not be pinned; the earlier ones have the same fault."""


@dataclass(frozen=True)
class Installed:
    """A distribution of the environment."""

    name: str
    version: str
    licences: tuple[str, ...]
    """Whatever its metadata says: an expression, a field, classifiers."""


def normal(name: str) -> str:
    """A distribution's name as package indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """The version of every line of a file of constraints; a line without one is ''."""
    found = {}
    for line in text.splitlines():
        word = line.partition("#")[0].strip()
        if word:
            name, _, version = word.partition("==")
            found[normal(name)] = version
    return found


def installed(names: Iterable[str]) -> list[Installed]:
    """The distributions of those names that are installed."""
    found = []
    for name in names:
        try:
            held = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        told = held.metadata
        classifiers = told.get_all("Classifier") or []
        kinds = [one.rpartition("::")[2].strip() for one in classifiers if one[:7] == "License"]
        stated = [*(told.get_all("License-Expression") or []), *(told.get_all("License") or [])]
        # A whole licence text in that field names its kind in the first line.
        words = [one.strip().splitlines()[0] for one in stated if one.strip()]
        found.append(Installed(normal(name), held.version, (*words, *kinds)))
    return found


def needed(root: str) -> set[str]:
    """The distributions that ``root`` needs with any of its extras, as far as they are installed.

    Extras of dependencies count as well where they are installed.
    """
    found: set[str] = set()
    waiting = [root]
    while waiting:
        name = normal(waiting.pop())
        if name in found:
            continue
        try:
            asked = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        own = name == normal(root)
        waiting += [re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in asked if own or _plain(one)]
    return found - {normal(root)}


def _plain(requirement: str) -> bool:
    return "extra ==" not in requirement


def is_allowed(licences: Iterable[str]) -> bool:
    """Whether one of the licences is on the list, and what is joined by AND is all on it."""
    return any(_allowed(one) for one in licences)


def _allowed(text: str) -> bool:
    low = text.lower().replace("lesser general public", "lgpl").replace("mozilla public", "mpl")
    low = low.replace("python software foundation", "psf")
    options = re.split(r"\bor\b(?! later)", low)
    return any(all(_on_list(part) for part in re.split(r"\band\b|;", option)) for option in options)


def _on_list(words: str) -> bool:
    return any(re.search(rf"(?<![a-z]){re.escape(kind)}(?![a-z])", words) for kind in LICENCES)


def faults(pinned: Mapping[str, str], there: Iterable[Installed]) -> list[str]:
    """What is wrong with the environment, a line each."""
    found = [f"{name} has no exact pin" for name, version in pinned.items() if not version]
    for name, releases in KNOWN_BAD.items():
        if name in pinned and _numbers(pinned[name]) <= max(map(_numbers, releases)):
            found.append(f"{name} {pinned[name]} has a known fault")
    for one in there:
        told = pinned.get(one.name)
        if told is None:
            found.append(f"{one.name} is needed and not pinned")
        elif told and one.version.partition("+")[0] != told:
            found.append(f"{one.name} is {one.version} and pinned to {told}")
        if not is_allowed(one.licences) and one.name not in UNSTATED:
            found.append(f"{one.name} has the licence {' | '.join(one.licences) or 'none'}")
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
