"""T-Fixup (Huang et al., ICML 2020): the paper's statements, one row each."""

from theory.claims import Claim, Outcome

_SGD = "SGD, first order in η"
_REDUCED = "reduced scale: 64-128-2, small vocabulary, short runs"
_TABLES = "6, 12, 24 layers, 1,200, 800, 400 steps of 512 tokens, test 2016 decoded greedily"
_GOAL = ("‖∂L/∂f‖ = Θ(1)", _SGD, "weights at initialisation, drawn independently")

ROWS = (
    Claim(
        "tfixup.eq1",
        "‖∂LN(x)/∂x‖ = O(√d/‖x‖)",
        "Eq. 1",
        ("d ≥ 3", "layer norm without gain, bias, or ε"),
        Outcome.HOLDS_WITH,
    ),
    Claim(
        "tfixup.goal",
        "‖Δf‖ = Θ(η), independent of the depth (here N = 6 to 200)",
        "§3.2, GOAL",
        _GOAL,
        Outcome.HOLDS,
    ),
    Claim(
        "tfixup.eq3",
        "Δf = −η (J_D J_Dᵀ − ∂f_d/∂θ_E J_E J_Eᵀ ∂f_d/∂θ_E) ∂L/∂f + O(η²)",
        "Eq. 3",
        (_SGD,),
        Outcome.FAILS,
    ),
    Claim(
        "tfixup.eq4",
        "∂f_d/∂θ_D ∂f_d/∂θ_Dᵀ = embeddings + Σ_l ∂G_l ∂G_lᵀ + O(Σ_l ∂G_l⁴)",
        "Eq. 4",
        ("residual decoder",),
        Outcome.HOLDS_WITH,
    ),
    Claim(
        "tfixup.skip",
        "∂f_d/∂y_l ∂f_d/∂y_lᵀ = Θ(1) due to the residual architecture",
        "§3.2",
        ("scalar chain", "|v_l w_l| = (3L)^(-1/2)"),
        Outcome.HOLDS_WITH,
    ),
    Claim(
        "tfixup.thm31-upper",
        "‖ΔG‖ = O(η/L) if v²w² + w²m_i² + v²m_i² = Θ(1/L) for all i",
        "Theorem 3.1",
        ("d = d' = 1", "one query", _SGD),
        Outcome.HOLDS_WITH,
    ),
    Claim(
        "tfixup.thm31-lower",
        "‖ΔG‖ = Ω(η/L) if v²w² + w²m_i² + v²m_i² = Θ(1/L) for all i",
        "Theorem 3.1",
        ("d = d' = 1", "one query", _SGD),
        Outcome.FAILS,
    ),
    Claim(
        "tfixup.thm31-sufficient",
        "the lower half holds if all m_i have one sign, or if v²w² ≥ c/L",
        "ours",
        ("d = d' = 1", "one query", _SGD, "n fixed"),
        Outcome.HOLDS,
    ),
    Claim(
        "tfixup.thm31-repaired",
        "K = Θ(1/L) ⇔ v²w² + (v² + w²) m̄² = Θ(1/L), m̄ the attended mean",
        "ours",
        ("d = d' = 1", "one query", _SGD, "n fixed", "|q|, |k|, |y|, |m_j| ≤ B"),
        Outcome.HOLDS,
    ),
    Claim(
        "tfixup.eq6",
        "L_e (v_e² x² + w_e² x² + v_e² w_e²) = Θ(1) bounds the encoder's share",
        "Eq. 6",
        _GOAL,
        Outcome.HOLDS,
    ),
    Claim(
        "tfixup.eq7",
        "L_d (v_d²w_d² + v_d²y² + w_d²y² + v_d²w_d² + v_d²m² + w_d²m²) = Θ(1) bounds the decoder's",
        "Eq. 7",
        _GOAL,
        Outcome.HOLDS,
    ),
    Claim("tfixup.eq8", "L_d v_d² w_d² = Θ(1) bounds ∂f_d/∂m", "Eq. 8", _GOAL, Outcome.HOLDS),
    Claim(
        "tfixup.decoder-scale",
        "v_d = w_d = x = y = (9N)^(-1/4) satisfies Eqs. 7 and 8",
        "§3.2",
        ("m = y",),
        Outcome.HOLDS,
    ),
    Claim(
        "tfixup.encoder-scale",
        "v_e = w_e ≈ 0.67 N^(-1/4) solves Eq. 6",
        "§3.2, App. C",
        (
            "x = (9N)^(-1/4)",
            "left side set to 1",
            "App. C reconstructed: its text was not at hand",
        ),
        Outcome.HOLDS,
    ),
    Claim(
        "tfixup.memory",
        "‖m‖ = Θ(‖x‖)",
        "implicit in Eq. 7",
        ("x, v_e and w_e of T-Fixup's norms",),
        None,
    ),
    Claim(
        "tfixup.code-init",
        "the official code draws what the paper prescribes",
        "code",
        ("N_e = N_d",),
        Outcome.FAILS,
    ),
    Claim(
        "tfixup.code-goal",
        "the official code as published, its sinusoids unscaled, meets the GOAL ‖Δf‖ = Θ(η)",
        "code",
        (*_GOAL, "sinusoids of RMS 1/√2 added to the embedded tokens"),
        Outcome.FAILS,
    ),
    Claim(
        "tfixup.biases",
        "trained biases, drawn 0 as in the code, keep ‖Δf‖ = Θ(η)",
        "code",
        (_SGD, "one output bias a block"),
        Outcome.FAILS,
    ),
    Claim(
        "tfixup.positions",
        "unscaled sinusoidal positions keep Eq. 6",
        "code",
        ("sinusoids of RMS 1/√2",),
        Outcome.FAILS,
    ),
    Claim(
        "tfixup.adam",
        "our question: Θ(η), derived for SGD, carries over to Adam's first step (N = 6 to 200)",
        "§3.2: works well for Adam",
        ("Adam's first step, η sign(g)",),
        Outcome.FAILS,
    ),
    Claim(
        "tfixup.no-warmup",
        "T-Fixup trains without layer norm and warm-up where Post-LN without warm-up does not",
        "§4",
        ("Adam", "reduced scale: 64-128-2"),
        Outcome.HOLDS,
    ),
    Claim(
        "tfixup.no-layernorm",
        "removing layer norm without re-initialising makes training very unstable",
        "§3.1, Fig. 3c",
        ("Adam", "no warm-up", "reduced scale: 64-128-2"),
        Outcome.HOLDS,
    ),
    *(
        Claim(f"tfixup.{name}", statement, where, (f"{_REDUCED}; {scale}",), None)
        for name, statement, where, scale in (
            (
                "fig2",
                "without warm-up Post-LN embedding gradients vanish, Adam updates grow; T-Fixup "
                "keeps both stable",
                "Fig. 2",
                "12 + 12 layers, 200 steps of 512 tokens",
            ),
            (
                "fig3ab",
                "inputs of layer norm grow 2–3× without warm-up",
                "Fig. 3a, b",
                "6 + 6 layers, widths 64, 128 and 512, three rates a factor 2 apart, 50 steps of "
                "256 tokens; the upper half of the decoder",
            ),
            (
                "fig3c",
                "the six curves Adam/SGD × layer norm × warm-up",
                "Fig. 3c",
                "6 + 6 layers, 256 tokens per step, 5,000 to 12,000 steps without warm-up; three "
                "rates of Adam and four of SGD, a factor 2 apart",
            ),
            (
                "fig4a",
                "deeper T-Fixup models learn faster and end lower",
                "Fig. 4a",
                "3 to 24 layers, the deepest against 6, 300 steps of 512 tokens",
            ),
            (
                "fig4b",
                "64-128-2 trains at 6 to 200 layers without divergence",
                "Fig. 4b",
                "250 steps of 512 tokens",
            ),
            (
                "fig4c",
                "batches ×2 to ×8 train without warm-up",
                "Fig. 4c",
                "12 + 12 layers, 150 steps of 256 to 2,048 tokens",
            ),
            *(
                (name, statement, where, _TABLES)
                for name, statement, where in (
                    ("table1", "T-Fixup reaches at least every baseline's BLEU", "Table 1"),
                    ("table2", "at equal depth T-Fixup ≥ Pre-LN, DLCL in BLEU", "Table 2"),
                    ("table3", "at equal depth T-Fixup ≥ DS-Init, LRI in BLEU", "Table 3"),
                )
            ),
        )
    ),
)
