"""What one optimizer step does to f, part by part, by closed forms: the fast engine of measurement.

With g = Jᵀu and the step s(g), these are the tangents J_p s_p of every part p, and ‖J_pᵀu‖².
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from numerics.linearization.closed_form.block_weights import gather
from numerics.linearization.closed_form.gradients import Gradients, energies, stepped
from numerics.linearization.closed_form.input_steps import embedding_gradients, input_moves
from numerics.linearization.closed_form.residual_block import CLOSED_WIRINGS, Slots
from numerics.linearization.closed_form.stacks import Tapes, apply_stacks, pull_stacks, push_stacks
from numerics.linearization.closed_form.tape_strain import strain_of
from numerics.linearization.measured_function import InputKind, check_inputs
from numerics.linearization.types import Cotangent, Linearization
from numerics.linearization.update_directions import StepRule
from numerics.models import ModelSpec, Transformer
from numerics.models.tokens import TokenBatch, embed_inputs
from theory.errors import InputError

ClosedGrouping = Literal["part", "total"]


def serves(spec: ModelSpec, rule: StepRule | None = None) -> bool:
    """Whether there are closed forms for a model's wiring and traits and, where given, for a rule.

    Examples
    --------
    >>> from numerics.linearization.update_directions import step_rule_named
    >>> spec = ModelSpec(2, 2)
    >>> serves(spec), serves(spec, step_rule_named("adam")), serves(spec, step_rule_named("muon"))
    (True, True, False)
    """
    closed = spec.wiring in CLOSED_WIRINGS and spec.plain
    return closed and (rule is None or rule.elementwise)


def linearize(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    cotangents: Sequence[Cotangent],
    rule: StepRule,
    *,
    groups: ClosedGrouping = "part",
    inputs: InputKind = "free",
    earlier: Sequence[Sequence[Cotangent]] = (),
) -> list[Linearization]:
    """Linearise G models of one specification on batches of one shape, in one pass.

    Parameters
    ----------
    models, batches, cotangents
        As many of each as there are models; the models are in evaluation mode.
    rule
        An elementwise rule.
    groups
        ``part``: the tangent of every part. ``total``: their sum alone, which is cheaper.
    inputs
        Whether the embedded inputs or the tables are parameters.
    earlier
        For each earlier gradient of the optimizer's history, one cotangent per model.

    Raises
    ------
    InputError
        If `serves` is false, or the models or batches differ in shape.
    """
    check_inputs(inputs)
    _check(models, batches, rule)
    slots = Slots.of(models[0].spec, groups == "part")
    with torch.inference_mode():
        each = [embed_inputs(model, batch) for model, batch in zip(models, batches, strict=True)]
        embedded = {name: torch.stack([one[name] for one in each]) for name in each[0]}
        tapes = apply_stacks(gather(models), models[0].spec.heads, batches, embedded)
        history = [
            _gradients(tapes, models, batches, seen, inputs) for seen in (*earlier, cotangents)
        ]
        steps = stepped(rule, [seen.embeddings for seen in history])
        moves = input_moves(models, batches, steps, inputs)
        tangents_GPBTD = push_stacks(tapes, history, rule, moves, slots)
        parts_of_blocks = {
            name: [block.part for block in tape.blocks] for name, tape in tapes.stacks.items()
        }
        energies_GP = energies(history[-1], parts_of_blocks, slots.parts)
        strain_G = strain_of(tapes)
    names = ("total",) if slots.merged else slots.parts
    if slots.merged:
        energies_GP = energies_GP.sum(1, keepdim=True)
    found = zip(tapes.output_GBTD, tangents_GPBTD, energies_GP, strain_G, strict=True)
    return [Linearization(names, *one) for one in found]


def _gradients(
    tapes: Tapes,
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    cotangents: Sequence[Cotangent],
    inputs: InputKind,
) -> Gradients:
    """One backward sweep, with the gradients of the embedded inputs taken on to the tables."""
    found = pull_stacks(tapes, cotangents)
    own = embedding_gradients(models, batches, found.embeddings, inputs)
    return replace(found, embeddings=own)


def _check(models: Sequence[Transformer], batches: Sequence[TokenBatch], rule: StepRule) -> None:
    spec = models[0].spec
    if not serves(spec):
        if spec.unusual:
            raise InputError(f"closed forms have no {spec.unusual[0]}")
        known = ", ".join(wiring.name for wiring in CLOSED_WIRINGS)
        raise InputError(f"closed forms need a wiring of {known}, got {spec.wiring.name}")
    if not rule.elementwise:
        raise InputError(f"closed forms need an elementwise update rule, got {rule.name}")
    other = next((model.spec for model in models if model.spec != spec), None)
    if other is not None:
        raise InputError(f"models side by side must have one specification, got {spec}, {other}")
    shapes = sorted({(*b.source_BS.shape, *b.target_BT.shape) for b in batches})
    if len(shapes) > 1:
        raise InputError(f"batches side by side must have one shape, got {shapes}")
