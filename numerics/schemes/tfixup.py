"""T-Fixup (Huang et al., ICML 2020, §3.2): no layer norm, depth-scaled v, w, MLP, embeddings.

With s_d = (9 N_d)^(-1/4) on the decoder and s_e on the encoder, where s_e solves Eq. 6 with the
input norm x: 2 N_e (2 s_e² x² + s_e⁴) = 1. The paper has x = (9 N_d)^(-1/4); its official code has
x = (9 N_e)^(-1/4) and rounds s_e to 0.67 N_e^(-1/4). The two agree when N_e = N_d, to the rounding.
"""

from dataclasses import dataclass, replace

from numerics.models.spec import ModelSpec, Wiring
from numerics.schemes.scheme import Prescription, Scheme

_ENCODER = ("attention.v", "attention.out_proj", "mlp.w1", "mlp.w2")
_DECODER = (
    "self_attention.v",
    "self_attention.out_proj",
    "cross_attention.v",
    "cross_attention.out_proj",
    "mlp.w1",
    "mlp.w2",
)


def _factors(encoder: float, decoder: float) -> dict[str, float]:
    return {f"encoder.{role}": encoder for role in _ENCODER} | {
        f"decoder.{role}": decoder for role in _DECODER
    }


@dataclass(frozen=True)
class TFixup(Scheme):
    """The paper's form: positions belong to the inputs x, y and are scaled with them."""

    power: float = 1.0
    """Scales are raised to this power: 1 for SGD, 2 for updates by the sign (Adam)."""

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """s_e and s_d of the paper, to the power."""
        x = (9 * spec.decoder_layers) ** -0.25
        # Positive root of 2 N_e (2 s² x² + s⁴) = 1 in s², in the form without cancellation.
        a = 1 / (2 * spec.encoder_layers)
        squared = a / (x**2 + (x**4 + a) ** 0.5)
        encoder, decoder = squared**0.5, x
        return Prescription(
            factors=_factors(encoder**self.power, decoder**self.power),
            source_factor=x**self.power,
            target_factor=x**self.power,
        )

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """No layer norm; positions scaled to keep the inputs at the prescribed norm."""
        x = (9 * spec.decoder_layers) ** -0.25
        return replace(super().adapt(spec), position_scale=x**self.power)


@dataclass(frozen=True)
class TFixupCode(Scheme):
    """The official code's form: separate depths, q and k at gain 1/√2, unscaled positions."""

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """0.67 N_e^(-1/4) and (9 N_d)^(-1/4); embeddings each by their own stack's depth."""
        encoder, decoder = 0.67 * spec.encoder_layers**-0.25, (9 * spec.decoder_layers) ** -0.25
        halved = {
            f"{block}.{letter}": 0.5**0.5
            for block in ("encoder.attention", "decoder.self_attention", "decoder.cross_attention")
            for letter in "qk"
        }
        return Prescription(
            factors=_factors(encoder, decoder) | halved,
            source_factor=(9 * spec.encoder_layers) ** -0.25,
            target_factor=decoder,
        )


_PAPER = "Huang et al., ICML 2020, §3.2"
TFIXUP = TFixup("tfixup", Wiring.NONE, _PAPER)
TFIXUP_ADAM = TFixup("tfixup-adam", Wiring.NONE, "squared T-Fixup scales, ours", power=2.0)
TFIXUP_CODE = TFixupCode("tfixup-code", Wiring.NONE, "layer6ai-labs/T-Fixup")
