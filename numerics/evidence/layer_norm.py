"""Eq. 1 and Xiong's Lemma 3 measured: layer norm's Jacobian by automatic differentiation."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch.func import jacrev
from torch.nn import functional as F

from numerics.statistics.exponents import fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, Reading, provides

WIDTHS = (3, 8, 64, 256)
OFFSETS = (10.0, 100.0, 1e3, 1e4)


def jacobian_norm(x_D: torch.Tensor) -> float:
    """Spectral norm of a layer norm's Jacobian, ‖∂LN/∂x‖₂, without gain, bias or ε.

    Examples
    --------
    >>> x = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)
    >>> round(jacobian_norm(x) / (3**0.5 / 2**0.5), 9)
    1.0
    """
    jacobian = jacrev(lambda x: F.layer_norm(x, x.shape, eps=0.0))(x_D)
    return float(torch.linalg.matrix_norm(jacobian, ord=2))


@provides("tfixup.eq1", "xiong.lemma3", kind=Kind.MEASUREMENT)
def layer_norm(context: Context) -> Iterator[Observation]:
    """The two findings below, for either paper's form of the statement."""
    for found in _measured(context):
        for claim in ("tfixup.eq1", "xiong.lemma3"):
            yield replace(found, claim=claim)


def _measured(context: Context) -> Iterator[Observation]:
    """The exact norm at random vectors, and the printed bound along nearly constant ones."""
    generator = torch.Generator().manual_seed(context.seed)
    errors, false_errors, ratios = [], [], []
    for width in WIDTHS:
        x = torch.randn(width, generator=generator, dtype=torch.float64) + 0.5
        measured = jacobian_norm(x)
        errors.append(abs(measured * float((x - x.mean()).norm()) / width**0.5 - 1))
        false_errors.append(abs(measured * float(x.norm()) / width**0.5 - 1))
        ratios.append(measured * float(x.norm()) / width**0.5)
    margin = tolerance("exact-formula")
    yield Observation(
        scope=f"one draw at each width {WIDTHS}",
        claim="tfixup.eq1",
        passed=max(errors) < margin,
        summary=f"‖J‖ is √d/‖x − x̄‖ to {max(errors):.0e} for d = {WIDTHS}; at these random x "
        f"it is at most {max(ratios):.2f} √d/‖x‖",
        control=Control("√d/‖x‖ in place of √d/‖x − x̄‖", max(false_errors) > margin),
        reading=Reading.RESTRICTED,
        value=max(errors),
        expected=0.0,
        tolerance=margin,
    )
    delta = torch.randn(64, generator=generator, dtype=torch.float64)
    delta = delta - delta.mean()
    growth = [jacobian_norm(c + delta) * float((c + delta).norm()) / 8 for c in OFFSETS]
    fixed = [jacobian_norm(c * delta) * float((c * delta).norm()) / 8 for c in OFFSETS]
    fit, still = fitted(power_law(OFFSETS, growth)), fitted(power_law(OFFSETS, fixed))
    grows = fit.equivalent(1.0, tolerance("flat-exponent"))
    yield Observation(
        scope=f"width 64, one draw, c = {OFFSETS[0]:g}…{OFFSETS[-1]:g}",
        claim="tfixup.eq1",
        passed=None if grows is None else not grows,
        summary=f"along x = c 1 + δ the norm exceeds √d/‖x‖ by c^{fit.value:.3f}: "
        f"{growth[-1]:.3g} times at c = 10⁴",
        control=Control(
            "along x = c δ the same fit must not see growth",
            still.equivalent(1.0, tolerance("flat-exponent")) is False,
        ),
        value=fit.value,
        expected=0.0,
        tolerance=tolerance("flat-exponent"),
        interval=fit.interval,
    )


PROVIDERS = (layer_norm,)
