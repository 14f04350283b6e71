"""What a branch computes: attention over its own stream or a memory, an MLP, or another map."""

import torch

from numerics.structure.branch_nodes import BranchNodes, Parts
from numerics.structure.graph import members
from numerics.structure.operations import CHOICES, LINEAR_POINTWISE, MOVES, words
from numerics.structure.replay import Replay
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
    if names & MIXES - MOVES or names & CHOICES or names & {"select", "slice", "copy", "piece"}:
        if _mixes_positions(parts, branch) is not False:
            return "other"
    elif names & {"transpose", "permute"} and _mixes_positions(parts, branch) is not False:
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


def _mixes_positions(parts: Parts, branch: BranchNodes) -> bool | None:
    """Whether one position of the branch's output depends on another position of its input.

    ``None`` where the operations between have no derivative, or there is one position only.
    """
    graph = parts.graph
    value = graph[branch.source].value
    generator = torch.Generator().manual_seed(0)
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        leaf = torch.randn(value.shape, generator=generator).to(value).requires_grad_()
        try:
            replay = Replay(graph, {branch.source: leaf * 1}, through_detach=True)
            (result,) = replay.run([branch.output])
            result = result.reshape(value.shape)
            cotangent = torch.zeros_like(result)
            last = tuple(size - 1 for size in value.shape[:-1])
            cotangent[last] = torch.randn(value.shape[-1], generator=generator).to(result)
            (gradient,) = torch.autograd.grad(result, leaf, cotangent, allow_unused=True)
        except (RuntimeError, NotImplementedError, IndexError, TypeError):
            return None
    if gradient is None or gradient[..., 0].numel() < 2:
        return None
    reached = (gradient != 0).any(dim=-1)
    return bool(reached.sum() > 1)
