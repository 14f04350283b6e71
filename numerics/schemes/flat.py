"""One standard deviation for all matrices and tables, whatever the depth: Hugging Face's default.

Matrices and tables are N(0, 0.02) at every width and depth, biases are 0, and norms are the
identity. Other schemes of today start from here and change the matrices that write into the stream,
the tables, or the model.
"""

import math
from dataclasses import dataclass, field, replace

from numerics.models.attention import QKNorm
from numerics.models.mlp import MLPTraits
from numerics.models.norms import NormTraits
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WRITERS, WeightDraw, by_matrix
from numerics.schemes.scheme import Prescription, Scheme


@dataclass(frozen=True)
class Flat(Scheme):
    """One standard deviation; subclasses override `reader`, `writer` and `tables`."""

    std: float = 0.02
    """σ of the matrices, and of the tables unless they have their own."""
    embedding_std: float | None = None
    """σ of the embedding tables; ``None`` is that of the matrices."""
    cut: float = math.inf
    """Bound of the normal distributions, in standard deviations."""
    norm: NormTraits | None = field(default=None, kw_only=True)
    """The norm that the scheme needs; ``None`` leaves the model's own."""
    mlp: MLPTraits | None = field(default=None, kw_only=True)
    """The MLP that the scheme needs; ``None`` leaves the model's own."""
    qk_norm: QKNorm | None = field(default=None, kw_only=True)
    """The norm of queries and keys that it needs; ``None`` leaves the model's own."""
    embedding_norm: bool = field(default=False, kw_only=True)
    """Whether it normalises the embedded inputs."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """The scheme's wiring and traits; embedded tokens are not multiplied unless asked for."""
        multiplier = 1.0 if spec.embedding_multiplier is None else spec.embedding_multiplier
        spec = replace(super().adapt(spec), embedding_multiplier=multiplier)
        attention = spec.attention
        if self.qk_norm is not None:
            attention = replace(attention, qk_norm=self.qk_norm)
        return replace(
            spec,
            norm=self.norm or spec.norm,
            mlp=self.mlp or spec.mlp,
            attention=attention,
            embedding_norm=self.embedding_norm or spec.embedding_norm,
        )

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """The distributions of readers, writers and tables."""
        matrices = by_matrix(
            lambda name: self.writer(spec, name) if name in WRITERS else self.reader(spec, name)
        )
        return Prescription(factors={}, draws=matrices | self.tables(spec))

    def reader(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """The distribution of a matrix that reads the stream, given the last word of its role."""
        del spec, matrix
        return WeightDraw(self.std, cut=self.cut)

    def writer(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """The same for a matrix that writes into the stream."""
        return self.reader(spec, matrix)

    def tables(self, spec: ModelSpec) -> dict[str, WeightDraw]:
        """The distributions of ``embeddings``, ``positions`` and ``output``."""
        del spec
        own = WeightDraw(self.std, cut=self.cut)
        embeddings = (
            own if self.embedding_std is None else WeightDraw(self.embedding_std, cut=self.cut)
        )
        return {"embeddings": embeddings, "positions": own, "output": own}


def layers_of(spec: ModelSpec) -> int:
    """The number of layers that a rule for one stack takes for two: the deeper one's.

    Examples
    --------
    >>> layers_of(ModelSpec(6, 4))
    6
    """
    return max(spec.encoder_layers, spec.decoder_layers)


FLAT = Flat(
    "flat", WIRINGS["pre-ln"], "Hugging Face transformers, initializer_range = 0.02 (Llama, OPT, …)"
)
