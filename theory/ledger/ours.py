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
    Claim(
        "ours.coherence",
        "a residual stack's growth is Θ(1) if and only if its mean coherence is ρ = O(L^(-1/2))",
        "ours",
        ("linear blocks of strength (3L)^(-1/2)", "in mean square", "independent between blocks"),
        Outcome.HOLDS,
    ),
)
