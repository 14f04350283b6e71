"""Arguments about the statements of this project's own."""

from functools import partial

from theory import coherence, depth_powers
from theory.arguments.argument import Argument

ARGUMENTS = (
    Argument(
        "ours.adam-scale",
        "the solver under the sign rule returns the squared scales; both conditions are Θ(1)",
        partial(depth_powers.adam_with_squared_scales, "ours.adam-scale"),
    ),
    Argument(
        "ours.adam-parts",
        "through the memory it is a mean square under any rule: the encoder's share ~ N^(-1/2)",
        depth_powers.adam_encoder_share,
        refutes=True,
    ),
    Argument(
        "ours.coherence",
        "(1 + 2ρa + a²)^L with a = (3L)^(-1/2): exp(2r/√3 + 1/3) at ρ = r L^(-1/2)",
        coherence.derivation,
    ),
)
