"""Where a tensor stands in a model: all that a recipe may make its numbers depend on.

Notation: N layers of a stack, l the layer's number from 1, B the stack's residual additions, d the
width of the stream. A parallel branch that holds an attention and an MLP counts as two additions.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import nn

from numerics.structure.types import Branch, Role, Structure, TensorView

WRITERS = ("out", "w_out")
"""Roles that write into the residual stream."""
READERS = ("q", "k", "v", "w_in", "gate")
"""Roles of a branch's other matrices."""
MATRICES = (*READERS, *WRITERS)
"""Roles of the matrices within branches."""


@dataclass(frozen=True)
class RecipeStream:
    """One residual stream."""

    name: str
    """``encoder``, ``decoder`` or ``stream``."""
    layers: int
    """Number of layers of its stack, N."""
    additions: int
    """Number of residual additions B: 2N for layers of attention and MLP, 3N with
    encoder-attention, N where a layer is one branch."""


@dataclass(frozen=True)
class ModelSizes:
    """The sizes of a model that recipes use."""

    d_model: int
    """Width of the stream, d."""
    d_ff: int | None
    """The inner width of the MLPs, if there is one."""
    vocabulary: int | None
    """Rows of the embedding, if there is one."""
    head_width: int | None
    """Width of one attention head, where it is known."""
    stacks: Mapping[str, RecipeStream] = field(default_factory=dict)
    position_multiplier: float = 1.0
    """Constant factor between the table of positions and the stream."""
    head_input: float | None = None
    """RMS of what the head reads: 1 after a norm, d^(-1/2) where the logits are scaled down."""

    @property
    def encoder(self) -> RecipeStream | None:
        """The encoder of an encoder-decoder."""
        return self.stacks.get("encoder")

    @property
    def decoder(self) -> RecipeStream | None:
        """The decoder of an encoder-decoder, or the only stack."""
        if "decoder" in self.stacks:
            return self.stacks["decoder"]
        return None if self.encoder else next(iter(self.stacks.values()), None)


@dataclass(frozen=True)
class ParameterPlace:
    """One view of one parameter, with what is known about where it stands."""

    view: TensorView
    branch: Branch | None
    stack: str
    """The stack of a branch's tensor; of a table, the stack that reads it."""
    layer: int
    """Number of the layer from 1, l; 0 outside the branches."""
    shape: tuple[int, ...]
    """The parameter's whole shape; for a packed q, k, v it is that of all three."""
    module: str
    """Class of the module that owns the parameter, such as ``Linear``."""
    module_fan_in: int | None
    """``in_features`` of that module, if it has any: torch draws biases by it."""
    in_attention: bool
    """Whether an `nn.MultiheadAttention` owns the parameter or its module."""
    tied: tuple[Role, ...] = ()
    """The other roles of the same entries."""
    frozen: bool = False
    """Whether it is not trained, as a table of sinusoids: no recipe draws it."""
    stored_minus_one: bool = False
    """Whether a norm's gain is 1 plus what is stored, as in Gemma."""

    @property
    def role(self) -> Role:
        """What the tensor does."""
        return self.view.role

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.view.parameter

    @property
    def fans(self) -> tuple[int, int]:
        """The numbers of inputs and outputs; without them, the last and the first length."""
        lengths = self.shape if len(self.shape) > 1 else (self.shape or (1,)) * 2
        return self.view.fan_in or lengths[-1], self.view.fan_out or lengths[0]

    @cached_property
    def is_matrix(self) -> bool:
        """Whether it is one of a branch's matrices, and stored as such.

        Under a weight norm what is stored is a direction or a length, which no recipe speaks of.
        """
        return self.role in MATRICES and ".parametrizations." not in self.name

    @property
    def is_router(self) -> bool:
        """Whether it chooses among experts: a narrow linear layer within an MLP's branch."""
        within = self.branch is not None and self.branch.kind in ("mlp", "gated-mlp")
        narrow = self.fans[1] < self.fans[0]
        return self.role == "other" and within and self.module == "Linear" and narrow


def setting_of(
    structure: Structure,
    model: nn.Module,
    *,
    head_width: int | None = None,
    position_multiplier: float = 1.0,
    head_input: float | None = None,
) -> ModelSizes:
    """Sizes of a traced model."""
    stacks = {}
    for name in dict.fromkeys(branch.stream for branch in structure.branches):
        own = [branch for branch in structure.branches if branch.stream == name]
        additions = sum(2 if branch.kind == "parallel" else 1 for branch in own)
        stacks[name] = RecipeStream(name, max(branch.layer for branch in own), additions)
    hidden = Counter(v.fan_in for v in structure.of_role("w_out") if v.fan_in)
    embedding = structure.of_role("embedding")
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    return ModelSizes(
        d_model=_width(structure, shapes),
        d_ff=hidden.most_common(1)[0][0] if hidden else None,
        vocabulary=max((shapes[v.parameter][0] for v in embedding), default=None),
        head_width=head_width,
        stacks=stacks,
        position_multiplier=position_multiplier,
        head_input=head_input,
    )


def _width(structure: Structure, shapes: Mapping[str, tuple[int, ...]]) -> int:
    written = Counter(v.fan_out for v in structure.of_role("out", "w_out") if v.fan_out)
    if written:
        return written.most_common(1)[0][0]
    tables = [shapes[v.parameter][-1] for v in structure.of_role("embedding", "positions", "head")]
    gains = [shapes[v.parameter][-1] for v in structure.of_role("norm_gain")]
    others = [shape[-1] for shape in shapes.values() if shape]
    return (tables or gains or others or [1])[0]


def places(
    structure: Structure, model: nn.Module, offset_gains: frozenset[str] = frozenset()
) -> tuple[ParameterPlace, ...]:
    """Every view of every parameter that the forward reads, in the structure's order.

    ``offset_gains`` names the norm gains that are stored as gain − 1.
    """
    owners = _owners(model)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    # A model whose every tensor is frozen is frozen for its use, not by its rule.
    frozen = frozen if len(frozen) < len(shapes) else set()
    roles: dict[str, list[Role]] = {}
    for view in structure.views:
        if view.role in ("embedding", "head") and view.role not in roles.get(view.parameter, []):
            roles.setdefault(view.parameter, []).append(view.role)
    tables = _table_stacks(structure)
    found = []
    for view in structure.views:
        if view.parameter not in shapes:
            continue
        branch = None if view.branch is None else structure.branches[view.branch]
        owner, parent = owners.get(view.parameter, (None, None))
        table = view.role in ("embedding", "head")
        others: tuple[Role, ...] = tuple(
            r for r in roles.get(view.parameter, []) if table and r != view.role
        )
        found.append(
            ParameterPlace(
                view=view,
                branch=branch,
                stack=branch.stream if branch else tables.get(view.parameter, "stream"),
                layer=branch.layer if branch else 0,
                shape=shapes[view.parameter],
                module="" if owner is None else _kind(owner),
                module_fan_in=getattr(owner, "in_features", None),
                in_attention=any(isinstance(m, nn.MultiheadAttention) for m in (owner, parent)),
                tied=others,
                frozen=view.parameter in frozen,
                stored_minus_one=view.parameter in offset_gains,
            )
        )
    return tuple(found)


def _table_stacks(structure: Structure) -> dict[str, str]:
    """The stack that reads each table: the first table of a role is the encoder's."""
    names = list(dict.fromkeys(branch.stream for branch in structure.branches)) or ["stream"]
    stacks: dict[str, str] = {}
    for role in ("embedding", "positions"):
        tables = list(dict.fromkeys(v.parameter for v in structure.of_role(role)))
        for number, table in enumerate(tables):
            stacks[table] = names[min(number, len(names) - 1)]
    for view in structure.of_role("head"):
        stacks.setdefault(view.parameter, names[-1])
    return stacks


def _kind(module: nn.Module) -> str:
    for kind in (nn.Linear, nn.Embedding, nn.MultiheadAttention, nn.modules.conv._ConvNd):
        if isinstance(module, kind):
            return "Conv" if kind is nn.modules.conv._ConvNd else kind.__name__
    return type(module).__name__


def _owners(model: nn.Module) -> dict[str, tuple[nn.Module, nn.Module | None]]:
    """For every parameter's name the module that holds it, and that module's parent."""
    modules = dict(model.named_modules())
    found = {}
    for name, _ in model.named_parameters():
        path = name.rpartition(".")[0]
        parent = modules.get(path.rpartition(".")[0]) if path else None
        found[name] = (modules.get(path, model), parent)
    return found
