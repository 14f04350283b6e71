"""The Coq theorems of ``proofs/coq``: in words, by file, with altered versions.

An alteration is a substitution in the real file: in the theorem's statement, or before it in a
definition or a hypothesis. ``proofs.coqc`` compiles the altered file up to the end of the theorem.
Coq must reject it there. A hypothesis is dropped by replacing it with ``True``, so that the script
of the proof remains valid.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Alteration:
    """Replaces ``old`` by ``new``, in the statement if it contains ``old``, else before it."""

    what: str
    old: str
    new: str


@dataclass(frozen=True)
class Theorem:
    """A theorem of a ``.v`` file."""

    name: str
    file: str
    statement: str
    alterations: tuple[Alteration, ...]


def _theorem(file: str, name: str, statement: str, *alterations: tuple[str, str, str]) -> Theorem:
    return Theorem(name, file, statement, tuple(Alteration(*item) for item in alterations))


_BOUNDED = ("without the bounds", "bounded n B f ->", "True ->")

THEOREMS: tuple[Theorem, ...] = (
    _theorem(
        "Constants",
        "decoder_values",
        "at u = (9N)^(-1/4), any N > 0: Eq. 7 is 2, over the blocks that exist 1, Eq. 8 is 1/3",
        ("Eq. 7 is 1", "eq7 (3 * N) u u u u = 2", "eq7 (3 * N) u u u u = 1"),
    ),
    _theorem(
        "Constants",
        "decoder_scale_unique",
        "(9N)^(-1/4) is the one positive u with 9N u⁴ = 1",
        ("u of either sign", "0 < u ->", "True ->"),
    ),
    _theorem(
        "Constants",
        "encoder_root_only",
        "for t > 0: 2 (2t/3 + t²) = 1 if and only if t = (√22 − 2)/6",
        ("t of either sign", "0 < t ->", "True ->"),
        ("another coefficient", "2 * t / 3", "4 * t / 3"),
    ),
    _theorem(
        "Constants",
        "encoder_digits",
        "0.669628722978 < √((√22 − 2)/6) < 0.669628722979",
        ("a last digit", "0.669628722978 <", "0.6696287229789 <"),
    ),
    _theorem(
        "Constants",
        "encoder_solves_eq6",
        "Eq. 6 is exactly 1 at v = w = √((√22 − 2)/6) N^(-1/4), x = (9N)^(-1/4), any N > 0",
        ("blocks counted as in the decoder", "eq6 (2 * N)", "eq6 (3 * N)"),
    ),
    _theorem(
        "Constants",
        "printed_constant",
        "with the printed 0.67 the left side of Eq. 6 lies between 1 and 1.0016",
        ("0.66", "0.67 ^ 4", "0.66 ^ 4"),
    ),
    _theorem(
        "Constants",
        "sign_scales",
        "norms for squared norms: (9N)^(-1/2) gives exactly 1, T-Fixup's (9N)^(-1/4) gives 3√N",
        ("T-Fixup's scale gives a constant", "3 * sqrt N", "3"),
    ),
    _theorem(
        "Constants",
        "sign_encoder_scale",
        "the encoder's squared scale ((√22 − 2)/6) N^(-1/2) gives exactly 1 as well",
        ("blocks counted as in the decoder", "sign_condition (2 * N)", "sign_condition (3 * N)"),
    ),
    _theorem(
        "FiniteSums",
        "cauchy_schwarz",
        "(Σ f g)² ≤ Σ f² Σ g² for sums of n terms",
        ("half of it", "<= total n (fun j => f j ^ 2) *", "<= / 2 * total n (fun j => f j ^ 2) *"),
    ),
    _theorem(
        "Attention",
        "softmax_sums_to_one",
        "attention weights sum to 1, n ≥ 1",
        ("no token", "(1 <= n)%nat ->", "True ->"),
    ),
    _theorem(
        "Attention",
        "is_derive_mean",
        "(Σ s h)' = Σ s h' + Σ s h l' − Σ s h Σ s l' for s = softmax l",
        ("a sign", "- mean n (l t) (h t) *", "+ mean n (l t) (h t) *"),
    ),
    *(
        _theorem("Gradient", f"partial_{letter}", f"∂G/∂{subject} = {formula}", altered)
        for letter, subject, formula, altered in (
            ("v", "v", "w m̄", ("v for w", "grad_v w mbar", "grad_v v mbar")),
            ("w", "w", "v m̄", ("w for v", "grad_w v mbar", "grad_w w mbar")),
            ("q", "q", "v w k y V", ("q for k", "grad_q v w k y V", "grad_q v w q y V")),
            ("k", "k", "v w q y V", ("k for q", "grad_k v w q y V", "grad_k v w k y V")),
            (
                "m",
                "m_i",
                "v w s_i (1 + q k y (m_i − m̄))",
                ("without the query", "grad_m v w q k y", "grad_m v w q k 0"),
            ),
        )
    ),
    _theorem(
        "Gradient",
        "gain_is_squared_gradient",
        "K is the squared norm of the gradient of G in (v, w, q, k, m), each a derivative of G",
        ("without ∂G/∂q", "+ Derive (fun x => output n v w x k y m) q ^ 2", ""),
    ),
    _theorem(
        "Gradient",
        "sgd_step_rate",
        "d/dη of G(θ − η g ∇G) at η = 0 is −g K",
        ("the sign", "(- (g * gain n v w q k y m))", "(g * gain n v w q k y m)"),
    ),
    _theorem(
        "Gradient",
        "sgd_step_limit",
        "lim ΔG/η = −g K as η → 0",
        ("the sign", "(- (g * gain n v w q k y m))", "(g * gain n v w q k y m)"),
    ),
    _theorem(
        "Bounds",
        "lower_bound",
        "Q̄/n ≤ K for every n ≥ 1, with no hypothesis",
        ("twice that", "q_bar n v w q k y m / INR n", "2 * q_bar n v w q k y m / INR n"),
    ),
    _theorem(
        "Bounds",
        "upper_bound",
        "K ≤ (1 + 3B⁸) Q̄ where |q|, |k|, |y|, |m_j| ≤ B",
        ("B⁶ for B⁸", "1 + 3 * B ^ 8", "1 + 3 * B ^ 6"),
        ("y unbounded", "Hypothesis Hy : Rabs y <= B.", "Hypothesis Hy : True."),
    ),
    _theorem(
        "Repaired",
        "repaired_theorem",
        "for fixed n ≥ 1 and B: K = Θ(1/L) if and only if v²w² + (v² + w²) m̄² = Θ(1/L)",
        _BOUNDED,
        ("one direction only up to O", "theta (family_q_bar n f)", "big_o (family_q_bar n f)"),
    ),
    _theorem(
        "Repaired",
        "upper_half_bounded",
        "the printed condition gives K = O(1/L) where |q|, |k|, |y|, |m_i| ≤ B",
        _BOUNDED,
    ),
    _theorem(
        "Repaired",
        "lower_half_one_sign",
        "the printed condition gives K = Ω(1/L) where all m_i have one sign",
        ("signs free", "0 <= memory f L j)", "True)"),
    ),
    _theorem(
        "Repaired",
        "lower_half_products",
        "v²w² = Ω(1/L) gives K = Ω(1/L), whatever the signs",
        ("v² for v²w²", "value f L ^ 2 * out f L ^ 2", "value f L ^ 2"),
    ),
    _theorem(
        "Counterexamples",
        "printed_lower_half_is_false",
        "the printed lower half is false, everything bounded and nothing zero: m = (1, −2), m̄ = 0",
        (
            "memories of one sign",
            "bounded n B f -> nowhere_zero",
            "bounded n B f -> (forall L j, 0 <= memory f L j) -> nowhere_zero",
        ),
    ),
    _theorem(
        "Counterexamples",
        "printed_upper_half_is_false",
        "the printed upper half is false with q = L, everything else at most 2: K ≥ 1/16",
        (
            "q bounded too",
            "Rabs (key f L) <= 2 /\\",
            "Rabs (query f L) <= 2 /\\ Rabs (key f L) <= 2 /\\",
        ),
    ),
    _theorem(
        "SkipPath",
        "coherent_unbounded",
        "(1 + (3L)^(-1/2))^L exceeds every constant",
        ("independent signs", "C < coherent L", "C < incoherent L"),
    ),
    _theorem(
        "SkipPath",
        "mean_square_product",
        "over independent signs the mean square of Π (1 + ε_l a) is (1 + a²)^L",
        ("aligned signs", "(1 + a ^ 2) ^ p", "((1 + a) ^ 2) ^ p"),
    ),
    _theorem(
        "SkipPath",
        "incoherent_limit",
        "(1 + 1/(3L))^L → e^(1/3)",
        ("another limit", "(exp (1 / 3))", "(exp (1 / 2))"),
    ),
    _theorem(
        "Coherence",
        "growth_is_mean_square",
        "the mean square of Π (1 + a (ρ ± √(1 − ρ²))) over all signs is (1 + 2ρa + a²)^L",
        ("ρ for 2ρ", "(1 + 2 * rho * a + a ^ 2) ^ p", "(1 + rho * a + a ^ 2) ^ p"),
    ),
    _theorem(
        "Coherence",
        "coherence_threshold",
        "(1 + 2ρa + a²)^L with a = (3L)^(-1/2) is Θ(1) if and only if ρ = O(L^(-1/2))",
        ("ρ = O(1/L)", "Rabs (rho L * sqrt (INR L))", "Rabs (rho L * INR L)"),
    ),
    _theorem(
        "Adam",
        "sign_step_rate",
        "d/dη of G(θ − η sign(g ∇G)) at η = 0 is −sign(g) A, A the sum of absolute partials",
        ("the sign", "(- sign g *", "(sign g *"),
    ),
    _theorem(
        "Adam",
        "sign_gain_is_absolute_gradient",
        "A is the sum of the absolute derivatives of G itself",
        ("without ∂G/∂q", "+ Rabs (Derive (fun x => output n v w x k y m) q)", ""),
    ),
    _theorem(
        "Adam",
        "sign_lower_bound",
        "|v m̄| + |w m̄| + |v w| ≤ A for every n ≥ 1",
        ("twice that", "sign_bar n v w q k y m <=", "2 * sign_bar n v w q k y m <="),
    ),
    _theorem(
        "Adam",
        "sign_upper_bound",
        "A ≤ (1 + 3B⁴) (|v m̄| + |w m̄| + |v w|) where |q|, |k|, |y|, |m_j| ≤ B, for every n",
        ("B² for B⁴", "1 + 3 * B ^ 4", "1 + 3 * B ^ 2"),
    ),
    _theorem(
        "Adam",
        "sign_theorem",
        "for fixed B, any n: A = Θ(1/L) if and only if |v m̄| + |w m̄| + |v w| = Θ(1/L)",
        _BOUNDED,
    ),
    _theorem(
        "SecondDerivative",
        "is_derive_line_first",
        "the second derivative of G along a straight line, in attended moments up to order 3",
        ("a coefficient", "4 * da u * C u 1 1", "3 * da u * C u 1 1"),
    ),
    _theorem(
        "FiniteStep",
        "second_bound",
        "|d²G| ≤ (2R + 10R⁵ + 8R⁹) ‖θ'‖² where everything is at most R, for every n",
        ("the query unbounded", "Hypothesis Hq : Rabs (q + u * dq) <= r.", "Hypothesis Hq : True."),
    ),
    _theorem(
        "UniformStep",
        "finite_step",
        "η|g|K/2 ≤ |ΔG| ≤ 3η|g|K/2 for every η ≤ 1/(M₂|g|), M₂ free of L and n",
        (
            "any step",
            "Hypothesis Hsmall : eta <= / (curvature (B + 1) * Rabs g).",
            "Hypothesis Hsmall : True.",
        ),
        ("twice as much", "eta * Rabs g * K / 2 <=", "3 * (eta * Rabs g * K) / 2 <="),
    ),
    _theorem(
        "Relu",
        "relu_halves",
        "ReLU(x)² + ReLU(−x)² = x²",
        ("the other sign", "relu x ^ 2 + relu (- x) ^ 2", "relu x ^ 2 - relu (- x) ^ 2"),
    ),
    _theorem(
        "Relu",
        "relu_half_integral",
        "∫ ReLU(x)² p over (−a, a) is half of ∫ x² p, for continuous even p and every a",
        ("all of it", "(RInt square (- a) a / 2)", "(RInt square (- a) a)"),
        ("p not even", "Hypothesis even : forall x, p (- x) = p x.", "Hypothesis even : True."),
    ),
    _theorem(
        "Relu",
        "relu_second_moment",
        "if x² p integrates to σ², d coordinates keep σ² d/2",
        ("σ² d", "(sigma ^ 2 * INR d / 2)", "(sigma ^ 2 * INR d)"),
    ),
    _theorem(
        "LayerNorm",
        "is_derive_layer_norm",
        "d/dt LN(x + t u) = (√d/‖y‖) (u − ū 1 − (⟨y, u⟩/‖y‖²) y), y = x − x̄ 1, at every width",
        ("a sign", "- dot d y u / square d y * y i", "+ dot d y u / square d y * y i"),
    ),
    _theorem(
        "LayerNorm",
        "jacobian_at_most",
        "‖J u‖² ≤ (d/‖x − x̄‖²) ‖u‖² at every width",
        ("‖x‖ for ‖x − x̄‖", "<= INR d / square d (deviation d x) *", "<= INR d / square d x *"),
    ),
    _theorem(
        "LayerNorm",
        "jacobian_attained",
        "with equality for some u ≠ 0 from d = 3 on: the norm is √d/‖x − x̄‖ exactly",
        ("d = 2", "(3 <= d)%nat ->", "(2 <= d)%nat ->"),
    ),
    _theorem(
        "LayerNorm",
        "printed_bound_is_false",
        "no constant makes ‖J‖ ≤ C √d/‖x‖ true of all x, at d = 3",
        ("‖x − x̄‖ for ‖x‖", "(INR d / square d x)", "(INR d / square d (deviation d x))"),
    ),
    _theorem(
        "LayerNorm",
        "printed_bound_restricted",
        "where ‖x − x̄‖ ≥ κ‖x‖ > 0: ‖J‖ ≤ (1/κ) √d/‖x‖",
        ("without κ", "kappa ^ 2 * square d x <= square d (deviation d x) ->", "True ->"),
    ),
)
"""All reported theorems, in the order of the files."""
