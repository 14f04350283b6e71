"""Statements of this project's own."""

from theory.claims import Claim, Outcome

_SGD = "SGD, first order in η"
_NO_WARMUP = (
    "Adam at 1e-3",
    "reduced scale: 64-128-2, 50 steps of 256 tokens; 6, 12, 24, 50 layers",
)
"""How the other papers' schemes are trained here; their published recipes mostly warm up."""

_HERE = "here N = 4 to 32"
_BOTH = ("SGD and Adam's first step", "at initialisation", _HERE)

ROWS = (
    Claim(
        "ours.adam-scale",
        "squared T-Fixup scales make the change under Adam's first step Θ(η) (here N = 6 to 200)",
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
        "ours.adam-shares",
        "scales alone, with one rate, can keep every part's share: value, output, MLP, embeddings",
        "ours",
        ("Adam's first step, η sign(g)", "encoder-decoder without norms, f the decoder's stream"),
        Outcome.HOLDS,
    ),
    Claim(
        "ours.adam-shares-more",
        "scales can keep all shares with embeddings of size 1 or tied, q and k, or bounded steps",
        "ours",
        ("Adam's first step, η sign(g)", "encoder-decoder without norms, f the decoder's stream"),
        Outcome.FAILS,
    ),
    Claim(
        "ours.optimizers",
        "at T-Fixup's scales the decoder needs η ∝ N^(-1/2) for Lion and Muon, N^(-1/4) for LAMB",
        "ours",
        ("first order in η", "weights at initialisation, drawn independently"),
        Outcome.HOLDS,
    ),
    Claim(
        "ours.coherence",
        "a residual stack's growth is Θ(1) if and only if its mean coherence is ρ = O(L^(-1/2))",
        "ours",
        ("linear blocks of strength (3L)^(-1/2)", "in mean square", "independent between blocks"),
        Outcome.HOLDS,
    ),
    Claim(
        "ours.matrix",
        "tr J Jᵀ = Θ(1/L) ⇔ T‖Σ_h vw‖² + Σ_h (‖Am‖²‖w‖² + d‖Amv‖²) = Θ(1/L), any d, T, H",
        "ours",
        (
            _SGD,
            "n, T, H and d fixed",
            "‖q‖, ‖k‖, ‖y_t‖, ‖m_j‖ ≤ B",
            "heads do not cancel: ‖Σ_h vw‖² ≥ κ Σ_h ‖vw‖² (κ = 1 for one head)",
        ),
        Outcome.HOLDS,
    ),
    Claim(
        "ours.matrix-spectrum",
        "where tr J Jᵀ = Θ(1/L), every direction of the output moves at that rate: λ_min = Ω(1/L)",
        "ours",
        (_SGD, "n, T, H and d fixed", "norms of v, w, m as in Theorem 3.1"),
        Outcome.FAILS,
    ),
    Claim(
        "ours.spectrum",
        "λ_max and λ_min of J Jᵀ go as N^p, |p| ≤ 1/4, N = 2…16, with and without embeddings",
        "ours",
        (_SGD, "at initialisation", "inputs free", "no two tokens alike"),
        None,
    ),
    Claim(
        "ours.finite-step",
        "η|g|K/2 ≤ |ΔG| ≤ 3η|g|K/2 for all η ≤ 1/(M₂|g|), M₂ free of L and n",
        "ours",
        ("d = d' = 1", "one SGD step", "|q|, |k|, |y|, |m_j|, |v|, |w| ≤ B", "y held fixed"),
        Outcome.HOLDS,
    ),
    Claim(
        "ours.prediction",
        "every part of ‖Jᵀu‖², every scheme and depth, within 5 % with no fitted number",
        "ours",
        (
            "at initialisation, weights drawn independently",
            "uniform random tokens, u isotropic",
            "mean over draws",
        ),
        Outcome.HOLDS_WITH,
    ),
    Claim(
        "ours.rezero-update",
        "ReZero, x + α f(x) with α = 0, makes the first update Θ(η) at every depth",
        "ours",
        (_SGD, "f of norm 1", "here N = 3 to 24"),
        None,
    ),
    Claim(
        "ours.dlcl-update",
        "DLCL's row averages over all layers below make the update Θ(η) at every depth",
        "ours",
        (_SGD, "here N = 3 to 24"),
        None,
    ),
    *(
        Claim(
            f"ours.{scheme}-trains",
            f"{name} trains without warm-up at N = 6, 12, 24 and 50",
            "ours",
            _NO_WARMUP,
            None,
        )
        for scheme, name in (
            ("r-fixup", "R-Fixup"),
            ("ds-init", "DS-Init"),
            ("dlcl-pre", "DLCL in its Pre-LN form"),
            ("lri", "LRI"),
            ("deepnorm", "DeepNorm"),
            ("rezero", "ReZero"),
            ("dt-fixup", "DT-Fixup"),
            ("admin-log", "admin-torch's closed-form ω"),
        )
    ),
    Claim(
        "ours.completep-sgd",
        "CompleteP's blocks keep their share of f's change under SGD as under Adam",
        "ours",
        (_SGD, "embeddings of RMS 1", _HERE),
        None,
    ),
    Claim(
        "ours.peri-ln-exponent",
        "Peri-LN's update has Pre-LN's power of N at initialisation",
        "ours",
        ("Adam's first step", "at initialisation", _HERE),
        None,
    ),
    Claim(
        "ours.olmo2-exponent",
        "so has that of OLMo 2, whose norms stand on the branches' outputs alone",
        "ours",
        _BOTH,
        None,
    ),
    Claim(
        "ours.wang-update",
        "GPT-NeoX's writers of 2/(N √d) keep f's change Θ(η)",
        "ours",
        _BOTH,
        None,
    ),
    Claim(
        "ours.mitchell-update",
        "OLMo's writers of 1/√(2 fan_in l) keep f's change Θ(η)",
        "ours",
        _BOTH,
        None,
    ),
    Claim(
        "ours.layerscale-update",
        "LayerScale's small λ (1e-4) keeps f's change Θ(η)",
        "ours",
        _BOTH,
        None,
    ),
    Claim(
        "ours.zero-out-update",
        "writers that start at 0 keep f's change Θ(η)",
        "ours",
        _BOTH,
        None,
    ),
    Claim(
        "ours.w3-shares",
        "l^(-1/2) on the up-projection as well keeps the update's power, not the MLP's share",
        "ours",
        _BOTH,
        None,
    ),
    Claim(
        "ours.cloned-stream",
        "layers copied from one keep Pre-LN's linear stream",
        "ours",
        ("at initialisation", "Pre-LN, flat weights", _HERE),
        None,
    ),
)
