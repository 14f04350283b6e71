"""Arguments about the statements of the named baselines."""

from theory.arguments.argument import Argument
from theory.claims import Reading
from theory.layer_norm import layer_dependency, normalised_branches
from theory.residual_stream import layer_averages
from theory.scales import published_scales

ARGUMENTS: tuple[Argument, ...] = (
    Argument(
        "fixup.scale",
        "the solver returns L^(-1/(2m−2)), and R-Fixup's L^(-1/6) and L^(-1/2)",
        published_scales.fixup,
    ),
    Argument(
        "deepnorm.scale",
        "3^(-3/16) = 0.8138, 3^(3/16)/√2 = 0.8689 exactly; the bound alone leaves a family",
        published_scales.deepnorm,
    ),
    Argument(
        "dtfixup.scale",
        "it is the gain of w (v μ + r) and of an MLP, with one scale and μ fixed",
        published_scales.dt_fixup,
    ),
    Argument(
        "rezero.isometry",
        "a block with α = 0 leaves the Jacobian below it as it is, so that all of them are 1",
        published_scales.rezero_isometry,
    ),
    Argument(
        "ours.rezero-update",
        "every α_l moves the output by η: L η in all",
        published_scales.rezero,
        refutes=True,
    ),
    Argument(
        "ours.rezero-update",
        "with η ∝ 1/L it is Θ(1)",
        published_scales.rezero_rate,
        reading=Reading.REPAIRED,
        reading_text="take η ∝ 1/L for the scalars α",
    ),
    Argument(
        "dsinit.scale",
        "Π (1 + 1/(2l²))^(-1) → 0.488, so the shortcut keeps a positive share",
        normalised_branches.ds_init,
    ),
    Argument(
        "dsinit.code",
        "the shortcut's mean square falls as N^(-1/2)",
        normalised_branches.ds_init_code,
        refutes=True,
    ),
    Argument(
        "lri.scale",
        "on a normalised input the sum's second moment is 19/18 > 1",
        normalised_branches.lri,
        refutes=True,
    ),
    Argument(
        "lri.scale",
        "at the first block alone it is true",
        normalised_branches.lri_first_block,
        reading=Reading.REPAIRED,
        reading_text="at the first block; every later MLP shrinks it by (19/18)^(-1/2)",
    ),
    Argument(
        "dlcl.wiring",
        "averaging is a residual stack with branches times 1/(l+1), Σ 1/(l+1)² < ∞",
        layer_averages.averages,
    ),
    Argument(
        "adminTorch.omega",
        "ω² = (n+1)/ln(n+1) − 1 gives Σ β_ii² = n ln(n+1)/(n+1) ~ ln n at v = 1",
        layer_dependency.closed_form,
    ),
)
