"""Arguments about the statements of Xiong et al. 2020."""

from functools import partial

from theory import hidden_norms, layernorm, relu_moments
from theory.arguments.argument import Argument, of
from theory.claims import Reading

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
)
