"""The factors that a scheme puts on the learning rates of a foreign model, by role.

CompleteP, depth-μP and u-μP belong to a learning rate of their own for every role. Their factors
follow from the foreign model's depth and width, and the roles from its structure.
"""

from numerics.recipes.from_scheme import prescribed, role_in_scheme
from numerics.recipes.place import ParameterPlace, places, setting_of
from numerics.schemes import scheme_named
from numerics.structure.types import Structure
from numerics.structure.user_factory import Built
from theory.errors import InputError

_TABLES = {"embedding": "embeddings", "positions": "embeddings", "head": "output"}


def scheme_rates(scheme: str, built: Built, structure: Structure | None) -> dict[str, float]:
    """Factor on the learning rate of every parameter of a model, as a scheme asks.

    Parameters
    ----------
    scheme
        The scheme's name, with numbers changed behind colons where they are.
    built
        The model.
    structure
        What `trace_structure` found.

    Returns
    -------
    dict of str to float
        By parameter; a tied tensor has the embedding's.

    Raises
    ------
    InputError
        For an unknown scheme, a structure that is not understood, or factors that differ within one
        parameter.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from numerics.structure.trace import trace_structure
    >>> layer = nn.TransformerEncoderLayer(64, 2, 128, batch_first=True, norm_first=True)
    >>> model = nn.TransformerEncoder(layer, 8, enable_nested_tensor=False)
    >>> x = torch.randn(2, 3, 64)
    >>> found = scheme_rates("depth-mup", Built(model, x), trace_structure(model, x))
    >>> found["layers.0.linear1.weight"]
    0.5
    """
    chosen = scheme_named(scheme)
    if structure is None or not structure.understood or not structure.branches:
        raise InputError(
            f"a model must have an understood structure for the rates of {scheme}: its roles decide"
        )
    spec, prescription = prescribed(chosen, setting_of(structure, built.model))
    found: dict[str, float] = {}
    for place in places(structure, built.model):
        role = role_in_scheme(place, spec)
        names = _names(place, role)
        factor = next((prescription.rates[n] for n in names if n in prescription.rates), 1.0)
        known = found.setdefault(place.name, factor)
        if known != factor and place.role not in _TABLES:
            raise InputError(
                f"a parameter must have one learning rate, and {scheme} asks {known:g} and "
                f"{factor:g} times the base in {place.name}"
            )
    return found


def _names(place: ParameterPlace, role: str | None) -> tuple[str, ...]:
    """Names under which a factor may stand, the most specific first."""
    if role is not None:
        return (role, "matrices", "hidden")
    if place.role in _TABLES:
        return (_TABLES[place.role],)
    return ("vectors", "hidden") if place.branch is not None else ("final_norm",)
