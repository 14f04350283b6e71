"""A traced model as the exponent solver sees it: streams, branches, roles, multipliers.

The solver asks how sizes change with the number of layers. All branches of a kind must therefore be
alike; what differs between them, or is shared by them, is refused in one line. A multiplier of the
forward may depend on the depth: its power is read off the model at two depths.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

import sympy as sp

from numerics.recipes.stack_roles import KINDS, prefix, role_of
from numerics.structure.types import Branch, Structure, TensorView
from theory.errors import InputError
from theory.parametrisations import structures as theory

LARGEST_DENOMINATOR = 8
"""Of the powers of the depth that are looked for in multipliers: rules have 1/2, 1/4, 3/8."""
EXACT = 1e-6
"""Relative error of a multiplier as a power of the depth: they are printed in float32 at worst."""
_ORDER = (
    *("norm.gain", "v", "v.norm.gain", "gate", "w_in", "w_in.norm.gain"),
    *("out", "w_out", "out.norm.gain", "w_out.norm.gain", "scale", "multiplier"),
)
"""Roles that the stream passes through in a branch, in forward order."""
_MATRICES = ("score", "v", "gate", "w_in", "out", "w_out")


@dataclass(frozen=True)
class StackReading:
    """What the solver is told about a model."""

    stack: theory.StackStructure
    """Streams, branches and roles."""
    multipliers: Mapping[str, float]
    """Constant multipliers of branches and shortcuts at this depth, by role."""
    uncovered: tuple[str, ...]
    """Trained parameters of which no condition speaks."""


def read_stack(structure: Structure, name: str = "model") -> StackReading:
    """Read a traced structure as streams of branches.

    Raises
    ------
    InputError
        For a structure that is not understood, or one of which the solver has no conditions.
    """
    if not structure.understood:
        raise InputError("a model must be understood to be solved: " + " ".join(structure.reasons))
    if not structure.branches:
        raise InputError("a model must have residual connections to be solved, and none was found")
    _require_own_weights(structure)
    kinds: dict[str, str] = {}
    multipliers: dict[str, float] = {}
    streams = []
    names = list(dict.fromkeys(branch.stream for branch in structure.branches))
    if len(names) > 2:
        raise InputError(f"a model may have two streams at most, and {len(names)} were found")
    for stream in names:
        streams.append(_stream(structure, stream, names, kinds, multipliers))
    ends, head = _ends(structure, names, kinds)
    found = theory.StackStructure(name, tuple(streams), MappingProxyType(kinds), head, ends)
    uncovered = dict.fromkeys(
        view.parameter for view in structure.views if not role_of(view, _branch(structure, view))
    )
    return StackReading(found, MappingProxyType(multipliers), tuple(uncovered))


def multiplier_powers(
    reading: StackReading, base: StackReading, ratio: float
) -> dict[str, sp.Rational]:
    """Power of the depth in every constant multiplier, from two depths with the given ratio.

    Raises
    ------
    InputError
        If a multiplier is no power of the depth.

    Examples
    --------
    >>> from theory.parametrisations.structures import structure_named
    >>> stack = structure_named("pre-norm")
    >>> deep, shallow = (StackReading(stack, {"branch": m}, ()) for m in (0.25, 1.0))
    >>> multiplier_powers(deep, shallow, 16.0)
    {'branch': -1/2}
    """
    found = {}
    for role in {**base.multipliers, **reading.multipliers}:
        both = [one.multipliers.get(role, 1.0) for one in (reading, base)]
        if min(both) <= 0:
            raise InputError(f"the multiplier {role} must be positive, got {min(both)}")
        slope = math.log(both[0] / both[1]) / math.log(ratio) if ratio != 1 else 0.0
        power = Fraction(slope).limit_denominator(LARGEST_DENOMINATOR)
        if abs(both[1] * ratio ** float(power) / both[0] - 1) > EXACT:
            raise InputError(
                f"the multiplier {role} is {both[1]:.6g} and {both[0]:.6g} at two depths, which is "
                "no power of the depth"
            )
        found[role] = sp.Rational(power.numerator, power.denominator)
    return found


def _branch(structure: Structure, view: TensorView) -> Branch | None:
    return None if view.branch is None else structure.branches[view.branch]


def _require_own_weights(structure: Structure) -> None:
    matrices = {v.parameter for v in structure.views if v.role in (*_MATRICES, "q", "k")}
    if shared := [name for name in structure.shared if name in matrices]:
        raise InputError(
            f"every layer must have weights of its own, and {shared[0]} is read by several"
        )


def _stream(
    structure: Structure,
    stream: str,
    names: Sequence[str],
    kinds: dict[str, str],
    multipliers: dict[str, float],
) -> theory.ResidualStream:
    own = [branch for branch in structure.branches if branch.stream == stream]
    for branch in own:
        if branch.kind not in KINDS:
            raise InputError(
                f"the addition at {branch.path or branch.index} is of kind {branch.kind}, of which "
                "the solver has no conditions"
            )
    wiring = _wiring(own)
    by_kind: dict[str, list[Branch]] = {}
    for branch in own:
        by_kind.setdefault(KINDS[branch.kind], []).append(branch)
    branches = []
    for kind, alike in by_kind.items():
        roles = _roles_alike(structure, alike)
        memory = next((name for name in names if name != stream), stream)
        reads = memory if kind == "cross" else stream
        branches.append(_theory_branch(alike, kind, roles, reads, kinds, multipliers))
    shortcut = _constant(own, "shortcut_multiplier", f"{prefix(stream)}shortcut")
    if shortcut != 1.0 and wiring != "post-norm":
        raise InputError(
            f"the shortcut is multiplied by {shortcut:.6g} in a stream without norms after the "
            "additions, which makes it shrink or grow exponentially: no power of the depth"
        )
    role = None
    if wiring == "post-norm":
        role = f"{prefix(stream)}shortcut"
        kinds[role], multipliers[role] = "constant", shortcut
    embedding = f"{prefix(stream)}input"
    tables = [view for view in structure.of_role("embedding", "positions") if view.branch is None]
    if tables and stream == names[0]:
        embedding = "embedding"
    kinds[embedding] = "input" if embedding == "embedding" else "constant"
    return theory.ResidualStream(stream, embedding, tuple(branches), wiring, role)


def _wiring(own: Sequence[Branch]) -> str:
    wirings = {
        "post-norm"
        if branch.norm_on_stream
        else ("pre-norm" if branch.norm_before or branch.norm_after else "none")
        for branch in own
    }
    mixed = any(b.norm_on_stream and (b.norm_before or b.norm_after) for b in own)
    if len(wirings) > 1 or mixed:
        raise InputError(
            f"the norms of the stream {own[0].stream} must stand at one place, and stand at several"
        )
    return wirings.pop()


def _roles_alike(structure: Structure, alike: Sequence[Branch]) -> tuple[str, ...]:
    """Roles of a kind of branch, without the stream and the kind; all branches must agree."""
    lead = f"{prefix(alike[0].stream)}{KINDS[alike[0].kind]}."
    patterns: dict[tuple[str, ...], Branch] = {}
    for branch in alike:
        roles = (role_of(view, branch) for view in structure.of_branch(branch.index))
        own = tuple(sorted({role.removeprefix(lead) for role in roles if role}))
        norms = (branch.norm_before, branch.norm_after)
        patterns.setdefault((*own, str(norms)), branch)
    if len(patterns) > 1:
        first, other = list(patterns)[:2]
        differ = sorted(set(first) ^ set(other))
        raise InputError(
            f"branches of one kind must be alike, and {patterns[first].path or 'one'} and "
            f"{patterns[other].path or 'another'} differ in {', '.join(differ)}"
        )
    return next(iter(patterns))[:-1]


def _theory_branch(
    alike: Sequence[Branch],
    kind: str,
    roles: Sequence[str],
    reads: str,
    kinds: dict[str, str],
    multipliers: dict[str, float],
) -> theory.RoleProduct:
    lead = f"{prefix(alike[0].stream)}{kind}."
    if not {"out", "w_out"} & set(roles):
        raise InputError(f"no matrix that writes to the stream was found in {alike[0].path}")
    known = {*_ORDER, *_MATRICES}
    through = [role for role in _ORDER if role in roles]
    if alike[0].branch_multiplier is not None or "scale" not in roles:
        through.append("multiplier")
        own = _constant(alike, "branch_multiplier", f"{lead}multiplier")
        kinds[f"{lead}multiplier"], multipliers[f"{lead}multiplier"] = "constant", own
    normed = _normed(through, alike[0].norm_after)
    offsets = []
    for role in roles:
        if role not in known:
            after = role.removesuffix(".norm.bias").removesuffix(".norm.gain")
            after = after.removesuffix(".bias")
            if role.startswith("stream."):
                after = through[-1]
            elif role == "norm.bias":
                after = "norm.gain" if "norm.gain" in through else None
            elif role.endswith(".norm.bias"):
                after = f"{after}.norm.gain" if f"{after}.norm.gain" in through else after
            offsets.append((f"{lead}{role}", None if after is None else f"{lead}{after}"))
        kinds[f"{lead}{role}"] = "hidden" if role in _MATRICES else "vector"
    return theory.RoleProduct(
        kind if alike[0].stream == "stream" else f"{alike[0].stream} {kind}",
        tuple(f"{lead}{role}" for role in through),
        reads,
        f"{lead}score" if "score" in roles else None,
        normed,
        2 if "gate" in roles else 1,
        tuple(offsets),
    )


def _normed(through: Sequence[str], norm_after: bool) -> int:
    """How many roles stand before the last norm in the branch."""
    gains = [n for n, role in enumerate(through) if role.endswith(".norm.gain") and n]
    if norm_after and not any("out.norm" in role for role in through):
        return len([role for role in through if role not in ("scale", "multiplier")])
    return gains[-1] if gains else 0


def _constant(branches: Sequence[Branch], side: str, role: str) -> float:
    values = {getattr(branch, side) for branch in branches}
    if None in values:
        raise InputError(f"the multiplier {role} is trained or one per channel, without a role")
    if max(values) > min(values) * (1 + EXACT):
        raise InputError(
            f"the multiplier {role} must be one number for all layers, and is {min(values):.6g} to "
            f"{max(values):.6g}"
        )
    return float(max(values))


def _ends(
    structure: Structure, names: Sequence[str], kinds: dict[str, str]
) -> tuple[Mapping[str, str], str | None]:
    """Vectors outside the branches, which act on the last stream, and the head's role."""
    counted = Counter(role_of(view, None) for view in structure.views if view.branch is None)
    ends = {role: names[-1] for role in ("end.gain", "end.bias") if counted[role]}
    kinds |= dict.fromkeys(ends, "vector")
    if not counted["head"]:
        return MappingProxyType(ends), None
    kinds["head"] = "output"
    return MappingProxyType(ends), "head"
