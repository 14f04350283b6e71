"""Arguments about the statements of T-Fixup."""

from functools import partial

from theory.arguments.argument import Argument, of
from theory.attention import counterexamples, theorem31
from theory.claims import Reading
from theory.derivations.derivation import Step
from theory.layer_norm import jacobian as layernorm
from theory.residual_stream import decoder_gradient, memory_norm, skip_path
from theory.residual_stream import first_order_change as taylor
from theory.scales import biases, conditions, depth_powers
from theory.scales import official_code as code_divergences
from theory.scales import tfixup_constants as encoder_scale


def _equation(number: int) -> tuple[Step, ...]:
    values = conditions.evaluation_steps()
    return (
        conditions.step(number),
        *(step for step in values if step.because.startswith(f"Eq. {number}")),
    )


def _decoder() -> tuple[Step, ...]:
    return (*encoder_scale.decoder_steps(), *conditions.evaluation_steps())


ARGUMENTS = (
    Argument(
        "tfixup.eq1",
        "‖J‖ = √d/‖x − x̄‖ exactly; along x = c·1 + δ it exceeds √d/‖x‖ by a factor ~ c",
        layernorm.counterexample,
        refutes=True,
    ),
    Argument(
        "tfixup.eq1",
        "with ‖x − x̄‖ ≥ κ‖x‖ the bound holds with constant 1/κ",
        layernorm.restricted,
        reading=Reading.RESTRICTED,
        reading_text="x not nearly constant: ‖x − x̄‖ ≥ κ‖x‖ (exact norm: √d/‖x − x̄‖)",
    ),
    Argument(
        "tfixup.eq3",
        "the printed minus sign contradicts the derivative, the printed symbol its shape",
        taylor.printed_is_false,
        refutes=True,
    ),
    Argument(
        "tfixup.eq3",
        "both terms have the same sign",
        taylor.corrected,
        reading=Reading.REPAIRED,
        reading_text="Δf = −η (J_D J_Dᵀ + ∂f_d/∂f_e J_E J_Eᵀ ∂f_d/∂f_eᵀ) ∂L/∂fᵀ + O(η²)",
    ),
    Argument(
        "tfixup.eq4",
        "in a scalar chain with E(∂G/∂y)² = 1/(3L), independent weights, the remainder tends to "
        "0.187 of the sum if all terms are equal, to 0.176 if they are ∝ y_l²; O(Σ ∂G⁴) to 0",
        decoder_gradient.printed_is_false,
        refutes=True,
    ),
    Argument(
        "tfixup.eq4",
        "exactly Σ_l F_l ∂G_l ∂G_lᵀ F_lᵀ with F_l = ∂f/∂y_(l+1), and 1 ≤ E F_l² ≤ e^(1/3)",
        decoder_gradient.bounded,
        reading=Reading.RESTRICTED,
        reading_text="up to a factor in [1, e^(1/3)]: independent weights, in mean square, "
        "E(∂G/∂y)² = 1/(3L)",
    ),
    Argument(
        "tfixup.skip",
        "all signs alike: (1 + (3L)^(-1/2))^L ~ exp(√(L/3) − 1/6), unbounded",
        skip_path.coherent_derivation,
        refutes=True,
    ),
    Argument(
        "tfixup.skip",
        "independent signs, in mean square: (1 + 1/(3L))^L → e^(1/3)",
        skip_path.incoherent_derivation,
        reading=Reading.RESTRICTED,
        reading_text="independent zero-mean weights, in mean square: limit e^(1/3) = 1.3956",
    ),
    Argument(
        "tfixup.thm31-upper",
        "with q = L the condition holds and K = Θ(1)",
        counterexamples.upper_derivation,
        refutes=True,
    ),
    Argument(
        "tfixup.thm31-upper",
        "K ≤ (1 + 3B⁸) C/L for every n",
        of("tfixup.thm31-upper", "Upper half of Theorem 3.1", theorem31.upper_half),
        reading=Reading.RESTRICTED,
        reading_text="|q|, |k|, |y|, |m_i| bounded",
    ),
    Argument(
        "tfixup.thm31-lower",
        "where the attended mean vanishes the condition holds and K = Θ(1/L²)",
        partial(counterexamples.lower_derivation, nowhere_zero=False),
        refutes=True,
    ),
    Argument(
        "tfixup.thm31-lower",
        "the same with no parameter zero",
        partial(counterexamples.lower_derivation, nowhere_zero=True),
        refutes=True,
    ),
    Argument(
        "tfixup.thm31-lower",
        "Q̄/n ≤ K for every n, with no hypothesis",
        of("tfixup.thm31-lower", "Lower bound with the attended mean", theorem31.lower_repaired),
        reading=Reading.REPAIRED,
        reading_text="the attended mean m̄ must stand for m_i: v²w² + (v² + w²) m̄² = Θ(1/L); "
        "T-Fixup's own scales lie inside this, as v²w² = 1/(3L) alone gives K ≥ 1/(3nL)",
    ),
    Argument(
        "tfixup.thm31-sufficient",
        "K ≥ c/(nL) under either hypothesis",
        of("tfixup.thm31-sufficient", "Sufficient hypotheses", theorem31.sufficient),
    ),
    Argument(
        "tfixup.thm31-repaired",
        "Q̄/n ≤ K ≤ (1 + 3B⁸) Q̄ for every n",
        of("tfixup.thm31-repaired", "Theorem 3.1 repaired", theorem31.repaired),
    ),
    Argument(
        "tfixup.eq6",
        "the sum of the encoder's block gains",
        of("tfixup.eq6", "Eq. 6 from the stack's description", partial(_equation, 6)),
    ),
    Argument(
        "tfixup.eq7",
        "the sum of block gains as printed: 2 at (9N)^(-1/4), 1 over the blocks that exist",
        of("tfixup.eq7", "Eq. 7 from the stack's description", partial(_equation, 7)),
    ),
    Argument(
        "tfixup.eq8",
        "the decoder's sensitivity to the memory: 1/3 at (9N)^(-1/4)",
        of("tfixup.eq8", "Eq. 8 from the stack's description", partial(_equation, 8)),
    ),
    Argument(
        "tfixup.decoder-scale",
        "(9N)^(-1/4): Eq. 7 is 2, Eq. 8 is 1/3, the blocks that exist sum to 1, at every N",
        of("tfixup.decoder-scale", "The decoder's scale", _decoder),
    ),
    Argument(
        "tfixup.encoder-scale",
        "√((√22 − 2)/6) = 0.669628722978, the only positive root of Eq. 6 = 1",
        encoder_scale.derivation,
    ),
    Argument(
        "tfixup.memory",
        "all signs alike, at the same norms: log(‖m‖/‖x‖) ~ 0.897√N, 2.65 · 10⁵ at N = 200",
        memory_norm.unbounded,
        refutes=True,
    ),
    Argument(
        "tfixup.memory",
        "E‖m‖²/‖x‖² → exp((1/t + 2 d d_ff/(d + d_ff)²) a²), a² = 0.2011: at most 1.352",
        memory_norm.bounded,
        reading=Reading.RESTRICTED,
        reading_text="independent zero-mean weights, in mean square: 1 ≤ E‖m‖²/‖x‖² ≤ 1.352",
    ),
    Argument(
        "tfixup.code-init",
        f"{len(code_divergences.DIVERGENCES)} places with their factors: q, k 1/4 on the logits' "
        "mean square, positions 3.20 to 13.70 on Eq. 6, output biases 19 to 601 on Eq. 7",
        code_divergences.derivation,
        refutes=True,
    ),
    Argument(
        "tfixup.biases",
        "each output bias has gain 1 whatever the scales: 1 + 3N in the decoder",
        biases.trained,
        refutes=True,
    ),
    Argument(
        "tfixup.biases",
        "with a factor (3N)^(-1/2) on them, or a rate of η/(3N), the sum is Θ(1)",
        biases.scaled,
        reading=Reading.REPAIRED,
        reading_text="no output biases, or each times (3N)^(-1/2), or their learning rate η/(3N)",
    ),
    Argument(
        "tfixup.positions",
        "Eq. 6's left side is 3.20, 5.92, 13.70 at N = 6, 30, 200: it grows as √N",
        depth_powers.positions,
        refutes=True,
    ),
    Argument(
        "tfixup.positions",
        "scaled like the tokens, positions keep Eq. 6 at Θ(1)",
        depth_powers.scaled_positions,
        reading=Reading.REPAIRED,
        reading_text="scale the positions by (9N)^(-1/4) with the token embeddings",
    ),
    Argument(
        "tfixup.adam",
        "norms replace squared norms: at T-Fixup's scales the change is Θ(√N · η)",
        depth_powers.adam_with_paper_scales,
        refutes=True,
    ),
    Argument(
        "tfixup.adam",
        "the solver under the sign rule returns (9N)^(-1/2) and 0.448403 N^(-1/2)",
        depth_powers.adam_with_squared_scales,
        reading=Reading.REPAIRED,
        reading_text="square every scale: (9N)^(-1/2), 0.4484 N^(-1/2); or take η ∝ N^(-1/2)",
    ),
)
