"""How large values are inside one forward: streams, scores, logits and every other result.

One forward of the private copy is recorded operation by operation. The streams are those that the
residual additions make, so that no names are needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import ModuleFunction
from numerics.own_model.measurement.output import main_tensor
from numerics.own_model.measurement.private_copy import called
from numerics.structure.additions import find_additions
from numerics.structure.default_batch import ModelBatch
from numerics.structure.graph import Graph, Node
from numerics.structure.norms import find_norms
from numerics.structure.products import find_products
from numerics.structure.record import named_tensors, record_forward
from numerics.structure.streams import find_streams

FP16_MAX = 65504.0
"""The largest number of half precision."""
HIDING = 1e3
"""From this size on a negative constant that meets the forward hides entries: e^(−1000) is 0."""
_SOFTMAX = ("_softmax", "_safe_softmax")
_ENDS_OF_MASKS = (*_SOFTMAX, "exp", "mm", "bmm", "addmm", "baddbmm")
"""Operations behind which nothing is hidden any more."""
_NARROW = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class FirstLoss:
    """The cross-entropy before training, for labels drawn uniformly."""

    loss: float
    """E[−log softmax(logits)_y] over uniform y."""
    uniform: float
    """ln V, the loss of a model that knows nothing and is sure of nothing."""


@dataclass(frozen=True)
class ForwardSizes:
    """Root mean squares and largest values of one forward."""

    streams: Mapping[str, tuple[float, ...]]
    """The RMS of each stream before its first addition and after each."""
    scores: tuple[float, ...]
    """The standard deviation of the scores that each attention's softmax sees."""
    logits: float | None
    """RMS of the logits, where the output is logits."""
    first_loss: FirstLoss | None
    largest: float
    """The largest magnitude of any intermediate value."""
    largest_at: str
    """The operation that computed it."""
    overflowing: tuple[str, ...]
    """Operations whose result leaves half precision, in order."""
    islands: int
    """Conversions from float64 to a narrower type inside a float64 model."""

    @property
    def stream(self) -> tuple[float, ...]:
        """The stream that leads to the output; empty where there is none."""
        return list(self.streams.values())[-1] if self.streams else ()


def probe(function: ModuleFunction) -> ForwardSizes:
    """Record one forward of a module's private copy and read the sizes off it.

    Examples
    --------
    >>> from torch import nn
    >>> from numerics.own_model.measurement.function import module_function
    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> found = probe(module_function(layer, torch.randn(2, 3, 8)))
    >>> len(found.stream), len(found.scores), found.logits
    (3, 1, None)
    """
    returned: list[object] = []

    def run() -> object:
        returned.append(called(function.copied.module, function.batch))
        return returned[0]

    batch = function.batch
    arguments = ((), dict(batch)) if isinstance(batch, Mapping) else (_positional(batch), {})
    with measuring(), torch.no_grad():
        graph = record_forward(function.copied.module, arguments, run)
        output = main_tensor(returned[0])
        largest, where, overflowing = _largest(graph)
        logits = _logits(function, output)
        return ForwardSizes(
            streams=_streams(graph),
            scores=_scores(graph, function.batch),
            logits=None if logits is None else _rms(logits),
            first_loss=None if logits is None else _first_loss(logits),
            largest=largest,
            largest_at=where,
            overflowing=overflowing,
            islands=_islands(graph) if function.dtype is torch.float64 else 0,
        )


def _positional(batch: ModelBatch) -> tuple[object, ...]:
    return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)


def _streams(graph: Graph) -> dict[str, tuple[float, ...]]:
    """The RMS along every chain of residual additions."""
    norms = find_norms(graph)
    _, mixings = find_products(graph)
    additions = find_additions(graph, {norm.output: norm for norm in norms})
    mixing = 0
    for index in [*mixings, *(n.index for n in graph.nodes if n.fused_attention)]:
        mixing |= 1 << index
    found: dict[str, tuple[float, ...]] = {}
    for chain in find_streams(additions, mixing).chains:
        nodes = [chain.additions[0].skip, *(addition.node for addition in chain.additions)]
        # Branches that are added at once share one addition.
        found[chain.name] = tuple(_rms(graph[node].value) for node in dict.fromkeys(nodes))
    return found


def _scores(graph: Graph, batch: ModelBatch) -> tuple[float, ...]:
    """Standard deviations of what is put into the softmaxes over tokens."""
    lengths = {n for _, t in named_tensors(batch) for n in t.shape[:3]}
    found: list[float] = []
    for node in graph.nodes:
        if node.name not in _SOFTMAX or not node.args:
            continue
        scores = node.args[0].value
        if scores.dim() < 3 or (scores.dim() == 3 and scores.shape[-1] not in lengths):
            continue
        # A masked score has weight 0, whatever the number that stands for −∞.
        kept = scores[node.value > 0].double()
        if kept.numel() > 1:
            found.append(float(kept.std()))
    return tuple(found)


def _largest(graph: Graph) -> tuple[float, str, tuple[str, ...]]:
    largest, where = 0.0, ""
    overflowing: dict[str, None] = {}
    floors: dict[int, float] = {}
    computed: set[int] = set()
    """Nodes that depend on a parameter: what does not is a mask or an index."""
    for node in graph.nodes:
        if node.origin == "parameter" or any(parent in computed for parent in node.parents):
            computed.add(node.index)
        if node.origin != "operation":
            continue
        # What stands for −∞ in a mask is no computed size, nor is its sum with a score.
        floor = max([_fill(node, graph, computed), *(floors.get(p, 0.0) for p in node.parents)])
        if floor and node.name not in _ENDS_OF_MASKS:
            floors[node.index] = floor
        if node.index not in computed:
            continue
        for tensor in node.outputs:
            if not tensor.is_floating_point() or not tensor.numel():
                continue
            kept = tensor[tensor > -floor / 2] if floor else tensor
            kept = kept[kept > -1e30]
            size = float(kept.abs().max()) if kept.numel() else 0.0
            if size > FP16_MAX:
                overflowing[node.name] = None
            if size > largest:
                largest, where = size, node.name
    return largest, where, tuple(overflowing)


def _fill(node: Node, graph: Graph, computed: set[int]) -> float:
    """The size of the number by which an operation hides entries; 0 where it hides none."""
    found = [-float(a) for a in node.args if isinstance(a, (int, float))]
    if node.name not in ("masked_fill", "full_like", "scalar_tensor"):
        found = []
    for parent in node.parents if node.name in ("add", "where") else ():
        if parent in computed or not graph[parent].outputs:
            continue
        value = graph[parent].value
        if value.is_floating_point() and value.numel():
            found.append(-float(value.min()))
    return max((size for size in found if size >= HIDING), default=0.0)


def _islands(graph: Graph) -> int:
    return sum(
        node.name == "_to_copy"
        and node.args[0].value.dtype is torch.float64
        and node.outputs[0].dtype in _NARROW
        for node in graph.nodes
        if node.origin == "operation" and node.args and hasattr(node.args[0], "value")
    )


def _logits(function: ModuleFunction, output: Tensor) -> Tensor | None:
    """The output, where it comes from a head over at least as many entries as there are ids."""
    ids = [t for _, t in named_tensors(function.batch) if not t.is_floating_point() and t.numel()]
    ids = [t for t in ids if t.dtype is not torch.bool and int(t.max()) > 1]
    head = function.measured.head
    if not ids or head is None or output.dim() < 2:
        return None
    vocabulary = output.shape[-1]
    return output if max(int(t.max()) for t in ids) < vocabulary else None


def _first_loss(logits: Tensor) -> FirstLoss:
    values = logits.double()
    loss = float((values.logsumexp(-1) - values.mean(-1)).mean())
    return FirstLoss(loss, log(values.shape[-1]))


def _rms(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.double())) / max(tensor.numel(), 1) ** 0.5
