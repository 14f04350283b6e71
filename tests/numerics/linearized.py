"""One model through the one door to linearisation, as several tests need it."""

from numerics.linearization.engines import linearize
from numerics.linearization.types import Linearization
from numerics.linearization.update_directions import step_rule_named


def linearized(model, batch, u, *, optimizer="sgd", **options) -> Linearization:
    """The linearisation of one model."""
    [found] = linearize([model], [batch], [u], step_rule_named(optimizer), **options)
    return found
