"""Statements about learning rates that carry over in depth."""

from theory.claims import Claim, Outcome

_RATE = "Adam without warm-up, a constant rate"
_SCALE = (
    _RATE,
    "reduced scale: a decoder alone, 64-128-2, 80 steps of 128 tokens; 3, 12, 48 layers",
)
_LONGER = (
    _RATE,
    "reduced scale: a decoder alone, 64-128-2, 480 steps of 128 tokens; 3, 12, 48 layers",
)

ROWS = (
    Claim(
        "modern.depth-mup-transfer",
        "with branches and rates as N^(-1/2), one base rate is best at every depth",
        "Yang et al. 2023, abstract",
        _SCALE,
        Outcome.HOLDS,
    ),
    Claim(
        "modern.completep-transfer",
        "with branches as N^(-1) and a constant rate, one base rate is best at every depth",
        "Dey et al. 2025, abstract",
        _SCALE,
        Outcome.HOLDS,
    ),
    Claim(
        "ours.tfixup-transfer",
        "T-Fixup under Adam needs a rate as N^(-1/2): then one base rate is best at every depth",
        "ours",
        _SCALE,
        None,
    ),
    Claim(
        "ours.gpt2-transfer",
        "with GPT-2's factor 1/√(2N) one rate is best at every depth",
        "ours",
        _LONGER,
        Outcome.FAILS,
    ),
    Claim(
        "ours.flat-transfer",
        "with N(0, 0.02) in every layer one rate is best at every depth",
        "ours",
        _LONGER,
        Outcome.FAILS,
    ),
)
