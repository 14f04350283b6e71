"""Which branches make one layer: the shortest pattern of kinds that repeats along a stream."""

from collections.abc import Hashable, Sequence

from numerics.structure.types import BranchKind


def layer_numbers(
    kinds: Sequence[BranchKind], shapes: Sequence[Hashable] | None = None
) -> tuple[int, ...]:
    """The number of the layer, from 1, of each branch of one stream.

    Where all kinds are alike, the shapes of the branches' weights may show a longer pattern. Where
    no pattern repeats, a layer ends with the last MLP before the next branch that mixes positions.

    Examples
    --------
    >>> layer_numbers(("self-attention", "mlp", "self-attention", "gated-mlp"))
    (1, 1, 2, 2)
    >>> layer_numbers(("self-attention", "cross-attention", "mlp"))
    (1, 1, 1)
    >>> layer_numbers(("other", "other", "other"))
    (1, 2, 3)
    >>> layer_numbers(("other", "mlp", "self-attention", "mlp"))
    (1, 1, 2, 2)
    >>> layer_numbers(("other", "other", "other", "other"), ("4x4", "4x8", "4x4", "4x8"))
    (1, 1, 2, 2)
    """
    if len(set(kinds)) == 1 and shapes is not None and len(set(shapes)) > 1:
        kinds = [str(shape) for shape in shapes]  # type: ignore[misc]
    plain = ["mlp" if kind == "gated-mlp" else kind for kind in kinds]
    for period in range(1, len(plain) // 2 + 1):
        whole = len(plain) % period == 0
        if whole and all(kind == plain[i % period] for i, kind in enumerate(plain)):
            return tuple(1 + i // period for i in range(len(plain)))
    found: list[int] = []
    for i, kind in enumerate(plain):
        new = i > 0 and plain[i - 1] == "mlp" and kind != "mlp"
        found.append((found[-1] if found else 1) + new)
    return tuple(found)
