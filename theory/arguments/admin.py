"""Arguments about the statements of Admin (Liu et al., EMNLP 2020)."""

from theory.arguments.argument import Argument
from theory.layer_norm import layer_dependency, output_change, post_ln_gradients

ARGUMENTS: tuple[Argument, ...] = (
    Argument(
        "admin.thm1",
        "ReLU blocks and value paths keep the variance exactly; softmax keys add to it; with "
        "equal tokens it falls",
        post_ln_gradients.derivation,
    ),
    Argument(
        "admin.dependency",
        "Pre-LN 1/(i + Var[x_0]/v), Post-LN v/(1 + v); correlated branches give Θ(1/i²)",
        layer_dependency.dependency,
    ),
    Argument(
        "admin.thm2",
        "mean squares add up to C Σ β²; aligned changes give C (Σ β)² instead",
        output_change.theorem,
    ),
    Argument(
        "admin.cor-pre",
        "Σ 1/i = log N + γ + o(1); aligned changes would give Θ(N)",
        output_change.pre_ln,
    ),
    Argument(
        "admin.cor-post",
        "N v/(1 + v) while small, at most 4 as outputs are normalised",
        output_change.post_ln,
    ),
    Argument(
        "admin.omega",
        "printed ω: exactly 1/i; coded ω: 1/(i + 1/v); both O(log N) for any bounded variances",
        layer_dependency.omega,
    ),
)
