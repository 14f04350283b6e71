"""Readings of statements about learning rates that carry over in depth."""

from theory.ledger.readings.statement import StatementReading

_QUANTITY = (
    "p − r, where the best rate of held-out loss goes as N^p over 3, 12 and 48 layers and the "
    "scheme's own base rate as N^r"
)
_COMPARATOR = (
    "true if the 95 % interval over depths and seeds lies within ± 1/4, false if outside it; "
    "undecided where a best rate lies at the edge of its grid"
)
_WHY = "1/4 lies half way to the N^(-1/2) that updates growing as √N need"
_OPEN = "width, steps, data, warm-up; the papers train longer and with decay"

READINGS = (
    StatementReading(
        "modern.depth-mup-transfer",
        "In resnets where each block has only one layer, we identify a unique optimal "
        "parametrization, called Depth-μP that extends μP and show empirically it admits depthwise "
        "hyperparameter transfer.",
        _QUANTITY,
        "the same base rate at every depth",
        _COMPARATOR,
        _WHY,
        f"Transformer blocks, of which the paper says less; {_OPEN}",
    ),
    StatementReading(
        "modern.completep-transfer",
        "Finally, we identify and adopt the parameterization we call CompleteP that achieves both "
        "depth-wise HP transfer and non-lazy learning in all layers.",
        _QUANTITY,
        "the same base rate at every depth",
        _COMPARATOR,
        _WHY,
        f"non-lazy learning, which is not looked at here; {_OPEN}",
    ),
    StatementReading(
        "ours.tfixup-transfer",
        "T-Fixup bounds SGD's first update; Adam's grows as √N, so that its rate should fall as "
        "N^(-1/2).",
        _QUANTITY,
        "the rate N^(-1/2) at every depth",
        _COMPARATOR,
        _WHY,
        _OPEN,
        quoted=False,
    ),
    *(
        StatementReading(
            claim,
            "The initialisation counts the layers already, or need not, so that a rate tuned on a "
            "shallow model suits a deep one.",
            _QUANTITY,
            "the same rate at every depth",
            _COMPARATOR,
            _WHY,
            f"no paper says it; σ is 0.02 at width 768, scaled as 1/√width; {_OPEN}",
            quoted=False,
        )
        for claim in ("ours.gpt2-transfer", "ours.flat-transfer")
    ),
)
