"""Arguments about the statements of this project's own."""

from functools import partial

from theory.arguments.argument import Argument
from theory.arguments.modern import APART
from theory.attention import finite_step, matrix_spectrum, matrix_theorem
from theory.claims import Reading
from theory.mean_field import rules as mean_field_rules
from theory.parametrisations import (
    encoder_decoder_shares,
    modern_cotangents,
    modern_streams,
    modern_updates,
)
from theory.residual_stream import coherence
from theory.scales import depth_powers, learning_rates

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
        "ours.adam-shares",
        "value, output and MLP matrices N^(-1/4), both embeddings N^(-3/4), and no other scales",
        encoder_decoder_shares.solution,
    ),
    *(
        Argument(
            "ours.adam-shares-more",
            f"refuted by a sum of conditions: {demand}",
            partial(encoder_decoder_shares.refuted, demand),
            refutes=True,
        )
        for demand in encoder_decoder_shares.DEMANDS
    ),
    Argument(
        "ours.optimizers",
        "powers 0 (SGD, momentum), 1/2 (Adam at any step, Lion, Muon), 1/4 (LARS, LAMB)",
        learning_rates.derivation,
    ),
    Argument(
        "ours.coherence",
        "(1 + 2ρa + a²)^L with a = (3L)^(-1/2): exp(2r/√3 + 1/3) at ρ = r L^(-1/2)",
        coherence.derivation,
    ),
    Argument(
        "ours.matrix",
        "Q̄/n ≤ tr J Jᵀ ≤ (H/κ)(1 + 3B⁸/d') Q̄; ‖Amv‖, not ‖Am‖‖v‖, stands for |m̄||v|",
        matrix_theorem.derivation,
    ),
    Argument(
        "ours.matrix-spectrum",
        "v, w of rank 1, or two equal queries: λ_min = 0 while λ_max = Θ(1/L)",
        matrix_spectrum.printed_is_false,
        refutes=True,
    ),
    Argument(
        "ours.matrix-spectrum",
        "λ_max ≥ tr/(Td); J Jᵀ ⪰ XXᵀ ⊗ wᵀw + (Xv)(Xv)ᵀ ⊗ I + (1/n) 11ᵀ ⊗ WᵀW",
        matrix_spectrum.largest_eigenvalue,
        reading=Reading.REPAIRED,
        reading_text="the largest eigenvalue: Q̄/(nTd) ≤ λ_max ≤ (H/κ)(1 + 3B⁸/d') Q̄; the smallest, "
        "for one query and head, is at least ‖Am‖² σ_min(w)² + ‖Amv‖² + σ_min(vw)²/n",
    ),
    Argument(
        "ours.finite-step",
        "the Hessian is at most M₂ = 2R + 10R⁵ + 8R⁹, R = B + 1, for every n: one step for every L",
        finite_step.derivation,
    ),
    Argument(
        "ours.prediction",
        "the rules by integration and summation: weights, ReLU, averages, logits, layer norm",
        mean_field_rules.derivation,
        reading=Reading.RESTRICTED,
        reading_text="wide layers, small logits: each rule exact or to first order in 1/d",
    ),
    Argument(
        "ours.completep-sgd",
        "the multiplier enters twice: N blocks of 1/N² each move f by Θ(1/N)",
        modern_updates.completep_sgd,
        refutes=True,
    ),
    Argument(
        "ours.peri-ln-exponent",
        "the same sums, Σ 1/l and Σ l^(-1/2)",
        modern_updates.peri_ln,
    ),
    Argument(
        "ours.olmo2-exponent",
        "SwiGLU is of degree two, its Jacobian twice its output: N^(1/2) under SGD",
        modern_cotangents.olmo2_gated,
        refutes=True,
    ),
    Argument(
        "ours.olmo2-exponent",
        "the same sums, Σ 1/l and Σ l^(-1/2)",
        modern_updates.olmo2,
        reading=Reading.RESTRICTED,
        reading_text=APART,
    ),
    Argument(
        "ours.wang-update",
        "narrower writers leave a steady stream, on which N writers move f by Θ(N)",
        modern_updates.wang,
        refutes=True,
    ),
    Argument(
        "ours.mitchell-update",
        "the stream grows as log N: N writers move f by N/log N or more",
        modern_updates.mitchell,
        refutes=True,
    ),
    Argument(
        "ours.layerscale-update",
        "λ's gradient does not contain λ: Θ(N) through λ alone",
        modern_updates.layerscale,
        refutes=True,
    ),
    Argument(
        "ours.zero-out-update",
        "N writers, each with a gradient of Θ(1): Θ(N)",
        modern_updates.zero_out,
        refutes=True,
    ),
    Argument(
        "ours.w3-shares",
        "attention alone keeps the total's order; the MLP's own falls by √N",
        modern_updates.up_projection,
    ),
    Argument(
        "ours.cloned-stream",
        "aligned blocks add N², independent ones N",
        modern_streams.cloned_stream,
        refutes=True,
    ),
)
