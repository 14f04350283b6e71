"""Sub-LN (Wang et al., "Magneto", 2022): a second norm inside each branch, and gain γ as √ln N.

The model is Pre-LN with another layer norm before the last matrix of every branch. Matrices are
Xavier, times γ on v, the output projection and the MLP:

    one stack of N layers        γ = √ln(2N)
    N encoder, M decoder layers  γ_e = √(ln(3M) ln(2N)/3), γ_d = √ln(3M)

Its claim is that the update of the function is bounded at every depth. torchscale
(``sub-ln-torchscale``) leaves encoder-attention at γ = 1 and starts q, k and v from gain 1/√2.
``sub-ln-rms`` has RMS norms, which leave ReLU's outputs their mean. An MLP then passes on as much
of a cotangent as it adds. The claim's argument needs that, and layer norms do not give it.
"""

from dataclasses import dataclass, replace
from math import log

from numerics.models.norms import RMS_NORM
from numerics.models.spec import Architecture, ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Prescription, Scheme
from numerics.schemes.tfixup import query_key_roles, same, stack_factors


@dataclass(frozen=True)
class SubLN(Scheme):
    """Sub-LN as the paper states it."""

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier: the γ of each stack."""
        if spec.architecture is Architecture.ENCODER_DECODER:
            n, m = log(2 * spec.encoder_layers), log(3 * spec.decoder_layers)
            return Prescription(stack_factors((n * m / 3) ** 0.5, m**0.5))
        alone = log(2 * (spec.encoder_layers + spec.decoder_layers)) ** 0.5
        return Prescription(stack_factors(alone, alone))


@dataclass(frozen=True)
class SubLNRms(SubLN):
    """The paper's gains with RMS norms."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Sub-LN's wiring with RMS norms."""
        return replace(super().adapt(spec), norm=RMS_NORM)


@dataclass(frozen=True)
class SubLNTorchscale(SubLN):
    """Sub-LN as torchscale implements it."""

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier: γ but on encoder-attention, from gain 1/√2 on q, k and v."""
        factors = dict(super().prescribe(spec).factors)
        for role in factors:
            if ".cross_attention." in role:
                factors[role] = 1.0
            if role.endswith(".v"):
                factors[role] *= 0.5**0.5
        return Prescription(factors | same(query_key_roles(), 0.5**0.5))


SUB_LN = SubLN("sub-ln", WIRINGS["sub-ln"], "Wang et al., arXiv:2210.06423")
SUB_LN_TORCHSCALE = SubLNTorchscale("sub-ln-torchscale", WIRINGS["sub-ln"], "microsoft/torchscale")
SUB_LN_RMS = SubLNRms(
    "sub-ln-rms", WIRINGS["sub-ln"], "ours: Wang et al., arXiv:2210.06423, with RMS norms"
)
