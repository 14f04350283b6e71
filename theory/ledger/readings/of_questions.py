"""Readings of our own questions about the theory of T-Fixup: no paper's sentences."""

from theory.ledger.readings.statement import StatementReading

_ORDER = "true if the two orders agree on every family tried, false if one family parts them"
_SHARE = "the power of N in each part's share of ‖Δf‖/η under Adam's first step"
_START = "later steps, and what training makes of the weights"

_ROWS: tuple[tuple[str, str, str, str, str, str, str], ...] = (
    (
        "tfixup.thm31-sufficient",
        "Which extra hypothesis makes the lower half of Theorem 3.1 true?",
        "the gain K of one scalar attention block",
        "1/L, up to a factor that depends on n alone",
        "true if K ≥ c/L is derived, proved by machine and met at random points",
        "the printed half fails where the m_i cancel in the attended mean; two simple hypotheses "
        "exclude that",
        "hypotheses that are weaker than these two",
    ),
    (
        "tfixup.thm31-repaired",
        "Which condition is equivalent to an update of order η/L?",
        "the gain K, over families of parameters whose orders in L differ",
        "v²w² + (v² + w²) m̄², with the attended mean m̄ in the place of m_i",
        _ORDER,
        "an equivalence needs both directions, each with constants that depend on n and B alone",
        "several queries, d > 1 and a finite step, which have rows of their own",
    ),
    (
        "ours.adam-parts",
        "Do the squared scales also keep the share of every part, the encoder's included?",
        _SHARE,
        "N^0 for every part",
        "true if every part's interval lies within the tolerance of 0, false if one lies outside",
        "a flat total says nothing about a part whose share vanishes",
        _START,
    ),
    (
        "ours.adam-shares",
        "Can scales alone, at one rate, keep the share of every part under Adam?",
        "the set of exponents of the scaled roles that meet all conditions on shares",
        "the empty set",
        "true if the set has a member, false if a certificate shows that it is empty",
        "linear conditions on exponents have a solution or a combination that adds up to 1",
        "rates by group, with which a solution exists; other architectures",
    ),
    (
        "ours.adam-shares-more",
        "Can scales keep all shares if embeddings, queries and keys may be scaled too?",
        "the same set with further unknowns, and with steps that may be bounded only",
        "the empty set",
        "true if the set has a member, false if a certificate shows that it is empty",
        "the refutation of the narrower question leaves these ways out open",
        "rates by group, with which a solution exists; other architectures",
    ),
    (
        "ours.optimizers",
        "Which power of N must the rate have under other optimizers at T-Fixup's scales?",
        "the power of N in the decoder's share of ‖Δf‖/η",
        "1/2 for Lion and Muon, 1/4 for LAMB, as derived",
        "true if every interval lies within the tolerance of its power, false if one lies outside",
        "the decoder reaches the output without passing through the memory, so that one power "
        "stands alone",
        "the encoder's share; " + _START,
    ),
    (
        "ours.matrix",
        "What does the repaired condition become for matrices, several heads and several queries?",
        "tr J Jᵀ of one attention block",
        "T‖Σ_h vw‖² + Σ_h (‖Am‖²‖w‖² + d‖Amv‖²)",
        _ORDER,
        "the trace is the mean over directions of the cotangent; its bounds have constants free "
        "of L",
        "heads that cancel, which the hypothesis excludes",
    ),
    (
        "ours.matrix-spectrum",
        "Does every direction of the output then move at that rate?",
        "the smallest eigenvalue of J Jᵀ of one attention block",
        "a positive multiple of 1/L",
        "true if λ_min ≥ c/L for all inputs; one input with λ_min = 0 refutes it",
        "“each update is bounded from below” may be about the mean direction or about all",
        "inputs without two equal queries, for which a direction is not lost at once",
    ),
    (
        "ours.spectrum",
        "Are both ends of the spectrum of J Jᵀ of whole models free of the depth?",
        "the powers of N of λ_max and λ_min, with the embeddings and without",
        "|p| ≤ 1/4",
        "true if every interval lies within ± 1/4, false if one lies outside",
        "one random cotangent tests a typical direction, the ends test all of them",
        "N > 16, and tokens that are alike",
    ),
    (
        "ours.finite-step",
        "Up to which rate does the first-order statement describe a real step?",
        "ΔG of one step over −η g K, its first order",
        "between 1/2 and 3/2",
        "true if the ratio stays between them for all η ≤ 1/(M₂|g|), false at one point outside",
        "Θ(η) is a statement about the limit η → 0 until a rate is named",
        "d > 1, and steps of several blocks together",
    ),
    (
        "ours.prediction",
        "Does the mean-field theory predict every part of ‖Jᵀu‖² without a fitted number?",
        "the deviation of the predicted from the measured mean, part by part",
        "± 5 %",
        "true if |deviation| + 2 standard errors ≤ 5 % for every part, false if one part is off",
        "within 5 % is an equivalence: the uncertainty counts against the statement",
        "other data, other widths, and the scatter of single draws",
    ),
)

READINGS = tuple(StatementReading(*row, quoted=False) for row in _ROWS)
