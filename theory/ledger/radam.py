"""RAdam (Liu et al., ICLR 2020): the statements, one row each."""

from theory.claims import Claim, Outcome

_GAUSSIAN = "independent gradients N(0, σ²)"
_REDUCED = (
    "reduced scale: 64-128-2, 6 layers, 256 tokens per step, 5,000 steps or twenty plateaus of the "
    "warmed-up model; rates 7.5e-4, 1.5e-3 and 3e-3"
)

ROWS: tuple[Claim, ...] = (
    Claim(
        "radam.divergent",
        "the variance of Adam's first adaptive factor, 1/|g|, diverges",
        "§3.1",
        (_GAUSSIAN, "Adam's ε = 0"),
        Outcome.HOLDS,
    ),
    Claim(
        "radam.variance",
        "Var[ψ] = (ρ/(ρ−2) − (ρ 2^(2ρ−5)/π) B((ρ−1)/2, (ρ−1)/2)²)/σ², decreasing in ρ",
        "Theorem 1",
        (_GAUSSIAN, "a plain average of ρ squares, ψ² ~ scaled inverse χ²(ρ, 1/σ²)", "ρ > 2"),
        Outcome.HOLDS,
    ),
    Claim(
        "radam.approx",
        "Var[ψ] ≈ ρ/(2 (ρ−2) (ρ−4) σ²) is reliable wherever RAdam adapts",
        "§4.2, Eq. 4",
        (_GAUSSIAN, "ρ > 4"),
        Outcome.FAILS,
    ),
    Claim(
        "radam.length",
        "an exponential average at step t is as old as a plain one over ρ_∞ − 2tβ₂ᵗ/(1 − β₂ᵗ)",
        "§4.1",
        ("bias-corrected weights", "0 < β₂ < 1"),
        Outcome.HOLDS,
    ),
    Claim(
        "radam.rectifier",
        "r_t makes the first-order variance that of ρ_∞, and r_t → 1",
        "§4.2, Algorithm 2",
        ("ρ_t > 4",),
        Outcome.HOLDS,
    ),
    Claim(
        "radam.no-warmup",
        "RAdam trains without warm-up where Adam needs it",
        "§5",
        (_REDUCED,),
        None,
    ),
)
