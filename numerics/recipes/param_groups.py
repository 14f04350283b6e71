"""An optimizer's groups of parameters with a recipe's factors on rate, weight decay and ε."""

from collections.abc import Collection, Mapping

from torch import nn

from numerics.models.roles import roles_of
from numerics.models.transformer import Transformer
from numerics.recipes.factors import UNCHANGED, Factors
from numerics.recipes.factors_by_parameter import factors_by_parameter
from numerics.recipes.place import MATRICES
from numerics.recipes.recipe import Recipe
from numerics.recipes.traced import traced, unwrapped
from numerics.schemes import is_scheme
from numerics.schemes import param_groups as of_schemes
from numerics.schemes.scheme import Scheme
from numerics.structure.default_batch import ModelBatch, default_batch
from numerics.structure.types import Structure
from theory.errors import InputError


def param_groups(
    model: nn.Module,
    recipe: str | Recipe | Scheme,
    lr: float,
    *,
    weight_decay: float = 0.0,
    eps: float = 1e-8,
    batch: ModelBatch | None = None,
    structure: Structure | None = None,
    base_layers: int | None = None,
    base_width: int | None = None,
) -> list[dict[str, object]]:
    """Return what `torch.optim.AdamW` takes: each group with the settings that a recipe asks for.

    Parameters
    ----------
    model
        One of this package's models with its scheme, or any module that can be traced.
    recipe
        A scheme or its name, such as ``depth-mup`` and ``completep``; the name of a published
        parametrisation, such as ``mup``; an initialisation recipe, which has no factors; or what
        was solved for the model.
    lr, weight_decay, eps
        The settings at the base; each group has them multiplied by its factors. The factors of
        published recipes are for Adam and its like.
    batch
        Arguments of the forward, by which the structure is found.
    structure
        The structure, where it is known already.
    base_layers, base_width
        Depth and width at which the rate was tuned, on a traced model; ``None`` is the recipe's
        own, else 2 and 256.

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
        groups = of_schemes.param_groups(model, recipe, lr, weight_decay=weight_decay, eps=eps)
        return _split(groups, _hidden_of_ours(model))
    if structure is None:
        if batch is None:
            batch, _ = default_batch(model)
        structure = traced(model, batch)
    factors = factors_by_parameter(
        model, recipe, structure, base_layers=base_layers, base_width=base_width
    )
    hidden = {
        name
        for name in factors
        if all(view.role in MATRICES for view in structure.views if view.parameter == name)
    }
    return _groups(model, factors, hidden, (lr, weight_decay, eps))


def _is_scheme(recipe: object) -> bool:
    return isinstance(recipe, Scheme) or (isinstance(recipe, str) and is_scheme(recipe))


def _hidden_of_ours(model: Transformer) -> set[int]:
    """Identities of the matrices within the branches of a model of this package."""
    return {
        id(parameter)
        for name, parameter in model.named_parameters()
        if all("matrices" in names for names in roles_of(name))
    }


def _split(groups: list[dict[str, object]], hidden: Collection[int]) -> list[dict[str, object]]:
    """Every group as one of hidden matrices and one of the rest, where both have members."""
    made = []
    for group in groups:
        parameters = group["params"]
        assert isinstance(parameters, list)
        for inside in (True, False):
            own = [p for p in parameters if (id(p) in hidden) is inside]
            if own:
                made.append({**group, "params": own, "hidden": inside})
    return made


def _groups(
    model: nn.Module,
    factors: Mapping[str, Factors],
    hidden: Collection[str],
    base: tuple[float, float, float],
) -> list[dict[str, object]]:
    groups: dict[tuple[Factors, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (factors.get(name, UNCHANGED), name in hidden)
            groups.setdefault(key, []).append(parameter)
    lr, decay, eps = base
    return [
        {
            "params": parameters,
            "lr": lr * own.rate,
            "weight_decay": decay * own.weight_decay,
            "eps": eps * own.epsilon,
            "hidden": inside,
        }
        for (own, inside), parameters in groups.items()
    ]
