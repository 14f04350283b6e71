"""The gradients of one backward sweep as plain data, and the steps that an optimizer takes.

A sweep visits the blocks of a stack from the last to the first and leaves one dictionary of
gradients per block. Steps are a map over these dictionaries: block by block, name by name, with the
same entry of earlier sweeps as the optimizer's history. Suffixes as in ``mlp_and_norm.py``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.closed_form.mlp_and_norm import Weights
from numerics.linearization.update_directions import StepRule


@dataclass(frozen=True)
class StackGradients:
    """Gradients of the parameters of one stack."""

    blocks: tuple[Weights, ...]
    """Gradients by name, for each block in the order of the forward pass."""
    norm: Weights
    """Gradients of the layer norm behind the stack; empty where there is none."""
    gates: Mapping[int, Tensor]
    """Gradients of ReZero's α by layer, summed over the layer's blocks, which share it."""


@dataclass(frozen=True)
class Gradients:
    """Gradients of all parameters, by stack, block and name; those of G models side by side."""

    stacks: Mapping[str, StackGradients]
    embeddings: Mapping[str, Tensor]
    """Gradients of the embedded inputs by name, or of the tables that these were read from."""


def stepped(rule: StepRule, history: Sequence[Weights]) -> dict[str, Tensor]:
    """Turn the gradients of one block into its steps.

    Parameters
    ----------
    rule
        An elementwise rule.
    history
        The block's gradients in every sweep, first to last; the last are the current ones.

    Examples
    --------
    >>> from numerics.linearization.update_directions import step_rule_named
    >>> stepped(step_rule_named("sign"), [{"w1": torch.tensor([2.0, -3.0])}])
    {'w1': tensor([-1.,  1.])}
    """
    *past, current = history
    return {
        name: rule(value, past=[before[name] for before in past]) for name, value in current.items()
    }


def energies(
    gradients: Gradients, parts_of_blocks: Mapping[str, Sequence[str]], parts: Sequence[str]
) -> Float[Tensor, "G P"]:
    """Sum the squares of all entries of the gradients in each part, Σ ‖g‖², in float64.

    Parameters
    ----------
    gradients
        The gradients of G models.
    parts_of_blocks
        The part of every block of a stack, in order.
    parts
        The P parts that are asked for; every gradient belongs to one of them.
    """
    norms: dict[str, list[Tensor]] = {part: [] for part in parts}
    for part, gradient in _by_part(gradients, parts_of_blocks):
        norms[part].append(torch.linalg.vector_norm(gradient, dim=(1, 2)))
    return torch.stack(
        [torch.stack(norms[part]).to(torch.float64).square().sum(0) for part in parts], 1
    )


def _by_part(
    gradients: Gradients, parts_of_blocks: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, Tensor]]:
    """Every gradient with its part, from the last block to the first."""
    for stack, held in gradients.stacks.items():
        yield from ((f"{stack}.norm", gradient) for gradient in held.norm.values())
        pairs = zip(parts_of_blocks[stack], held.blocks, strict=True)
        for part, block in reversed(list(pairs)):
            yield from ((part, gradient) for gradient in block.values())
        yield from ((f"{stack}.alpha", gradient) for gradient in held.gates.values())
    yield from (("embeddings", gradient) for gradient in gradients.embeddings.values())
