"""DeepScaleLM (Kedia et al., 2024): branches of unit variance, weighted so that the sum keeps it.

A block is λ x + β G(LN x) with λ² + β² = 1. Here β² = k/L with L residual blocks in the stack; in
the code λ² = 0.995 and β² = 0.005 at every depth (``deepscalelm-code``). Attention averages tokens
whose correlation is r, and loses the rest of their variance. With dropout p therefore

    v, w      σ² = √((1 − p)/r)/d           output correlation 1 − p
    W₁, W₂    σ² = √(2 (1 − p)/(d d_ff))    output correlation (1 − p) κ(r)
    q, k      σ² = 1/d

with κ(r) = (√(1 − r²) + r (π − arccos r))/π, the correlation of ReLU's outputs for inputs of
correlation r. r starts at 0.221 and is followed from block to block: r ← λ² r + β² r_out.
Embeddings are N(0, 1). The rule is stated for one stack.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import acos, pi, sqrt

from numerics.models.spec import Architecture, ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat
from numerics.schemes.scheme import Prescription

SINGLE_STACKS = frozenset({Architecture.ENCODER_ONLY, Architecture.DECODER_ONLY})


@dataclass(frozen=True)
class DeepScaleLM(Flat):
    """Variances by the correlation that reaches each block."""

    numerator: float = 1.0
    """k in β² = k/L."""
    branch_square: float | None = None
    """β² at every depth; ``None`` is k/L."""
    correlation: float = 0.221
    """r of the embedded inputs."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Put λ on the skip paths of the stack and β on its branches."""
        spec = super().adapt(spec)
        (stack,) = spec.stacks
        square = self._square(spec)
        own = {f"{stack}_shortcut": (1 - square) ** 0.5, f"{stack}_branch": square**0.5}
        return replace(spec, **own)

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """The variances of every block."""
        (stack,) = spec.stacks
        correlations = iter(self.correlations(spec))
        draws: dict[str, list[WeightDraw]] = {}
        for _ in range(spec.layers(stack)):
            for kind in spec.layer_blocks(stack):
                for matrix, square in _squares(spec, kind, next(correlations)).items():
                    draws.setdefault(f"{stack}.{kind}.{matrix}", []).append(WeightDraw(square**0.5))
        by_layer = {role: tuple(found) for role, found in draws.items()}
        return Prescription(factors={}, draws=by_layer | self.tables(spec))

    def tables(self, spec: ModelSpec) -> dict[str, WeightDraw]:
        """Embeddings of unit variance."""
        return {
            "embeddings": WeightDraw(1.0),
            "positions": WeightDraw(1.0),
            "output": WeightDraw(spec.d_model**-0.5),
        }

    def correlations(self, spec: ModelSpec) -> Iterator[float]:
        """The correlation of two tokens, r, that reaches each block, in order."""
        (stack,) = spec.stacks
        square, r = self._square(spec), self.correlation
        for _ in range(spec.layers(stack)):
            for kind in spec.layer_blocks(stack):
                yield r
                out = kernel(r) if kind == "mlp" else 1.0
                r = (1 - square) * r + square * (1 - spec.dropout) * out

    def _square(self, spec: ModelSpec) -> float:
        (stack,) = spec.stacks
        if self.branch_square is not None:
            return self.branch_square
        return min(self.numerator / spec.stack_blocks(stack), 1.0)


def kernel(r: float) -> float:
    """The correlation of ReLU's outputs for inputs of correlation r, κ(r).

    Examples
    --------
    >>> round(kernel(1.0), 12), round(kernel(0.0) * pi, 12)
    (1.0, 1.0)
    """
    return (sqrt(1 - r * r) + r * (pi - acos(r))) / pi


def _squares(spec: ModelSpec, kind: str, r: float) -> dict[str, float]:
    d, kept = spec.d_model, 1 - spec.dropout
    if kind == "mlp":
        own = (2 * kept / (d * spec.d_ff)) ** 0.5
        return {"w1": own, "w2": own, "w3": 1 / d}
    averaged = (kept / r) ** 0.5 / d
    return {"q": 1 / d, "k": 1 / d, "v": averaged, "out_proj": averaged}


_SOURCE = "Kedia et al., arXiv:2403.09635"
DEEPSCALELM = DeepScaleLM(
    "deepscalelm", WIRINGS["weighted-pre-ln"], _SOURCE, architectures=SINGLE_STACKS
)
DEEPSCALELM_CODE = DeepScaleLM(
    "deepscalelm-code",
    WIRINGS["weighted-pre-ln"],
    f"{_SOURCE}, the code's constants",
    architectures=SINGLE_STACKS,
    branch_square=0.005,
)
