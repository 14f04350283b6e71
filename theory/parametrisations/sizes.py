"""The exponent of every size that a step meets: streams, gradients, changes of weights and of f.

All sizes are those of one coordinate, and a size N^a is represented by a. With z what a branch
reads and s_ρ the size of role ρ's effective weight (multiplier × std, and √fan_in over the width):

    branch output     β = Σ_ρ s_ρ + z                over the roles after the last norm in it
    stream            y_l = max(start, β + ½ log_N l)     branches add incoherently
    sensitivity       δ_l = ∂f/∂(what block l adds): head − y_l with a final norm, head without
    gradient          g_ρ = δ + β − s_ρ + multiplier
    relative change   R_ρ = rate + (p − 1) g_ρ + (q − 1) std_ρ
    change of f       g_ρ + std_ρ + R_ρ + 1          N blocks, coherent; + ½ if incoherent

Why δ_l = head − y_l with norms before the branches: in mean square block k multiplies a cotangent
by √(1 + β²/y_k²) = y_(k+1)/y_k, so the way from l to the end gives y_N/y_l, and the final norm
1/y_N. Layers of number l = N^t are N^t many, so a sum over layers is the largest exponent over t in
[0, 1]; a maximum that is attained on an interval adds a logarithm.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from theory.errors import InputError
from theory.parametrisations.powers import ZERO, Powers
from theory.parametrisations.step_laws import HALF, StepLaw
from theory.parametrisations.structures import ResidualStream, RoleProduct, StackStructure

_FANS = {"input": (0, 1), "hidden": (1, 1), "output": (1, 0), "vector": (0, 1), "constant": (0, 0)}
"""Powers of the width in (fan_in, fan_out) by kind of role; a vector has as many entries as out."""
END = sp.S.One
"""t of the layers l = N^t that are most of them."""


@dataclass(frozen=True)
class Sum:
    """Exponent of a sum over layers, and whether it carries a logarithm of N."""

    power: sp.Expr
    logarithm: bool = False


@dataclass(frozen=True)
class StructurePowers:
    """Exponents for a structure whose roles have given powers, along one axis."""

    structure: StackStructure
    powers: Mapping[str, Powers]
    law: StepLaw
    axis: str = "depth"
    steady: bool = False
    """Take streams to keep the size that they start with, so that every exponent is linear."""

    @property
    def blocks(self) -> sp.Integer:
        """Power of the number of blocks of each kind."""
        return sp.Integer(self.axis == "depth")

    def _fans(self, role: str) -> tuple[int, int]:
        return _FANS[self.structure.kinds[role]] if self.axis == "width" else (0, 0)

    def _of(self, role: str) -> Powers:
        return self.powers.get(role, Powers())

    def size(self, role: str, t: sp.Expr = END) -> sp.Expr:
        """Of what a role makes of a coordinate of size 1, for layers of number N^t."""
        own = self._of(role)
        by_layer = (own.multiplier_by_layer + own.std_by_layer) * t
        return own.multiplier + own.std + by_layer + HALF * self._fans(role)[0]

    def _std(self, role: str, t: sp.Expr) -> sp.Expr:
        return self._of(role).std + self._of(role).std_by_layer * t

    def read(self, branch: RoleProduct, stream: ResidualStream) -> sp.Expr:
        """Size of what a branch reads: 0 behind a norm, else that of the stream."""
        if branch.reads is None or stream.wiring != "none":
            return sp.S.Zero
        return self.start(self.structure.stream(branch.reads))

    def output(self, branch: RoleProduct, stream: ResidualStream, t: sp.Expr = END) -> sp.Expr:
        """Size of what a branch adds, β."""
        seen = branch.roles[branch.normed :]
        read = sp.S.Zero if branch.normed else branch.degree * self.read(branch, stream)
        return sp.Add(*(self.size(role, t) for role in seen)) + read

    def start(self, stream: ResidualStream) -> sp.Expr:
        """Size of the stream before the first block."""
        return sp.S.Zero if stream.wiring == "post-norm" else self.size(stream.embedding)

    def growth(self, stream: ResidualStream) -> Sum:
        """By what power of N the branches' sum exceeds the stream's start; below 0 it does not."""
        alpha = sp.S.Zero
        if stream.wiring == "post-norm" and stream.shortcut:
            alpha = self.size(stream.shortcut)
        base = self.start(stream) + alpha
        ends = [
            [self.output(branch, stream, t) + HALF * t * self.blocks for t in (sp.S.Zero, END)]
            for branch in stream.branches
        ]
        top = sp.Max(*(value for pair in ends for value in pair))
        level = any(first == last == top for first, last in ends)
        return Sum(top - base, bool(level and self.blocks and top == base))

    def stream_size(self, stream: ResidualStream, t: sp.Expr = END) -> sp.Expr:
        """Size of the stream at layers of number N^t."""
        start = self.start(stream)
        if self.steady or stream.wiring != "pre-norm":
            return start
        outputs = (
            self.output(branch, stream, s) + HALF * s * self.blocks
            for branch in stream.branches
            for s in (sp.S.Zero, t)
        )
        return sp.Max(start, *outputs)

    def sensitivity(self, stream: ResidualStream, t: sp.Expr = END) -> sp.Expr:
        """Sensitivity δ of f to what a block adds to the stream at layers of number N^t."""
        passed = self.memory(stream)
        if stream.wiring == "pre-norm":
            return passed - self.stream_size(stream, t)
        if stream.wiring == "post-norm" and stream.shortcut:
            return passed - self.size(stream.shortcut)
        return passed

    def memory(self, stream: ResidualStream) -> sp.Expr:
        """Sensitivity of f to the stream's last state, behind its norm if it has one.

        For the last stream the head's size. For an earlier one the root of the summed squares over
        the blocks that read it: a step does not choose ∂f/∂memory, whatever the rule.
        """
        if stream is self.structure.streams[-1]:
            head = self.structure.head
            return sp.S.Zero if head is None else self._of(head).multiplier + self._of(head).std
        ends = [
            HALF * t * self.blocks
            + self.sensitivity(other, t)
            + self.output(branch, other, t)
            - branch.degree * self.read(branch, other)
            for other, branch in self.structure.readers(stream)
            for t in ((END,) if self.steady else (sp.S.Zero, END))
        ]
        # Every block that reads the memory has the same roles: with steady streams one term serves.
        return ends[0] if self.steady else sp.Max(*ends)

    def gradient(
        self, stream: ResidualStream, branch: RoleProduct, role: str, t: sp.Expr = END
    ) -> sp.Expr:
        """Gradient of f by one entry of a role in a branch, g."""
        own = self._of(role)
        delta = self.sensitivity(stream, t)
        if role in dict(branch.offsets):
            return delta + self._offset(stream, branch, role, t)
        if role == branch.scores:
            # Logits are products of query and key, each a score matrix on what is read.
            logits = 2 * self.size(role, t) + 2 * self.read(branch, stream)
            return delta + self.output(branch, stream, t) + logits - self._std(role, t)
        position = branch.roles.index(role)
        if position < branch.normed:
            if own.std == ZERO:
                raise InputError(f"{role} is 0 before a norm, where the branch has no derivative")
            fan_in = HALF * self._fans(role)[0]
            return delta + self.output(branch, stream, t) - self._std(role, t) - fan_in
        seen = list(branch.roles[branch.normed :])
        seen.remove(role)
        read = sp.S.Zero if branch.normed else branch.degree * self.read(branch, stream)
        others = sp.Add(*(self.size(other, t) for other in seen)) + read
        return delta + others + own.multiplier + own.multiplier_by_layer * t

    def _offset(
        self, stream: ResidualStream, branch: RoleProduct, role: str, t: sp.Expr
    ) -> sp.Expr:
        """What a vector of size 1 adds to the stream: the roles behind it, and the norm's size."""
        after = dict(branch.offsets)[role]
        if after is not None and after == branch.scores:
            read = self.read(branch, stream)
            return self.output(branch, stream, t) + self.size(after, t) + read
        position = 0 if after is None else len(branch.roles) - branch.roles[::-1].index(after)
        if position < branch.normed or (after is None and branch.normed):
            before = sp.Add(*(self.size(other, t) for other in branch.roles[:position]))
            return self.output(branch, stream, t) - before
        others = sp.Add(*(self.size(other, t) for other in branch.roles[position:]))
        # Of a gated branch's two factors, one still reads the stream.
        gates = branch.degree - 1 if position < len(branch.roles) - 1 else 0
        return others + gates * self.read(branch, stream)

    def end_gradient(self, role: str) -> sp.Expr:
        """The same for an embedding's or the head's entry, or a vector behind the last block."""
        own = self._of(role)
        if role in self.structure.final:
            return self.memory(self.structure.stream(self.structure.final[role]))
        if role == self.structure.head:
            last = self.structure.streams[-1]
            read = self.start(last) if last.wiring == "none" else sp.S.Zero
            return own.multiplier + read
        stream = next(item for item in self.structure.streams if item.embedding == role)
        if stream.wiring == "post-norm":
            return self.memory(stream) - self.size(role) + own.multiplier
        return self.sensitivity(stream, sp.S.Zero) + own.multiplier

    def _shape(self, role: str) -> tuple[sp.Expr, sp.Expr]:
        """Power of the number of entries, and (ε − 1) times it."""
        entries = sp.Integer(sum(self._fans(role)))
        matrix = self.structure.kinds[role] == "hidden"
        own = self.law.scaling_power(self._fans(role), matrix=matrix)
        return entries, (self.law.shape_power(matrix=matrix) - 1) * entries + own

    def step(self, role: str, gradient: sp.Expr, t: sp.Expr = END) -> sp.Expr:
        """Size of the change of one entry of θ in a step, for layers of number N^t."""
        own, law = self._of(role), self.law
        fraction = law.weight_power * self._std(role, t) if law.weight_power else sp.S.Zero
        return own.rate + self._steered(gradient) + fraction + self._shape(role)[1]

    def _steered(self, gradient: sp.Expr) -> sp.Expr:
        """What the gradient's size does to a step's."""
        power = self.law.gradient_power - 1
        return power * gradient if power else sp.S.Zero

    def change(
        self, role: str, gradient: sp.Expr, t: sp.Expr = sp.S.Zero, *, layers: sp.Expr | None = None
    ) -> sp.Expr:
        """Of f by one step of a role at layers of number N^t, summed over ``layers`` of them.

        N^t layers unless given; an embedding or a head is one.
        """
        entries, _ = self._shape(role)
        count = self.blocks * (t if layers is None else layers)
        added = (entries + count) * (1 if self.law.coherent else HALF)
        return gradient + self.step(role, gradient, t) + added

    def branch_change(self, stream: ResidualStream, branch: RoleProduct, role: str) -> Sum:
        """Of f by one step of a role in all blocks of a kind."""
        if self.steady:
            return Sum(self.change(role, self.gradient(stream, branch, role), END))
        kinks = self._kinks(stream)
        values = [self.change(role, self.gradient(stream, branch, role, t), t) for t in kinks]
        top = sp.Max(*values)
        attained = [value == top for value in values]
        level = any(a and b for a, b in itertools.pairwise(attained))
        return Sum(top, bool(level and top != ZERO and self.blocks))

    def unevenness(self, stream: ResidualStream, branch: RoleProduct, role: str) -> sp.Expr:
        """Power of the ratio of the largest block's change to the smallest's."""
        values = [
            self.change(role, self.gradient(stream, branch, role, t), t, layers=sp.S.Zero)
            for t in self._kinks(stream)
        ]
        return sp.S.Zero if ZERO in values else sp.Max(*values) - sp.Min(*values)

    def _kinks(self, stream: ResidualStream) -> tuple[sp.Expr, ...]:
        """The t at which the stream's size changes its slope, with both ends."""
        start, found = self.start(stream), {sp.S.Zero, END}
        for branch in stream.branches if stream.wiring == "pre-norm" else ():
            slope = HALF + self.output(branch, stream, END) - self.output(branch, stream, 0)
            if slope not in (0, sp.nan) and self.output(branch, stream, 0) != ZERO:
                found.add((start - self.output(branch, stream, 0)) / slope)
        return tuple(sorted(t for t in found if 0 <= t <= 1))

    def relative_change(self, role: str, gradient: sp.Expr) -> sp.Expr:
        """Of what a role computes: its weights' change over their size, times √fan_in if coherent.

        A step along the gradient adds fan_in terms of one sign where the initial weights add
        √fan_in.
        """
        coherence = HALF * self._fans(role)[0] if self.law.coherent else sp.S.Zero
        own, law = self._of(role), self.law
        # A step that is a fraction of the weight changes a weight of 0 by nothing: no 0 − 0 here.
        size = self._std(role, END)
        fraction = (law.weight_power - 1) * size if law.weight_power != 1 else sp.S.Zero
        return own.rate + self._steered(gradient) + fraction + self._shape(role)[1] + coherence

    @cached_property
    def uses(self) -> tuple[tuple[ResidualStream, RoleProduct, str], ...]:
        """Every trained role in every kind of block.

        Without the scores over the width: their sum over a head's channels is another question.
        """
        return tuple(
            (stream, branch, role)
            for stream in self.structure.streams
            for branch in stream.branches
            for role in dict.fromkeys(
                (
                    *branch.roles,
                    *((branch.scores,) if branch.scores else ()),
                    *(vector for vector, _ in branch.offsets),
                )
            )
            if self.structure.kinds[role] != "constant"
            if not (self.axis == "width" and role == branch.scores)
        )

    @property
    def ends(self) -> tuple[str, ...]:
        """What is trained outside the blocks: embeddings, vectors behind the last block, head."""
        found = tuple(stream.embedding for stream in self.structure.streams)
        head = (self.structure.head,) if self.structure.head else ()
        every = (*found, *self.structure.final, *head)
        return tuple(role for role in every if self.structure.kinds[role] != "constant")
