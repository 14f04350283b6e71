"""Readings of T-Fixup's statements about training, each sentence quoted from the paper."""

from theory.ledger.readings.statement import StatementReading

_LOSS = "whether the run counts as trained: its loss against the best predictor that reads no input"
_BLEU = "BLEU on the same sentences, T-Fixup's minus each baseline's, the mean over common seeds"
_MARGIN = (
    "true if every 99 % interval lies above −0.5 points, false if one lies below 0; the margin is "
    "the difference that the paper calls a small improvement"
)
_SIZES = (
    "data, sizes, steps: the paper has 512-1024-4 and wider, and hundreds of thousands of steps"
)

READINGS = (
    StatementReading(
        "tfixup.fig2",
        "Figure 2(c) demonstrates that after only a few steps the gradient to the input "
        "embeddings (lowest layer) vanishes completely. […] Adam updates are an order of "
        "magnitude larger during early stages of training for model without warmup. […] Our "
        "T-Fixup initialization eliminates the need for warmup and layer normalization, while "
        "keeping both gradients and Adam updates stable throughout learning.",
        "the encoder's embedding gradient, geometric mean over steps 5 to 20; the size of Adam's "
        "update with the rate in it, over steps 1 to 20; T-Fixup's of both in each fifth of the "
        "run",
        "gradients: the same run's step 1; updates: Post-LN with warm-up at the same seed",
        "true if, by 95 % intervals over seeds, Post-LN's gradient without warm-up is below a "
        "tenth, with warm-up and under T-Fixup it is not, the updates are at least ten times as "
        "large, and T-Fixup's stay within a factor of ten",
        "“after only a few steps” names the time, so the baseline is the step before anything "
        "moved; a window that holds the fall itself hides it. Rates differ between the models, so "
        "the rate belongs to an update. How long the gradient stays away is not stated: it is "
        "told beside.",
        "depth, width, rate, length of the warm-up, and for how long the gradient stays away",
    ),
    StatementReading(
        "tfixup.fig3ab",
        "We see that the L2 norm increases 2x to 3x particularly in the upper layers when warmup "
        "is not used.",
        "mean norm of what enters the layer norm after self-attention, over the upper half of the "
        "decoder's layers and the last fifth of the steps",
        "the same run's first step; and the run with warm-up",
        "true if, where rate × width is the paper's, the growth without warm-up is at least 2 at "
        "every width and with warm-up it is less; false if at every width one of the two is not "
        "so",
        "Adam's first step moves a d × d matrix by ηd in the spectral norm while Xavier's has 2, "
        "so that ηd says how far a step goes; at a smaller ηd the statement is not about the same "
        "step.",
        "rate and steps of the figure",
    ),
    StatementReading(
        "tfixup.fig3c",
        "We see that when Adam is used without warmup, training fully diverges and no progress is "
        "made. However, when Adam is replaced with SGD the model gets stuck initially, but then "
        "recovers and is able to converge. […] as seen from Figure 3(c), this makes training very "
        "unstable even when warmup is used.",
        "the step at which each run first counts as trained",
        "the warmed-up model at the same rate: a run without warm-up is given 20 times its plateau",
        "true if at some rate Adam trains with warm-up and never without, at some rate SGD trains "
        "without, later than with, and without layer norm nothing trains; false if at every rate "
        "Adam trains without, or SGD does not",
        "“then recovers” can only be denied by a run that is long enough; the paper gives no rate "
        "for SGD, so some rate suffices",
        "both optimizers' rates, SGD's momentum, steps, length of the warm-up",
    ),
    StatementReading(
        "tfixup.fig4a",
        "The benefit of increasing depth is also clearly observed from this figure, where 20 and "
        "30 layer models achieve better validation losses for most of the training period.",
        "validation loss at the end, and its mean over the course of the run",
        "the shallowest of the paper's depths, 6, with the same seed",
        "true if both differences are above 0 by 95 % intervals over seeds, false if one is below "
        "0.02 nats, the least that counts",
        "“for most of the training period” is a mean over the course; “better” at the end is what "
        "the paper's Table 2 builds on. Without a margin no number of seeds could say “no "
        "better”.",
        _SIZES,
    ),
    StatementReading(
        "tfixup.fig4b",
        "From the figure we see that all models successfully train and have smooth validation "
        "curves. […] we see no indication of divergence or other optimization problems.",
        _LOSS,
        "Xavier's initialisation without layer norm, which must not train at the same size",
        "true if T-Fixup trains at every depth and Xavier does not, false if one depth diverges",
        "a statement that everything trains needs something that does not under the same rule",
        "the paper's first 50,000 updates are 250 here",
    ),
    StatementReading(
        "tfixup.fig4c",
        "From Figure 4(c) we see that all models from 6 to 30 layers train without problems even "
        "on largest batch size setting.",
        _LOSS,
        "Post-LN without warm-up, which must not train at either end",
        "true if T-Fixup trains at every batch size and seed and Post-LN does not, false if one "
        "batch size diverges",
        "as for Fig. 4b",
        "one depth, 12, and batches of 256 to 2,048 tokens for 25,000 to 200,000",
    ),
    StatementReading(
        "tfixup.table1",
        "From the table we see that T-Fixup performs comparably or beats all baselines on each "
        "dataset.",
        _BLEU,
        "every baseline at equal depth, rate, data order and steps",
        _MARGIN,
        "“comparably or beats” is an equivalence test on one side; sentences and seeds both "
        "scatter",
        _SIZES,
    ),
    StatementReading(
        "tfixup.table2",
        "We also see that our approach outperforms all baselines of comparable depth.",
        _BLEU,
        "Pre-LN and DLCL in its Pre-LN form, the table's baselines",
        _MARGIN,
        "read as “at least as good”, the weaker statement, for runs this far from convergence",
        _SIZES,
    ),
    StatementReading(
        "tfixup.table3",
        "We again see that T-Fixup outperforms all baselines of comparable depth.",
        _BLEU,
        "DS-Init and LRI, the table's baselines",
        _MARGIN,
        "as for Table 2",
        _SIZES,
    ),
    StatementReading(
        "tfixup.adam",
        "We show theoretical derivation for the SGD update, and demonstrate empirically that our "
        "approach also works well for Adam.",
        "the power of N in ‖Δf‖/η under Adam's first step; the largest rate that trains, by depth",
        "no dependence on N",
        "true if the exponent lies within its tolerance of 0, false if outside, by its interval",
        "the paper claims that training works, which Fig. 4 tests; whether the bound carries over "
        "is our question about it",
        "what “works well” would exclude",
    ),
    StatementReading(
        "tfixup.no-warmup",
        "As before, we simply apply T-Fixup to initialize the weights and remove warmup and layer "
        "normalization; no other modifications are done. […] These results further support the "
        "conclusion that our initialization can be successfully used to train very deep "
        "Transformer models opening up avenues for further research in this area.",
        _LOSS,
        "Post-LN without warm-up at the same depths and rates",
        "true if T-Fixup trains at every depth, with some rate, and Post-LN stops below the "
        "deepest",
        "what the initialisation replaces has to be missed where it is taken away",
        "rates; 50 steps, so “trains” means in 50 steps",
    ),
    StatementReading(
        "tfixup.no-layernorm",
        "For completeness we also try to remove layer normalization from the model. But, as seen "
        "from Figure 3(c), this makes training very unstable even when warmup is used.",
        "whether a loss is not finite or exceeds chance by a nat",
        "T-Fixup without layer norm at the same settings",
        "true if every Xavier run diverges and every T-Fixup run trains, false if not",
        "“very unstable” is read as the strongest thing that a run's record can say",
        "rate, depth, steps",
    ),
)
