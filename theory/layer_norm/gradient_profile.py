"""Gradient energies of a Post-LN stack, layer by layer, predicted without a fitted number.

The stack is that of Xiong et al.: uniform attention over t tokens, then an MLP, with a layer norm
behind each. Let ρ be the pairwise cosine of the tokens and ρ_g that of their gradients, with c = (1
+ (t − 1) ρ)/t and γ = (1 + (t − 1) ρ_g)/t. Forward

    attention  ρ → (ρ + c)/(1 + c),       MLP  ρ → (2ρ + κ₁(ρ))/3,

and backward, for E = Σ_i ‖∂L/∂x_i‖² (``theory.layer_norm.gradient_decay`` derives each factor)

    MLP        E → E,                     ρ_g → ρ_g (2 + κ₀(ρ))/3,
    attention  E → E (1 + γ)/(1 + c),     ρ_g → (ρ_g + γ)/(1 + γ).
"""

from dataclasses import dataclass

from theory.errors import InputError, require_positive
from theory.layer_norm.hidden_norms import alikeness
from theory.moments.relu_kernel import kappa_0, kappa_1


@dataclass(frozen=True)
class LayerGradient:
    """Predicted gradient energies of one layer, in units of E at the stack's output."""

    stream: float
    """Energy of the stream's gradient at the layer's input, E_l = Σ_i ‖∂L/∂x_{l,i}‖²."""
    second_matrix: float
    """Energy of the second matrix' gradient divided by the width, ‖∂L/∂W^{2,l}‖²_F/d."""
    tokens: float
    """Alikeness c of the tokens at the layer's input."""
    gradients: float
    """Alikeness γ of the gradients that attention receives in the backward pass."""


def _require_cosine(name: str, cosine: float, tokens: int) -> None:
    if not -1 <= cosine <= 1 or alikeness(cosine, tokens) < 0:
        raise InputError(f"{name} must be a cosine that {tokens} vectors can share, got {cosine}")


def gradient_profile(
    layers: int, tokens: int, cosine: float = 0.0, gradient_cosine: float = 0.0
) -> tuple[LayerGradient, ...]:
    """Gradient energies E_l and ‖∂L/∂W^{2,l}‖² of layers 1 … L, as d → ∞.

    ‖∂L/∂W₂‖² = (d/2) E_v (1 + (t − 1) κ₁(ρ) ρ_g), E_v = 2/3 E behind the layer's last layer norm.

    Parameters
    ----------
    layers
        L.
    tokens
        t.
    cosine
        Cosine between any two tokens at the stack's input.
    gradient_cosine
        Cosine between any two tokens' gradients at its output.

    Raises
    ------
    InputError
        If a count is below 1, or t vectors cannot have that pairwise cosine.

    Examples
    --------
    >>> [layer.stream for layer in gradient_profile(3, 1)]
    [1.0, 1.0, 1.0]
    >>> [round(layer.stream, 3) for layer in gradient_profile(12, 16)][:3]
    [0.278, 0.169, 0.114]
    """
    require_positive(layers=layers, tokens=tokens)
    _require_cosine("cosine", cosine, tokens)
    _require_cosine("gradient_cosine", gradient_cosine, tokens)
    passed, token_cosine = [], cosine
    for _ in range(layers):
        alike = alikeness(token_cosine, tokens)
        mixed = (token_cosine + alike) / (1 + alike)
        passed.append((alike, mixed))
        token_cosine = (2 * mixed + kappa_1(mixed)) / 3
    energy, found = 1.0, []
    for alike, mixed in reversed(passed):
        second = energy / 3 * (1 + (tokens - 1) * kappa_1(mixed) * gradient_cosine)
        gradient_cosine *= (2 + kappa_0(mixed)) / 3
        joint = alikeness(gradient_cosine, tokens)
        energy *= (1 + joint) / (1 + alike)
        gradient_cosine = (gradient_cosine + joint) / (1 + joint)
        found.append(LayerGradient(energy, second, alike, joint))
    return tuple(reversed(found))
