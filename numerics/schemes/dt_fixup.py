"""DT-Fixup (Xu et al., ACL 2021): no layer norm, weights by the largest input norm μ of a forward.

Xavier's v, output projections and MLP matrices are divided by √(N (4μ² + 2μ + 2)). The paper
derives this for an encoder with relation-aware attention on inputs that are not trained. Here each
stack has ordinary attention, and its own N and μ = max ‖x_t‖ over the tokens of a random batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.models.roles import matrices
from numerics.models.tokens import embed_inputs
from numerics.models.transformer import Transformer
from numerics.models.wiring import WIRINGS
from numerics.schemes.profiling import profiling_batch
from numerics.schemes.scheme import Scheme
from numerics.schemes.tfixup import scaled_roles


@dataclass(frozen=True)
class DTFixup(Scheme):
    """Weights divided by a number that a forward pass decides, √(N (4μ² + 2μ + 2))."""

    @torch.no_grad()
    def profile_(self, model: Transformer, generator: torch.Generator) -> None:
        """Measure μ, and divide the scaled matrices, which were drawn at gain 1."""
        training = model.training
        inputs = embed_inputs(model.eval(), profiling_batch(model, generator))
        model.train(training)
        names = {"source": "encoder", "target": "decoder"}
        for name, x_BTD in inputs.items():
            stack = names[name]
            norm = x_BTD.to(torch.float64).norm(dim=-1).amax()
            divisor = _divisor(model.spec.layers(stack), norm)
            for matrix in matrices(model):
                if matrix.role in scaled_roles(stack):
                    matrix.tensor.copy_(matrix.tensor / divisor)


def _divisor(layers: int, norm: Tensor) -> Tensor:
    """What the scaled matrices are divided by, √(N (4μ² + 2μ + 2))."""
    return (layers * (4 * norm**2 + 2 * norm + 2)).sqrt()


DT_FIXUP = DTFixup("dt-fixup", WIRINGS["none"], "Xu et al., ACL 2021")
