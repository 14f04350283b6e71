"""Xiong et al. (ICML 2020, Pre-LN and Post-LN): the statements, one row each."""

from theory.claims import Claim, Outcome

_SETTING = (
    "one head, d×d matrices with independent N(0, 1/d) entries, biases 0, ReLU",
    "W_Q = W_K = 0: attention averages the tokens",
    "layer norm without gain, bias, or ε",
)
_BOUNDED = (
    *_SETTING,
    "‖x‖² of the last layer norm's input is (ε, δ)-bounded, its mean not carried by the exception",
    "‖∂L/∂x‖ = O(√d) at the stack's output",
    "loss at one token, or ln(td) for ln d",
)
_REDUCED = (
    "reduced scale: 64-128-2, 2 and 6 layers, 500 steps of 256 tokens; rate 1.5e-3, at which "
    "warm-up decides: at 1e-3 it does not"
)

ROWS = (
    Claim(
        "xiong.lemma1",
        "E‖ReLU(X)‖² = σ²d/2 for X ~ N(0, σ²I_d)",
        "Lemma 1",
        ("mean 0",),
        Outcome.HOLDS,
    ),
    Claim(
        "xiong.lemma2-post",
        "Post-LN: E‖x^{post,5}‖² = 3d/2 in every layer",
        "Lemma 2",
        _SETTING,
        Outcome.HOLDS,
    ),
    Claim(
        "xiong.lemma2-pre",
        "Pre-LN: (1 + l/2) d ≤ E‖x_l‖² ≤ (1 + 3l/2) d",
        "Lemma 2",
        (*_SETTING, "x_l is the stream after l layers", "‖x_0‖² = d at the input"),
        Outcome.HOLDS,
    ),
    Claim(
        "xiong.lemma3",
        "‖∂LN(x)/∂x‖ = O(√d/‖x‖)",
        "Lemma 3",
        ("d ≥ 3", "layer norm without gain, bias, or ε"),
        Outcome.HOLDS_WITH,
    ),
    Claim(
        "xiong.thm1-post",
        "Post-LN: ‖∂L/∂W^{2,L}‖_F = O(d √ln d), with probability 0.99 − δ − ε/(0.9 + ε)",
        "Theorem 1",
        _BOUNDED,
        Outcome.HOLDS,
    ),
    Claim(
        "xiong.thm1-pre",
        "Pre-LN: ‖∂L/∂W^{2,L}‖_F = O(d √(ln d / L)), with probability 0.99 − δ − ε/(0.9 + ε)",
        "Theorem 1",
        _BOUNDED,
        Outcome.HOLDS,
    ),
    Claim(
        "xiong.decay",
        "Post-LN: gradients at layer l are smaller by (2/3)^((L−l)/2) than at layer L",
        "Theorem 1, extended",
        (*_SETTING, "in mean square, d → ∞", "cotangents independent of the weights they meet"),
        Outcome.FAILS,
    ),
    Claim(
        "xiong.no-warmup",
        "Pre-LN without warm-up reaches results comparable to the warmed-up baseline's",
        "§4",
        ("Adam", _REDUCED),
        None,
    ),
    Claim(
        "xiong.needs-warmup",
        "Post-LN needs warm-up",
        "§3.1, §4",
        ("Adam", _REDUCED),
        Outcome.HOLDS,
    ),
)
