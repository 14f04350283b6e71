"""A factor, or factors by layer, in the words of the field: √(2N), 1/√(2l), 1/√2."""

import math
from collections.abc import Mapping

CLOSE = 0.03
"""Relative difference within which a factor is called by a name."""


def factor_words(factor: float, *, additions: int | None = None, layers: int | None = None) -> str:
    """A factor as a number, and as a formula where it is one.

    Examples
    --------
    >>> factor_words(4.899, additions=24, layers=12)
    '4.899 = √24 (√B, B additions)'
    >>> factor_words(0.7071)
    '0.7071 = 1/√2'
    """
    known: dict[str, float] = {}
    if additions is not None and additions > 1:
        root = additions**0.5
        known[f"√{additions} (√B, B additions)"] = root
        known[f"1/√{additions} (1/√B, B additions)"] = 1 / root
        known[f"1/{additions} (1/B, B additions)"] = 1 / additions
        known[f"{additions} (B additions)"] = additions
    if layers is not None and layers > 1:
        known[f"√{layers} (√N, N layers)"] = layers**0.5
        known[f"1/√{layers} (1/√N, N layers)"] = layers**-0.5
    known |= {"1/√2": 0.5**0.5, "√2": 2**0.5, "1/√3": 3**-0.5, "√3": 3**0.5, "1/2": 0.5}
    text = f"{factor:.4g}"
    for name, value in known.items():
        if abs(factor / value - 1) < CLOSE:
            return text if text == name else f"{text} = {name}"
    return text


def layer_law(factors: Mapping[int, float]) -> str | None:
    """c l^p through factors by layer, where one of the usual powers fits all of them.

    Examples
    --------
    >>> layer_law({1: 0.7071, 2: 0.5, 3: 0.4082, 8: 0.25})
    '1/√(2l)'
    >>> layer_law({1: 1.0, 2: 1.0, 3: 3.0})
    """
    if len(factors) < 3 or min(factors.values()) <= 0:
        return None
    for power, shown in ((0.5, "√{}"), (-0.5, "1/√{}"), (1.0, "{}"), (-1.0, "1/{}")):
        scaled = [value / layer**power for layer, value in factors.items()]
        middle = math.exp(sum(map(math.log, scaled)) / len(scaled))
        if max(abs(value / middle - 1) for value in scaled) > 5 * CLOSE:
            continue
        inner = middle ** (1 / power)
        if abs(inner - 1) < 2 * CLOSE:
            return shown.format("l")
        if abs(inner - round(inner)) < 2 * CLOSE * inner and round(inner) > 1:
            return shown.format(f"({round(inner)}l)")
        name = {0.5: "√l", -0.5: "/√l", 1.0: "l", -1.0: "/l"}[power]
        return f"{middle:.3g}{'' if name.startswith('/') else ' '}{name}"
    return None


def too(factor: float) -> str:
    """'4.9 times too large', '1.65 times too small'.

    Examples
    --------
    >>> too(0.25)
    '4 times too small'
    """
    if factor <= 0:
        return "0"
    return f"{factor:.4g} times too large" if factor > 1 else f"{1 / factor:.4g} times too small"
