"""What torch draws when nobody says anything, module by module.

- ``nn.Linear``: U(±1/√fan_in) for matrix *and* bias, standard deviation 1/√(3 fan_in).
- ``nn.MultiheadAttention``: Xavier on the packed (3d, d) matrix, hence 1/√2 of Xavier for each of
  q, k, v; Xavier on each where they are apart; its biases 0, its output matrix as ``nn.Linear``.
- ``nn.Transformer``: then Xavier on every parameter of two or more axes, as it is stored.
- ``nn.Embedding``: N(0, 1). Norms: 1 and 0.
"""

from dataclasses import dataclass

from numerics.recipes.draw import Draw, constant, normal, uniform, xavier
from numerics.recipes.place import ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe


@dataclass(frozen=True)
class TorchDefaults(Recipe):
    """The ``reset_parameters`` of torch's modules, as ``nn.TransformerEncoder`` leaves them."""

    redrawn: bool = False
    """Whether matrices of the branches were redrawn by Xavier, as ``nn.Transformer`` does."""

    def ask(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """The distribution that the class which owns the tensor draws from."""
        if place.role in ("norm_gain", "norm_bias"):
            return super().ask(place, setting)
        is_bias = len(place.shape) < 2
        if place.module == "Embedding":
            return normal(1.0)
        if self.redrawn and not is_bias and place.branch is not None:
            return xavier(place.shape[-1], place.shape[0])
        if place.module == "MultiheadAttention":
            return constant(0.0) if is_bias else xavier(place.shape[-1], place.shape[0])
        if place.module == "Linear":
            if is_bias and place.in_attention:
                return constant(0.0)
            return _kaiming(place.module_fan_in)
        if place.module == "Conv" and not is_bias:
            return _kaiming(_receptive(place.shape))
        return None


def _kaiming(fan_in: int | None) -> Draw | None:
    """What ``nn.Linear`` draws from, U(±1/√fan_in)."""
    return uniform((3 * fan_in) ** -0.5) if fan_in else None


def _receptive(shape: tuple[int, ...]) -> int:
    fan_in = 1
    for length in shape[1:]:
        fan_in *= length
    return fan_in


TORCH = TorchDefaults(
    "torch",
    "torch.nn.Linear, nn.MultiheadAttention, nn.TransformerEncoder",
    "U(±1/√fan_in) for matrices and biases, packed q, k, v Xavier of (3d, d), embeddings N(0, 1)",
    "any",
    "parameters that no module of torch's owns",
)
TORCH_TRANSFORMER = TorchDefaults(
    "torch-transformer",
    "torch.nn.Transformer",
    "Xavier of every stored matrix, packed q, k, v of (3d, d); biases U(±1/√fan_in)",
    "any",
    "parameters that no module of torch's owns",
    redrawn=True,
)
