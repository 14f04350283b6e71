"""Small networks in float64 whose roles have given powers of N or n, and what a step does to f.

Written apart from the solver and from the project's own models: plain torch, one head, 8 tokens.
"""

import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, jvp

from numerics.linearization.forward_operations import WrittenOut
from theory.parametrisations.powers import Powers
from theory.parametrisations.structures import ResidualStream, RoleProduct, StackStructure

TOKENS, BATCH, WORDS = 8, 2, 64


class Network(torch.nn.Module):
    """A structure at N layers and width n; weights are N^power or n^power times a unit draw."""

    def __init__(
        self,
        structure: StackStructure,
        powers: Mapping[str, Powers],
        layers: int,
        generator: torch.Generator,
        *,
        width: int = 32,
        axis: str = "depth",
        embedding: float = 1.0,
    ) -> None:
        super().__init__()
        self.structure, self.powers, self.layers, self.width = structure, powers, layers, width
        self.grown = float(layers if axis == "depth" else width)
        # Over the width 1/√fan_in is a power like any other, and the powers hold it.
        self.fan_in = 1.0 if axis == "width" else width**-0.5
        self.weights = torch.nn.ParameterDict()
        for stream in structure.streams:
            self._add(stream.embedding, (WORDS, width), embedding, generator)
            for layer in range(layers):
                for branch in stream.branches:
                    self._add_branch(stream, branch, layer, generator)
        if structure.head:
            self._add(structure.head, (width, WORDS), self.fan_in, generator)

    def _add(
        self,
        role: str,
        shape: tuple[int, ...],
        unit: float,
        generator: torch.Generator,
        at: str = "",
    ) -> None:
        scale = self.grown ** float(self.powers[role].std)
        drawn = (
            torch.ones(shape, dtype=torch.float64)
            if role == "gain"
            else torch.randn(shape, generator=generator, dtype=torch.float64) * unit
        )
        self.weights[_key(role, at)] = torch.nn.Parameter(drawn * scale)

    def _add_branch(
        self, stream: ResidualStream, branch: RoleProduct, layer: int, generator: torch.Generator
    ) -> None:
        width, unit = self.width, self.fan_in
        inner = 2 * width if branch.scores is None else width
        for position, role in enumerate(branch.roles):
            last = role.split(".")[-1]
            at = f"{stream.name}-{layer}-{branch.name}-{position}"
            if last in ("gain", "bias"):
                self._add(role, (width,), 1.0, generator, at)
            elif last == "in":
                self._add(role, (width, inner), unit, generator, at)
            elif last == "out":
                # ReLU halves the second moment of an inner layer of 2n.
                self._add(role, (inner, width), unit, generator, at)
        if branch.scores:
            for side in ("query", "key"):
                at = f"{stream.name}-{layer}-{branch.name}-{side}"
                self._add(branch.scores, (width, width), unit, generator, at)

    def weight(self, role: str, at: str = "") -> Tensor:
        """Multiplier × weight."""
        return self.weights[_key(role, at)] * self._multiplier(role)

    def _multiplier(self, role: str | None) -> float:
        return 1.0 if role is None else self.grown ** float(self.powers[role].multiplier)

    def forward(self, words: Mapping[str, Tensor]) -> Tensor:
        ends: dict[str, Tensor] = {}
        y = torch.empty(0)
        for stream in self.structure.streams:
            y = self.weight(stream.embedding)[words[stream.name]]
            for layer in range(self.layers):
                for branch in stream.branches:
                    y = self._residual(stream, branch, layer, y, ends)
            ends[stream.name] = _normalised(y) if stream.wiring == "pre-norm" else y
        y = ends[self.structure.streams[-1].name]
        return y @ self.weight(self.structure.head) if self.structure.head else y

    def _residual(
        self,
        stream: ResidualStream,
        branch: RoleProduct,
        layer: int,
        y: Tensor,
        ends: Mapping[str, Tensor],
    ) -> Tensor:
        at = f"{stream.name}-{layer}-{branch.name}"
        own = _normalised(y) if stream.wiring == "pre-norm" else y
        read = ends.get(branch.reads or "", own)
        added = self._branch(branch, at, own, read)
        if stream.wiring == "post-norm":
            return _normalised(self._multiplier(stream.shortcut) * y + added)
        return y + added

    def _branch(self, branch: RoleProduct, at: str, own: Tensor, read: Tensor) -> Tensor:
        value = read
        gates: list[Tensor] = []
        for position, role in enumerate(branch.roles):
            last = role.split(".")[-1]
            if branch.normed and position == branch.normed:
                value = _normalised(value)
            if last == "branch":
                value = value * self._multiplier(role)
            elif last == "bias":
                value = self.weight(role, f"{at}-{position}").expand_as(own)
            elif last == "gain":
                value = value * self.weight(role, f"{at}-{position}")
            elif last == "in" and branch.scores:
                query, key = (self.weight(branch.scores, f"{at}-{s}") for s in ("query", "key"))
                value = _attend(own @ query, read @ key) @ (
                    value @ self.weight(role, f"{at}-{position}")
                )
            elif last == "in" and branch.roles.count(role) == 2 and not gates:
                gates.append(torch.relu(value @ self.weight(role, f"{at}-{position}")))
            elif last == "in":
                value = value @ self.weight(role, f"{at}-{position}")
                value = value * gates[0] if gates else torch.relu(value)
            else:
                value = value @ self.weight(role, f"{at}-{position}")
        return value


def _key(role: str, at: str) -> str:
    return f"{role}|{at}".replace(".", "/")


def _role(name: str) -> str:
    return name.removeprefix("weights.").split("|", maxsplit=1)[0].replace("/", ".")


def _normalised(y: Tensor) -> Tensor:
    return y / y.square().mean(-1, keepdim=True).sqrt()


def _attend(query: Tensor, key: Tensor) -> Tensor:
    logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return logits.softmax(-1)


def _step(law: str, gradient: Tensor, hidden: bool, weight: Tensor) -> Tensor:
    if law == "sgd":
        return gradient
    if law == "weight-decay":
        return weight
    if law == "lamb":
        return weight.norm() * gradient / gradient.norm().clamp_min(1e-300)
    if law == "muon" and hidden:
        left, _, right = torch.linalg.svd(gradient, full_matrices=False)
        return left @ right
    return gradient.sign()


def moved_by(
    structure: StackStructure,
    powers: Mapping[str, Powers],
    law: str,
    seed: int,
    *,
    layers: int = 2,
    width: int = 32,
    axis: str = "depth",
    embedding: float = 1.0,
) -> dict[str, float]:
    """⟨u, Δf⟩ ÷ η by role for a unit cotangent u, and ‖Δf‖ ÷ η as ``total``.

    For weight decay, which does not follow u, ‖Δf‖ ÷ η by role as well.
    """
    generator = torch.Generator().manual_seed(seed)
    network = Network(
        structure, powers, layers, generator, width=width, axis=axis, embedding=embedding
    )
    words = {
        stream.name: torch.randint(WORDS, (BATCH, TOKENS), generator=generator)
        for stream in structure.streams
    }
    output = network(words)
    cotangent = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    cotangent /= cotangent.norm()
    named = dict(network.named_parameters())
    gradients = torch.autograd.grad((output * cotangent).sum(), list(named.values()))
    found: dict[str, float] = {}
    steps = {}
    for (name, weight), gradient in zip(named.items(), gradients, strict=True):
        role = _role(name)
        hidden = structure.kinds[role] == "hidden"
        rate = network.grown ** float(powers[role].rate)
        steps[name] = rate * _step(law, gradient, hidden, weight.detach())
        found[role] = found.get(role, 0.0) + (gradient * steps[name]).sum().item()
    frozen = {name: weight.detach() for name, weight in named.items()}

    def moved(chosen: str | None) -> float:
        along = {
            name: step if chosen in (None, _role(name)) else torch.zeros_like(step)
            for name, step in steps.items()
        }
        function = lambda theta: functional_call(network, theta, (words,))  # noqa: E731
        with WrittenOut():
            return jvp(function, (frozen,), (along,))[1].norm().item()

    if law == "weight-decay":
        found = {role: moved(role) for role in found}
    return found | {"total": moved(None)}


def exponents(
    structure: StackStructure,
    powers: Mapping[str, Powers],
    law: str,
    axis: str = "depth",
    seeds: int = 2,
    embedding: float = 1.0,
) -> dict[str, tuple[float, float]]:
    """Slope of log change against log N or log n by role, with its standard error."""
    sizes = (8, 16, 32, 64) if axis == "depth" else (32, 64, 128, 256)
    name = "layers" if axis == "depth" else "width"
    rows = [
        (n, moved_by(structure, powers, law, seed, axis=axis, embedding=embedding, **{name: n}))
        for n in sizes
        for seed in range(seeds)
    ]
    x = torch.tensor([math.log(n) for n, _ in rows], dtype=torch.float64)
    x = x - x.mean()
    fitted = {}
    for role in rows[0][1]:
        if any(row[role] == 0 for _, row in rows):
            continue  # what does not move has no exponent
        y = torch.tensor([math.log(row[role]) for _, row in rows], dtype=torch.float64)
        slope = (x * y).sum() / x.square().sum()
        residual = y - y.mean() - slope * x
        spread = residual.square().sum() / (len(rows) - 2) / x.square().sum()
        fitted[role] = (slope.item(), spread.sqrt().item())
    return fitted


@pytest.fixture(scope="session")
def slopes_of() -> Callable[..., dict[str, tuple[float, float]]]:
    """``exponents`` of a recipe under a law, measured once for each."""
    found = {}

    def measured(recipe, law, axis="depth", embedding=1.0):
        powers = recipe.powers(axis)
        key = (recipe.structure, str(powers), law, axis, embedding)
        if key not in found:
            found[key] = exponents(recipe.wired, powers, law, axis, embedding=embedding)
        return found[key]

    return measured


@pytest.fixture(scope="session")
def changes() -> Callable[..., dict[str, float]]:
    """``moved_by``."""
    return moved_by
