"""The one door to linearisation: it decides which engine does the work.

The closed forms of ``closed_form`` are faster and serve some wirings, elementwise rules, and the
groupings ``part`` and ``total``. Automatic differentiation serves everything.
"""

from collections.abc import Sequence
from typing import Literal, get_args

from numerics.linearization import autodiff, closed_form
from numerics.linearization.groupings import check_grouping, groups_of
from numerics.linearization.measured_function import InputKind, check_inputs, features_of
from numerics.linearization.types import Cotangent, Linearization
from numerics.linearization.update_directions import StepRule
from numerics.models import ModelSpec, Transformer
from numerics.models.roles import rescalers
from numerics.models.tokens import TokenBatch
from theory.errors import InputError, nearest

LinearizationEngine = Literal["auto", "closed-form", "autodiff"]


def linearize(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    cotangents: Sequence[Cotangent],
    rule: StepRule,
    *,
    groups: str = "part",
    inputs: InputKind = "free",
    earlier: Sequence[Sequence[Cotangent]] = (),
    engine: LinearizationEngine = "auto",
) -> list[Linearization]:
    """Linearise f of each model, and take one optimizer step of every group of its parameters.

    Parameters
    ----------
    models, batches, cotangents
        One of each per model; the models are in evaluation mode and not changed.
    rule
        Gradients ↦ step.
    groups
        How the step is split, a name in `numerics.linearization.groupings.GROUPINGS`.
    inputs
        ``free``: the embedded inputs are parameters. ``table``: the embedding tables are.
    earlier
        For each earlier gradient of the optimizer's history, one cotangent per model.
    engine
        ``auto``: closed forms where they serve, automatic differentiation elsewhere.

    Returns
    -------
    list of Linearization
        In the order of the models, on their device; nothing is read back.

    Raises
    ------
    InputError
        For an unknown engine, grouping or kind of inputs, for ``closed-form`` where there is none,
        for closed forms of models side by side that differ in specification or shape, and for
        GPAS's gates away from 0, where the gradient is not that of f.

    Examples
    --------
    >>> import torch
    >>> from numerics.linearization.update_directions import step_rule_named
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("tfixup", ModelSpec(1, 1), generator).eval()
    >>> batch = random_batch(model.spec, generator, sequences=1, tokens=2)
    >>> sgd = step_rule_named("sgd")
    >>> [found] = linearize([model], [batch], [torch.ones_like], sgd, groups="layer")
    >>> found.groups[:3]
    ('embeddings', 'encoder.attention.0', 'encoder.mlp.0')
    """
    check_engine(engine)
    check_grouping(groups)
    check_inputs(inputs)
    if not models:
        return []
    for model in models:
        _require_true_gradient(model)
    if _takes_closed_forms(models, rule, groups, engine):
        assert groups == "part" or groups == "total"
        return closed_form.linearize(
            models, batches, cotangents, rule, groups=groups, inputs=inputs, earlier=earlier
        )
    found = []
    for g, (model, batch, u) in enumerate(zip(models, batches, cotangents, strict=True)):
        function, parameters = features_of(model, batch, inputs)
        split, before = groups_of(parameters, groups), [step[g] for step in earlier]
        found.append(autodiff.linearize(function, parameters, u, rule, split, before))
    return found


def shared_parameters(model: Transformer) -> tuple[str, str] | None:
    """Return the names of two places that hold one parameter, if a user made it so.

    The closed forms take every place for a parameter of its own. Tables that the specification
    shares have one place, so that they are not found here.

    Examples
    --------
    >>> import torch
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(2, 1), torch.Generator())
    >>> shared_parameters(model)
    >>> first, second = model.encoder[0].mlp.branch, model.encoder[1].mlp.branch
    >>> second.w1 = first.w1
    >>> shared_parameters(model)
    ('encoder.0.mlp.branch.w1', 'encoder.1.mlp.branch.w1')
    """
    places: dict[int, str] = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        first = places.setdefault(id(value), name)
        if first != name and not _meant(model.spec, {first, name}):
            return first, name
    return None


def _require_true_gradient(model: Transformer) -> None:
    """Refuse models that leave something out of the gradient, as GPAS does.

    J is the derivative of f only where nothing is left out.
    """
    if not model.spec.wiring.damped:
        return
    for gate in rescalers(model):
        if gate.role.endswith(".damping") and not gate.tensor.is_meta and bool(gate.tensor != 0):
            raise InputError(
                f"gates that damp the stream must be 0, as the gradient is that of f there alone, "
                f"got {gate.tensor.item():g} in layer {gate.layer}"
            )


def _meant(spec: ModelSpec, places: set[str]) -> bool:
    """Whether the specification itself gives both places one table; f does not read ``output``."""
    one_table = spec.shared_embeddings or not (spec.has_encoder and spec.has_decoder)
    tables = {"source_embedding", "target_embedding", "output"}
    return places <= tables and ("output" in places or one_table)


def _takes_closed_forms(
    models: Sequence[Transformer], rule: StepRule, groups: str, engine: LinearizationEngine
) -> bool:
    split = groups in get_args(closed_form.ClosedGrouping)
    if engine == "closed-form" and not split:
        raise InputError(f"closed forms need the grouping part or total, got {groups}")
    serves = engine == "auto" and split and closed_form.serves(models[0].spec, rule)
    if engine != "closed-form" and not serves:
        return False
    shared = next(filter(None, map(shared_parameters, models)), None)
    if shared and engine == "closed-form":
        one, other = shared
        raise InputError(f"closed forms need parameters of their own, got {other} = {one}")
    return not shared  # if named, the closed forms themselves say what else is missing


def check_engine(engine: str) -> None:
    """Refuse any engine but ``auto``, ``closed-form`` and ``autodiff``.

    Raises
    ------
    InputError
        Naming the nearest known engine.
    """
    if engine not in get_args(LinearizationEngine):
        raise nearest(engine, get_args(LinearizationEngine), "engine")
