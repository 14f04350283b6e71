"""Numbers of an update rule that its name may carry behind colons, as in ``adamw:eps=1e-3``.

    weight_decay  λ: the step has −λθ beside its direction, decoupled from the gradient as AdamW's
    eps           ε beside √v̂, for a cotangent of norm 1: a run's ε over its ‖∂L/∂f‖

ε is a number beside |g|, and g = Jᵀu is proportional to the cotangent u. So ε means something only
relative to ‖u‖, which is 1 in all measurements.
"""

from dataclasses import dataclass, replace

from theory.errors import InputError, nearest
from theory.scales.muon_scalings import MUONS


@dataclass(frozen=True)
class RuleOptions:
    """What a rule's name says beyond the rule."""

    weight_decay: float = 0.0
    """λ; 0 leaves the weights alone."""
    eps: float | None = None
    """ε; ``None`` is the rule's own, which vanishes beside the gradient."""


NO_OPTIONS = RuleOptions()
"""What a bare name says."""
TAKES: dict[str, tuple[str, ...]] = {
    "adam": ("eps",),
    "adamw": ("weight_decay", "eps"),
    "lion": ("weight_decay",),
    **dict.fromkeys(MUONS, ("weight_decay",)),
}
"""The numbers that each rule takes; other rules have none."""


def split_name(optimizer: str) -> tuple[str, RuleOptions]:
    """Split a rule's name from its numbers.

    Raises
    ------
    InputError
        For a number that the rule does not have, with the nearest, and for a value that is none or
        lies below 0.

    Examples
    --------
    >>> split_name("adamw:weight_decay=0.1")
    ('adamw', RuleOptions(weight_decay=0.1, eps=None))
    >>> split_name("sgd:eps=1")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: optimizer sgd has no number to change, got 'eps=1'
    """
    base, *settings = optimizer.split(":")
    options = NO_OPTIONS
    known = TAKES.get(base, ())
    for setting in settings:
        if not known:
            raise InputError(f"optimizer {base} has no number to change, got {setting!r}")
        key, equals, text = setting.partition("=")
        if not equals or key not in known:
            raise nearest(key, known, f"number of optimizer {base}")
        options = replace(options, **{key: _number(base, key, text)})
    return base, options


def _number(base: str, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{key} of optimizer {base} must be a number, got {text!r}") from None
    if not 0 <= value < float("inf"):
        raise InputError(f"{key} of optimizer {base} must be finite and at least 0, got {text}")
    return value
