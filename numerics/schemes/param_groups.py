"""An optimizer's groups of parameters with a scheme's factors on rate, weight decay and ε."""

from collections.abc import Mapping

from torch import nn

from numerics.models.roles import factors_of
from numerics.models.transformer import Transformer
from numerics.schemes import as_scheme
from numerics.schemes.scheme import Scheme
from theory.errors import InputError


def param_groups(
    model: Transformer,
    scheme: str | Scheme,
    lr: float,
    *,
    weight_decay: float = 0.0,
    eps: float = 1e-8,
) -> list[dict[str, object]]:
    """Return what `torch.optim.AdamW` takes: each group with the settings that the scheme asks for.

    Parameters
    ----------
    model
        A model of the scheme, which its specification decides: depth and width enter the factors.
    scheme
        The scheme, or its name.
    lr, weight_decay, eps
        The settings at the scheme's base; each group has them multiplied by its factors.

    Returns
    -------
    list of dict
        One group for each combination of factors, with ``params``, ``lr``, ``weight_decay`` and
        ``eps``; every parameter that is trained is in one of them.

    Raises
    ------
    InputError
        If a scheme asks for different factors on matrices that one parameter holds.

    Examples
    --------
    >>> import torch
    >>> from numerics.models import Architecture, single_stack
    >>> from numerics.schemes import build
    >>> spec = single_stack(Architecture.DECODER_ONLY, 8)
    >>> model = build("depth-mup", spec, torch.Generator().manual_seed(0))
    >>> groups = param_groups(model, "depth-mup", 1e-3)
    >>> sorted(round(group["lr"], 6) for group in groups)
    [0.0005, 0.001]
    >>> _ = torch.optim.AdamW(groups)
    """
    chosen = as_scheme(scheme)
    prescription = chosen.prescribe(model.spec)
    base = (lr, weight_decay, eps)
    tables = (prescription.rates, prescription.weight_decays, prescription.epsilons)
    found: dict[tuple[float, ...], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        factors = (_one(name, table) for table in tables)
        own = tuple(value * factor for value, factor in zip(base, factors, strict=True))
        found.setdefault(own, []).append(parameter)
    return [
        {"params": parameters, "lr": own[0], "weight_decay": own[1], "eps": own[2]}
        for own, parameters in found.items()
    ]


def _one(parameter: str, factors: Mapping[str, float]) -> float:
    own = set(factors_of(parameter, factors))
    if len(own) > 1:
        raise InputError(f"{parameter} holds matrices with different factors, {sorted(own)}")
    return own.pop()
