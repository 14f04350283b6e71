"""Whether one optimizer step of your model grows with its depth or width.

A factory builds the model at several sizes under several seeds. The exact limit of ‖Δf‖/η of each
model is measured, in total, by role and by layer. The verdict is the law that it follows over the
sizes.
"""

import time
from collections.abc import Callable, Sequence
from itertools import count, pairwise

from numerics.linearization.update_directions import BETAS
from numerics.own_model.check.advice import (
    advice,
    copies_sentence,
    driver_sentence,
    wiring_sentence,
)
from numerics.own_model.check.result import Check
from numerics.own_model.check.settings import CheckSettings
from numerics.own_model.check.sizes import Measurement, Rates, build, measure_size, same_function
from numerics.own_model.check.types import (
    GroupCheck,
    GrowthVerdict,
    OptimizerCheck,
    SizeSeries,
)
from numerics.own_model.measurement.groups import starred
from numerics.own_model.measurement.output import Output
from numerics.own_model.measurement.probe import FP16_MAX
from numerics.own_model.measurement.sites import BLOCKS, EMBEDDING
from numerics.recipes.factors_by_parameter import require_factors
from numerics.statistics.growth_laws import growth_law
from numerics.structure.types import Structure
from numerics.structure.user_factory import UserFactory, as_factory, load_factory
from theory.errors import InputError
from theory.radam.rectification import BEHAVIOURS, length

BF16_MAX = 3.3895e38
"""The largest number of bfloat16."""


def check(
    factory: str | Callable[..., object] | UserFactory,
    values: Sequence[int] = (2, 4, 8, 16, 32),
    optimizers: Sequence[str] = ("sgd", "adamw", "muon"),
    *,
    over: str = "depth",
    seeds: int = 4,
    lr: float | None = None,
    steps: int = 1,
    depth: int | None = None,
    width: int | None = None,
    dtype: str = "auto",
    output: Output = None,
    rates: Rates | None = None,
) -> Check:
    """Decide whether one step's change of the function grows with depth or width.

    Parameters
    ----------
    factory
        A function of the depth (or width) that returns a module, or a module and a batch; or its
        name, ``MODULE:FACTORY`` or ``PATH.py:FACTORY``.
    values
        The sizes, at least three; a law of growth needs four.
    optimizers
        Names such as sgd, momentum, adamw, lion, lamb, muon.
    over
        ``depth`` or ``width``.
    seeds
        Models per size; each is drawn by the factory under a seeded global generator.
    lr
        The learning rate at which the relative change of f is predicted.
    steps
        More than 1: that many real steps at the least and the largest size as well.
    depth, width
        The other size, for a factory of two arguments.
    dtype
        ``auto`` (float64) or float32. With float16 or bfloat16 the result also says which values
        leave the range of that type.
    output
        What f is: None for the input of the head, ``logits``, an attribute, or a function.
    rates
        Factor on the learning rate by parameter: ``(name, parameter) -> float``, or the name of a
        scheme or parametrisation whose factors by role they are, such as ``completep``.

    Returns
    -------
    Check
        With `Check.verdict` one of bounded, grows, not decided.

    Raises
    ------
    InputError
        For a broken rule about the options, the factory, the model or its output.

    Examples
    --------
    >>> from torch import nn
    >>> found = check(lambda n: nn.Sequential(*[nn.Linear(4, 4, bias=False) for _ in range(n)]),
    ...     values=(2, 3, 4, 5), optimizers=("sgd",), seeds=2)
    >>> found.sizes, found.verdict in ("bounded", "grows", "not decided")
    ((2, 3, 4, 5), True)
    """
    started = time.perf_counter()
    settings = CheckSettings(
        over=over,
        values=tuple(sorted(set(values))),
        optimizers=tuple(dict.fromkeys(optimizers)),
        seeds=seeds,
        lr=lr,
        steps=steps,
        depth=depth,
        width=width,
        dtype=dtype,
        output=output,
    )
    if isinstance(rates, str):
        require_factors(rates)
    made = _factory(factory)
    firsts = {size: build(made, settings, size, 0) for size in settings.values}
    _require_sizes_differ(made, settings, firsts)
    measured: dict[int, list[Measurement]] = {}
    for size in settings.values:
        measured[size] = measure_size(made, settings, size, first=firsts.pop(size), rates=rates)
    return _summary(made.name, settings, measured, time.perf_counter() - started)


def _factory(factory: str | Callable[..., object] | UserFactory) -> UserFactory:
    if isinstance(factory, UserFactory):
        return factory
    return load_factory(factory) if isinstance(factory, str) else as_factory(factory)


def _require_sizes_differ(factory: UserFactory, settings: CheckSettings, built: dict) -> None:
    """Neighbouring sizes must have other parameters, or be other functions of the same ones."""
    for small, large in pairwise(settings.values):
        if same_function(built[small], built[large]):
            raise InputError(
                f"the factory {factory.name} must use its {settings.over}, and gives the same "
                f"model at {small} and at {large}"
            )


def _summary(
    name: str, settings: CheckSettings, measured: dict[int, list[Measurement]], seconds: float
) -> Check:
    every = [m for own in measured.values() for m in own]
    last = measured[max(measured)][0]
    one_by_one = tuple(_optimizer(o, settings, every) for o in settings.optimizers)
    copies = copies_sentence(last.copies)
    waiting, dead = _dead(measured, settings)
    largest, overflows, ranges = _ranges(measured, settings.dtype)
    del largest
    streams = {n: own[0].probed.stream for n, own in measured.items() if own[0].probed.stream}
    stream = None
    if len(streams) == len(measured):
        stream = _series([(m.size, m.probed.stream[-1] ** 2) for m in every if m.probed.stream])
    return Check(
        name=name,
        over="width" if settings.over == "width" else "depth",
        sizes=settings.values,
        seeds=settings.seeds,
        function=last.updates[settings.optimizers[0]].function,
        wiring=wiring_sentence(last.structure),
        optimizers=one_by_one,
        stream=stream,
        memories=_memories(every),
        raw_memories=_raw(last.structure),
        streams=streams,
        scores={
            n: max(own[0].probed.scores) for n, own in measured.items() if own[0].probed.scores
        },
        scores_by_layer=last.probed.scores,
        logits={
            n: own[0].probed.logits
            for n, own in measured.items()
            if own[0].probed.logits is not None
        },
        first_loss=last.probed.first_loss,
        ranges=ranges,
        overflows=overflows,
        waiting=waiting,
        dead=dead,
        copies=copies,
        advice=advice(settings.over, one_by_one, last.structure, copies),
        notes=_notes(every),
        seconds=seconds,
    )


def _series(pairs: Sequence[tuple[int, float]]) -> SizeSeries:
    sizes, values = tuple(n for n, _ in pairs), tuple(v for _, v in pairs)
    return SizeSeries(sizes, values, growth_law(sizes, values))


def _memories(every: Sequence[Measurement]) -> dict[str, SizeSeries]:
    """Mean squares at the ends of the streams that do not lead to the output."""
    names = dict.fromkeys(name for m in every for name in list(m.probed.streams)[:-1])
    return {
        name: _series([(m.size, m.probed.streams[name][-1] ** 2) for m in every])
        for name in names
        if all(name in m.probed.streams for m in every)
    }


def _raw(structure: Structure | None) -> tuple[str, ...]:
    if structure is None or not structure.understood:
        return ()
    return tuple(stream for stream, norms in structure.end_norms[:-1] if not norms)


def _optimizer(name: str, settings: CheckSettings, every: Sequence[Measurement]) -> OptimizerCheck:
    last = [m for m in every if m.size == max(settings.values)]
    total = _series([(m.size, m.updates[name].total) for m in every])
    sites = _sites(name, every)
    groups = _groups(name, every)
    layers = last[0].updates[name].by_layer
    whole = sum(layers.values())
    relative = sum(m.updates[name].relative for m in last) / len(last)
    verdict = _verdict(total) if not sites else _of_sites(sites)
    return OptimizerCheck(
        optimizer=name,
        verdict=verdict,
        total=total,
        groups=groups,
        layers={layer: value / whole for layer, value in layers.items()} if whole else {},
        sites=sites,
        relative=relative,
        predicted=None if settings.lr is None else settings.lr * relative,
        largest_rate=1 / relative if relative > 0 else float("inf"),
        walk=last[0].walks.get(name),
        driver=driver_sentence(groups) if verdict == "grows" else "",
    )


def _verdict(series: SizeSeries) -> GrowthVerdict:
    match series.law.unbounded:
        case True:
            return "grows"
        case False:
            return "bounded"
    return "not decided"


def _of_sites(sites: dict[str, SizeSeries]) -> GrowthVerdict:
    """Embedding and blocks decide; the readout's first steps may grow and are shown apart."""
    inner = [_verdict(series) for kind, series in sites.items() if kind in (EMBEDDING, BLOCKS)]
    inner = inner or [_verdict(series) for series in sites.values()]
    if "grows" in inner:
        return "grows"
    return "bounded" if all(one == "bounded" for one in inner) else "not decided"


def _sites(name: str, every: Sequence[Measurement]) -> dict[str, SizeSeries]:
    kinds = dict.fromkeys(k for m in every if m.sites for k in m.sites[name].changes)
    found: dict[str, SizeSeries] = {}
    for kind in kinds:
        pairs = [
            (m.size, m.sites[name].changes[kind]) for m in every if kind in m.sites[name].changes
        ]
        if len({n for n, _ in pairs}) == len({m.size for m in every}):
            found[kind] = _series(pairs)
    return found


def _groups(name: str, every: Sequence[Measurement]) -> tuple[GroupCheck, ...]:
    largest = max(m.size for m in every)
    names = dict.fromkeys(group for m in every for group in m.updates[name].by_role)
    serieses = {
        group: _series([(m.size, m.updates[name].by_role.get(group, 0.0)) for m in every])
        for group in names
    }
    whole = sum(series.at(largest) for series in serieses.values())
    found = [
        GroupCheck(group, series, series.at(largest) / whole if whole else 0.0)
        for group, series in serieses.items()
    ]
    return tuple(sorted(found, key=lambda group: -group.share))


def _dead(
    measured: dict[int, list[Measurement]], settings: CheckSettings
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tensors without a gradient, by name pattern: those that wake up, and the others."""
    name = settings.optimizers[0]
    waiting: dict[str, None] = {}
    dead: dict[str, None] = {}
    for own in measured.values():
        first = own[0]
        walked = first.walks.get(name)
        awake = set(walked.waking) if walked else set()
        for tensor in first.updates[name].dead:
            (waiting if tensor in awake else dead)[starred(tensor)] = None
    return tuple(waiting), tuple(tensor for tensor in dead if tensor not in waiting)


def _ranges(measured: dict[int, list[Measurement]], dtype: str) -> tuple[float, bool, str]:
    """The largest intermediate value against the range of the type asked for."""
    limit = BF16_MAX if dtype == "bfloat16" else FP16_MAX
    size, probed = max(
        ((n, m.probed) for n, own in measured.items() for m in own),
        key=lambda pair: pair[1].largest,
    )
    words = (
        f"The largest intermediate value is {probed.largest:.3g} ({probed.largest_at}, at {size})"
    )
    leaves = [n for n, own in measured.items() if any(m.probed.largest > limit for m in own)]
    if not leaves:
        kind = "bfloat16" if dtype == "bfloat16" else "float16"
        part = probed.largest / limit
        return (
            probed.largest,
            False,
            f"{words}, {part:.1e} of {kind}'s largest number, {limit:.6g}.",
        )
    which = next(
        m.probed.overflowing[:1] or (m.probed.largest_at,)
        for m in measured[leaves[0]]
        if m.probed.largest > limit
    )
    kind = "bfloat16" if dtype == "bfloat16" else "float16"
    return (
        probed.largest,
        dtype in ("float16", "bfloat16"),
        f"{words}: it leaves {kind} ({limit:.6g}) from {leaves[0]} on, first in {which[0]}.",
    )


def _notes(every: Sequence[Measurement]) -> tuple[str, ...]:
    found = [note for m in every for note in m.notes]
    found += [note for m in every for update in m.updates.values() for note in update.notes]
    if islands := max(m.probed.islands for m in every):
        found.append(
            f"{islands} conversions to a narrower type in the float64 model: the derivative is "
            "that of the rounded program."
        )
    if any(m.structure is not None and m.structure.shared for m in every):
        found.append("Parameters are shared across depth: a layer has no part of its own in them.")
    if any("radam" in m.updates for m in every):
        later = next(t for t in count(1) if BEHAVIOURS["torch"].adapts(length(t, BETAS[1])))
        found.append(
            "radam: step 1 is measured, which averages gradients as momentum does; Adam's rule "
            f"comes from step {later} on, where ρ_t > 5."
        )
    return tuple(dict.fromkeys(found))
