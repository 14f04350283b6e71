"""DeepNorm (Wang et al., 2022): Post-LN with a larger skip path and smaller branch weights.

A block is LN(α y + G(y)). The matrices v, w and those of the MLP have Xavier gain β, and q and k
have gain 1. With N encoder and M decoder layers α_e = 0.81 (N⁴M)^(1/16), β_e = 0.87 (N⁴M)^(-1/16),
α_d = (3M)^(1/4), β_d = (12M)^(-1/4). A stack alone of N layers has (2N)^(1/4) and (8N)^(-1/4).

torchscale divides by the constant 0.87 that belongs in the numerator: the encoder of an
encoder-decoder gets 1.15 (N⁴M)^(-1/16), 1.322 times the paper's β. Its q, k and v start at gain
1/√2, and v is divided from there.
"""

from dataclasses import dataclass, replace

from numerics.models.spec import Architecture, ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Prescription, Scheme
from numerics.schemes.tfixup import query_key_roles, same, stack_factors


@dataclass(frozen=True)
class DeepNorm(Scheme):
    """DeepNorm as the paper states it."""

    encoder_constant: float = 0.87
    """c in β_e = c (N⁴M)^(-1/16)."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Put each stack's α on its skip paths."""
        alone = (2 * (spec.encoder_layers + spec.decoder_layers)) ** 0.25
        both = spec.architecture is Architecture.ENCODER_DECODER
        return replace(
            super().adapt(spec),
            encoder_shortcut=0.81 * _sixteenth(spec) if both else alone,
            decoder_shortcut=(3 * spec.decoder_layers) ** 0.25 if both else alone,
        )

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier: each stack's β."""
        if spec.architecture is Architecture.ENCODER_DECODER:
            encoder = self.encoder_constant / _sixteenth(spec)
            decoder = (12 * spec.decoder_layers) ** -0.25
        else:
            encoder = decoder = (8 * (spec.encoder_layers + spec.decoder_layers)) ** -0.25
        return Prescription(factors=stack_factors(encoder, decoder))


@dataclass(frozen=True)
class DeepNormTorchscale(DeepNorm):
    """DeepNorm as torchscale implements it."""

    encoder_constant: float = 1.15

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier: β with torchscale's constant, from gain 1/√2 on q, k and v."""
        factors = super().prescribe(spec).factors
        halved = {role: g * 0.5**0.5 for role, g in factors.items() if role.endswith(".v")}
        return Prescription({**factors, **same(query_key_roles(), 0.5**0.5), **halved})


def _sixteenth(spec: ModelSpec) -> float:
    """The depth factor of an encoder-decoder, (N⁴M)^(1/16)."""
    return (spec.encoder_layers**4 * spec.decoder_layers) ** 0.0625


DEEPNORM = DeepNorm("deepnorm", WIRINGS["deepnorm"], "Wang et al., arXiv:2203.00555")
DEEPNORM_TORCHSCALE = DeepNormTorchscale(
    "deepnorm-torchscale", WIRINGS["deepnorm"], "microsoft/torchscale"
)
