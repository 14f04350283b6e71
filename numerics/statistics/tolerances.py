"""Every tolerance of the measurements in one table, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """A margin and why it is that wide."""

    value: float
    reason: str


TOLERANCES = {
    "flat-exponent": Tolerance(
        0.05, "over N = 6…200 an exponent of 0.05 is a factor 1.19, within one seed's spread"
    ),
    "sign-exponent": Tolerance(
        0.08, "finite depth: the embeddings' own Θ(1) share bends the power law below 1/2"
    ),
    "prediction": Tolerance(
        0.05,
        "relative; the goal set for the theory, which keeps terms of order 1/d and drops the next",
    ),
    "exact-formula": Tolerance(
        1e-9, "float64 against a closed form: condition numbers up to 10⁶ times 1e-16"
    ),
    "exact-exponent": Tolerance(
        0.02, "no randomness: only the next order in L bends the line over five decades"
    ),
    "condition-exponent": Tolerance(
        0.08, "random matrices at N = 6…96; lower orders in N bend the law by a few hundredths"
    ),
    "term-exponent": Tolerance(
        0.2,
        "N = 4…32: lower orders bend the law by 0.1; without a monomial it is off by 1/2 to 3/2",
    ),
    "optimizer-exponent": Tolerance(
        0.12, "half the distance of neighbouring powers, 0 | 1/4 | 1/2, at most; narrow models"
    ),
    "mean-square-growth": Tolerance(
        0.10, "relative; 48 draws of width 64 leave a standard error of 2–3 % of the mean"
    ),
    "remainder-slope": Tolerance(
        0.05, "seven learning rates over three decades; a wrong derivative has slope 0, not 1"
    ),
    "closed-form": Tolerance(
        1e-10, "float64: closed form and automatic differentiation round a few hundred times"
    ),
    "repeated-measurement": Tolerance(
        1e-3, "float32 with another order of summation: 250 blocks of 1e-7 each, with room"
    ),
    "accurate": Tolerance(
        0.02, "relative; a measurement counts as right at a fifth of the spread between two seeds"
    ),
    "block-exponent": Tolerance(
        0.12, "largest and smallest of 5N blocks at N = 6…48: extremes of more draws at more depth"
    ),
    "spectrum-exponent": Tolerance(
        0.25, "extreme eigenvalues of small models scatter by 25 %; a wrong scale gives −1"
    ),
    "sampled-variance": Tolerance(
        0.04, "relative; over 16,000 to 1.6 million values, whose tails are heavy at ρ = 5"
    ),
    "sampled-exponent": Tolerance(
        0.15, "sample variances of heavy tails scatter by a factor of ten; growth is n^1"
    ),
    "sampled-mean": Tolerance(
        0.01, "relative; 20,000 draws of 64 coordinates leave a standard error of 0.2 %"
    ),
    "hidden-norm": Tolerance(
        0.05, "relative; 160 networks of width 64, whose tokens share weights: 1 % of the mean"
    ),
    "gradient-exponent": Tolerance(
        0.1, "one token's gradient scatters by 15 %; tokens that become alike bend the law"
    ),
    "layer-slope": Tolerance(
        0.04, "width 64: each layer norm's projector takes another log(1 − 2/64)/2 = 0.016"
    ),
    "log-growth-exponent": Tolerance(
        0.15, "of log growth, itself 1/3 ± 0.1 a draw; beyond the threshold it is L^(1/4)"
    ),
    "trained-growth-exponent": Tolerance(
        0.15, "trained stacks of 6…96 blocks, a few seeds; aligned ones grow as L^1 and faster"
    ),
    "bias-exponent": Tolerance(
        0.12, "nine seeds of width 32 a depth leave ±0.07; output biases give 1, scaled ones 0"
    ),
    "gradient-variance": Tolerance(
        0.03, "relative; 40 blocks of width 64; the theorem's bound is 1 and is nearly attained"
    ),
    "dependency-exponent": Tolerance(
        0.2, "branch variances of attention and MLP differ, and attention's grow as tokens mix"
    ),
    "linear-growth": Tolerance(
        0.3, "of the exponent 1 over N = 2…14; a logarithm gives 0.4, aligned changes 2 or more"
    ),
    "output-change": Tolerance(
        0.3, "relative; the theorem drops what attention's softmax and correlated tokens add"
    ),
    "baseline-exponent": Tolerance(
        0.2, "N = 3…24, width 32: lower orders in N bend the law by up to 0.1; failures are ≥ 0.4"
    ),
    "stack-exponent": Tolerance(
        0.15, "N = 4…32, width 32: lower orders in N bend the law by up to 0.1; failures are ≥ 0.2"
    ),
    "growth-evidence": Tolerance(
        6.0, "Akaike difference: the rival law is e³ = 20 times less likely; 4–7 is customary"
    ),
    "nearly-flat-exponent": Tolerance(
        0.1, "over a range of 16 a factor of at most 1.32: few seeds of a small batch scatter so"
    ),
    "settled-exponent": Tolerance(
        0.15, "over the later half of the sizes, a factor of 4 or so: at most 1.2 in the value"
    ),
    "clear-exponent": Tolerance(
        0.35, "over a range of 8 and more a factor of 2: a value on its way to a bound slows down"
    ),
    "slow-power": Tolerance(
        0.5, "below it power and logarithm part so slowly that 1/l summed unevenly decides"
    ),
    "drawn-scale": Tolerance(
        0.02, "relative; a role has at least 24,576 drawn entries, a standard error of 0.3 %"
    ),
    "common-part-misfit": Tolerance(
        0.01, "probability: one right curve in a hundred is refused, over a few groups of a model"
    ),
    "against-torch": Tolerance(
        1e-10, "float64, two layers: a few hundred roundings of 1e-16 on values of order 1"
    ),
}


def tolerance(name: str) -> float:
    """The margin of that name."""
    return TOLERANCES[name].value
