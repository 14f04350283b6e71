"""Readings of other papers' statements about training, and of our questions about them."""

from theory.ledger.readings.statement import StatementReading

_TRAINED = (
    "whether a run counts as trained: its loss against the best predictor that reads no input"
)
_RECIPE = "the published recipes mostly warm up; rate, depth, width and steps are ours"

_NAMED = {
    "r-fixup": "R-Fixup",
    "ds-init": "DS-Init",
    "dlcl-pre": "DLCL in its Pre-LN form",
    "lri": "LRI",
    "deepnorm": "DeepNorm",
    "rezero": "ReZero",
    "dt-fixup": "DT-Fixup",
    "admin-log": "admin-torch's closed-form ω",
}


def _trains(scheme: str, name: str) -> StatementReading:
    return StatementReading(
        f"ours.{scheme}-trains",
        f"{name} lets deep models train; whether without warm-up is our question, which its paper "
        "does not answer at these sizes.",
        _TRAINED,
        "T-Fixup, which must train at the same depth in as many steps, and Xavier, which must not",
        "true if it trains at every depth and seed at which T-Fixup does; false if it diverges, "
        "or is stuck at such a depth",
        "T-Fixup bounds what so few steps allow: a depth at which it is stuck says nothing",
        _RECIPE,
        quoted=False,
    )


READINGS = (
    StatementReading(
        "xiong.no-warmup",
        "We show in our experiments that Pre-LN Transformers without the warm-up stage can reach "
        "comparable results with baselines while requiring significantly less training time and "
        "hyper-parameter tuning on a wide range of applications.",
        "validation loss of Pre-LN without warm-up minus that of Post-LN with it, by depth and "
        "seed",
        "Post-LN with warm-up",
        "true if the 95 % interval ends below 0.1 nats and every run trains, false if it begins "
        "above or a run diverges",
        "“comparable” bounds how much worse it may be, not how much better; a BLEU difference of "
        "0.5 goes with a few hundredths to a tenth of a nat",
        "rate, depth, steps",
    ),
    StatementReading(
        "xiong.needs-warmup",
        "To train a Transformer however, one usually needs a carefully designed learning rate "
        "warm-up stage, which is shown to be crucial to the final performance but will slow down "
        "the optimization and bring more hyper-parameter tunings.",
        _TRAINED,
        "the same model with warm-up, at the same depth, rate and seed",
        "true if it trains with warm-up and not without at every depth where it trains with it; "
        "with the hypothesis “from some depth on”, at the deepest of them",
        "what warm-up is needed for is read off where it helps; within the same number of steps",
        "“usually” leaves depth, rate and steps open",
    ),
    StatementReading(
        "admin.trains",
        "Extensive experiments show that Admin is more stable, converges faster, and leads to "
        "better performance.",
        _TRAINED + "; validation loss minus that of the warmed-up Post-LN",
        "Post-LN without warm-up for stability, with warm-up for the loss",
        "true if Admin trains without warm-up, Post-LN does not everywhere, and the 95 % interval "
        "of the difference lies below 0; false if a run diverges or the interval lies above 0",
        "stability shows where the plain model fails; better means than the model that does not",
        "Admin's own recipes keep a warm-up under RAdam; here there is none",
    ),
    StatementReading(
        "admin.not-gradients",
        "Our analysis reveals that unbalanced gradients are not the root cause of the instability "
        "of training.",
        "|log| of the encoder's embedding gradient over the decoder's in the first steps",
        "runs without warm-up that train, against those that do not",
        "true if balance does not set the two apart, false if every run that fails is less "
        "balanced than every run that trains",
        "a root cause would separate them",
        "which gradients are compared, and how many steps",
    ),
    StatementReading(
        "radam.no-warmup",
        "Rectification makes the adaptive rate's variance harmless from the first step, so that "
        "the warm-up can be left out; T-Fixup's Table 1 has an entry “RAdam, no warmup”.",
        "the step at which each run first counts as trained",
        "Adam with warm-up, whose plateau sets how long the others are given, and Adam without",
        "true if RAdam trains without warm-up at every rate at which Adam trains with it alone; "
        "false if at none of them",
        "where Adam does without, RAdam has nothing to replace",
        "rate, depth, steps",
        quoted=False,
    ),
    StatementReading(
        "ours.adam-scale",
        "Squared T-Fixup scales make the change under Adam's first step Θ(η) at any depth.",
        "the power of N in ‖Δf‖/η under a sign step; whether the scheme trains at 6 to 200 "
        "layers; the largest rate that trains, by depth",
        "T-Fixup's own scales, and Xavier, which must not train",
        "true if the exponent lies within its tolerance of 0 and every depth trains",
        "a question of ours that the paper's derivation for SGD suggests",
        quoted=False,
    ),
    StatementReading(
        "ours.coherence",
        "A residual stack's growth is Θ(1) if and only if its mean coherence is O(L^(-1/2)).",
        "growth along the skip path and √(1 + ρ²L) of trained stacks, as powers of L",
        "the same strengths fully aligned",
        "true if in both stacks the one is flat where the other is, by 95 % intervals",
        "training is where the matrices of a stack could align",
        quoted=False,
    ),
    *(_trains(scheme, name) for scheme, name in _NAMED.items()),
)
