"""Residual blocks: how a branch joins the stream, and what passes through each of them.

Suffixes: B sequences, T tokens, S tokens attended to, D width.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from numerics.models.attention import Attention
from numerics.models.hooks import hooked
from numerics.models.mlp import shifted
from numerics.models.norms import AnyNorm, is_norm, make_norm
from numerics.models.spec import ModelSpec
from numerics.models.wiring import BranchFactor, Parallel, Shortcut


@dataclass(frozen=True)
class BlockPlace:
    """Where a block stands in its model."""

    stack: str
    layer: int
    """Layer within the stack, from 0."""
    kind: str
    """The block's name within its layer, such as ``mlp``."""

    def number(self, spec: ModelSpec) -> int:
        """The block's number in its stack, from 0."""
        kinds = spec.layer_blocks(self.stack)
        return self.layer * len(kinds) + kinds.index(self.kind)

    def norm(self, spec: ModelSpec, width: int | None = None) -> AnyNorm | None:
        """A norm of this block, of the stream unless another width is given."""
        traits = spec.norm
        attends = self.kind != "mlp"
        return make_norm(
            traits,
            spec.d_model if width is None else width,
            factor=(self.layer + 1) ** -0.5 if traits.by_layer else 1.0,
            slope=traits.attention_slope if attends else None,
        )


class Residual(nn.Module):
    """A branch G with its skip path and norms, as its `numerics.models.wiring.Wiring` says.

    ``shortcut`` and ``factor`` multiply skip path and branch, or are where their trained
    multipliers start: Admin's ω, SkipInit's γ, LayerScale's λ.
    """

    def __init__(self, branch: nn.Module, spec: ModelSpec, place: BlockPlace) -> None:
        super().__init__()
        self.branch = branch
        self.wiring = wiring = spec.wiring.at(place.layer, spec.layers(place.stack))
        shared = wiring.parallel is Parallel.ONE_NORM
        own_before = wiring.norm_before and not shared
        self.norm = place.norm(spec) if own_before or wiring.norm_after else None
        self.sum_norm = place.norm(spec) if own_before and wiring.norm_after else None
        self.branch_norm = place.norm(spec) if wiring.norm_on_branch else None
        self.dropout = nn.Dropout(spec.dropout)
        self.shortcut = spec.shortcut(place.stack, place.number(spec))
        self.factor = spec.branch_factor(place.stack, place.number(spec))
        trained = wiring.shortcut is Shortcut.VECTOR
        self.omega = nn.Parameter(torch.full((spec.d_model,), self.shortcut)) if trained else None
        scalars = wiring.branch is BranchFactor.SCALARS
        self.shift = nn.Parameter(torch.zeros(())) if scalars else None
        self.scale = nn.Parameter(torch.ones(())) if scalars else None
        sizes = {BranchFactor.SCALAR: (), BranchFactor.VECTOR: (spec.d_model,)}
        size = sizes.get(wiring.branch)
        self.branch_scale = None if size is None else nn.Parameter(torch.full(size, self.factor))

    def forward(
        self,
        y_BTD: Float[Tensor, "B T D"],
        *context: object,
        gate: Tensor | None = None,
        onto: Float[Tensor, "B T D"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Add the branch to the stream.

        Parameters
        ----------
        y_BTD
            What the branch reads, and the stream unless ``onto`` is.
        context
            Goes to the branch.
        gate
            ReZero's α.
        onto
            The stream, where blocks are parallel.
        """
        read_BTD = shifted(y_BTD, self.shift)
        if self.norm is not None and self.wiring.norm_before:
            read_BTD = self.norm(read_BTD)
        branch_BTD = self.weighted(self.dropout(self.computed(read_BTD, *context)), gate)
        sum_BTD = self.skip(y_BTD if onto is None else onto, branch_BTD)
        if not self.wiring.norm_after:
            return sum_BTD
        norm = self.norm if self.sum_norm is None else self.sum_norm
        return sum_BTD if norm is None else norm(sum_BTD)

    def computed(self, read_BTD: Float[Tensor, "B T D"], *context: object) -> Tensor:
        """The branch's output G, normalised where a norm stands there."""
        branch_BTD = self.branch(read_BTD, *context)
        return branch_BTD if self.branch_norm is None else self.branch_norm(branch_BTD)

    def weighted(
        self, branch_BTD: Float[Tensor, "B T D"], gate: Tensor | None = None
    ) -> Float[Tensor, "B T D"]:
        """What a branch's output adds to the stream: G times the factor on it."""
        factor = self._factor(gate)
        return branch_BTD if factor is None else factor * branch_BTD

    def _factor(self, gate: Tensor | None) -> Tensor | float | None:
        """What multiplies the branch; ``None`` is 1."""
        if gate is not None:
            return gate
        if self.wiring.branch is BranchFactor.FIXED:
            return self.factor
        return self.scale if self.branch_scale is None else self.branch_scale

    def skip(
        self, y_BTD: Float[Tensor, "B T D"], branch_BTD: Float[Tensor, "B T D"]
    ) -> Float[Tensor, "B T D"]:
        """Add the branch to the skip path: G + y, G + α y or G + ω∘y."""
        if self.omega is not None:
            return self.omega * y_BTD + branch_BTD
        if self.wiring.shortcut is Shortcut.FIXED:
            return self.shortcut * y_BTD + branch_BTD
        return y_BTD + branch_BTD


def residual_blocks(model: nn.Module) -> Iterator[tuple[str, int, str, Residual]]:
    """Every residual block with its stack, its layer from 0 and its name, in order.

    Examples
    --------
    >>> from numerics.models import ModelSpec, Transformer
    >>> [(stack, layer, name) for stack, layer, name, _ in residual_blocks(
    ...     Transformer(ModelSpec(1, 1)))][1:3]
    [('encoder', 0, 'mlp'), ('decoder', 0, 'self_attention')]
    """
    for path, block in model.named_modules():
        if isinstance(block, Residual):
            stack, layer, name = path.split(".")[-3:]
            yield stack, int(layer), name, block


@dataclass(frozen=True)
class Arrival:
    """One residual block where its branch has been computed and not yet added.

    The tensors keep their graph if the call has one.
    """

    stack: str
    """``encoder`` or ``decoder``."""
    layer: int
    """Layer within the stack, from 0."""
    kind: str
    """The block's name within its layer, such as ``cross_attention``."""
    block: Residual
    before: Float[Tensor, "B T D"]
    """x_{i−1}, the stream that enters."""
    read: Float[Tensor, "B T D"]
    """What the branch reads: the stream, behind a layer norm where one stands before the branch."""
    memory: Float[Tensor, "B S D"] | None
    """The memory that it attends to, if any but its own tokens."""
    blocked: Bool[Tensor, "*B1T S"] | None
    """True where a query must not see a key."""
    gate: Tensor | None
    """ReZero's α of the layer, if there is one."""
    branch: Float[Tensor, "B T D"]
    """G_i, dropout included, before any factor on the branch."""

    @property
    def added(self) -> Float[Tensor, "B T D"]:
        """What the block adds to its shortcut: G_i times the factor on the branch."""
        return self.block.weighted(self.branch, self.gate)

    @property
    def context(self) -> tuple[object, ...]:
        """What the branch is called with beside what it reads."""
        return (self.memory, self.blocked) if isinstance(self.block.branch, Attention) else ()

    @property
    def part(self) -> str:
        """For example ``decoder.cross_attention``."""
        return f"{self.stack}.{self.kind}"

    @property
    def name(self) -> str:
        """The module's name, such as ``encoder.3.mlp``."""
        return f"{self.stack}.{self.layer}.{self.kind}"


@dataclass(frozen=True)
class Site(Arrival):
    """One residual block with all that passes through it in one forward pass."""

    after: Float[Tensor, "B T D"]
    """x_i, the stream that leaves."""


class _Visit:
    """The hooks on one residual block, which put together what they see of each forward pass.

    Lists hold what has been seen of passes under way: a pass may be entered within another one.
    """

    def __init__(
        self,
        stack: str,
        layer: int,
        kind: str,
        block: Residual,
        sites: list[Site],
        stop: Callable[[Arrival], None] | None,
    ) -> None:
        self.place = (stack, layer, kind)
        self.block = block
        self.sites = sites
        self.stop = stop
        self.entered: list[Tensor] = []
        self.gates: list[Tensor | None] = []
        self.read: list[tuple[Any, ...]] = []
        self.arrived: list[Arrival] = []

    def handles(self) -> tuple[RemovableHandle, ...]:
        """Put the four hooks on the block, in the order in which they are called."""
        return (
            self.block.register_forward_pre_hook(self.enter, with_kwargs=True),
            self.block.branch.register_forward_pre_hook(self.call),
            self.block.dropout.register_forward_hook(self.branched),
            self.block.register_forward_hook(self.leave),
        )

    def enter(self, _: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """The stream enters the block."""
        onto = named.get("onto")
        self.entered.append(arguments[0] if onto is None else onto)
        self.gates.append(named.get("gate"))

    def call(self, _: nn.Module, arguments: tuple[Any, ...]) -> None:
        """The branch is called with what it reads."""
        attends = isinstance(self.block.branch, Attention)
        self.read.append((*arguments, None, None)[:3] if attends else (arguments[0], None, None))

    def branched(self, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        """The branch has been computed, dropout included."""
        read, memory, blocked = self.read.pop()
        found = Arrival(
            *self.place,
            self.block,
            before=self.entered.pop(),
            read=read,
            memory=memory,
            blocked=blocked,
            gate=self.gates.pop(),
            branch=output,
        )
        if self.stop is not None:
            self.stop(found)
        self.arrived.append(found)

    def leave(self, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        """The sum leaves the block."""
        self.sites.append(Site(**vars(self.arrived.pop()), after=output))


@contextmanager
def watch(
    model: nn.Module, *, stop: Callable[[Arrival], None] | None = None
) -> Iterator[list[Site]]:
    """Collect what passes through every residual block while the context lasts, in order.

    Parameters
    ----------
    model
        A module that has residual blocks.
    stop
        Called where a block has its branch and has not yet added it: what it writes into the block
        takes part in the sum.

    Examples
    --------
    >>> from numerics.models import ModelSpec, Transformer
    >>> model, tokens = Transformer(ModelSpec(1, 1)), torch.zeros(2, 3, dtype=torch.long)
    >>> with watch(model) as sites, torch.no_grad():
    ...     _ = model.features(tokens, tokens)
    >>> [site.name for site in sites][3:]
    ['decoder.0.cross_attention', 'decoder.0.mlp']
    """
    sites: list[Site] = []
    visits = [_Visit(*found, sites, stop) for found in residual_blocks(model)]
    with hooked([handle for visit in visits for handle in visit.handles()]):
        yield sites


@contextmanager
def watch_norms(model: nn.Module, read: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Call ``read`` with each layer norm's name and input while the context lasts.

    Examples
    --------
    >>> model, seen = nn.ModuleDict({"encoder": nn.LayerNorm(4)}), []
    >>> with watch_norms(model, lambda name, x: seen.append((name, tuple(x.shape)))):
    ...     _ = model["encoder"](torch.ones(2, 4))
    >>> seen
    [('encoder', (2, 4))]
    """

    def reader(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, arguments: read(name, arguments[0])

    norms = [(name, part) for name, part in model.named_modules() if is_norm(part)]
    with hooked([part.register_forward_pre_hook(reader(name)) for name, part in norms]):
        yield
