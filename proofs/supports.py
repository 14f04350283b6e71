"""Which Coq theorems speak about which claims of the ledger."""

from proofs.result import Support
from theory.claims import Reading

_RATE = ("gain_is_squared_gradient", "sgd_step_limit")

SUPPORTS: tuple[Support, ...] = (
    Support(
        "tfixup.encoder-scale",
        ("encoder_root_only", "encoder_digits", "encoder_solves_eq6", "printed_constant"),
        "√((√22 − 2)/6) is the one positive root, to twelve digits; Eq. 6 is 1 at every N > 0",
    ),
    Support(
        "tfixup.decoder-scale",
        ("decoder_values", "decoder_scale_unique"),
        "at (9N)^(-1/4) Eq. 7 is 2, over the blocks that exist 1, Eq. 8 is 1/3, for every N > 0",
    ),
    *(
        item
        for claim in ("tfixup.eq1", "xiong.lemma3")
        for item in (
            Support(
                claim,
                ("jacobian_attained", "printed_bound_is_false"),
                "‖J‖ = √d/‖x − x̄‖ for every d ≥ 3, so no constant serves in O(√d/‖x‖)",
                refutes=True,
            ),
            Support(
                claim,
                ("is_derive_layer_norm", "jacobian_at_most", "printed_bound_restricted"),
                "with ‖x − x̄‖ ≥ κ‖x‖ the bound holds with constant 1/κ, at every width",
                Reading.RESTRICTED,
            ),
        )
    ),
    Support(
        "tfixup.skip",
        ("coherent_unbounded",),
        "all signs alike: (1 + (3L)^(-1/2))^L exceeds every constant",
        refutes=True,
    ),
    Support(
        "tfixup.skip",
        ("mean_square_product", "incoherent_limit"),
        "in mean square over all signs (1 + 1/(3L))^L → e^(1/3)",
        Reading.RESTRICTED,
    ),
    Support(
        "tfixup.thm31-upper",
        ("printed_upper_half_is_false",),
        "false with q = L, everything else at most 2",
        refutes=True,
    ),
    Support(
        "tfixup.thm31-upper",
        ("upper_half_bounded", *_RATE),
        "for every n, with |q|, |k|, |y|, |m_i| ≤ B",
        Reading.RESTRICTED,
    ),
    Support(
        "tfixup.thm31-lower",
        ("printed_lower_half_is_false",),
        "false with everything bounded and no parameter zero",
        refutes=True,
    ),
    Support(
        "tfixup.thm31-lower",
        ("lower_bound", *_RATE),
        "Q̄/n ≤ K for every n, with no hypothesis",
        Reading.REPAIRED,
    ),
    Support(
        "tfixup.thm31-sufficient",
        ("lower_half_one_sign", "lower_half_products"),
        "either hypothesis gives K = Ω(1/L), for every n",
    ),
    Support(
        "tfixup.thm31-repaired",
        ("repaired_theorem", "lower_bound", "upper_bound", *_RATE),
        "one if and only if, for every n and B",
    ),
    Support(
        "tfixup.adam",
        ("sign_step_rate", "sign_lower_bound", "sign_scales"),
        "a block moves by at least |v m̄| + |w m̄| + |v w|: 3√N in all at (9N)^(-1/4)",
        refutes=True,
    ),
    Support(
        "tfixup.adam",
        ("sign_theorem", "sign_scales", "sign_encoder_scale"),
        "the squared scales make the sum exactly 1 at every N",
        Reading.REPAIRED,
    ),
    Support(
        "ours.adam-scale",
        ("sign_theorem", "sign_gain_is_absolute_gradient", "sign_scales", "sign_encoder_scale"),
        "scalar blocks: A = Θ(1/L) ⇔ |v m̄| + |w m̄| + |v w| = Θ(1/L), 1 at the squared scales",
    ),
    Support(
        "ours.finite-step",
        ("is_derive_line_first", "second_bound", "finite_step"),
        "for every n, M₂ = 2R + 10R⁵ + 8R⁹ at R = B + 1",
    ),
    Support(
        "ours.coherence",
        ("growth_is_mean_square", "coherence_threshold"),
        "scalar chain, over all signs: Θ(1) if and only if ρ = O(L^(-1/2))",
    ),
    Support(
        "xiong.lemma1",
        ("relu_halves", "relu_half_integral", "relu_second_moment"),
        "any continuous even density of variance σ²; that the Gaussian has it is assumed",
    ),
)
"""Which theorems speak about which claims."""
