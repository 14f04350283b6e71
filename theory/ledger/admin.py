"""Admin (Liu et al., EMNLP 2020): the statements, one row each."""

from theory.claims import Claim, Outcome

_INITIAL = "weights at initialisation, symmetric and independent"
_INDEPENDENT = ("independent residual branches", "β_{i,j} unchanged")
_RANDOM = "δ small and independent of W"
_REDUCED = (
    "reduced scale: 64-128-2, 2 and 6 layers, 500 steps of 256 tokens; rate 1.5e-3, at which "
    "warm-up decides: at 1e-3 it does not"
)

ROWS: tuple[Claim, ...] = (
    Claim(
        "admin.thm1",
        "gradients do not vanish in Post-LN encoders: Var[Δx_{i−1}] ≥ Var[Δx_i]",
        "Theorem 1",
        (
            _INITIAL,
            "∂LN/∂b taken as 1/√Var[b]: d → ∞",
            "states of different tokens uncorrelated, and their gradients",
        ),
        Outcome.HOLDS,
    ),
    Claim(
        "admin.not-gradients",
        "unbalanced gradients are not the root cause of the instability",
        "§3",
        (_REDUCED,),
        None,
    ),
    Claim(
        "admin.dependency",
        "β_{i,i}² = 1/i in Pre-LN, constant in Post-LN",
        "§4.1",
        ("independent residual branches of equal variance", "Pre-LN: the input left out"),
        Outcome.HOLDS,
    ),
    Claim(
        "admin.thm2",
        "Var[F(x̂_0, W) − F(x̂_0, W + δ)] ≈ C Σ_i β_{i,i}²",
        "Theorem 2",
        (*_INDEPENDENT, _RANDOM, "branches keep a small change's relative size (ReLU does)"),
        Outcome.HOLDS,
    ),
    Claim(
        "admin.cor-pre",
        "Var[F(x̂_0, W) − F(x̂_0, W + δ)] = O(log N) in Pre-LN",
        "Corollary 1",
        (*_INDEPENDENT, _RANDOM, "branch variances bounded"),
        Outcome.HOLDS,
    ),
    Claim(
        "admin.cor-post",
        "Var[F(x̂_0, W) − F(x̂_0, W + δ)] = O(N) in Post-LN",
        "Corollary 2",
        (*_INDEPENDENT, _RANDOM, "measured: N^(1 ± 0.3) over N = 2 to 14"),
        Outcome.HOLDS,
    ),
    Claim(
        "admin.omega",
        "Admin's profiled ω gives a Post-LN stack β_{i,i}² ≈ 1/i and Σ β_{i,i}² = O(log N)",
        "§5",
        ("independent residual branches", "branch variances alike"),
        Outcome.HOLDS,
    ),
    Claim(
        "admin.trains",
        "Admin stabilises early training and ends lower",
        "§6",
        (_REDUCED,),
        None,
    ),
)
