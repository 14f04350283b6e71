"""Groups of parameters whose parts of ‖Δf‖ are measured apart: by role, by layer, or by name.

Roles and layers come from the structure of the model. Where that is not understood, parameters are
grouped by the names that their author gave them, with the number of a layer taken out.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.linearization.types import Parameters
from numerics.structure.types import Structure, TensorView

ENDS = "ends"
"""The group by layer of what lies outside the layers: embeddings, final norm, head."""
CROSS = "cross-attention"
"""In front of the roles of the matrices of attention that reads another stack."""


@dataclass(frozen=True)
class Group:
    """Entries of parameters that are counted together."""

    name: str
    entries: Mapping[str, Tensor | None]
    """Per parameter the flat indices of its entries, ``None`` for all of them."""

    def of(self, step: Parameters) -> dict[str, Tensor]:
        """The part of a step that moves only this group.

        Examples
        --------
        >>> group = Group("q", {"w": torch.tensor([0, 1])})
        >>> group.of({"w": torch.ones(2, 2), "v": torch.ones(1)})
        {'w': tensor([[1., 1.],
                [0., 0.]])}
        """
        made: dict[str, Tensor] = {}
        for name, chosen in self.entries.items():
            if name not in step:
                continue
            whole = step[name]
            if chosen is None:
                made[name] = whole
                continue
            part = torch.zeros_like(whole).flatten()
            part[chosen] = whole.flatten()[chosen]
            made[name] = part.reshape(whole.shape)
        return made


@dataclass(frozen=True)
class Grouping:
    """The two ways in which a model's parameters are split; each holds every entry once."""

    by_role: tuple[Group, ...]
    by_layer: tuple[Group, ...]
    by_names: bool
    """Whether names had to do, because the structure is not understood."""


def grouping(parameters: Parameters, structure: Structure | None) -> Grouping:
    """Groups by role and by layer.

    Examples
    --------
    >>> theta = {"layers.0.w": torch.ones(1), "layers.1.w": torch.ones(1), "head": torch.ones(1)}
    >>> found = grouping(theta, None)
    >>> [group.name for group in found.by_role], [group.name for group in found.by_layer]
    (['layers.*.w', 'head'], ['layer 1', 'layer 2', 'ends'])
    """
    if structure is None or not structure.understood:
        by_role = _by_key(parameters, starred)
        return Grouping(by_role, _in_order(_by_key(parameters, _numbered)), True)
    layers = {branch.index: _layer(branch.stream, branch.layer) for branch in structure.branches}
    cross = {branch.index for branch in structure.branches if branch.kind == "cross-attention"}
    by_role = _by_view(parameters, structure.views, lambda view: _role(view, cross))
    by_layer = _by_view(
        parameters,
        structure.views,
        lambda view: ENDS if view.branch is None else layers[view.branch],
    )
    return Grouping(by_role, _in_order(by_layer), False)


def starred(name: str) -> str:
    """A parameter's name without the numbers of layers.

    Examples
    --------
    >>> starred("blocks.11.attn.c_proj.weight")
    'blocks.*.attn.c_proj.weight'
    """
    return re.sub(r"(?<=\.)\d+(?=\.|$)|^\d+(?=\.)", "*", name)


def _role(view: TensorView, cross: Collection[int]) -> str:
    """The group of a view: what reads a memory is told apart from what reads its own stream."""
    if view.branch in cross and view.role in ("q", "k", "v", "out"):
        return f"{CROSS} {view.role}"
    if view.part is not None and view.role in ("bias", "norm_gain", "norm_bias"):
        return "bias" if view.role == "bias" else "norm"
    return {"norm_gain": "norm", "norm_bias": "norm"}.get(view.role, view.role)


def _layer(stream: str, layer: int) -> str:
    return f"layer {layer}" if stream == "stream" else f"{stream} {layer}"


def _numbered(name: str) -> str:
    found = re.search(r"(?:^|\.)(\d+)(?=\.|$)", name)
    if found is None:
        return ENDS
    path = name[: found.start()].split(".")
    stream = next((part for part in path if part in ("encoder", "decoder")), None)
    number = int(found.group(1)) + 1
    return f"layer {number}" if stream is None else f"{stream} {number}"


def _by_key(parameters: Parameters, key: Callable[[str], str]) -> tuple[Group, ...]:
    found: dict[str, dict[str, Tensor | None]] = {}
    for name in parameters:
        found.setdefault(key(name), {})[name] = None
    return tuple(Group(name, entries) for name, entries in found.items())


def _by_view(
    parameters: Parameters, views: Sequence[TensorView], key: Callable[[TensorView], str]
) -> tuple[Group, ...]:
    """Groups of views; an entry that several views share goes to the first, the rest to "other"."""
    found: dict[str, dict[str, list[Tensor]]] = {}
    known: dict[object, Tensor] = {}

    def flat(shape: torch.Size, view: TensorView) -> Tensor:
        """A view's flat indices; layers are alike, so that few are worked out."""
        key = (shape, view.axis, view.rows, view.expert)
        if key not in known:
            known[key] = view.of(torch.arange(shape.numel()).reshape(shape)).flatten()
        return known[key]

    of_parameter: dict[str, list[TensorView]] = {}
    for view in views:
        of_parameter.setdefault(view.parameter, []).append(view)
    for name, value in parameters.items():
        own_views = of_parameter.get(name, ())
        if own_views and own_views[0].axis is None and own_views[0].expert is None:
            found.setdefault(key(own_views[0]), {})[name] = []
            continue
        left = torch.ones(value.numel(), dtype=torch.bool)
        for view in own_views:
            chosen = flat(value.shape, view)
            chosen = chosen[left[chosen]]
            if chosen.numel():
                left[chosen] = False
                found.setdefault(key(view), {}).setdefault(name, []).append(chosen)
        if bool(left.any()):
            rest = left.nonzero().flatten()
            found.setdefault("other", {}).setdefault(name, []).append(rest)
    return tuple(
        Group(name, {p: _entries(pieces, parameters[p].numel()) for p, pieces in own.items()})
        for name, own in found.items()
    )


def _entries(pieces: Sequence[Tensor], size: int) -> Tensor | None:
    """The chosen indices; ``None`` for the whole parameter, of which no pieces are listed."""
    if not pieces:
        return None
    chosen = torch.cat(list(pieces))
    return None if chosen.numel() == size else chosen


def _in_order(groups: Sequence[Group]) -> tuple[Group, ...]:
    def place(group: Group) -> tuple[bool, str, int]:
        stream, _, number = group.name.rpartition(" ")
        return (not number.isdigit(), stream, int(number) if number.isdigit() else 0)

    return tuple(sorted(groups, key=place))
