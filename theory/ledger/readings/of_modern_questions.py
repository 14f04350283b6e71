"""Readings of our own questions about today's schemes: no paper's sentences."""

from theory.ledger.readings.statement import StatementReading

_UPDATE = "the power of N in ‖Δf‖/η, fitted over N = 4 to 32, with its 95 % interval"
_BOTH = _UPDATE + ", under SGD and under Adam's first step"
_FLAT = "true if every interval lies within the tolerance of 0, false if one lies outside"
_START = "later steps, and what training makes of it"

_ROWS: tuple[tuple[str, str, str, str, str, str, str], ...] = (
    (
        "completep-sgd",
        "Does CompleteP's branch multiplier 1/N, made for Adam, keep the blocks' part of an SGD "
        "step?",
        _UPDATE + ", for the weights of the MLPs alone, under SGD at one rate",
        "N^0, with embeddings of RMS 1",
        _FLAT,
        "the paper's rates are Adam's; with SGD's at hand a reader might use the multiplier alone",
        "an SGD rate that grows with N, which would make up for it",
    ),
    (
        "peri-ln-exponent",
        "Does a norm on the branch's output change how a step grows with depth, at the start?",
        "the power of N in the ratio of Peri-LN's ‖Δf‖/η to Pre-LN's at equal depth and seed, "
        "under Adam's first step",
        "N^0: the same power",
        _FLAT,
        "Peri-LN is recommended for what it does to depth; its paper's evidence is training",
        "the constant; " + _START,
    ),
    (
        "olmo2-exponent",
        "Does a norm on the branch's output alone change it?",
        "the power of N in the ratio of OLMo 2's ‖Δf‖/η to Pre-LN's at equal depth and seed, "
        "under SGD and under Adam's first step",
        "N^0: the same power",
        _FLAT,
        "the branch's size is then 1 whatever its weights, as a flat start's is nearly",
        "the constant; " + _START,
    ),
    (
        "wang-update",
        "GPT-NeoX's output matrices shrink as 1/N: does the step stay of one size?",
        _BOTH,
        "N^0",
        _FLAT,
        "the rule is shipped as the family's start at every depth, with one table of rates",
        "rates by depth, which the family's configurations do have",
    ),
    (
        "mitchell-update",
        "OLMo's output matrices shrink with the layer's number: does the step stay of one size?",
        _BOTH,
        "N^0",
        _FLAT,
        "by layer the stream's variance grows as a logarithm, so that the step may as well",
        "between a slow power and a logarithm these depths do not decide",
    ),
    (
        "layerscale-update",
        "Does a small gain on each branch keep the step of one size?",
        _BOTH + ", at λ = 10^-4",
        "N^0",
        _FLAT,
        "LayerScale was made for deep models, and one λ serves a whole range of depths",
        "λ by depth; the rate of λ itself, which is that of the matrices here",
    ),
    (
        "zero-out-update",
        "Do output matrices of 0 keep the first step of one size?",
        _BOTH,
        "N^0",
        _FLAT,
        "only these matrices move f at the first step, and all in one direction",
        "the second step, where the other matrices move f as well",
    ),
    (
        "w3-shares",
        "Does the depth factor on the up-projection, which does not write to the stream, change "
        "the step?",
        "the power of N in the ratio of ‖Δf‖/η with and without it, in total, under SGD and under "
        "Adam's first step; the MLP's part is the control",
        "N^0: the same power",
        _FLAT,
        "a check by the total's power alone would pass the slip; a check by parts does not",
        "whether the smaller part of the MLP matters in training",
    ),
    (
        "cloned-stream",
        "Does the stream grow as N if all layers start as copies of one?",
        "the power of N in the stream's mean square behind the stack, with its 95 % interval",
        "N^1, that of independent layers",
        "true if the interval lies within the tolerance of 1, false if outside",
        "nn.TransformerEncoder copies its layer; copies add up in size, not in square",
        "how long training keeps the copies alike",
    ),
)
READINGS = tuple(StatementReading(f"ours.{row[0]}", *row[1:], quoted=False) for row in _ROWS)
