"""What a traced forward tells about a model: its residual additions, and every parameter's roles.

A Transformer is one or more residual streams x and additions x ← a·x + b·F(x). A `Branch` is what
one addition adds. A `TensorView` is the part of one parameter that plays one role in one branch,
so that packed, interleaved, transposed and stacked layouts are read alike.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Role = Literal[
    "embedding",
    "positions",
    "q",
    "k",
    "v",
    "out",
    "w_in",
    "gate",
    "w_out",
    "norm_gain",
    "norm_bias",
    "bias",
    "head",
    "scalar",
    "other",
]
"""What a parameter does.

``out`` writes attention's result into the stream and ``w_out`` the MLP's. ``gate`` passes the
activation function of a gated MLP, ``w_in`` is what it multiplies, or the only matrix into an
ungated MLP. ``scalar`` multiplies a branch or a stream: one number, or one per channel. A bias that
belongs to q, k or v has the role ``bias`` and its part in `TensorView.part`.
"""

BranchKind = Literal[
    "self-attention", "cross-attention", "attention", "mlp", "gated-mlp", "parallel", "other"
]
"""What a branch computes; ``attention`` where self and cross cannot be told apart.

``parallel`` is one addition whose attention and MLP share their output matrix. Attention and MLP
that read the same stream and are added one by one, or summed first, are two branches of their own
kinds with `Branch.parallel` set.
"""


@dataclass(frozen=True)
class TensorView:
    """The part of one parameter that plays one role.

    Examples
    --------
    >>> view = TensorView("c_attn.weight", "k", 1, (4, 5), 4, 2, 0, branch=0)
    >>> view.of(torch.arange(24.0).reshape(4, 6)).shape
    torch.Size([4, 2])
    """

    parameter: str
    """Its name in ``named_parameters()`` of the module; a tied tensor has its first name."""
    role: Role
    axis: int | None = None
    """The axis along which entries are chosen. ``None`` chooses the whole tensor, or the whole
    slice of the bank where `expert` is given."""
    rows: tuple[int, ...] | None = None
    """Indices along `axis`, ascending."""
    fan_in: int | None = None
    """The length of the contracted axis; ``None`` where nothing is summed."""
    fan_out: int | None = None
    """The number of outputs of the selected entries."""
    fan_in_axis: int | None = None
    """The axis of the selected tensor (as `of` returns it) that is contracted."""
    branch: int | None = None
    """Index in `Structure.branches`; ``None`` outside the branches."""
    expert: int | None = None
    """Index along the leading axis of a bank of experts or layers; ``None`` otherwise."""
    part: Role | None = None
    """The role of the product that a bias or a norm within the branch follows."""

    def of(self, tensor: Tensor) -> Tensor:
        """The entries of a tensor of the parameter's shape that play the role.

        With `expert` the leading axis is taken away first, and `axis` counts the axes left.
        """
        if self.expert is not None:
            tensor = tensor[self.expert]
        if self.axis is None or self.rows is None:
            return tensor
        rows = torch.tensor(self.rows, device=tensor.device, dtype=torch.long)
        return tensor.index_select(self.axis, rows)


@dataclass(frozen=True)
class Branch:
    """What one residual addition adds to its stream."""

    index: int
    """Place among all additions, in the order in which they are executed."""
    stream: str
    """``encoder`` or ``decoder`` where one stack reads the other, else ``stream``."""
    layer: int
    """From 1 within its stream; branches of one layer share the number."""
    kind: BranchKind
    norm_before: bool
    """Whether the branch normalises what it reads before its first product."""
    norm_after: bool
    """Whether the branch's output is normalised before it is added."""
    norm_on_stream: bool
    """Whether the sum is normalised before anything else reads it: Post-LN."""
    norm_free_shortcut: bool
    """Whether the shortcut carries the stream itself, and neither it nor the sum is normalised."""
    shortcut_multiplier: float | None = 1.0
    """Constant factor on the shortcut; ``None``: trained, or not the same for every channel."""
    branch_multiplier: float | None = 1.0
    """Constant factor on the branch's output; ``None``: trained, or one per channel."""
    parallel: bool = False
    """Whether another branch of the layer reads the same stream: x + F(x) + G(x)."""
    path: str = ""
    """The module path common to the branch's parameters: a label and no evidence."""


@dataclass(frozen=True)
class Structure:
    """The residual additions of a model in order, and the roles of all its parameters."""

    branches: tuple[Branch, ...]
    views: tuple[TensorView, ...]
    final_norm: bool
    """Whether the stream that leads to the output is normalised after its last addition."""
    ties: tuple[tuple[str, ...], ...] = ()
    """Per tensor that has several names: its names, the one of ``named_parameters()`` first."""
    unread: tuple[str, ...] = ()
    """Parameters that no operation of the forward reads."""
    shared: tuple[str, ...] = ()
    """Parameters that several branches read: shared across depth."""
    understood: bool = True
    reasons: tuple[str, ...] = ()
    """What is not understood and what the user can pass, or what was noticed, in sentences."""

    end_norms: tuple[tuple[str, int], ...] = ()
    """Per stream: how many norms stand between its last addition and what reads it."""

    @property
    def depth(self) -> int:
        """The number of residual additions."""
        return len(self.branches)

    @property
    def layers(self) -> int:
        """The number of layers, of all streams together."""
        return len({(branch.stream, branch.layer) for branch in self.branches})

    def of_role(self, *roles: Role) -> tuple[TensorView, ...]:
        """The views that play one of the roles, in order."""
        return tuple(view for view in self.views if view.role in roles)

    def of_branch(self, index: int) -> tuple[TensorView, ...]:
        """The views that belong to one branch, in order."""
        return tuple(view for view in self.views if view.branch == index)
