"""Arguments about initialisations of today's decoder-only models."""

from theory.arguments.argument import Argument
from theory.claims import Reading
from theory.parametrisations import gpt2_update, modern_cotangents, modern_streams, modern_updates

RMS_ONE = "the stream starts at root mean square 1"
"""The hypothesis that the switch of the embedding's scale tests."""
APART = "blocks pass on as much of a cotangent as they add to the stream"

ARGUMENTS = (
    Argument(
        "modern.gpt2-stream",
        "N blocks add c/N each: y_N² = e² + c",
        gpt2_update.stream,
    ),
    Argument(
        "modern.gpt2-update",
        "output matrices move f by Θ(N): their gradient does not contain their own size",
        gpt2_update.update,
        refutes=True,
    ),
    Argument(
        "modern.depth-mup-update",
        "N blocks move f by N^(-1/2) N^(-1/2) each: Θ(1)",
        modern_updates.depth_mup,
    ),
    Argument(
        "modern.depth-mup-sgd",
        "under SGD the multiplier enters twice, which does for the rate: Θ(1)",
        modern_updates.depth_mup_sgd,
    ),
    Argument(
        "modern.completep-update",
        "with an embedding as small as the branches the same sum is Θ(N^(1/2))",
        modern_updates.completep_small_start,
        refutes=True,
    ),
    Argument(
        "modern.completep-update",
        "N blocks move f by 1/N each: Θ(1)",
        modern_updates.completep,
        reading=Reading.RESTRICTED,
        reading_text=RMS_ONE,
    ),
    Argument(
        "modern.u-mup-update",
        "branches weigh (L/2 + i)^(-1/2), with the rate L^(-1/2) between 2/(3L) and 2/L: Θ(1)",
        modern_updates.u_mup,
    ),
    Argument(
        "modern.sub-ln-update",
        "behind a layer norm ReLU's Jacobian is π/(π − 1) of its output: N^0.23/log N",
        modern_cotangents.sub_ln_centred,
        refutes=True,
    ),
    Argument(
        "modern.sub-ln-update",
        "Σ 1/(γ² l) = log N/ln(2N): Θ(1), where cotangents grow as the stream does, which neither "
        "layer norms nor RMS norms reach here",
        modern_updates.sub_ln,
        reading=Reading.RESTRICTED,
        reading_text=APART,
    ),
    Argument(
        "modern.pre-ln-stream",
        "N branches of one size: y_N² = e² + c N",
        modern_streams.pre_ln_stream,
    ),
    Argument(
        "modern.peri-ln-stream",
        "the output norm lets every branch add 1: y_N² = e² + N",
        modern_streams.peri_ln_stream,
    ),
    Argument(
        "modern.olmo2-growth",
        "a linear stream has log(y_N/y_0)/N → 0",
        modern_streams.olmo2_growth,
    ),
    Argument(
        "modern.lns-stream",
        "branches of variance 1/l add log N",
        modern_streams.layernorm_scaling_stream,
    ),
    Argument(
        "modern.lns-gradient",
        "its last writers read N^(-1/2) where Pre-LN's read 1: the ratio gains no power of N",
        modern_streams.layernorm_scaling_gradient,
        refutes=True,
    ),
    Argument(
        "modern.lns-identity",
        "the last branch is N^(-1/2)/√log N of the stream, Pre-LN's N^(-1/2)",
        modern_streams.layernorm_scaling_identity,
        refutes=True,
    ),
    Argument(
        "modern.u-mup-stream",
        "1/(1 + τ²) + τ²/(1 + τ²) = 1 in every block",
        modern_streams.u_mup_stream,
    ),
    Argument(
        "modern.deepscalelm-stream",
        "λ² + β² = 1 in every block",
        modern_streams.deepscalelm_stream,
    ),
    Argument(
        "modern.deepscalelm-gradient",
        "the same sum for cotangents, whose branches also pass 1",
        modern_streams.deepscalelm_gradient,
    ),
    Argument(
        "modern.spike-gradient",
        "y_N²/y_l² ≤ 1 + c/e² for every l and N",
        modern_streams.spike_no_more,
    ),
    Argument(
        "modern.dyt-jacobian",
        "E tanh'² falls as 1/y: log ‖J‖² = Θ(Σ l^(-1/2)) = Θ(√N)",
        modern_streams.dyt_jacobian,
    ),
    Argument(
        "modern.t5-logits",
        "1/√d' in q's variance or on the logits: one product",
        modern_streams.t5_logits,
    ),
    Argument(
        "modern.qk-norm-logits",
        "Cauchy and Schwarz, with both norms √d'",
        modern_streams.qk_norm,
    ),
)
