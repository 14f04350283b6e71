"""Places and sizes of models that nobody has to build."""

from numerics.recipes.place import ModelSizes, ParameterPlace, RecipeStream
from numerics.structure.types import Branch, TensorView


def setting_of(layers: int, d: int = 768, *, encoder: int = 0, per_layer: int = 2) -> ModelSizes:
    """Sizes of one stream, or of an encoder and a decoder."""
    if encoder:
        stacks = {
            "encoder": RecipeStream("encoder", encoder, 2 * encoder),
            "decoder": RecipeStream("decoder", layers, 3 * layers),
        }
    else:
        stacks = {"stream": RecipeStream("stream", layers, per_layer * layers)}
    return ModelSizes(d, 4 * d, 1000, 64, stacks)


def place_of(
    role: str, setting: ModelSizes, layer: int = 1, stack: str = "stream", kind: str = ""
) -> ParameterPlace:
    """A tensor of a role, in its own module."""
    d = setting.d_model
    fans = {"w_in": (d, 4 * d), "gate": (d, 4 * d), "w_out": (4 * d, d), "head": (d, 1000)}
    fan_in, fan_out = fans.get(role, (d, d))
    attention = "cross-attention" if kind == "cross" else "self-attention"
    branch = Branch(
        0, stack, layer, "mlp" if role in ("w_in", "gate", "w_out") else attention,
        True, False, False, True,
    )  # fmt: skip
    outside = role in ("head", "embedding", "positions")
    view = TensorView("w", role, None, None, fan_in, fan_out, 1, None if outside else 0)  # pyright: ignore[reportArgumentType]
    return ParameterPlace(
        view, None if outside else branch, stack, 0 if outside else layer, (fan_out, fan_in),
        "Linear", fan_in, False,
    )  # fmt: skip
