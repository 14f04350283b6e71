"""Named baselines: Fixup, DeepNorm, DT-Fixup, ReZero, DS-Init, LRI, DLCL, admin-torch."""

from theory.claims import Claim, Outcome

_SGD = "SGD, first order in η"

ROWS: tuple[Claim, ...] = (
    Claim(
        "fixup.scale",
        "branches of m matrices, the last zero: L^(-1/(2m−2)) makes the update Θ(η)",
        "Fixup; R-Fixup",
        (_SGD, "inputs of norm 1"),
        Outcome.HOLDS,
    ),
    Claim(
        "fixup.attention",
        "R-Fixup's L^(-1/6) on q, k, v, as for a branch of four matrices, makes the update Θ(η)",
        "R-Fixup",
        (_SGD, "inputs of norm 1", "W_o = 0"),
        None,
    ),
    Claim(
        "deepnorm.scale",
        "α_e = 0.81 (N⁴M)^(1/16), β_e = 0.87 (N⁴M)^(-1/16), α_d = (3M)^(1/4), β_d = (12M)^(-1/4)",
        "DeepNet, §4",
        (_SGD, "2α²β² = 1", "the sensitivity to the memory counted once, in the worst case"),
        Outcome.HOLDS,
    ),
    Claim(
        "dtfixup.scale",
        "(N(4μ² + 2μ + 2))^(-1/2) makes the update Θ(η)",
        "DT-Fixup, §3",
        (_SGD, "relation-aware attention", "inputs of norm μ, not trained"),
        Outcome.HOLDS,
    ),
    Claim(
        "rezero.isometry",
        "with α = 0 every singular value of the stack's input-output Jacobian is 1, at any depth",
        "ReZero",
        ("at initialisation", "measured at N = 3 to 24"),
        Outcome.HOLDS,
    ),
    Claim(
        "dsinit.scale",
        "matrices × 1/√l keep what layer norm takes from the residual path bounded as l → ∞",
        "DS-Init, §4",
        ("Post-LN", "independent branches", "MLP of gain 1/2"),
        None,
    ),
    Claim(
        "dsinit.code",
        "the code's variances × 1/√l keep what layer norm takes from the residual path bounded too",
        "code",
        ("Post-LN", "independent branches", "MLP of gain 1/2"),
        None,
    ),
    Claim(
        "lri.scale",
        "weights U(±√(1/fan_in)), embeddings U(±√(2/(d+V))): layer norm never shrinks the residual",
        "LRI, §3",
        ("Post-LN", "independent branches"),
        None,
    ),
    Claim(
        "dlcl.wiring",
        "reading Σ_{k≤l} W_k LN(y_k), at first W_k = 1/(l+1), keeps what the first layers made; a "
        "residual connection forgets it",
        "DLCL, §4",
        ("at initialisation", "independent branches", "derived without the norms on y_k"),
        Outcome.HOLDS,
    ),
    Claim(
        "adminTorch.omega",
        "ω = √((n+1)/ln(n+1) − 1) keeps Σ β_ii² = O(log n)",
        "admin-torch",
        ("Post-LN", "branches of variance 1"),
        Outcome.HOLDS,
    ),
)
