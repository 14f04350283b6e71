"""What ``tfixup solve`` refuses: options that the chosen architecture or scheme would not read."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

from theory.errors import InputError

if TYPE_CHECKING:
    import sympy as sp

    from numerics.cli.solve_query import SolveQuery
    from theory.scales.presets import Preset

LONGEST_NAME = 40
"""Most characters of a depth's name; tables and formulas repeat it."""
MOST_LAYERS = 10**9
_NUMBER = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_NUMBERS_NAMES = ("nan", "inf", "infinity", "oo", "zoo", "pi", "e", "i", "true", "false", "none")
"""Names of numbers and values, in small letters: a formula in one of them would be misread."""


def refuse_unread(query: SolveQuery, preset: Preset | None) -> None:
    """Raise for an option that would be ignored.

    Raises
    ------
    InputError
        If an option of an architecture is given beside a preset, which has one of its own; a depth
        that the architecture or the preset does not have; ``layers`` beside both depths; or an
        option that needs a decoder with a memory.
    """
    if query.axis != "depth" or query.base_layers is not None:
        option = "--base-layers" if query.axis == "depth" else "--axis"
        raise InputError(f"{option} is read with --recipe, --structure or --powers alone")
    if preset is not None:
        given = (
            ("--architecture", query.architecture is not None),
            ("--input-depth", query.input_depth is not None),
            ("--mlp", query.mlp is not None),
            ("--parallel", query.parallel),
            ("--memories", query.memories is not None),
            ("--no-ties", not query.ties),
        )
        for option, present in given:
            if present:
                raise InputError(
                    f"{option} is not read with a preset, whose architecture is its own, got "
                    f"--preset {query.preset}"
                )
    depths = {"encoder layers": query.encoder_layers, "decoder layers": query.decoder_layers}
    read = _depths_read(query, preset)
    for name, value in depths.items():
        if value is not None and name not in read:
            what = f"--preset {query.preset}" if preset is not None else query.architecture
            option = "--" + name.replace(" ", "-")
            raise InputError(f"{option} is not read by {what}, got {value}")
    if query.layers is not None and all(depths[name] is not None for name in read):
        raise InputError(f"--layers is not read where every stack's own are given: {query.layers}")
    if preset is None and len(read) == 1 and query.input_depth is not None:
        raise InputError(
            f"--input-depth is not read by {query.architecture}, which has one depth, got "
            f"{query.input_depth}"
        )
    if not query.ties and query.input_depth is not None:
        raise InputError(f"--input-depth is not read without ties, got {query.input_depth}")


def refuse_beside_recipe(query: SolveQuery) -> None:
    """Raise for an option of stacks beside a recipe or a structure, which read none of them.

    Raises
    ------
    InputError
        Naming the option.
    """
    given = {
        "--encoder-layers": query.encoder_layers is not None,
        "--decoder-layers": query.decoder_layers is not None,
        "--architecture": query.architecture is not None,
        "--preset": query.preset is not None,
        "--input-depth": query.input_depth is not None,
        "--mlp": query.mlp is not None,
        "--parallel": query.parallel,
        "--memories": query.memories is not None,
        "--no-ties": not query.ties,
    }
    for option, present in given.items():
        if present:
            raise InputError(
                f"{option} is not read with --recipe, --structure, --powers or --model"
            )


def refuse_beside_model(query: SolveQuery) -> None:
    """Raise for an option of recipes or stacks beside a model, whose stack is its own.

    Raises
    ------
    InputError
        Naming the option.
    """
    refuse_beside_recipe(query)
    others = {"--recipe": query.recipe, "--structure": query.structure}
    for option, value in (*others.items(), ("--powers", query.powers or None)):
        if value is not None:
            raise InputError(f"{option} is not read with --model")


def refuse_without_measure(query: SolveQuery) -> None:
    """Raise for an option of the measurement where none is asked for.

    Raises
    ------
    InputError
        Naming the option.
    """
    for option, value in (("--seeds", query.seeds), ("--out", query.out)):
        if value is not None and query.measure is None:
            raise InputError(f"{option} is read with --measure alone, got {value}")


def _depths_read(query: SolveQuery, preset: Preset | None) -> tuple[str, ...]:
    if preset is not None:
        return preset.depths
    one = {"encoder-only": ("encoder layers",), "decoder-only": ("decoder layers",)}
    return one.get(query.architecture or "", ("encoder layers", "decoder layers"))


def depth(name: str, text: str) -> sp.Expr:
    """A depth as the user gives it: a positive symbol or an integer."""
    import sympy as sp

    from theory.scales.architectures import require_depth

    if text.isidentifier():
        if len(text) > LONGEST_NAME:
            raise InputError(
                f"{name} must have a name of at most {LONGEST_NAME} letters, got {text!r:.60}"
            )
        if text.lower() in _NUMBERS_NAMES or keyword.iskeyword(text) or not text.strip("_"):
            raise InputError(f"{name} must be a symbol such as N, or an integer, got {text!r}")
        return sp.Symbol(text, positive=True)
    if _NUMBER.fullmatch(text) is None:
        raise InputError(f"{name} must be a symbol or an integer of at least 1, got {text!r:.60}")
    number = sp.Integer(text)
    if number > MOST_LAYERS:
        raise InputError(f"{name} must be at most {MOST_LAYERS}, got {text}")
    require_depth(name, number)
    return number


def general_depths(depths: tuple[sp.Expr, ...]) -> tuple[sp.Expr, ...]:
    """Symbols for depths that are numbers: N where both are the same, N_e and N_d otherwise.

    A symbol that the user took for the other depth is not used again: that depth stays a number.

    Examples
    --------
    >>> import sympy as sp
    >>> six, nine = sp.Integer(6), sp.Integer(9)
    >>> general_depths((six, six)), general_depths((six, nine))
    ((N, N), (N_e, N_d))
    """
    import sympy as sp

    if depths[0] == depths[1]:
        both = depths[0] if not depths[0].is_number else sp.Symbol("N", positive=True)
        return (both, both)
    taken = {str(depth) for depth in depths if not depth.is_number}
    return tuple(
        depth if not depth.is_number or letter in taken else sp.Symbol(letter, positive=True)
        for depth, letter in zip(depths, ("N_e", "N_d"), strict=True)
    )
