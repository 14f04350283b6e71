"""What several real steps of a sweep's model do: f's change, and which tensors have no gradient.

Taken in float64, with the loss of the settings: ⟨u, f⟩ with one u throughout, or the cross-entropy
behind the output table, which stays where it is.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from numerics.linearization.autodiff import gradient
from numerics.linearization.measured_function import features_of, in_precision
from numerics.linearization.types import Cotangent, Parameters
from numerics.linearization.update_directions import StepRule
from numerics.linearization.walk import walk
from numerics.models import Transformer
from numerics.models.tokens import TokenBatch
from numerics.sweeps.settings import SweepSettings


def step_values(
    model: Transformer,
    batch: TokenBatch,
    cotangent: Cotangent,
    rule: StepRule,
    settings: SweepSettings,
) -> Iterator[tuple[str, float]]:
    """Yield quantities and their values: ``change_t`` and ``without_gradient_t`` for t = 1, …, k.

    ``change_t`` is ‖f(θ_t) − f(θ_0)‖. ``without_gradient_t`` is the share of tensors that step t
    finds without a gradient.

    Examples
    --------
    >>> from numerics.linearization.update_directions import step_rule_named
    >>> from numerics.models import Architecture, single_stack
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("zero-out", single_stack(Architecture.DECODER_ONLY, 2), generator)
    >>> batch = random_batch(model.spec, generator, sequences=1, tokens=4)
    >>> settings = SweepSettings(steps=2, lr=1e-3)
    >>> found = dict(step_values(model, batch, torch.ones_like, step_rule_named("sgd"), settings))
    >>> found["without_gradient_1"] > 0, found["without_gradient_2"]
    (True, 0.0)
    """
    wide = in_precision(model, torch.float64)
    function, theta = features_of(wide, batch, settings.inputs)

    def slopes(at: Parameters) -> tuple[Tensor, Parameters]:
        output, found = gradient(function, at, cotangent)
        return output.detach(), {name: g.detach() for name, g in found.items()}

    def step(history: Sequence[Parameters], at: Parameters) -> Parameters:
        *past, last = history
        return {
            name: rule(g, at[name], parameter=name, past=[one[name] for one in past])
            for name, g in last.items()
        }

    assert settings.lr is not None
    for stop in walk(slopes, step, theta, rate=settings.lr, count=settings.steps):
        if stop.t:
            yield f"change_{stop.t}", stop.change
        if stop.t < settings.steps:
            still = [not bool(g.any()) for g in stop.gradients.values()]
            yield f"without_gradient_{stop.t + 1}", sum(still) / len(still)
