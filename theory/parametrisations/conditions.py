"""The conditions on a recipe's powers, as linear forms that must be zero, or at most zero.

    start            a stream behind norms starts at size Θ(1)
    stream           the branches' sum does not outgrow the stream's start
    share            the blocks of a kind move f by Θ(1) through each of their roles
    ends             so do the embeddings and the head
    inside           what a role computes changes by a Θ(1) fraction of itself, CompleteP's demand
    memory           f's derivative with respect to the memory is Θ(1), Eq. 8 of T-Fixup
    scores           attention's logits do not grow
    bounded          no step changes what a role computes by more than a Θ(1) multiple of itself

All shares together are the statement that f moves by Θ(1) and every block by Θ(1/N) of it. Along
the width blocks are few, and activations must be Θ(1), f at the start at most Θ(1).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import sympy as sp

from theory.errors import nearest
from theory.parametrisations.sizes import StructurePowers
from theory.parametrisations.step_laws import HALF
from theory.parametrisations.structures import RoleProduct

FAMILIES = ("start", "stream", "share", "ends", "inside", "memory", "scores", "bounded")
"""What can be asked."""
STANDARD = ("start", "stream", "share", "ends", "scores")
"""What every recipe is asked: a steady stream, a change of f of Θ(1), equal shares."""


@dataclass(frozen=True)
class PowerCondition:
    """A power that must be 0, or at most 0."""

    family: str
    subject: str
    """The role or stream that it is about."""
    form: sp.Expr
    """The power of N or n, linear in the unknown powers."""
    exact: bool
    """Whether it must be 0; otherwise it may also be negative."""
    place: str = ""
    """The kind of block in which it is asked; empty where all kinds ask the same."""

    @property
    def name(self) -> str:
        """Family, subject and place."""
        return f"{self.family}: {self.subject}" + (f" in {self.place}" if self.place else "")

    def met(self, value: sp.Expr) -> bool:
        """Whether a power meets it."""
        return bool(value == 0 if self.exact else value <= 0)


def merged(asked: Iterable[PowerCondition]) -> tuple[PowerCondition, ...]:
    """One condition for all kinds of block where their forms agree."""
    groups: dict[tuple[str, str], list[PowerCondition]] = {}
    for item in asked:
        groups.setdefault((item.family, item.subject), []).append(item)
    found: list[PowerCondition] = []
    for group in groups.values():
        alike = len({sp.expand(item.form) for item in group}) == 1
        found += [replace(group[0], place="")] if alike else group
    return tuple(found)


def conditions(
    sizes: StructurePowers, families: tuple[str, ...] = STANDARD
) -> tuple[PowerCondition, ...]:
    """Every condition of the families, linear in the powers of ``sizes``.

    Raises
    ------
    InputError
        For an unknown family.
    """
    for family in families:
        if family not in FAMILIES:
            raise nearest(family, FAMILIES, "family of conditions")
    return tuple(item for item in _all(sizes) if item.family in families)


def _all(sizes: StructurePowers) -> Iterator[PowerCondition]:
    yield from _streams(sizes)
    for stream, branch, role in sizes.uses:
        gradient, place = sizes.gradient(stream, branch, role), branch.name
        yield PowerCondition(
            "share", role, sizes.change(role, gradient, sp.Integer(1)), True, place
        )
        relative = sizes.relative_change(role, gradient)
        if sizes.structure.kinds[role] == "hidden":
            yield PowerCondition("inside", role, relative, True, place)
        if role != "bias":
            yield PowerCondition("bounded", role, relative, False, place)
    for role in sizes.ends:
        gradient = sizes.end_gradient(role)
        yield PowerCondition("ends", role, sizes.change(role, gradient), True)
        if role != sizes.structure.head:
            yield PowerCondition("bounded", role, sizes.relative_change(role, gradient), False)
    for stream in sizes.structure.streams[:-1]:
        yield PowerCondition("memory", stream.name, sizes.memory(stream), True)


def _streams(sizes: StructurePowers) -> Iterator[PowerCondition]:
    wide = sizes.axis == "width"
    for stream in sizes.structure.streams:
        if stream.wiring == "pre-norm" or wide:
            yield PowerCondition("start", stream.name, sizes.start(stream), True)
        alpha = sizes.size(stream.shortcut) if stream.shortcut else sp.S.Zero
        for branch in stream.branches:
            if branch.reads is None:
                continue  # a bias starts at 0
            added = sizes.output(branch, stream) - sizes.start(stream) - alpha
            grown = added + HALF * sizes.blocks
            yield PowerCondition("stream", stream.name, grown, wide, branch.name)
            if wide:
                yield from _inside_wide(sizes, branch)
            elif branch.scores:
                logits = 2 * sizes.size(branch.scores) + 2 * sizes.read(branch, stream)
                yield PowerCondition("scores", stream.name, logits, False, branch.name)
    if wide and sizes.structure.head:
        yield PowerCondition("stream", "f at the start", sizes.size(sizes.structure.head), False)


def _inside_wide(sizes: StructurePowers, branch: RoleProduct) -> Iterator[PowerCondition]:
    """Activations between the matrices of a branch are Θ(1) in the width."""
    trained = [role for role in branch.roles if sizes.structure.kinds[role] != "constant"]
    size = sp.S.Zero
    for role in trained[:-1]:
        size += sizes.size(role)
        yield PowerCondition("stream", f"after {role}", size, True, branch.name)
