"""What an initialisation scheme is: a wiring, and for each role a factor on Xavier or a draw.

Xavier uniform draws W ~ U(±g √(6/(fan_in + fan_out))), so Var W = 2 g²/(fan_in + fan_out).
Schemes of 2020 differ in the *factor* g of each role, the standard deviation of the embeddings, and
the wiring; today's name the distribution itself, and some of them factors on the learning rate.
Matrices are always drawn afresh, never multiplied: what was in the model does not matter.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from numerics.models.blocks import residual_blocks
from numerics.models.history import LayerHistory, row_averages
from numerics.models.norms import AnyNorm
from numerics.models.roles import MATRICES, matrices
from numerics.models.spec import Architecture, ModelSpec
from numerics.models.transformer import Transformer
from numerics.models.wiring import Wiring
from numerics.schemes.draws import WeightDraw, uniform_
from theory.errors import InputError, nearest

EVERY_ARCHITECTURE = frozenset(Architecture)
_START = dict.fromkeys(
    (
        *("in_bias", "q_bias", "k_bias", "v_bias", "out_bias", "bias1", "bias2", "bias3"),
        *("alpha", "damping", "shift", "shift1", "shift2"),
    ),
    0.0,
) | {"scale": 1.0}
"""Where parameters that are not drawn start, by the last word of their names."""


TABLES = ("embeddings", "positions", "output")
"""Roles of tables in a prescription's draws."""
FACTOR_NAMES = (*MATRICES, "matrices", "vectors", "hidden", "final_norm", "embeddings", "output")
"""Names under which factors on rates may stand, of `numerics.models.roles.roles_of`."""


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
    ...     print(str(refused).partition(" or ")[0])
    unknown role 'encoder.mlp.w_1': did you mean 'encoder.mlp.w1'
    """

    factors: Mapping[str, float]
    """Factor on Xavier by role; a role that is absent has factor 1."""
    source_factor: float = 1.0
    """Factor on the source embedding's d^(-1/2), its entries' standard deviation."""
    target_factor: float = 1.0
    """Factor on the target embedding's d^(-1/2); no effect where the tables are one."""
    depth_power: float = 0.0
    """Layer l of a stack, from 1, has its factors multiplied by l to this power."""
    embeddings: Literal["normal", "uniform"] = "normal"
    """Distribution of the embeddings."""
    draws: Mapping[str, WeightDraw | tuple[WeightDraw, ...]] = field(default_factory=dict)
    """Distributions that take the place of Xavier's, by the role of a matrix, one for all layers or
    one per layer; and of the tables, as ``embeddings``, ``positions`` and ``output``."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Factors on the learning rate under Adam and its like, by the names of `FACTOR_NAMES`."""
    weight_decays: Mapping[str, float] = field(default_factory=dict)
    """Factors on the weight decay, by the same names."""
    epsilons: Mapping[str, float] = field(default_factory=dict)
    """Factors on Adam's ε, by the same names."""

    def __post_init__(self) -> None:
        for role, factor in self.factors.items():
            if role not in MATRICES:
                raise nearest(role, MATRICES, "role")
            if not 0 <= factor < math.inf:
                raise InputError(f"the factor of {role} must be finite and at least 0: {factor}")
        for role in self.draws:
            if role not in (*MATRICES, *TABLES):
                raise nearest(role, (*MATRICES, *TABLES), "role")
        for name in ("rates", "weight_decays", "epsilons"):
            for role, factor in getattr(self, name).items():
                if role not in FACTOR_NAMES:
                    raise nearest(role, FACTOR_NAMES, "role")
                if not 0 <= factor < math.inf:
                    raise InputError(
                        f"{name} must be finite and at least 0, got {factor} of {role}"
                    )

    def draw(self, role: str, layer: int = 0) -> WeightDraw | None:
        """The distribution of a role in one layer, from 0; ``None`` where none is named."""
        own = self.draws.get(role)
        return own[layer] if isinstance(own, tuple) else own and own.at(layer)


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
        """Whether some of its numbers come from a forward pass and not from ``prescribe``."""
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
                own = prescription.draw(matrix.role, matrix.layer)
                if own is not None:
                    own.fill_(matrix.tensor, generator)
                    continue
                factor = prescription.factors.get(matrix.role, 1.0)
                factor *= (matrix.layer + 1) ** prescription.depth_power
                _xavier_(matrix.tensor, factor, generator)
            tables = _table_draws(prescription, spec)
            source, target = model.source_embedding, model.target_embedding
            if spec.has_encoder:
                tables["source"].fill_(source, generator)
            if target is not source or not spec.has_encoder:
                tables["target"].fill_(target, generator)
            if model.output is not None:
                tables["output"].fill_(model.output, generator)
            for positions in (model.source_positions, model.target_positions):
                if positions is not None:
                    tables["positions"].fill_(positions, generator)
            if spec.padding_token is not None:
                for table in (source, target):
                    table[spec.padding_token].zero_()
            self.profile_(model, generator)


def _start_(model: Transformer) -> None:
    """Set everything that is not drawn."""
    for module in model.modules():
        if isinstance(module, AnyNorm):
            module.reset_parameters()
        if isinstance(module, LayerHistory):
            module.weights.copy_(row_averages(len(module.weights)))
    for name, parameter in model.named_parameters():
        last = name.rpartition(".")[2]
        if last in _START:
            parameter.fill_(_START[last])
    for *_, block in residual_blocks(model):
        if block.omega is not None:
            block.omega.fill_(block.shortcut)
        if block.branch_scale is not None:
            block.branch_scale.fill_(block.factor)


def _table_draws(prescription: Prescription, spec: ModelSpec) -> dict[str, WeightDraw]:
    std, kind = spec.d_model**-0.5, prescription.embeddings
    draws = {
        "source": WeightDraw(std * prescription.source_factor, kind),
        "target": WeightDraw(std * prescription.target_factor, kind),
        "positions": WeightDraw(std, kind),
        "output": WeightDraw(std),
    }
    keys = {"source": "embeddings", "target": "embeddings"}
    return {name: prescription.draw(keys.get(name, name)) or draw for name, draw in draws.items()}


def _xavier_(tensor: Tensor, gain: float, generator: torch.Generator) -> None:
    fan_out, fan_in = tensor.shape
    uniform_(tensor, gain * (6 / (fan_in + fan_out)) ** 0.5, generator)
