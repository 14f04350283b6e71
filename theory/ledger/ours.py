"""Statements of this project's own."""

from theory.claims import Claim, Outcome

ROWS = (
    Claim(
        "ours.adam-scale",
        "squared T-Fixup scales make the change under Adam's first step Θ(η) at any depth",
        "ours",
        ("Adam's first step, η sign(g)", "weights at initialisation, drawn independently"),
        Outcome.HOLDS,
    ),
    Claim(
        "ours.adam-parts",
        "squared scales also keep every part's share Θ(η), the encoder's included",
        "ours",
        ("Adam's first step, η sign(g)", "weights at initialisation, drawn independently"),
        Outcome.FAILS,
    ),
)
