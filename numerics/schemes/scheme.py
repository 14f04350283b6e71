"""What an initialisation scheme is: a wiring, and a factor on Xavier for each role.

Xavier uniform draws W ~ U(±g √(6/(fan_in + fan_out))), so Var W = 2 g²/(fan_in + fan_out).
Schemes differ in the *factor* g a role gets, the standard deviation of the embeddings, and the
wiring. Matrices are always drawn afresh, never multiplied: what was in the model does not matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from numerics.models.spec import ModelSpec, Wiring
from numerics.models.transformer import Transformer
from numerics.roles import matrices


@dataclass(frozen=True)
class Prescription:
    """The numbers a scheme prescribes for one model specification."""

    factors: Mapping[str, float]
    """Factor on Xavier by role; a role that is absent has factor 1."""
    source_factor: float = 1.0
    """Factor on the source embedding's N(0, d^(-1/2)) entries."""
    target_factor: float = 1.0
    """Factor on the target embedding's N(0, d^(-1/2)) entries."""


@dataclass(frozen=True)
class Scheme:
    """An initialisation; subclasses override ``prescribe`` and, if inputs change, ``adapt``."""

    name: str
    """The name in stored rows and on the command line."""
    wiring: Wiring
    """Where this scheme has layer norms."""
    source: str
    """The publication or code it comes from."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """``spec`` with the scheme's wiring."""
        return replace(spec, wiring=self.wiring)

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier for ``spec``: all 1 unless a scheme says otherwise."""
        del spec
        return Prescription(factors={})

    def initialize_(self, model: Transformer, generator: torch.Generator) -> None:
        """Draw every parameter of ``model`` in place.

        Numbers are drawn on the CPU in model order, so a seed gives the same weights on every
        device. Biases become 0, layer norms the identity.
        """
        prescription = self.prescribe(model.spec)
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.LayerNorm):
                    module.reset_parameters()
            for name, parameter in model.named_parameters():
                if name.rpartition(".")[2] in ("in_bias", "out_bias", "bias1", "bias2"):
                    parameter.zero_()
            for matrix in matrices(model):
                _xavier_(matrix.tensor, prescription.factors.get(matrix.role, 1.0), generator)
            std = model.spec.d_model**-0.5
            _normal_(model.source_embedding, std * prescription.source_factor, generator)
            _normal_(model.target_embedding, std * prescription.target_factor, generator)
            if model.output is not None:
                _normal_(model.output, std, generator)


def _xavier_(tensor: Tensor, gain: float, generator: torch.Generator) -> None:
    fan_out, fan_in = tensor.shape
    bound = gain * (6 / (fan_in + fan_out)) ** 0.5
    drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
    tensor.copy_(drawn.mul_(2).sub_(1).mul_(bound))


def _normal_(tensor: Tensor, std: float, generator: torch.Generator) -> None:
    tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64).mul_(std))
