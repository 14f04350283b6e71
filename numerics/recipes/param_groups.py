"""An optimizer's groups of parameters with a recipe's factors on rate, weight decay and ε."""

from collections.abc import Sequence

from torch import nn

from numerics.models.transformer import Transformer
from numerics.recipes import recipe_named
from numerics.recipes.factors import Factors
from numerics.recipes.place import MATRICES, ParameterPlace, places, setting_of
from numerics.recipes.published_factors import PublishedFactors, published_factors
from numerics.recipes.recipe import Recipe
from numerics.recipes.traced import traced, unwrapped
from numerics.schemes import SCHEMES
from numerics.schemes import param_groups as of_schemes
from numerics.schemes.scheme import Scheme
from numerics.structure.default_batch import ModelBatch, default_batch
from numerics.structure.types import Structure
from theory.errors import InputError
from theory.parametrisations.recipes import RECIPES as PUBLISHED


def param_groups(
    model: nn.Module,
    recipe: str | Recipe | Scheme,
    lr: float,
    *,
    weight_decay: float = 0.0,
    eps: float = 1e-8,
    batch: ModelBatch | None = None,
    structure: Structure | None = None,
    base_layers: int = 2,
    base_width: int = 256,
) -> list[dict[str, object]]:
    """Return what `torch.optim.AdamW` takes: each group with the settings that a recipe asks for.

    Parameters
    ----------
    model
        One of this package's models with its scheme, or any module that can be traced.
    recipe
        A scheme or its name; the name of a recipe with factors, such as ``depth-mup`` and
        ``completep``; an initialisation recipe, which has none; or what was solved for the model.
    lr, weight_decay, eps
        The settings at the base; groups have them times their factors. The factors of published
        recipes are for Adam and its like.
    batch
        Arguments of the forward, by which the structure is found.
    structure
        The structure, where it is known already.
    base_layers, base_width
        Depth and width at which the rate was tuned, for a published recipe on a traced model.

    Returns
    -------
    list of dict
        One group for each combination of factors, with ``params``, ``lr``, ``weight_decay``,
        ``eps`` and ``hidden``: whether they are matrices within branches, which `torch.optim.Muon`
        takes. Every parameter that is trained is in one of them.

    Raises
    ------
    InputError
        If a recipe asks for different factors on matrices that one parameter holds, or the
        structure is not understood.

    Examples
    --------
    >>> import torch
    >>> layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True, norm_first=True)
    >>> model = nn.TransformerEncoder(layer, 8, enable_nested_tensor=False)
    >>> groups = param_groups(model, "depth-mup", 1e-3, batch=torch.randn(2, 4, 16))
    >>> [(group["lr"], group["hidden"]) for group in groups]
    [(0.0005, True), (0.0005, False)]
    >>> _ = torch.optim.AdamW(groups)
    """
    if not 0 < lr < float("inf"):
        raise InputError(f"lr must be positive and finite, got {lr}")
    model = unwrapped(model)
    if isinstance(model, Transformer) and _is_scheme(recipe):
        assert isinstance(recipe, (str, Scheme))
        return of_schemes.param_groups(model, recipe, lr, weight_decay=weight_decay, eps=eps)
    if isinstance(recipe, Scheme):
        raise InputError(f"scheme {recipe.name} is of this package's models, got another module")
    if structure is None:
        if batch is None:
            batch, _ = default_batch(model)
        structure = traced(model, batch)
    if not structure.understood:
        raise InputError(
            "a model must be understood to have rates by role: " + " ".join(structure.reasons)
        )
    found = places(structure, model)
    rule = _rule(recipe, structure, model, base_layers, base_width)
    return _groups(model, found, rule, (lr, weight_decay, eps))


def _is_scheme(recipe: object) -> bool:
    return isinstance(recipe, Scheme) or (
        isinstance(recipe, str) and recipe.partition(":")[0] in SCHEMES
    )


def _rule(
    recipe: str | Recipe, structure: Structure, model: nn.Module, base_layers: int, base_width: int
) -> Recipe | PublishedFactors:
    if isinstance(recipe, str) and recipe in PUBLISHED:
        return published_factors(recipe, setting_of(structure, model), base_layers, base_width)
    return recipe_named(recipe) if isinstance(recipe, str) else recipe


def _groups(
    model: nn.Module,
    found: Sequence[ParameterPlace],
    rule: Recipe | PublishedFactors,
    base: tuple[float, float, float],
) -> list[dict[str, object]]:
    by_name: dict[str, list[ParameterPlace]] = {}
    for place in found:
        by_name.setdefault(place.name, []).append(place)
    groups: dict[tuple[Factors, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            own = by_name.get(name, [])
            hidden = bool(own) and all(place.role in MATRICES for place in own)
            groups.setdefault((_one(name, own, rule), hidden), []).append(parameter)
    lr, decay, eps = base
    return [
        {
            "params": parameters,
            "lr": lr * factors.rate,
            "weight_decay": decay * factors.weight_decay,
            "eps": eps * factors.epsilon,
            "hidden": hidden,
        }
        for (factors, hidden), parameters in groups.items()
    ]


def _one(name: str, own: Sequence[ParameterPlace], rule: Recipe | PublishedFactors) -> Factors:
    asked = {rule.factors_of(place): place for place in own}
    if len(asked) > 1:
        words = ", ".join(f"{place.role} {f.rate:.4g}" for f, place in asked.items())
        raise InputError(f"{name} holds tensors with different factors on the rate: {words}")
    return next(iter(asked), Factors())


def rates_by_parameter(model: nn.Module, recipe: Recipe, structure: Structure) -> dict[str, float]:
    """The recipe's factor on the learning rate of every parameter, by name."""
    found: dict[str, list[ParameterPlace]] = {}
    for place in places(structure, model):
        found.setdefault(place.name, []).append(place)
    return {name: _one(name, own, recipe).rate for name, own in found.items()}
