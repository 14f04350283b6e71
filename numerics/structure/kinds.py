"""What a branch computes: attention over its own stream or a memory, an MLP, or another map."""

import torch

from numerics.structure.branch_nodes import BranchNodes, GraphParts
from numerics.structure.graph import Graph, members
from numerics.structure.operations import LINEAR_POINTWISE, words
from numerics.structure.replay import Replay, random_like
from numerics.structure.targets import Targets
from numerics.structure.types import BranchKind

MIXES = words(
    "convolution _convolution cumsum cumprod roll flip stack cat constant_pad_nd _fft_c2c "
    "_fft_r2c _fft_c2r mkldnn_rnn_layer _thnn_fused_gru_cell _thnn_fused_lstm_cell mean sum bmm "
    "avg_pool1d avg_pool2d transpose permute gru lstm flatten unfold as_strided select slice "
    "copy logcumsumexp select_scatter slice_scatter"
)
"""Operations by which a branch may carry a signal from one position to another."""

RECURRENCES = words(
    "cumsum cumprod logcumsumexp roll flip _fft_c2c _fft_r2c _fft_c2r mkldnn_rnn_layer gru lstm "
    "_thnn_fused_gru_cell _thnn_fused_lstm_cell avg_pool1d avg_pool2d"
)
"""Operations that always carry a signal from one position to another."""


def kind_of(parts: GraphParts, branch: BranchNodes, targets: Targets) -> BranchKind:
    """The kind of a branch."""
    graph = parts.graph
    if branch.attentions:
        if targets.columns:
            return "parallel"
        kinds: list[BranchKind] = [_attention_kind(parts, branch, a.k) for a in branch.attentions]
        return kinds[0] if len(set(kinds)) == 1 else "attention"
    chain = [i for i in branch.products if graph.reaches(i, branch.output)]
    levels = any(graph.reaches(i, j) for i in chain for j in chain if i != j)
    if not levels or not _active(parts, branch):
        return "other"
    names = {graph[i].name for i in members(branch.own)}
    if names & MIXES and _mixes_positions(parts, branch):
        between = not targets.gated and _convolves_between(parts, branch, names)
        if not between and not _only_before(parts, branch):
            return "other"
    return "gated-mlp" if targets.gated else "mlp"


def _attention_kind(parts: GraphParts, branch: BranchNodes, keys: int) -> BranchKind:
    graph = parts.graph
    reach = graph.walk_back(keys, ~branch.own)
    from_stream = graph.reaches(branch.source, keys) or graph.reaches(branch.chain.start, keys)
    elsewhere = any(
        graph[i].name in ("cat", "stack")
        and len({graph.reaches(branch.source, p) for p in graph[i].parents if _learned(graph, p)})
        == 2
        for i in members(reach & branch.own)
    )
    if not from_stream:
        return "cross-attention"
    return "attention" if elsewhere else "self-attention"


def _learned(graph: Graph, index: int) -> bool:
    return graph.reads_parameter(index) and graph.is_signal(index)


def _active(parts: GraphParts, branch: BranchNodes) -> bool:
    """Whether something that is not linear stands between its first and its last product."""
    graph = parts.graph
    chain = [i for i in branch.products if graph.reaches(i, branch.output)]
    for i in chain:
        for j in chain:
            if i == j or not graph.reaches(i, j):
                continue
            for index in members(graph.between(i, j) & ~(1 << i) & ~(1 << j)):
                node = graph[index]
                gates = node.name == "mul" and len({*node.parents}) == 2
                if node.pointwise and (node.name not in LINEAR_POINTWISE or gates):
                    return True
    return False


def _mixes_positions(parts: GraphParts, branch: BranchNodes) -> bool:
    """Whether one position of the branch's output depends on another position of its input.

    Channels stand on the last axis or on axis 1. Where the operations between have no derivative,
    positions count as mixed.
    """
    shape = parts.graph[branch.source].shape
    start = _after_norm(parts, branch)
    for axis in dict.fromkeys((len(shape) - 1, 1)):
        reached = _reached(parts, branch, start, axis)
        if reached is not None and int(reached.any(dim=axis).sum()) <= 1:
            return False
    return True


def _after_norm(parts: GraphParts, branch: BranchNodes) -> int:
    """Where the branch's own work begins: after its norm, which may itself run over positions."""
    graph, source = parts.graph, branch.source
    found = [
        norm.output
        for norm in parts.norms
        if branch.own >> norm.output & 1
        and graph.reaches(source, norm.input)
        and not graph.between(source, norm.input) & parts.additions.work & ~(1 << source)
        and graph[norm.output].shape == graph[source].shape
    ]
    return found[0] if len(found) == 1 else source


def _convolves_between(parts: GraphParts, branch: BranchNodes, names: set[str]) -> bool:
    """Whether positions are mixed only by a convolution between the first and the last product."""
    graph = parts.graph
    if names & RECURRENCES or any(branch.own >> i & 1 for i in parts.mixings):
        return False
    wide = [
        i
        for i, product in branch.products.items()
        if "conv" in graph[i].name and any(size > 1 for size in product.weight.value.shape[2:])
    ]
    return bool(wide) and all(
        any(graph.reaches(j, i) for j in branch.products if j not in wide)
        and any(graph.reaches(i, j) for j in branch.products if j not in wide)
        for i in wide
    )


def _only_before(parts: GraphParts, branch: BranchNodes) -> bool:
    """Whether positions are mixed by moves before the first products only, as by a token shift."""
    graph = parts.graph
    chain = [i for i in branch.products if graph.reaches(i, branch.output)]
    first = [i for i in chain if not any(j != i and graph.reaches(j, i) for j in chain)]
    for index in first:
        kernel = branch.products[index].weight.value.shape[2:]
        if "conv" in graph[index].name and any(size > 1 for size in kernel):
            return False
        last = len(graph[branch.source].shape) - 1
        reached = _reached(parts, branch, index, last)
        if reached is None:
            return False
        feature = branch.products[index].feature
        if int(reached.any(dim=feature).sum()) > 1:
            return False
    return True


def _reached(
    parts: GraphParts, branch: BranchNodes, source: int, channels: int
) -> torch.Tensor | None:
    """What the last position of the branch's output depends on in a node, as a mask."""
    graph = parts.graph
    value = graph[source].value
    shape = graph[branch.source].shape
    generator = torch.Generator().manual_seed(0)
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        leaf = random_like(value, generator).requires_grad_()
        try:
            replay = Replay(graph, {source: leaf * 1}, through_detach=True)
            (result,) = replay.run([branch.output])
            result = result.reshape(shape)
            cotangent = torch.zeros_like(result)
            place = [size - 1 for size in shape]
            place[channels] = slice(None)  # type: ignore[call-overload]
            drawn = torch.randn(shape[channels], generator=generator).to(result)
            cotangent[tuple(place)] = drawn
            (gradient,) = torch.autograd.grad(result, leaf, cotangent, allow_unused=True)
        except (RuntimeError, NotImplementedError, IndexError, TypeError):
            return None
    return None if gradient is None else gradient != 0
