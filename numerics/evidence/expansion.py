"""Eq. 3 measured: the change of a real Transformer under one SGD step, split by stack.

With u on the output, θ_E the encoder's parameters and embedded input and θ_D the decoder's,

    Δ_D = −J_D J_Dᵀ u,    Δ_E = −(∂f_d/∂f_e) J_E J_Eᵀ (∂f_d/∂f_e)ᵀ u

come from automatic differentiation, and Δf(η) = f(θ − η Jᵀu) − f(θ) comes from two calls of the
model. The expansion is right if ‖Δf/η − (Δ_D + Δ_E)‖ = O(η); the printed minus sign leaves 2‖Δ_E‖.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.linearization.autodiff import gradient, linearize
from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.groupings import groups_of
from numerics.linearization.measured_function import features_of
from numerics.linearization.types import Cotangent
from numerics.linearization.update_directions import step_rule_named
from numerics.models import ModelSpec, Transformer
from numerics.models.tokens import output_shape, random_batch
from numerics.schemes import build
from numerics.statistics.exponents import fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, Reading, provides

RATES = tuple(10.0 ** (-k / 2) for k in range(8, 15))
"""η from 10⁻⁴ to 10⁻⁷: below the first kink of a ReLU on the way."""
SPEC = ModelSpec(3, 3, d_model=16, d_ff=32, vocabulary=100)
SCOPE = "one model of 3 + 3 layers, width 16, η = 10⁻⁷…10⁻⁴"


@dataclass(frozen=True)
class Split:
    """The change of f at several η and its two linear parts: Δf/η, Δ_D and Δ_E, as flat vectors."""

    decoder: Tensor
    encoder: Tensor
    changes: Mapping[float, Tensor]

    def remainders(self, sign: int) -> Sequence[float]:
        """What the linear parts leave of the change at each η: ‖Δf/η − (Δ_D + sign · Δ_E)‖."""
        linear = self.decoder + sign * self.encoder
        return [float((change - linear).norm()) for change in self.changes.values()]


def split(model: Transformer, cotangent: Cotangent, generator: torch.Generator) -> Split:
    """The split of one model's change."""
    batch = random_batch(model.spec, generator, sequences=2, tokens=4)
    function, parameters = features_of(model, batch)
    groups = groups_of(parameters, "stack")
    found = linearize(function, parameters, cotangent, step_rule_named("sgd"), groups)
    before, slopes = gradient(function, parameters, cotangent)
    changes = {}
    with torch.no_grad():
        for eta in RATES:
            stepped = {name: value - eta * slopes[name] for name, value in parameters.items()}
            changes[eta] = ((function(stepped) - before) / eta).flatten()
    by_stack = dict(zip(found.groups, found.tangents.flatten(1), strict=True))
    return Split(by_stack["decoder"], by_stack["encoder"], changes)


@provides("tfixup.eq3", kind=Kind.MEASUREMENT)
def expansion(context: Context) -> Iterator[Observation]:
    """The order in η of the remainder, with the right sign and with the printed one."""
    generator = torch.Generator().manual_seed(context.seed)
    model = build("tfixup", SPEC, generator, dtype=torch.float64).eval()
    batch = random_batch(SPEC, generator, sequences=2, tokens=4)
    u = random_cotangent(output_shape(SPEC, batch), generator)
    found = split(model, u, generator)
    plus, minus = (found.remainders(sign) for sign in (1, -1))
    margin = tolerance("remainder-slope")
    fits = [fitted(power_law(RATES, values)) for values in (minus, plus)]
    orders = [fit.equivalent(1.0, margin) for fit in fits]
    share = float(found.encoder.norm() / (found.encoder + found.decoder).norm())
    yield Observation(
        scope=SCOPE,
        passed=orders[0],
        summary=f"‖Δf/η − (Δ_D − Δ_E)‖ ~ η^{fits[0].value:.3f} over η = 10⁻⁴…10⁻⁷, and stays at "
        f"{minus[-1]:.3g} = 2‖Δ_E‖",
        control=Control("a plus sign must be accepted", orders[1] is True),
        value=fits[0].value,
        expected=1.0,
        tolerance=margin,
        interval=fits[0].interval,
    )
    yield Observation(
        scope=SCOPE,
        passed=orders[1],
        summary=f"‖Δf/η − (Δ_D + Δ_E)‖ ~ η^{fits[1].value:.3f}, {plus[-1]:.1e} at η = 10⁻⁷; the "
        f"encoder's share ‖Δ_E‖/‖Δ‖ is {share:.2f}",
        control=Control("the printed minus sign", orders[0] is False),
        reading=Reading.REPAIRED,
        reading_text="Δf = −η (J_D J_Dᵀ + ∂f_d/∂f_e J_E J_Eᵀ ∂f_d/∂f_eᵀ) ∂L/∂fᵀ + O(η²)",
        value=fits[1].value,
        expected=1.0,
        tolerance=margin,
        interval=fits[1].interval,
    )


PROVIDERS = (expansion,)
