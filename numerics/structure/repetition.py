"""Modules that repeat inside a model: the same class with parameters of the same shapes."""

from torch import nn


def repeated_children(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """The paths of children that are alike and have parameters, by the path of their parent.

    Examples
    --------
    >>> repeated_children(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)))
    {'': ('0', '2')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for path, module in model.named_modules():
        groups: dict[object, list[str]] = {}
        for name, child in module.named_children():
            shapes = tuple((n, tuple(p.shape)) for n, p in child.named_parameters())
            if shapes:
                full = f"{path}.{name}" if path else name
                groups.setdefault((type(child), shapes), []).append(full)
        largest = max(groups.values(), key=len, default=[])
        if len(largest) > 1:
            found[path] = tuple(largest)
    return found
