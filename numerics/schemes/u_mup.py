"""u-μP (Blake et al., 2024): every tensor starts at unit scale, block i weighted by τ_i.

With L blocks in a stack and i from 0, τ_i² = 1/(L/2 + i), and block i is

    y/√(1 + τ_i²) + τ_i/√(1 + τ_i²) G(norm y),

so that the stream stays at unit scale. In the paper weights are N(0, 1), products are divided by
√fan_in, and Adam's rate has the factors fan_in^(-1/2) and L^(-1/2) inside the blocks. Here the
division is in the weights, N(0, 1/√fan_in), and therefore once more in the rate: the function and
every Adam-like step of it are the same. Attention's logits are divided by d', norms have no gain,
and the model's logits are divided by d.
"""

from dataclasses import dataclass, replace

from numerics.models.norms import Gain, NormKind, NormTraits
from numerics.models.roles import MATRICES
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat
from numerics.schemes.scheme import Prescription


@dataclass(frozen=True)
class UMuP(Flat):
    """u-μP with both of its hyperparameters of the residual stream at 1, α_res = α_ratio = 1."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Put τ_i on the skip path and the branch of every block."""
        own = {}
        for stack in spec.stacks:
            squares = block_squares(spec.stack_blocks(stack))
            own[f"{stack}_shortcut"] = tuple((1 + square) ** -0.5 for square in squares)
            own[f"{stack}_branch"] = tuple((square / (1 + square)) ** 0.5 for square in squares)
        spec = super().adapt(spec)
        attention = replace(spec.attention, power=-1.0)
        return replace(spec, attention=attention, logit_multiplier=spec.d_model**-0.5, **own)

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on the rates of matrices, fan_in^(-1) L^(-1/2), with L of the deeper stack."""
        depth = max(spec.stack_blocks(stack) for stack in spec.stacks) ** -0.5
        rates = {role: depth / _fan_in(spec, role.rpartition(".")[2]) for role in MATRICES}
        return replace(super().prescribe(spec), rates=rates | {"output": spec.d_model**-0.5})

    def reader(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """A standard deviation that keeps the size of what is read, 1/√fan_in."""
        return WeightDraw(_fan_in(spec, matrix) ** -0.5)

    def tables(self, spec: ModelSpec) -> dict[str, WeightDraw]:
        """Embeddings of unit variance; the output's 1/d is shared by table and logits."""
        unit = WeightDraw(1.0)
        return {"embeddings": unit, "positions": unit, "output": WeightDraw(spec.d_model**-0.5)}


def block_squares(blocks: int) -> list[float]:
    """The squared weight of every block's branch in a stack, τ_i².

    Examples
    --------
    >>> block_squares(4)
    [0.5, 0.3333333333333333, 0.25, 0.2]
    """
    return [1 / (blocks / 2 + number) for number in range(blocks)]


def _fan_in(spec: ModelSpec, matrix: str) -> int:
    return spec.d_ff if matrix == "w2" else spec.d_model


U_MUP = UMuP(
    "u-mup",
    WIRINGS["weighted-pre-ln"],
    "Blake et al., arXiv:2407.17465; graphcore-research/unit-scaling",
    norm=NormTraits(NormKind.RMS, Gain.ABSENT),
)
