"""Readings of what today's schemes say of themselves, paraphrased from their papers or code."""

from theory.ledger.readings.statement import StatementReading

_UPDATE = "the power of N in ‖Δf‖/η, fitted over N = 4 to 32, with its 95 % interval"
_STREAM = "the power of N in the stream's mean square behind the stack, with its 95 % interval"
_FLAT = "true if the interval lies within the tolerance of 0, false if outside"
_STEP = "a rate that is to carry over in depth needs a first step of one size"
_START = "the statement is decided where it is exact, at the start; training is another question"

_ROWS: tuple[tuple[str, str, str, str, str, str], ...] = (
    (
        "gpt2-stream",
        "Weights of residual layers are scaled by 1/√N at initialisation, for the accumulation on "
        "the residual path.",
        _STREAM,
        "N^0",
        _FLAT,
        "accumulation on the path is the growth of its variance",
    ),
    (
        "gpt2-update",
        "The same rule, read as one that keeps a step's size; the report does not say so.",
        _UPDATE,
        "N^0, with embeddings at the rule's own size and at RMS 1",
        _FLAT,
        "users take the rule for a rule of depth",
    ),
    (
        "depth-mup-update",
        "Branches and rate as 1/√depth let a network train at one rate, whatever its depth.",
        _UPDATE + ", under Adam's first step",
        "N^0",
        _FLAT,
        _STEP,
    ),
    (
        "depth-mup-sgd",
        "Under SGD the multiplier alone does that.",
        _UPDATE + ", under SGD",
        "N^0",
        _FLAT,
        _STEP,
    ),
    (
        "completep-update",
        "With branches as 1/depth Adam's rate carries over in depth.",
        _UPDATE + ", under Adam's first step",
        "N^0, with embeddings of RMS 1 and of 0.1",
        _FLAT,
        "the papers' models start at RMS 1 by a multiplier; others may not",
    ),
    (
        "u-mup-update",
        "Unit-scaled branches with a rate of 1/√depth let rates carry over in depth.",
        _UPDATE + ", under Adam's first step",
        "N^0",
        _FLAT,
        _STEP,
    ),
    (
        "sub-ln-update",
        "With γ = √ln(2N) the model's update is bounded whatever the depth.",
        _UPDATE + ", under SGD",
        "N^0",
        _FLAT,
        "the claim is about exactly this quantity",
    ),
    (
        "pre-ln-stream",
        "Pre-LN's variance lies between a linear and an exponential function of the depth.",
        _STREAM,
        "N^1",
        "true if the interval lies within the tolerance of 1",
        _START,
    ),
    (
        "peri-ln-stream",
        "With norms on both sides of the branch the variance grows linearly.",
        _STREAM,
        "N^1",
        "true if the interval lies within the tolerance of 1",
        _START,
    ),
    (
        "olmo2-growth",
        "With the norm behind the branch the growth exponent of activations is near 0.",
        "log(‖y_N‖/‖y_0‖)/N, and its power of N",
        "N^(-1/2)",
        "true if it falls faster than N^(-1/2), false if slower",
        "near 0 has no bound in the paper; falling to 0 with the depth has",
    ),
    (
        "lns-stream",
        "Scaling norms by 1/√l keeps the variance from growing as it does in Pre-LN.",
        _STREAM,
        "N^(1/2)",
        "true if the interval lies below 1/2, false if above",
        "a logarithm looks like a small power at these depths, Pre-LN's is 1",
    ),
    (
        "lns-gradient",
        "It lets deep layers contribute more to training.",
        "gradients of the last quarter of the layers over those of the first",
        "the same in Pre-LN, at equal seeds",
        "true if the quotient's interval lies above Pre-LN's, false if below",
        _START,
    ),
    (
        "lns-identity",
        "It keeps deep blocks from becoming identities.",
        "what the last quarter of the blocks add, over the stream",
        "the same in Pre-LN, at equal seeds",
        "true if the quotient's interval lies above Pre-LN's, false if below",
        _START,
    ),
    (
        "u-mup-stream",
        "Every tensor starts at unit scale, the stream among them.",
        _STREAM,
        "N^0",
        _FLAT,
        "attention's averages cost it a constant, which is not asked about",
    ),
    (
        "deepscalelm-stream",
        "Weights λ² + β² = 1 keep the variance of the forward pass.",
        _STREAM,
        "N^0",
        _FLAT,
        "the constant depends on the tokens' correlation, the power does not",
    ),
    (
        "deepscalelm-gradient",
        "They keep that of the backward pass.",
        "the power of N in a squared cotangent's growth through the stack",
        "N^0",
        _FLAT,
        "as for the stream",
    ),
    (
        "spike-gradient",
        "Small sub-layers and a large shortcut bound the gradient's norm.",
        "the power of N in a squared cotangent's growth through the stack",
        "N^0",
        _FLAT,
        "the bound is on spectral norms of the sub-layers' Jacobians, of which this is the product",
    ),
    (
        "dyt-jacobian",
        "With dynamic tanh the Jacobian's norm grows as a stretched exponential, with norms as a "
        "power.",
        "the power of N in the logarithm of a squared cotangent's growth",
        "N^(1/2)",
        "true if the interval lies within the tolerance of 1/2; a power law gives nearly 0",
        "only the logarithm's power tells the two apart",
    ),
    (
        "t5-logits",
        "The logits' factor is folded into the initialisation of the queries.",
        "the logits' mean square in the first layer",
        "1",
        "true if the interval lies within the tolerance, false if outside",
        "at the start the two are one product; the steps of q differ",
    ),
    (
        "qk-norm-logits",
        "Normalised queries and keys bound attention's logits.",
        "the largest logit, with query and key matrices 100 times as large",
        "√d'",
        "true if none is above",
        "weights may become anything in training",
    ),
)
READINGS = tuple(StatementReading(f"modern.{row[0]}", *row[1:], quoted=False) for row in _ROWS)
