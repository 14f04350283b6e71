"""How much a forward pass amplifies rounding errors, read off the tapes of the closed forms.

It is the larger of two bounds, over all blocks: on the attention logits, α ‖q_i‖ ‖k_j‖ with the
largest query and key of a block, and on |mean|/σ of what enters a layer norm. The same quantity for
any function is in `numerics.linearization.strain`, which says why.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.closed_form.attention import AttentionTape
from numerics.linearization.closed_form.mlp_and_norm import NormTape
from numerics.linearization.closed_form.stacks import Tapes
from numerics.linearization.strain import norm_strain


def strain_of(tapes: Tapes) -> Float[Tensor, " G"]:
    """Return the strain of each of G models."""
    models = len(tapes.output_GBTD)
    blocks = [block for tape in tapes.stacks.values() for block in tape.blocks]
    norms = [block.norm for block in blocks] + [tape.norm for tape in tapes.stacks.values()]
    attentions = [block.branch for block in blocks if isinstance(block.branch, AttentionTape)]
    logits = [_logits(attention, models) for attention in attentions]
    return torch.stack([*logits, *_norms([norm for norm in norms if norm is not None])]).amax(0)


def _logits(tape: AttentionTape, models: int) -> Float[Tensor, " G"]:
    """α max ‖q_i‖ max ‖k_j‖."""
    q_XTK, k_XSK, _ = tape.qkv
    # (X,) to (G,): X = H·G·B lanes, those of one head together.
    q_G, k_G = (
        torch.linalg.vector_norm(x, dim=2).view(tape.shape.heads, models, -1).amax((0, 2))
        for x in (q_XTK, k_XSK)
    )
    return q_G * k_G * q_XTK.shape[-1] ** -0.5


def _norms(tapes: list[NormTape]) -> list[Float[Tensor, " G"]]:
    """max |mean|/σ of all norms together, or nothing."""
    if not tapes:
        return []
    mean = torch.cat([tape.mean_GN1 for tape in tapes], 1)
    inverse = torch.cat([tape.inverse_GN1 for tape in tapes], 1)
    return [norm_strain(mean, inverse).amax((1, 2))]
