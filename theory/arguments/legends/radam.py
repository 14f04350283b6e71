"""Names in the derivations about RAdam."""

from collections.abc import Mapping

_FACTOR = {
    "1 - R": "1 − R at ρ",
    "h": "an increase of ρ or of m",
    "m": "(ρ − 1)/2",
    "rho": "degrees of freedom: independent gradients in the average",
    "s": "variable of the Laplace transform",
    "t": "slack of a bound",
    "epsilon": "relative error allowed",
    "u": "1/(1 − R) at ρ",
}
TABLES: Mapping[str, Mapping[str, str]] = {
    "radam.divergent": {
        "epsilon": "Adam's ε in the denominator",
        "g": "a gradient, Gaussian of variance 1; in the last line its size |g|",
        "psi^2": "square of the adaptive factor after one step, by Adam's recursion",
    },
    "radam.variance": _FACTOR | {"R": "Γ(m)²/(Γ(m + ½) Γ(m − ½)) at m = (ρ − 1)/2"},
    "radam.approx": _FACTOR,
    "radam.length": {
        "age": "the sum over past gradients that the line names, from its definition",
        "beta": "β₂, decay of the average",
        "f": "length of a plain average",
        "t": "step",
    },
    "radam.rectifier": {
        "rho_oo": "ρ_∞, what ρ_t tends to",
        "rho_t": "ρ_t, effective number of gradients at step t",
    },
}
