"""What a branch computes: attention over its own stream or a memory, an MLP, or another map."""

import torch

from numerics.structure.branch_nodes import BranchNodes, Parts
from numerics.structure.graph import members
from numerics.structure.operations import LINEAR_POINTWISE, words
from numerics.structure.replay import Replay, random_like
from numerics.structure.targets import Targets
from numerics.structure.types import Kind

MIXES = words(
    "convolution _convolution cumsum cumprod roll flip stack cat constant_pad_nd _fft_c2c "
    "_fft_r2c _fft_c2r mkldnn_rnn_layer _thnn_fused_gru_cell _thnn_fused_lstm_cell mean sum bmm "
    "avg_pool1d avg_pool2d transpose permute gru lstm flatten unfold as_strided select slice "
    "copy logcumsumexp select_scatter slice_scatter"
)
"""Operations by which a branch may carry a signal from one position to another."""


def kind_of(parts: Parts, branch: BranchNodes, targets: Targets) -> Kind:
    """The kind of a branch."""
    graph = parts.graph
    if branch.attentions:
        if targets.columns:
            return "parallel"
        kinds = {_attention_kind(parts, branch, attention.k) for attention in branch.attentions}
        return kinds.pop() if len(kinds) == 1 else "attention"
    chain = [i for i in branch.products if graph.reaches(i, branch.output)]
    levels = any(graph.reaches(i, j) for i in chain for j in chain if i != j)
    if not levels or not _active(parts, branch):
        return "other"
    names = {graph[i].name for i in members(branch.own)}
    if names & MIXES and _mixes_positions(parts, branch) and not _only_before(parts, branch):
        return "other"
    return "gated-mlp" if targets.gated else "mlp"


def _attention_kind(parts: Parts, branch: BranchNodes, keys: int) -> Kind:
    graph = parts.graph
    reach = graph.walk_back(keys, ~branch.own)
    from_stream = graph.reaches(branch.source, keys) or graph.reaches(branch.chain.start, keys)
    elsewhere = any(
        graph.reads_parameter(i) and graph.is_signal(i)
        for i in members(reach & branch.own & ~graph.descendants[branch.chain.start])
    )
    if not from_stream:
        return "cross-attention"
    return "attention" if elsewhere else "self-attention"


def _active(parts: Parts, branch: BranchNodes) -> bool:
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


def _mixes_positions(parts: Parts, branch: BranchNodes) -> bool:
    """Whether one position of the branch's output depends on another position of its input.

    Where the operations between have no derivative, it counts as mixed.
    """
    reached = _reached(parts, branch, branch.source)
    return reached is None or int(reached.any(dim=-1).sum()) > 1


def _only_before(parts: Parts, branch: BranchNodes) -> bool:
    """Whether positions are mixed by moves before the first products only, as by a token shift."""
    graph = parts.graph
    chain = [i for i in branch.products if graph.reaches(i, branch.output)]
    first = [i for i in chain if not any(j != i and graph.reaches(j, i) for j in chain)]
    for index in first:
        kernel = branch.products[index].weight.value.shape[2:]
        if "conv" in graph[index].name and any(size > 1 for size in kernel):
            return False
        reached = _reached(parts, branch, index)
        if reached is None:
            return False
        feature = branch.products[index].feature
        if int(reached.any(dim=feature).sum()) > 1:
            return False
    return True


def _reached(parts: Parts, branch: BranchNodes, source: int) -> torch.Tensor | None:
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
            last = tuple(size - 1 for size in shape[:-1])
            cotangent[last] = torch.randn(shape[-1], generator=generator).to(result)
            (gradient,) = torch.autograd.grad(result, leaf, cotangent, allow_unused=True)
        except (RuntimeError, NotImplementedError, IndexError, TypeError):
            return None
    return None if gradient is None else gradient != 0
