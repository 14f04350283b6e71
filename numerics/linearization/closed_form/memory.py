"""How many numbers the closed forms hold per residual block, for the estimate of a task's memory.

With R = B·T rows, D, F = d_ff and H heads, attention keeps 5RD + BHT² numbers, an MLP RD + 2RF, a
layer norm 4RD + 2R, and ReZero's branch RD. Of the 4RD counted for a layer norm, 3RD is heap
fragmentation from its temporaries (measured with glibc). The gradients of a block's weights are
held as well.
"""

from numerics.models import ModelSpec
from numerics.models.wiring import BranchFactor


def tape_numbers(spec: ModelSpec, block: str, *, sequences: int, tokens: int) -> int:
    """Count the numbers of a block's tape.

    Parameters
    ----------
    spec
        The model.
    block
        ``mlp``, or any other name for attention.
    sequences, tokens
        B, and the T tokens of each.

    Examples
    --------
    >>> tape_numbers(ModelSpec(1, 1), "mlp", sequences=8, tokens=16)
    40960
    """
    rows, d = sequences * tokens, spec.d_model
    if block == "mlp":
        tape = rows * (d + 2 * spec.d_ff)
    else:
        tape = 5 * rows * d + sequences * spec.heads * tokens**2
    tape += spec.wiring.norms_per_block * rows * (4 * d + 2)
    if spec.wiring.branch is BranchFactor.LAYER_GATE:
        tape += rows * d
    return tape
