"""Normalisations of the residual stream: which kind, and how its gain is stored.

With x one token of width d, σ² its variance and r² = ‖x‖²/d,

    layer   (x − mean x)/√(σ² + ε) ∘ g + b
    rms     x/√(r² + ε) ∘ g
    dyt     tanh(a x) ∘ g + b, a a trainable scalar (Zhu et al., 2025)
    none    x

The gain g is a parameter w, or 1 + w as Gemma stores it, or absent. Suffix D is the width.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from theory.errors import InputError


class NormKind(StrEnum):
    """What a normalisation computes."""

    LAYER = "layer"
    RMS = "rms"
    DYT = "dyt"
    NONE = "none"


class Gain(StrEnum):
    """How the factor on each coordinate is stored."""

    WEIGHT = "w"
    """g = w, from 1."""
    ONE_PLUS = "1 + w"
    """g = 1 + w, w from 0: weight decay then pulls towards 1."""
    ABSENT = "absent"
    """g = 1, nothing to train."""


@dataclass(frozen=True)
class NormTraits:
    """The normalisation that a model uses at every place where its wiring has one.

    Examples
    --------
    >>> NormTraits(NormKind.RMS).has_bias, NormTraits(NormKind.RMS).epsilon
    (False, 1e-06)
    """

    kind: NormKind = NormKind.LAYER
    """What it computes."""
    gain: Gain = Gain.WEIGHT
    """How its gain is stored."""
    bias: bool = True
    """Whether layer norm and DyT add a trained vector; RMS norm has none."""
    eps: float | None = None
    """ε; ``None`` is 1e-5 of layer norm and 1e-6 of RMS norm."""
    slope: float = 0.5
    """Where DyT's a starts."""
    attention_slope: float | None = None
    """Where a starts before attention; ``None`` is as elsewhere."""
    by_layer: bool = False
    """Whether the blocks' norms of layer l, from 1, are multiplied by 1/√l (LayerNorm Scaling)."""

    def __post_init__(self) -> None:
        if self.eps is not None and not 0 <= self.eps < float("inf"):
            raise InputError(f"eps of a norm must be at least 0 and finite, got {self.eps}")
        for name in ("slope", "attention_slope"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} of a norm must be positive and finite, got {value}")

    @property
    def has_bias(self) -> bool:
        """Whether a vector is added."""
        return self.bias and self.kind in (NormKind.LAYER, NormKind.DYT)

    @property
    def epsilon(self) -> float:
        """What is added to the variance, ε."""
        if self.eps is not None:
            return self.eps
        return 1e-6 if self.kind is NormKind.RMS else 1e-5

    @property
    def plain(self) -> bool:
        """Whether it is a layer norm with gain and bias, as torch's default has it."""
        return self == LAYER_NORM


LAYER_NORM = NormTraits()
"""Layer norm with gain and bias, torch's default."""
RMS_NORM = NormTraits(NormKind.RMS)
"""RMS norm with a gain from 1."""


class Norm(nn.Module):
    """Any normalisation but torch's default layer norm, times a number."""

    def __init__(
        self, traits: NormTraits, width: int, *, factor: float = 1.0, slope: float | None = None
    ) -> None:
        super().__init__()
        self.traits, self.width, self.factor = traits, width, factor
        self.start = traits.slope if slope is None else slope
        gained = traits.gain is not Gain.ABSENT
        self.weight = nn.Parameter(torch.empty(width)) if gained else None
        self.bias = nn.Parameter(torch.empty(width)) if traits.has_bias else None
        tanh = traits.kind is NormKind.DYT
        self.slope = nn.Parameter(torch.empty(())) if tanh else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gain 1, bias 0, DyT's slope where it starts."""
        with torch.no_grad():
            if self.weight is not None:
                self.weight.fill_(0.0 if self.traits.gain is Gain.ONE_PLUS else 1.0)
            if self.bias is not None:
                self.bias.zero_()
            if self.slope is not None:
                self.slope.fill_(self.start)

    def forward(self, x_D: Float[Tensor, "*rows D"]) -> Float[Tensor, "*rows D"]:
        """Normalise each token."""
        gain = self.weight
        if gain is not None and self.traits.gain is Gain.ONE_PLUS:
            gain = 1 + gain
        unit_D = self._unit(x_D)
        if gain is not None:
            unit_D = unit_D * gain
        if self.bias is not None:
            unit_D = unit_D + self.bias
        return unit_D if self.factor == 1 else unit_D * self.factor

    def _unit(self, x_D: Float[Tensor, "*rows D"]) -> Float[Tensor, "*rows D"]:
        if self.slope is not None:
            return torch.tanh(self.slope * x_D)
        if self.traits.kind is NormKind.RMS:
            return x_D * torch.rsqrt(x_D.square().mean(-1, keepdim=True) + self.traits.epsilon)
        return F.layer_norm(x_D, x_D.shape[-1:], eps=self.traits.epsilon)


AnyNorm = nn.LayerNorm | Norm
"""Every normalisation that a model may hold."""


def make_norm(
    traits: NormTraits, width: int, *, factor: float = 1.0, slope: float | None = None
) -> AnyNorm | None:
    """A normalisation of vectors of a width; ``None`` for the kind ``none``.

    Parameters
    ----------
    traits, width
        What it computes, and on how many coordinates.
    factor
        Number that multiplies its output.
    slope
        Where DyT's a starts here, if not where the traits say.

    Examples
    --------
    >>> make_norm(NormTraits(), 4)
    LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)
    >>> norm = make_norm(NormTraits(NormKind.RMS), 4)
    >>> norm(torch.tensor([2.0, 2.0, -2.0, -2.0])).tolist()
    [1.0, 1.0, -1.0, -1.0]
    """
    if traits.kind is NormKind.NONE:
        return None
    if traits.plain and factor == 1:
        return nn.LayerNorm(width)
    return Norm(traits, width, factor=factor, slope=slope)


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalisation."""
    return isinstance(module, AnyNorm)
