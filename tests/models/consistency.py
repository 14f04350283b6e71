"""What must hold of every structure, whatever the model: checked by its shapes and by autograd."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from numerics.structure.record import named_tensors
from numerics.structure.types import Structure, TensorView
from tests.models.expected import ForeignModel

MATRICES = ("q", "k", "v", "out", "w_in", "gate", "w_out")
SEVERAL_WIDTHS = ("Swin", "SegFormer", "PoolFormer")
"""Streams that widen with depth."""
NARROW_READERS = ("low-rank updates", "DeepSeek-V3", "SqueezeBERT")
"""Models whose queries or MLPs are computed from less than the whole stream, or group by group."""


def inconsistent(
    model: ForeignModel, net: nn.Module, batch: Any, found: Structure
) -> tuple[str, ...]:
    """Everything in a structure that contradicts the model or itself, in words."""
    net = getattr(net, "_orig_mod", net)  # what torch.compile wraps
    parameters = dict(net.named_parameters())
    return tuple(
        fault
        for faults in (
            _branches(found),
            _ties(net, found),
            _fans(found, parameters),
            _coverage(found, parameters),
            _widths(model, found),
            _roles(found),
            _unread(model, net, batch, found, parameters),
        )
        for fault in faults
    )


def _branches(found: Structure) -> Iterator[str]:
    if [branch.index for branch in found.branches] != list(range(found.depth)):
        yield "branches are not numbered in order"
    layers: dict[str, list[int]] = defaultdict(list)
    for branch in found.branches:
        layers[branch.stream].append(branch.layer)
    for stream, numbers in layers.items():
        if sorted(numbers) != numbers or {*numbers} != {*range(1, max(numbers) + 1)}:
            yield f"layers of {stream} are {numbers}"


def _ties(net: nn.Module, found: Structure) -> Iterator[str]:
    names: dict[int, list[str]] = defaultdict(list)
    for name, parameter in net.named_parameters(remove_duplicate=False):
        names[id(parameter)].append(name)
    tied = {tuple(group) for group in names.values() if len(group) > 1}
    both = {
        (view.parameter,)
        for view in found.of_role("embedding")
        if any(other.parameter == view.parameter for other in found.of_role("head"))
    }
    known = {group[0] for group in tied}
    if {*found.ties} != tied | {group for group in both if group[0] not in known}:
        yield f"ties {found.ties}"


def _fans(found: Structure, parameters: dict[str, nn.Parameter]) -> Iterator[str]:
    for view in found.views:
        part = view.of(parameters[view.parameter])
        where = f"{view.parameter} ({view.role})"
        if view.rows is not None and [*view.rows] != sorted({*view.rows}):
            yield f"{where}: rows {view.rows}"
        if view.fan_in_axis is None or view.fan_in is None or view.fan_out is None:
            if view.role in MATRICES and not where.startswith(("down_", "up_")):
                yield f"{where}: no fans"
        elif part.dim() == 2 and part.shape[view.fan_in_axis] != view.fan_in:
            yield f"{where}: fan_in {view.fan_in} along axis {view.fan_in_axis}"
        elif view.role != "other" and view.fan_in * view.fan_out != part.numel():
            yield f"{where}: fans {view.fan_in}, {view.fan_out} of {tuple(part.shape)}"
        if view.role in ("bias", "norm_gain", "norm_bias", "scalar") and view.fan_in is not None:
            yield f"{where}: a vector with fan_in {view.fan_in}"


def _coverage(found: Structure, parameters: dict[str, nn.Parameter]) -> Iterator[str]:
    """Every entry of a parameter that has a role is in some view."""
    views: dict[str, list[TensorView]] = defaultdict(list)
    for view in found.views:
        views[view.parameter].append(view)
    for name, own in views.items():
        covered = torch.zeros(parameters[name].shape, dtype=torch.bool)
        for view in own:
            part = covered if view.expert is None else covered[view.expert]
            if view.axis is None or view.rows is None:
                part.fill_(True)
            else:
                part.index_fill_(view.axis, torch.tensor(view.rows), True)
        if not bool(covered.all()):
            yield f"{name}: {int(covered.sum())} of {covered.numel()} entries have a role"
    for name in {*parameters} - {*views} - {*found.unread}:
        yield f"{name} is neither read nor unread"


def _widths(model: ForeignModel, found: Structure) -> Iterator[str]:
    """What writes to a stream, and what reads it, is as wide as the stream."""
    written, read = defaultdict(set), defaultdict(set)
    for view in found.views:
        if view.branch is None:
            continue
        stream = found.branches[view.branch].stream
        if view.role in ("out", "w_out"):
            written[stream].add(view.fan_out)
        if view.role in ("q", "w_in", "gate"):
            read[stream].add(view.fan_in)
    for stream, widths in written.items():
        if len(widths) > 1 and model.name not in SEVERAL_WIDTHS:
            yield f"{stream} is {widths} wide"
        if read[stream] - widths and model.name not in NARROW_READERS:
            yield f"{stream} is {widths} wide and read at {read[stream]}"


def _roles(found: Structure) -> Iterator[str]:
    """A branch's kind says which roles it has, and its path where they stand."""
    for branch in found.branches:
        views = found.of_branch(branch.index)
        roles = {view.role for view in views}
        if "attention" in branch.kind and not {"v", "out"} <= roles:
            yield f"attention {branch.index} without v or out"
        if branch.kind.endswith("mlp") and (not {"w_in", "w_out"} <= roles or "q" in roles):
            yield f"MLP {branch.index} with {sorted(roles)}"
        if branch.kind == "gated-mlp" and "gate" not in roles:
            yield f"gated MLP {branch.index} without a gate"
        for view in views:
            if view.role in MATRICES and not view.parameter.startswith(branch.path):
                yield f"{view.parameter} is not under {branch.path}"
            if view.part in MATRICES and view.part not in roles:
                yield f"{view.parameter} belongs to {view.part}, which is not there"
            if view.role == "bias" and view.part in ("q", "k", "v"):
                yield from _bias(view, views)


def _bias(bias: TensorView, views: tuple[TensorView, ...]) -> Iterator[str]:
    """A packed bias is packed as the matrix beside it."""
    module = bias.parameter.rpartition(".")[0]
    beside = [
        view
        for view in views
        if view.role == bias.part and view.parameter.rpartition(".")[0] == module
    ]
    packed = [view.rows for view in beside if view.rows is not None]
    if packed and bias.rows not in packed:
        yield f"{bias.parameter}: {bias.part} is at {bias.rows}"


def _unread(
    model: ForeignModel,
    net: nn.Module,
    batch: Any,
    found: Structure,
    parameters: dict[str, nn.Parameter],
) -> Iterator[str]:
    """What no derivative reaches is unread; of a part of the output, at least what is unread."""
    net.eval()
    try:
        if isinstance(batch, dict):
            output = net(**batch)
        else:
            output = net(*batch) if isinstance(batch, (tuple, list)) else net(batch)
        chosen = output if model.output is None else model.output(output)
        reached = _reached(chosen, parameters)
    except (RuntimeError, ValueError):
        return  # a forward that writes what autograd needs, or that runs but once
    dark = {name for name in parameters if name not in reached}
    unread = {*found.unread}
    if unread - dark or (model.output is None and dark - unread):
        yield f"unread are {sorted(unread)}, without a derivative {sorted(dark)}"


def _reached(output: object, parameters: dict[str, nn.Parameter]) -> set[str]:
    tensors = [t for _, t in named_tensors(output) if t.is_floating_point() and t.requires_grad]
    trained = {name: p for name, p in parameters.items() if p.requires_grad}
    loss = sum((t.double().square().sum() for t in tensors), torch.zeros((), dtype=torch.float64))
    found: tuple[Tensor | None, ...] = torch.autograd.grad(
        loss, [*trained.values()], allow_unused=True
    )
    frozen = {*parameters} - {*trained}
    return frozen | {name for name, g in zip(trained, found, strict=True) if g is not None}
