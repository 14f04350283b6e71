"""A factor, or factors by layer, in the words of the field: √(2N), 1/√(2l), 1/√2."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

CLOSE = 0.03
"""Relative difference within which a factor is called by a name."""


@dataclass(frozen=True)
class NamedNumber:
    """A number, and what it is called."""

    value: float
    """The exact value of the name; the number itself where there is none."""
    words: str


def factor_named(
    factor: float, *, additions: int | None = None, layers: int | None = None
) -> NamedNumber:
    """A factor as a number, and as a formula where it is one.

    Examples
    --------
    >>> factor_named(4.899, additions=24, layers=12).words
    '4.899 = √24 (√B, B additions)'
    >>> factor_named(0.7071).words
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
            return NamedNumber(value, f"{text} = {name}")
    return NamedNumber(factor, text)


@dataclass(frozen=True)
class LayerLaw:
    """A factor that is a power of the layer's number, c l^p."""

    coefficient: float
    power: float
    words: str

    def at(self, layer: int) -> float:
        """The factor in layer l."""
        return self.coefficient * layer**self.power


def layer_law(factors: Mapping[int, float]) -> LayerLaw | None:
    """The law c l^p of factors by layer, where one of the usual powers fits all of them.

    Examples
    --------
    >>> layer_law({1: 0.7071, 2: 0.5, 3: 0.4082, 8: 0.25}).words
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
        whole = round(inner)
        if whole >= 1 and abs(inner / whole - 1) < 2 * CLOSE:
            inside = "l" if whole == 1 else f"({whole}l)" if "√" in shown else f"{whole}l"
            return LayerLaw(whole**power, power, shown.format(inside))
        root = "√l" if abs(power) == 0.5 else "l"
        words = f"{middle:.3g} {root}" if power > 0 else f"{middle:.3g}/{root}"
        return LayerLaw(middle, power, words)
    return None


def inverse_words(value: float) -> str:
    """A factor below 1 as the reciprocal that it is.

    Examples
    --------
    >>> inverse_words(1 / 24), inverse_words(24**-0.5), inverse_words(0.3)
    ('0.04167 = 1/24', '0.2041 = 1/√24', '0.3')
    """
    inverse = 1 / value
    near = round(inverse)
    if near > 1 and abs(inverse / near - 1) < 0.01:
        return f"{value:.4g} = 1/{near}"
    square = round(inverse**2)
    if square > 1 and abs(inverse**2 / square - 1) < 0.01:
        return f"{value:.4g} = 1/√{square}"
    return f"{value:.4g}"


def too(factor: float) -> str:
    """How much too large or too small a factor says that a tensor is.

    Examples
    --------
    >>> too(0.25)
    '4 times too small'
    """
    if factor <= 0:
        return "0"
    return f"{factor:.4g} times too large" if factor > 1 else f"{1 / factor:.4g} times too small"
