"""Arguments about the statements of Xiong et al. 2020."""

from functools import partial

from theory.arguments.argument import Argument, of
from theory.claims import Reading
from theory.layer_norm import gradient_decay, hidden_norms, last_layer_gradient
from theory.layer_norm import jacobian as layernorm
from theory.moments import relu_moments

ARGUMENTS = (
    Argument(
        "xiong.lemma1",
        "half of the second moment lies above 0, whatever σ",
        of("xiong.lemma1", "Lemma 1 by integrating the Gaussian", relu_moments.lemma1),
    ),
    Argument(
        "xiong.lemma2-post",
        "d from the layer norm and d/2 from the MLP, in every layer",
        of("xiong.lemma2-post", "Hidden norms, Post-LN", hidden_norms.post_ln),
    ),
    Argument(
        "xiong.lemma2-pre",
        "a layer adds (1/2 + c) d with 0 ≤ c ≤ 1; l counts finished layers",
        of("xiong.lemma2-pre", "Hidden norms, Pre-LN", hidden_norms.pre_ln),
    ),
    Argument(
        "xiong.lemma3",
        "‖J‖ = √d/‖x − x̄‖ exactly; along x = c·1 + δ it exceeds √d/‖x‖ by a factor ~ c",
        partial(layernorm.counterexample, "xiong.lemma3"),
        refutes=True,
    ),
    Argument(
        "xiong.lemma3",
        "with ‖x − x̄‖ ≥ κ‖x‖ the bound holds with constant 1/κ",
        partial(layernorm.restricted, "xiong.lemma3"),
        reading=Reading.RESTRICTED,
        reading_text="x not nearly constant: ‖x − x̄‖ ≥ κ‖x‖ (exact norm: √d/‖x − x̄‖)",
    ),
    Argument(
        "xiong.thm1-post",
        "‖h‖ ‖J‖ ‖g‖ with E‖x‖² = 3d/2: d √ln d, L^0; the variance of ‖x‖² is computed",
        last_layer_gradient.post_ln,
    ),
    Argument(
        "xiong.thm1-pre",
        "‖h‖ ‖J‖ ‖g‖ with E‖x‖² between (1 + L/2) d and (1 + 3L/2) d: L^(-1/2)",
        last_layer_gradient.pre_ln,
    ),
    Argument(
        "xiong.decay",
        "the block's own Jacobian, omitted, restores the factor: 2/3 · 3/2 = 1; one token keeps E",
        gradient_decay.printed_is_false,
        refutes=True,
    ),
    Argument(
        "xiong.decay",
        "the rate is (1 + γ)/(1 + c), both tend to 1; attention conserves E c γ",
        gradient_decay.repaired,
        reading=Reading.REPAIRED,
        reading_text="‖∂L/∂x_l‖² changes by (1 + γ)/(1 + c) a layer, which tends to 1: in all by a "
        "factor in [γ_L, 1/c_0], 2 % less with ReLU; "
        "c, γ: how alike tokens and gradients are, 1/t if independent",
    ),
)
