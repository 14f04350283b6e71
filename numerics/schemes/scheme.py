"""What an initialisation scheme is: a wiring, and a factor on Xavier for each role.

Xavier uniform draws W ~ U(±g √(6/(fan_in + fan_out))), so Var W = 2 g²/(fan_in + fan_out).
Schemes differ in the *factor* g a role gets, the standard deviation of the embeddings, and the
wiring. Matrices are always drawn afresh, never multiplied: what was in the model does not matter.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from numerics.models.history import LayerHistory, row_averages
from numerics.models.roles import MATRICES, matrices
from numerics.models.spec import Architecture, ModelSpec, Wiring
from numerics.models.transformer import Transformer
from theory.errors import InputError, nearest

EVERY_ARCHITECTURE = frozenset(Architecture)
_START = dict.fromkeys(
    ("in_bias", "out_bias", "bias1", "bias2", "alpha", "shift", "shift1", "shift2"), 0.0
) | {"scale": 1.0}
"""Where parameters that are not drawn start, by the last word of their names."""


@dataclass(frozen=True)
class Prescription:
    """The numbers a scheme prescribes for one model specification.

    Raises
    ------
    InputError
        If a factor's role is none of `numerics.models.roles.MATRICES`, or a factor is not finite
        and non-negative.

    Examples
    --------
    >>> try:
    ...     Prescription(factors={"encoder.mlp.w_1": 0.1})
    ... except InputError as refused:
    ...     print(str(refused).partition(" (known")[0])
    unknown role 'encoder.mlp.w_1': did you mean 'encoder.mlp.w1'?
    """

    factors: Mapping[str, float]
    """Factor on Xavier by role; a role that is absent has factor 1."""
    source_factor: float = 1.0
    """Factor on the source embedding's d^(-1/2), its entries' standard deviation."""
    target_factor: float = 1.0
    """Factor on the target embedding's d^(-1/2); no effect where the tables are one."""
    depth_power: float = 0.0
    """Layer l of a stack, from 1, has its factors times l to this power."""
    embeddings: Literal["normal", "uniform"] = "normal"
    """Distribution of the embeddings."""

    def __post_init__(self) -> None:
        for role, factor in self.factors.items():
            if role not in MATRICES:
                raise nearest(role, MATRICES, "role")
            if not 0 <= factor < math.inf:
                raise InputError(f"the factor of {role} must be finite and at least 0: {factor}")


@dataclass(frozen=True)
class Scheme:
    """An initialisation; subclasses override ``prescribe`` and, if inputs change, ``adapt``."""

    name: str
    """The name in stored rows and on the command line."""
    wiring: Wiring
    """Where this scheme has layer norms."""
    source: str
    """The publication or code it comes from."""
    architectures: frozenset[Architecture] = EVERY_ARCHITECTURE
    """Architectures that it is defined for."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """``spec`` with the scheme's wiring; an error where the architecture has no such scheme."""
        if spec.architecture not in self.architectures:
            known = ", ".join(sorted(self.architectures))
            raise InputError(
                f"scheme {self.name} must be used on {known}, got {spec.architecture.value}"
            )
        return replace(spec, wiring=self.wiring)

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier for ``spec``: all 1 unless a scheme says otherwise."""
        del spec
        return Prescription(factors={})

    @property
    def profiled(self) -> bool:
        """Whether some of its numbers come from a forward pass, and not from ``prescribe``."""
        return type(self).profile_ is not Scheme.profile_

    def profile_(self, model: Transformer, generator: torch.Generator) -> None:
        """Set what depends on a forward pass of the drawn model: nothing, in most schemes."""

    def initialize_(self, model: Transformer, generator: torch.Generator) -> None:
        """Draw every parameter of ``model`` in place.

        Numbers are drawn on the CPU in model order, so a seed gives the same weights on every
        device. Biases become 0, layer norms the identity.
        """
        prescription, spec = self.prescribe(model.spec), model.spec
        with torch.no_grad():
            _start_(model)
            for matrix in matrices(model):
                factor = prescription.factors.get(matrix.role, 1.0)
                factor *= (matrix.layer + 1) ** prescription.depth_power
                _xavier_(matrix.tensor, factor, generator)
            std, uniform = spec.d_model**-0.5, prescription.embeddings == "uniform"
            draw_ = _uniform_ if uniform else _normal_
            source, target = model.source_embedding, model.target_embedding
            if spec.has_encoder:
                draw_(source, std * prescription.source_factor, generator)
            if target is not source or not spec.has_encoder:
                draw_(target, std * prescription.target_factor, generator)
            if model.output is not None:
                _normal_(model.output, std, generator)
            for positions in (model.source_positions, model.target_positions):
                if positions is not None:
                    draw_(positions, std, generator)
            if spec.padding_token is not None:
                for table in (source, target):
                    table[spec.padding_token].zero_()
            self.profile_(model, generator)


def _start_(model: Transformer) -> None:
    """Everything that is not drawn."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        if isinstance(module, LayerHistory):
            module.weights.copy_(row_averages(len(module.weights)))
    for name, parameter in model.named_parameters():
        stack, last = name.partition(".")[0], name.rpartition(".")[2]
        if last in _START:
            parameter.fill_(_START[last])
        if last == "omega":
            encoder = stack == "encoder"
            parameter.fill_(model.spec.encoder_shortcut if encoder else model.spec.decoder_shortcut)


def _xavier_(tensor: Tensor, gain: float, generator: torch.Generator) -> None:
    fan_out, fan_in = tensor.shape
    _draw_uniform_(tensor, gain * (6 / (fan_in + fan_out)) ** 0.5, generator)


def _uniform_(tensor: Tensor, std: float, generator: torch.Generator) -> None:
    _draw_uniform_(tensor, std * 3**0.5, generator)


def _draw_uniform_(tensor: Tensor, bound: float, generator: torch.Generator) -> None:
    drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
    tensor.copy_(drawn.mul_(2).sub_(1).mul_(bound))


def _normal_(tensor: Tensor, std: float, generator: torch.Generator) -> None:
    tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64).mul_(std))
