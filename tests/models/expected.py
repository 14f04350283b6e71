"""Models written by others, and the structure that their source code gives them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from numerics.structure.types import Branch, Structure

KINDS = {
    "s": "self-attention",
    "c": "cross-attention",
    "a": "attention",
    "m": "mlp",
    "g": "gated-mlp",
    "p": "parallel",
    "o": "other",
}
WIRINGS = {
    "pre": (True, False, False, True),
    "post": (False, False, True, False),
    "post-branch": (False, True, False, True),
    "sandwich": (True, True, False, True),
    "none": (False, False, False, True),
    "mis-wired": (False, False, True, False),
    "none, normalised shortcut": (False, False, False, False),
    "pre, normalised shortcut": (True, False, False, False),
    "pre, on the stream": (True, False, True, False),
}
"""Per name: norm before, norm after, norm on the stream, norm-free shortcut."""

Rows = tuple[int, tuple[int, ...]]
"""An axis and indices along it."""
Roles = str | Mapping[str, Any]
"""The role of a whole tensor, several joined by +, or `Rows` (or several) per role."""


@dataclass(frozen=True)
class ForeignModel:
    """A model, and what is right about it."""

    name: str
    family: str
    build: Callable[[], tuple[nn.Module, Any]]
    kinds: str
    """One letter of `KINDS` per addition, in the order of execution; empty: must be refused."""
    wiring: str | Sequence[str] = "pre"
    roles: Mapping[str, Roles] = field(default_factory=dict)
    """Per pattern of parameter names: the role, or the rows of each role; the names only say which
    tensors the source code means."""
    parallel: bool = False
    final_norm: bool = True
    multipliers: tuple[float | None, float | None] = (1.0, 1.0)
    """Of the shortcut and of the branch."""
    branch_multipliers: Sequence[float | None] = ()
    """Of each branch, where they differ."""
    streams: str = ""
    """Streams and their numbers of additions, such as "encoder 4, decoder 6"; empty: one."""
    output: Callable[[Any], Any] | None = None
    library: str = "transformers"
    quick: bool = False
    """Whether it runs in every test run."""


@dataclass(frozen=True)
class Score:
    """Which parts of a structure are right."""

    additions: bool
    wiring: bool
    rows: bool
    refused: bool
    faults: tuple[str, ...]


def score(model: ForeignModel, found: Structure) -> Score:
    """Compare a structure that was found with the one that is right."""
    if not model.kinds:
        refused = not found.understood and bool(found.reasons)
        return Score(refused, refused, refused, refused, () if refused else ("not refused",))
    faults: list[str] = []
    if not found.understood:
        return Score(False, False, False, True, found.reasons)
    additions = _additions(model, found, faults)
    wiring = _wiring(model, found, faults)
    rows = _rows(model, found, faults)
    return Score(additions, wiring, rows, False, tuple(faults))


def _additions(model: ForeignModel, found: Structure, faults: list[str]) -> bool:
    start = len(faults)
    if found.depth != len(model.kinds):
        faults.append(f"{found.depth} additions, right {len(model.kinds)}")
    counts: dict[str, int] = {}
    for branch in found.branches:
        counts[branch.stream] = counts.get(branch.stream, 0) + 1
    streams = ", ".join(f"{name} {count}" for name, count in counts.items())
    right = model.streams or f"stream {len(model.kinds)}"
    if streams != right:
        faults.append(f"streams {streams}, right {right}")
    return len(faults) == start


def _wiring(model: ForeignModel, found: Structure, faults: list[str]) -> bool:
    start = len(faults)
    names = [model.wiring] * len(model.kinds) if isinstance(model.wiring, str) else model.wiring
    for branch, kind, name in zip(found.branches, model.kinds, names, strict=False):
        if branch.kind != KINDS[kind]:
            faults.append(f"branch {branch.index} is {branch.kind}, right {KINDS[kind]}")
        norms = _norms(branch)
        if norms != WIRINGS[name]:
            faults.append(f"branch {branch.index} has norms {norms}, right {WIRINGS[name]}")
        right = model.multipliers
        if model.branch_multipliers:
            right = (right[0], model.branch_multipliers[branch.index])
        factors = (branch.shortcut_multiplier, branch.branch_multiplier)
        if not all(_close(a, b) for a, b in zip(factors, right, strict=True)):
            faults.append(f"branch {branch.index} has multipliers {factors}")
    if model.parallel and sum(branch.parallel for branch in found.branches) * 2 < found.depth:
        faults.append("branches are not parallel")
    if not model.parallel and any(branch.parallel for branch in found.branches):
        faults.append("branches are parallel")
    if found.final_norm != model.final_norm:
        faults.append(f"final norm {found.final_norm}")
    return len(faults) == start


def _norms(branch: Branch) -> tuple[bool, bool, bool, bool]:
    return (
        branch.norm_before,
        branch.norm_after,
        branch.norm_on_stream,
        branch.norm_free_shortcut,
    )


def _close(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) < 1e-6


def _rows(model: ForeignModel, found: Structure, faults: list[str]) -> bool:
    start = len(faults)
    names = list(dict.fromkeys(view.parameter for view in found.views))
    for pattern, right in model.roles.items():
        matched = [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            faults.append(f"no parameter is called {pattern}")
        for name in matched:
            views = [view for view in found.views if view.parameter == name]
            have = {(v.role, v.axis, v.rows) for v in views}
            if isinstance(right, str):
                want = {(role, None, None) for role in right.split("+")}
            else:
                want = {
                    (role, axis, tuple(rows))
                    for role, blocks in right.items()
                    for axis, rows in (blocks if isinstance(blocks[0], tuple) else (blocks,))
                }
            if have != want:
                faults.append(f"{name}: {_short(have)}, right {_short(want)}")
    return len(faults) == start


def _short(roles: set[Any]) -> str:
    return "; ".join(
        f"{role} {axis}:{'' if rows is None else f'{rows[0]}…{rows[-1]} ({len(rows)})'}"
        for role, axis, rows in sorted(roles, key=str)
    )


# --- packed layouts ------------------------------------------------------------------------------


def parts(axis: int, **sizes: int) -> dict[str, Rows]:
    """Roles that stand one after another along an axis."""
    found, at = {}, 0
    for role, size in sizes.items():
        found[role] = (axis, tuple(range(at, at + size)))
        at += size
    return found


def by_head(axis: int, heads: int, **sizes: int) -> dict[str, Rows]:
    """Roles that stand one after another within each head (or group of heads)."""
    found: dict[str, list[int]] = {role: [] for role in sizes}
    at = 0
    for _ in range(heads):
        for role, size in sizes.items():
            found[role] += range(at, at + size)
            at += size
    return {role: (axis, tuple(rows)) for role, rows in found.items()}


def every_second(axis: int, length: int, first: str, second: str) -> dict[str, Rows]:
    """Two roles that take turns along an axis."""
    return {
        first: (axis, tuple(range(0, length, 2))),
        second: (axis, tuple(range(1, length, 2))),
    }
