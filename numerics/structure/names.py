"""Names of parameters as labels: what several have in common, and which tensor has several."""

from collections.abc import Iterable

from torch import nn


def common_path(names: Iterable[str]) -> str:
    """The longest module path that is common to some parameters' names.

    Examples
    --------
    >>> common_path(["h.0.attn.q.weight", "h.0.attn.k.weight"])
    'h.0.attn'
    """
    paths = [name.split(".")[:-1] for name in names]
    if not paths:
        return ""
    shared = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


def tied_names(model: nn.Module) -> tuple[tuple[str, ...], ...]:
    """The names of each tensor that has several, in the order of registration.

    Examples
    --------
    >>> net = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 3, bias=False))
    >>> net[1].weight = net[0].weight
    >>> tied_names(net)
    (('0.weight', '1.weight'),)
    """
    groups: dict[tuple[int, int, tuple[int, ...]], list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        key = (parameter.data_ptr(), int(parameter.storage_offset()), tuple(parameter.shape))
        if parameter.numel():
            groups.setdefault(key, []).append(name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)
