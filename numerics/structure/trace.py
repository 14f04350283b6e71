"""The structure of a model from one traced forward: the door to this package."""

from collections.abc import Callable, Sequence

from torch import nn

from numerics.models.user_code import user_error
from numerics.structure.additions import find_additions
from numerics.structure.assigned import Assigned
from numerics.structure.branch_nodes import BranchNodes, GraphParts, branch_nodes
from numerics.structure.default_batch import ModelBatch
from numerics.structure.doubts import notes, uneven, unexplained
from numerics.structure.experts import chooses, with_experts
from numerics.structure.given_blocks import GIVEN, block_paths, given_branches
from numerics.structure.graph import Graph, members
from numerics.structure.kinds import kind_of
from numerics.structure.layers import layer_numbers
from numerics.structure.names import common_path, tied_names
from numerics.structure.norms import find_norms
from numerics.structure.private_copy import (
    detached,
    eager,
    private_copy,
    quiet_forward,
    without_cache,
)
from numerics.structure.products import find_products
from numerics.structure.record import ParameterWritten, record_forward
from numerics.structure.repeats import merged_views, repeated_places
from numerics.structure.roots import mark_roots
from numerics.structure.streams import Streams, find_streams
from numerics.structure.targets import find_targets
from numerics.structure.types import Branch, BranchKind, Structure, TensorView
from numerics.structure.views import parameter_views
from numerics.structure.wiring import TracedWiring, end_link, wirings
from theory.errors import InputError


def trace_structure(
    model: nn.Module,
    batch: ModelBatch,
    *,
    output: Callable[[object], object] | None = None,
    blocks: Sequence[str] | None = None,
) -> Structure:
    """The residual additions of a model and the roles of its parameters, from one forward.

    Nothing is decided by a name. The forward runs once on a private copy, in evaluation mode and
    without gradients; the model, its buffers, its modes and the random state stay as they are.

    Parameters
    ----------
    model
        Any module.
    batch
        A tensor, a tuple of positional or a mapping of keyword arguments of its forward.
    output
        Takes what the forward returns to the tensor that the structure is asked for; ``None``: all
        floating-point tensors in it.
    blocks
        Module paths whose outputs count as branches, for wirings that are not understood.

    Raises
    ------
    UserCodeError
        If the forward raises; the user's exception is its cause.
    InputError
        If the forward returns no floating-point tensor, or `blocks` names no module.

    Examples
    --------
    >>> import torch
    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> found = trace_structure(layer, torch.randn(2, 3, 8))
    >>> [(branch.kind, branch.norm_on_stream) for branch in found.branches]
    [('self-attention', True), ('mlp', True)]
    >>> [(view.role, view.rows[0]) for view in found.views if view.axis == 0 and view.fan_in]
    [('q', 0), ('k', 8), ('v', 16)]
    """
    paths = block_paths(model, blocks or ())
    graph = trace_graph(model, batch, output=output, blocks=paths)
    found = structure_of(model, graph, paths)
    if found.unread and chooses(graph):
        for seed in range(1, 7):  # another draw of the router reaches other experts
            again = trace_graph(model, batch, output=output, blocks=paths, jitter=1.0, seed=seed)
            found = with_experts(found, structure_of(model, again, paths))
            if not found.unread:
                break
    return found


def trace_graph(
    model: nn.Module,
    batch: ModelBatch,
    *,
    output: Callable[[object], object] | None = None,
    blocks: Sequence[str] = (),
    jitter: float = 0.0,
    seed: int = 0,
) -> Graph:
    """The dataflow of one forward of a private copy."""
    try:
        graph = _recorded(model, batch, output, blocks, jitter, seed, share=True)
    except ParameterWritten:
        graph = _recorded(model, batch, output, blocks, jitter, seed, share=False)
    if not graph.targets:
        raise InputError(
            "a forward must return a floating-point tensor, got none: pass output=, which takes "
            "what it returns to a tensor"
        )
    return graph


def _recorded(
    model: nn.Module,
    batch: ModelBatch,
    output: Callable[[object], object] | None,
    blocks: Sequence[str],
    jitter: float,
    seed: int,
    *,
    share: bool,
) -> Graph:
    args, kwargs = without_cache(model, batch)
    with quiet_forward(), private_copy(model, jitter=jitter, seed=seed, share=share) as work:
        args, kwargs = detached(args), detached(kwargs)
        try:
            return record_forward(
                work,
                (args, kwargs),
                lambda: work(*args, **kwargs),
                output,
                blocks,
                [eager(model)],
                protect=share,
            )
        except ParameterWritten:
            raise
        except Exception as raised:
            raise user_error(f"the forward of {type(model).__name__}", raised) from raised


def structure_of(model: nn.Module, graph: Graph, blocks: Sequence[str] = ()) -> Structure:
    """The structure that a recorded forward has; with blocks, those are its branches."""
    model = eager(model)  # whose names the recorded parameters have
    mark_roots(graph)
    norms = find_norms(graph)
    products, mixings = find_products(graph)
    additions = find_additions(graph, {norm.output: norm for norm in norms})
    parts = GraphParts(graph, additions, products, mixings, norms)
    mixing = _bits([*mixings, *(n.index for n in graph.nodes if n.fused_attention)])
    if blocks:
        streams, branches = given_branches(parts, blocks)
    else:
        streams = find_streams(additions, mixing)
        branches = branch_nodes(parts, streams)
    for chain in streams.chains:
        chain.end = end_link(additions, graph, chain)
    targets = [find_targets(parts, branch) for branch in branches]
    kinds: list[BranchKind] = [kind_of(parts, b, t) for b, t in zip(branches, targets, strict=True)]
    wired = [GIVEN] * len(branches) if blocks else _wired(parts, streams, branches)
    known = Assigned(parts, streams, branches, targets, kinds, _on_stream(streams, branches, wired))
    views = parameter_views(known)
    unread = _unread(model, graph)
    reasons = [*streams.reasons]
    if not blocks:
        reasons += [*unexplained(parts, streams, branches), *uneven(model, views, unread)]
    numbers = _layers(streams, branches, kinds)
    places = repeated_places(parts, branches)
    kept = [place for place, original in enumerate(places) if place == original]
    views = merged_views(views, places, kept)
    listed = tuple(
        _branch(new, branches[place], kinds[place], wired[place], numbers[place], views)
        for new, place in enumerate(kept)
    )
    return Structure(
        listed,
        views,
        _final_norm(parts, streams),
        _ties(model, views),
        unread,
        _shared(parts, branches, places),
        understood=not reasons,
        reasons=(*dict.fromkeys(reasons), *notes(wired, targets, graph), *_applied(places, kept)),
        end_norms=tuple(
            (chain.name, 0 if chain.end is None else len(chain.end.norms))
            for chain in streams.chains
            if any(branches[place].chain is chain for place in kept)
        ),
    )


def _applied(places: list[int], kept: list[int]) -> list[str]:
    repeats = len(places) // max(len(kept), 1)
    if len(kept) == len(places):
        return []
    return [f"a stack is applied to several inputs, {repeats} times: its branches count once"]


def _bits(indices: Sequence[int]) -> int:
    bits = 0
    for index in indices:
        bits |= 1 << index
    return bits


def _wired(parts: GraphParts, streams: Streams, branches: list[BranchNodes]) -> list[TracedWiring]:
    found: dict[int, TracedWiring] = {}
    for chain in streams.chains:
        own = [b for b in branches if b.chain is chain]
        stage = sum(other.name == chain.name for other in streams.chains) > 1
        for branch, wiring in zip(own, wirings(parts, chain, own, stage=stage), strict=True):
            found[id(branch)] = wiring
    return [found[id(branch)] for branch in branches]


def _layers(streams: Streams, branches: list[BranchNodes], kinds: list[BranchKind]) -> list[int]:
    numbers = [0] * len(branches)
    for name in dict.fromkeys(chain.name for chain in streams.chains):
        places = [i for i, branch in enumerate(branches) if branch.chain.name == name]
        shapes = [
            tuple(sorted(tuple(p.weight.value.shape) for p in branches[i].products.values()))
            for i in places
        ]
        found = layer_numbers([kinds[i] for i in places], shapes)
        for place, number in zip(places, found, strict=True):
            numbers[place] = number
    return numbers


def _on_stream(
    streams: Streams, branches: list[BranchNodes], wired: list[TracedWiring]
) -> dict[int, int]:
    """For each output of a norm on a stream, the branch after whose addition it stands."""
    found: dict[int, int] = {}
    for chain in streams.chains:
        own = [i for i, branch in enumerate(branches) if branch.chain is chain]
        for place, link in zip(own, [*chain.links[1:], chain.end], strict=True):
            if link is None or not wired[place].norm_on_stream:
                continue
            last = place == own[-1]
            norms = link.norms[-1:] if last else link.norms
            found |= {norm.output: place for norm in norms}
    return found


def _branch(
    place: int,
    branch: BranchNodes,
    kind: BranchKind,
    wiring: TracedWiring,
    layer: int,
    views: tuple[TensorView, ...],
) -> Branch:
    names = [v.parameter for v in views if v.branch == place and v.fan_in]
    return Branch(
        place,
        branch.chain.name,
        layer,
        kind,
        wiring.norm_before,
        wiring.norm_after,
        wiring.norm_on_stream,
        wiring.norm_free_shortcut,
        wiring.shortcut_multiplier,
        wiring.branch_multiplier,
        branch.addition.parallel,
        common_path(names),
    )


def _final_norm(parts: GraphParts, streams: Streams) -> bool:
    """Whether everything that reads the output's stream at its end reads it normalised."""
    if not streams.chains:
        return False
    chain = streams.chains[-1]
    if chain.end is None or not chain.end.norms:
        return False
    for product in parts.products.values():
        link = parts.additions.link(product.data)
        if link.previous == chain.last and not link.norms and parts.graph.live >> product.node & 1:
            return False
    return True


def _ties(model: nn.Module, views: tuple[TensorView, ...]) -> tuple[tuple[str, ...], ...]:
    """Tensors with several names, and tensors of one name that are both embedding and head."""
    found = list(tied_names(model))
    named = {name for names in found for name in names}
    for parameter in dict.fromkeys(view.parameter for view in views):
        roles = {view.role for view in views if view.parameter == parameter}
        if {"embedding", "head"} <= roles and parameter not in named:
            found.append((parameter,))
    return tuple(found)


def _unread(model: nn.Module, graph: Graph) -> tuple[str, ...]:
    """Parameters from which nothing that the forward returns descends."""
    live = graph.live
    for index in graph.outputs:
        live |= graph.ancestors[index]
    read = {graph[leaf].name for leaf in members(live & graph.parameter_bits)}
    for names in tied_names(model):
        read |= set(names) if set(names) & read else set()
    return tuple(name for name, _ in model.named_parameters() if name not in read)


def _shared(parts: GraphParts, branches: list[BranchNodes], places: list[int]) -> tuple[str, ...]:
    """Parameters that the own operations of several branches read."""
    graph = parts.graph
    readers: dict[int, set[int]] = {}
    for place, branch in enumerate(branches):
        for index in members(branch.own):
            for parent in graph[index].parents:
                if graph.is_weight(parent):
                    for leaf in graph.parameters_of(parent):
                        readers.setdefault(leaf, set()).add(branches[places[place]].source)
    return tuple(graph[leaf].name for leaf in sorted(readers) if len(readers[leaf]) > 1)
