"""Every branch G of a real Transformer as it was called: its inputs, and what one step does to it.

Theorem 3.1 moves one block at a time: with m the memory an attention reads (an MLP: its input),
J = ∂G/∂(m, θ) at the inputs of the forward pass and a unit cotangent u on G, one SGD step changes
the block's own output by −η J Jᵀu. Here

    own_gain    ‖Jᵀu‖²,
    own_change  ‖J Jᵀu‖ = lim ‖ΔG‖/η, the query y held fixed,
    logits      q kᵀ/√d' of every query and visible key, as the softmax meets them.

Shape suffixes: B sequences, T queries, S keys, D width, H heads, K = D/H.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp, vmap

from numerics.linearization.forward_operations import WrittenOut
from numerics.models.attention import Attention
from numerics.models.blocks import Site, watch
from numerics.signals.residual_stream import Call


@dataclass(frozen=True)
class BranchCall:
    """One branch with the inputs of one forward pass."""

    part: str
    """For example ``decoder.cross_attention``."""
    layer: int
    """Layer within the stack, from 0."""
    module: nn.Module
    """The branch G."""
    read_BTD: Float[Tensor, "B T D"]
    """What the branch reads: the stream, behind a layer norm where one stands before the branch."""
    memory_BSD: Float[Tensor, "B S D"]
    """m: the encoder's memory, or ``read_BTD`` itself."""
    blocked: Bool[Tensor, "*B1T S"] | None
    """True where a query must not see a key."""

    def arguments(self, memory_BSD: Tensor) -> tuple[Tensor | None, ...]:
        """What the branch is called with when ``memory_BSD`` stands in the place of m."""
        attends = isinstance(self.module, Attention)
        return (self.read_BTD, memory_BSD, self.blocked) if attends else (memory_BSD,)


def branch_calls(model: nn.Module, call: Call) -> tuple[BranchCall, ...]:
    """Every branch in one call of ``model``, in order.

    Examples
    --------
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("tfixup", ModelSpec(1, 1), generator)
    >>> batch = random_batch(model.spec, generator)
    >>> found = branch_calls(model, lambda: model.features(batch.source_BS, batch.target_BT))
    >>> [(item.part, item.layer) for item in found][1:3]
    [('encoder.mlp', 0), ('decoder.self_attention', 0)]
    """
    with watch(model) as found, torch.no_grad():
        call()
    return tuple(_called(site) for site in found)


def _called(site: Site) -> BranchCall:
    read_BTD, memory_BSD = site.read.detach(), site.memory
    memory_BSD = read_BTD if memory_BSD is None else memory_BSD.detach()
    return BranchCall(site.part, site.layer, site.block.branch, read_BTD, memory_BSD, site.blocked)


@dataclass(frozen=True)
class OwnStep:
    """What one SGD step of a block's (m, θ) does to the block's own output."""

    gain: float
    """The squared gradient ‖Jᵀu‖²."""
    change: float
    """The change per learning rate, ‖J Jᵀu‖ = lim ‖ΔG‖/η."""


def own_step(called: BranchCall, cotangent_BTD: Float[Tensor, "B T D"]) -> OwnStep:
    """What one SGD step of a branch does to its own output, as ‖Jᵀu‖² and ‖J Jᵀu‖.

    Examples
    --------
    >>> module = Attention(1, 1, biases=False)
    >>> _ = [torch.nn.init.constant_(weight, 2.0) for weight in module.parameters()]
    >>> one = torch.ones(1, 1, 1)
    >>> call = BranchCall("encoder.attention", 0, module, one, one, None)
    >>> own_step(call, one)  # v = w = 2, m = 1: (v² + w²) m² + v² w² = 24
    OwnStep(gain=24.0, change=24.0)
    """
    return own_steps([called], [cotangent_BTD])[0]


def own_steps(
    calls: Sequence[BranchCall], cotangents: Sequence[Float[Tensor, "B T D"]]
) -> tuple[OwnStep, ...]:
    """What one SGD step of each branch of a model does to that branch's own output.

    Each branch has its cotangent, as for `own_step`. Branches of one part have one shape and are
    computed together.
    """
    alike: dict[tuple[str, int | None], list[int]] = {}
    for place, called in enumerate(calls):
        # A norm inside a branch may depend on the layer.
        layer = None if called.module.inner_norm is None else called.layer
        alike.setdefault((called.part, layer), []).append(place)
    found: dict[int, OwnStep] = {}
    for places in alike.values():
        together = [calls[place] for place in places]
        steps = _own_steps(together, torch.stack([cotangents[place] for place in places]))
        found |= dict(zip(places, steps, strict=True))
    return tuple(found[place] for place in range(len(calls)))


def _own_steps(
    calls: Sequence[BranchCall], cotangents_LBTD: Float[Tensor, "L B T D"]
) -> list[OwnStep]:
    first = calls[0]
    weights = [dict(called.module.named_parameters()) for called in calls]
    held = {name: torch.stack([own[name].detach() for own in weights]) for name in weights[0]}
    read_LBTD = torch.stack([called.read_BTD for called in calls])
    memory_LBSD = torch.stack([called.memory_BSD for called in calls])

    def one(
        theta: Mapping[str, Tensor], read_BTD: Tensor, memory_BSD: Tensor, u_BTD: Tensor
    ) -> tuple[Tensor, Tensor]:
        called = replace(first, read_BTD=read_BTD)

        def output(theta: Mapping[str, Tensor], memory_BSD: Tensor) -> Tensor:
            return functional_call(first.module, dict(theta), called.arguments(memory_BSD))

        _, pull = vjp(output, theta, memory_BSD)[:2]
        slopes, by_memory = pull(u_BTD)
        with WrittenOut():
            moved = jvp(output, (theta, memory_BSD), (slopes, by_memory))[1]
        squares = [slope.double().square().sum() for slope in (*slopes.values(), by_memory)]
        return torch.stack(squares).sum(), moved.double().norm()

    gains, changes = vmap(one)(held, read_LBTD, memory_LBSD, cotangents_LBTD)
    return [OwnStep(*pair) for pair in zip(gains.tolist(), changes.tolist(), strict=True)]


def logits(called: BranchCall) -> Float[Tensor, " n"]:
    """The logits q kᵀ/√d' of an attention in one row, for visible pairs only.

    Examples
    --------
    >>> module = Attention(4, 2, biases=False)
    >>> _ = [torch.nn.init.eye_(weight[:4]) for weight in (module.in_proj, module.out_proj)]
    >>> with torch.no_grad():
    ...     _ = module.in_proj[4:8].copy_(module.in_proj[:4])
    >>> y = torch.ones(1, 1, 4)
    >>> found = logits(BranchCall("encoder.attention", 0, module, y, y, None))  # 2/√2 per head
    >>> [round(float(logit), 4) for logit in found]
    [1.4142, 1.4142]
    """
    module = called.module
    assert isinstance(module, Attention)
    with torch.no_grad():
        q_BHTK, k_BHSK, _ = module.heads_of(called.read_BTD, called.memory_BSD)
        scale = q_BHTK.shape[-1] ** module.traits.power
        found_BHTS = q_BHTK @ k_BHSK.transpose(-1, -2) * scale
    if called.blocked is None:
        return found_BHTS.flatten()
    return found_BHTS[~called.blocked.expand_as(found_BHTS)]


def logits_rms(calls: tuple[BranchCall, ...]) -> Mapping[str, float]:
    """Root mean square of the logits of every attention, as ``encoder.attention.0`` and so on."""
    return {
        f"{item.part}.{item.layer}": float(logits(item).double().square().mean().sqrt())
        for item in calls
        if isinstance(item.module, Attention)
    }
