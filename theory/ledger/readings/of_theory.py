"""Readings of T-Fixup's statements that are derived, proved or measured, each quoted."""

from theory.ledger.readings.statement import StatementReading

_EXPONENT = "the power of N in ‖Δf‖/η, fitted over depths, with its 95 % interval"
_ORDER = "the power of the number of blocks in the named share of ‖Jᵀu‖², as norms vary"

READINGS = (
    StatementReading(
        "tfixup.eq1",
        "Xiong et al. (2020) found that the magnitude of error signal backpropagating through "
        "layer normalization is inversely proportional to magnitude of the input.",
        "the spectral norm of layer norm's Jacobian",
        "√d/‖x‖, the printed bound, and √d/‖x − x̄‖, the exact value",
        "true as printed if their ratio is bounded over all inputs; with the hypothesis, over "
        "inputs that are not nearly constant",
        "O(·) is about all x: one family of inputs on which the ratio grows refutes it",
        "which x",
    ),
    StatementReading(
        "tfixup.goal",
        "The goal requires each update to be bounded in magnitude independent of model depth.",
        _EXPONENT + ", in total and by part",
        "N^0",
        "true if every interval lies within the tolerance of 0, false if one lies outside",
        "Θ(η) is a bound from above and below: a shrinking part fails as a growing one does",
        "width, data, the loss's gradient, which is taken of norm 1",
    ),
    StatementReading(
        "tfixup.eq3",
        "Using Taylor expansion we get that the SGD update is proportional to the magnitude of "
        "the gradient:",
        "the printed right side and the corrected one, evaluated",
        "Δf of an actual step, as η → 0",
        "true if the two sides differ by O(η²), false if the first order differs",
        "an equation is checked as printed, signs and symbols included; the repair stands beside "
        "it",
    ),
    StatementReading(
        "tfixup.eq4",
        "The gradient of the decoder can be written as:",
        "what the two printed sums leave of the left side",
        "the printed remainder, O of the sum of fourth powers",
        "true if what is left is bounded by a multiple of it; else with the hypothesis under "
        "which it is",
        "the O term is the statement: without it Eq. 4 says nothing about the sum",
    ),
    StatementReading(
        "tfixup.skip",
        "Due to the residual architecture of each block with direct skip connections, we have that",
        "∂f_d/∂y_l times its transpose, along the skip path",
        "1, at any number of blocks",
        "true if bounded from above and below for all weights of the stated norms; with the "
        "hypothesis, in mean square over independent weights",
        "“due to the residual architecture” claims it for every such stack, not for most draws",
        "how the weights are drawn",
    ),
    StatementReading(
        "tfixup.thm31-upper",
        "under the condition of Theorem 3.1, ‖ΔG_l‖ is O(η/L_d)",
        "‖ΔG‖/η to first order in η, exactly",
        "1/L",
        "true if bounded by a multiple of 1/L under the condition alone; with the hypothesis, "
        "where q, k, y and m are bounded",
        "Θ is two statements, which differ in their fate; each has a row",
        quoted=False,
    ),
    StatementReading(
        "tfixup.thm31-lower",
        "under the condition of Theorem 3.1, ‖ΔG_l‖ is Ω(η/L_d)",
        "‖ΔG‖/η to first order in η, exactly",
        "1/L",
        "false if one family of weights meets the condition while L‖ΔG‖/η tends to 0",
        "the counterexample cancels m_i of both signs in the attended mean; T-Fixup's own scales "
        "do not",
        quoted=False,
    ),
    StatementReading(
        "tfixup.eq6",
        "Applying Theorem 3.1 to self-attention blocks in the encoder, we get that […] is bounded "
        "if the following condition is satisfied:",
        _ORDER,
        "the encoder's share at the left side Θ(1)",
        "true if the share is bounded where the left side is, and every monomial matters",
        "a condition with a term too few or too many predicts other powers",
    ),
    StatementReading(
        "tfixup.eq7",
        "Following similar derivation for the decoder, we get that […] is bounded if:",
        _ORDER,
        "the decoder's share at the left side Θ(1)",
        "as for Eq. 6",
        "as for Eq. 6",
    ),
    StatementReading(
        "tfixup.eq8",
        "Finally, using the fact that encoder and decoder are connected via memory in the "
        "encoder-attention blocks, we have that […] is bounded if:",
        _ORDER,
        "the memory's share at the left side Θ(1)",
        "as for Eq. 6",
        "as for Eq. 6",
    ),
    StatementReading(
        "tfixup.decoder-scale",
        "This satisfies Equations 7 and 8, and we then solve for Equation 6.",
        "the left sides of Eqs. 7 and 8 at the printed norms",
        "a constant, the same at every N",
        "true if neither depends on N",
        "Θ(1) leaves the constant open: Eq. 7 gives 2 and Eq. 8 a third",
        "which constant; ‖m‖",
    ),
    StatementReading(
        "tfixup.encoder-scale",
        "Assuming ‖v_e‖ = ‖w_e‖ due to symmetry, we obtain ‖v_e‖ = ‖w_e‖ ≈ 0.67N^(-1/4) (see "
        "Appendix C).",
        "the positive root of Eq. 6 with its left side set to 1",
        "0.67",
        "true if the only positive root rounds to it",
        "two printed digits are a statement about the third",
        "Appendix C's text was not at hand",
        quoted=False,
    ),
    StatementReading(
        "tfixup.memory",
        "Eq. 7 uses ‖m‖ as if it were of the order of ‖x‖, which is said nowhere.",
        "‖m‖ of drawn encoders, by depth",
        "‖x‖",
        "true if the ratio's power of N lies within its tolerance of 0",
        "Eq. 7 is solved for with m = y",
        quoted=False,
    ),
    StatementReading(
        "tfixup.code-init",
        "Apply Xavier initialization for all parameters excluding input embeddings.",
        "the prescription of the official code, tensor by tensor",
        "the paper's three steps",
        "true if both draw the same distributions, false with the list of those that differ",
        "users run the code",
        "heads, biases, positions, shared embeddings",
    ),
    StatementReading(
        "tfixup.biases",
        "The code trains biases that the theory does not have, and draws them as 0.",
        _EXPONENT + ", with output biases",
        "the same without",
        "true if every interval lies within the tolerance of 0, false if one lies outside",
        "a bias drawn as 0 still has a gradient",
        quoted=False,
    ),
    StatementReading(
        "tfixup.positions",
        "Scale v_d and w_d matrices in each decoder attention block, weight matrices in each "
        "decoder MLP block and input embeddings x and y in encoder and decoder by (9N)^(-1/4).",
        "Eq. 6's left side, and " + _EXPONENT + ", with sinusoids added to the embeddings",
        "the same without positions, and with scaled ones",
        "true if the left side and ‖Δf‖/η do not grow with N, false if they do",
        "the input is the embedding and its position; the paper scales the one and the code not "
        "the other",
        "whether positions are input embeddings",
        quoted=False,
    ),
    StatementReading(
        "tfixup.code-goal",
        "The goal requires each update to be bounded in magnitude independent of model depth.",
        _EXPONENT + ", of the model that the official code builds, its positions included",
        "N^0, and the same model with scaled positions",
        "true if the interval lies within the tolerance of 0, false if it lies outside",
        "the goal is the paper's and the model is the code's: the row asks whether they agree",
        "width, data, the loss's gradient, which is taken of norm 1, and how many models are "
        "drawn: the exponents of single draws scatter by about 0.06, so that a measurement of two "
        "or three may show any power from 0.4 to 0.57 where the limit is 1/2",
    ),
)
