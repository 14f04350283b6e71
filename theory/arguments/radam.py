"""Arguments about the statements of RAdam (Liu et al., ICLR 2020)."""

from theory.arguments.argument import Argument
from theory.claims import Reading
from theory.radam import average_length, first_order_variance, inverse_chi

ARGUMENTS: tuple[Argument, ...] = (
    Argument(
        "radam.divergent",
        "E[1/g²] over a Gaussian is infinite, and so is E[1/|g|]; with ε > 0 both are finite",
        inverse_chi.divergent,
    ),
    Argument(
        "radam.variance",
        "moments by integration for every ρ > 2; 1 − R and ρ/(ρ−2) fall; Var(5)/Var(500) = 250.07",
        inverse_chi.exact_variance,
    ),
    Argument(
        "radam.approx",
        "3.307 times too large at ρ = 5, infinite at ρ = 4 where Var[ψ] = 0.429/σ²",
        first_order_variance.unreliable,
        refutes=True,
    ),
    Argument(
        "radam.approx",
        "bounds on Γ by comparing growth from m to m + 1 enclose the relative error",
        first_order_variance.enclosed,
        reading=Reading.REPAIRED,
        reading_text="too large by a relative error between (9/4)/(ρ−4) and (5/2)/(ρ−4): "
        "within ε from ρ = 4 + 5/(2ε) on, 29 for 10 %",
    ),
    Argument(
        "radam.length",
        "equal mean ages give ρ_t for t = 1…6 and every β₂; equal Σ w² has the same limit ρ_∞",
        average_length.average_length,
    ),
    Argument(
        "radam.rectifier",
        "r_t² is the ratio of first-order variances: 0 at ρ_t = 4, 1 in the limit",
        average_length.rectifier_derivation,
    ),
)
