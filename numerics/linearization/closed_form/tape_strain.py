"""How much a forward pass amplifies rounding errors, read off the tapes of the closed forms.

It is the largest attention logit |α q_i k_j| and the largest |mean|/σ of what enters a layer norm,
over all blocks. The same quantity for any function is in `numerics.linearization.strain`, which
says why.
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
    """The largest logit |α q_i k_j| over all queries and keys, hidden ones too."""
    q_XTK, k_XSK, _ = tape.qkv
    logits_XTS = torch.bmm(q_XTK, k_XSK.mT)
    # (X, T, S) to (H, G, B·T·S): X = H·G·B lanes, those of one head together.
    by_model = logits_XTS.view(tape.shape.heads, models, -1)
    return torch.linalg.vector_norm(by_model, float("inf"), dim=(0, 2)) * q_XTK.shape[-1] ** -0.5


def _norms(tapes: list[NormTape]) -> list[Float[Tensor, " G"]]:
    """The largest |mean|/σ over all norms together, or nothing where there are none."""
    if not tapes:
        return []
    mean = torch.cat([tape.mean_GN1 for tape in tapes], 1)
    inverse = torch.cat([tape.inverse_GN1 for tape in tapes], 1)
    return [norm_strain(mean, inverse).amax((1, 2))]
