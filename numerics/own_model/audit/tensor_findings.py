"""Findings about single tensors: distribution, outliers, biases, gains, zeros, copies, padding."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from numerics.own_model.audit.comparison import AuditRow
from numerics.own_model.audit.finding import Finding, count_names, label, names_of, plural
from numerics.recipes.draw import Draw
from numerics.recipes.place import WRITERS
from numerics.structure.types import Structure


def shape_findings(rows: Sequence[AuditRow]) -> Iterator[Finding]:
    """Uniform where normal is asked, or the other way round."""
    groups: dict[tuple[str, str], list[AuditRow]] = defaultdict(list)
    for row in rows:
        off = row.problem == "scale" and row.asked is not None
        if row.problem == "shape" or (off and _unlike(row)):
            assert row.asked is not None
            groups[row.sample.shape, row.asked.kind].append(row)
    for (found, asked), group in groups.items():
        first = group[0].sample
        text = (
            f"{plural(len(group), 'tensor')} ({count_names(row.place.name for row in group)}) "
            f"{'is' if len(group) == 1 else 'are'} {found} "
            f"where {asked} is asked: max |w|/std is {first.ratio:.3g} and the kurtosis "
            f"{first.kurtosis:.3g}"
        )
        near = sum(row.problem == "shape" for row in group)
        if near:
            text += f"; in {near} of them the standard deviation alone looks right"
        yield Finding(
            "shape", text + ".", names_of(row.place for row in group), first.kurtosis, 3.0
        )


def _unlike(row: AuditRow) -> bool:
    asked = row.asked
    bells = ("normal", "truncated")
    return asked is not None and (
        (row.sample.shape == "uniform" and asked.kind in bells)
        or (row.sample.shape == "normal" and asked.kind == "uniform")
    )


def outlier_findings(rows: Sequence[AuditRow]) -> Iterator[Finding]:
    """A few entries that carry the variance, told apart from a wrong scale."""
    for row in rows:
        sample = row.sample
        if sample.shape != "heavy" or sample.count < 64 or not row.place.fans[0]:
            continue
        if row.place.role in ("norm_gain", "norm_bias", "scalar", "bias"):
            continue
        asked = f", asked {row.asked.std:.4g}" if row.asked else ""
        yield Finding(
            "outliers",
            f"{label(row.place)}: {sample.outliers} of {sample.count} entries are outliers "
            f"(max |w|/std of the bulk is {sample.largest / max(sample.bulk, 1e-300):.3g}). The "
            f"bulk has std {sample.bulk:.4g}{asked}; the outliers make it {sample.std:.4g}.",
            (row.place.name,),
            sample.std,
            row.asked.std if row.asked else sample.bulk,
            sample.std / (row.asked.std if row.asked else max(sample.bulk, 1e-300)),
        )


def value_findings(rows: Sequence[AuditRow]) -> Iterator[Finding]:
    """Biases and gains that are not the constants asked, and tensors that are constant."""
    groups: dict[tuple[str, str, float], list[AuditRow]] = defaultdict(list)
    for row in rows:
        if row.problem == "value" and row.asked is not None:
            kind = "gain" if row.place.role == "norm_gain" else "bias"
            kind = kind if row.asked.kind == "constant" else "value"
            groups[kind, row.sample.shape, row.asked.value].append(row)
    for (kind, _, value), group in groups.items():
        largest = max(row.sample.largest for row in group)
        what = {"gain": plural(len(group), "norm gain"), "value": plural(len(group), "tensor")}.get(
            kind, "1 bias" if len(group) == 1 else f"{len(group)} biases"
        )
        verb = "is" if len(group) == 1 else "are"
        text = f"{what} ({count_names(row.place.name for row in group)}) {verb} "
        text += "constant" if kind == "value" else f"not {value:g}"
        if kind == "bias" and _by_fan_in(group):
            text += ": uniform in ±1/√fan_in, which is torch's default for nn.Linear"
        text += f" (largest entry {largest:.4g})."
        yield Finding(kind, text, names_of(row.place for row in group), largest, value)


def _by_fan_in(group: Sequence[AuditRow]) -> bool:
    for row in group:
        fan_in = row.place.module_fan_in
        if fan_in is None or row.sample.largest > fan_in**-0.5 * (1 + 1e-5):
            return False
    pooled = sum(row.sample.largest * (row.place.module_fan_in or 1) ** 0.5 for row in group)
    return pooled / len(group) > 0.8


def zero_findings(
    rows: Sequence[AuditRow], structure: Structure, *, given: bool
) -> Iterator[Finding]:
    """Matrices that are all 0: with one in a product it learns, with two it never does."""
    zero = [r for r in rows if r.sample.shape == "zero" and r.place.is_matrix]
    by_branch: dict[int, set[str]] = defaultdict(set)
    for row in zero:
        if row.place.branch is not None:
            by_branch[row.place.branch.index].add(row.place.role)
    dead = [
        index
        for index, roles in by_branch.items()
        if {"v", "out"} <= roles or {"w_in", "w_out"} <= roles or {"gate", "w_out"} <= roles
    ]
    if dead:
        names = names_of(r.place for r in zero if r.place.branch and r.place.branch.index in dead)
        paths = ", ".join(structure.branches[i].path or str(i) for i in dead[:3])
        yield Finding(
            "dead",
            f"{len(dead)} branches ({paths}) have two zero matrices in one product: both gradients "
            "are 0 for ever.",
            names,
        )
    asked = [r for r in zero if r.problem == "zero" and r.place.branch is not None]
    alive = [r for r in asked if r.place.branch and r.place.branch.index not in dead]
    if alive:
        writers = all(r.place.role in WRITERS for r in alive)
        why = (
            " One zero in the product: alive after one step, but the branch's other matrices have "
            "gradient exactly 0 at the first."
            if writers
            else ""
        )
        verb = "is" if len(alive) == 1 else "are"
        yield Finding(
            "zero",
            f"{plural(len(alive), 'tensor')} ({count_names(r.place.name for r in alive)}) {verb} 0 "
            f"where {alive[0].asked.words if alive[0].asked else 'a draw'} is asked.{why}",
            names_of(r.place for r in alive),
            0.0,
            alive[0].asked.std if alive[0].asked else None,
            0.0,
        )
    tables = [
        r
        for r in rows
        if r.sample.shape == "zero" and r.problem == "zero" and r.place.branch is None
    ]
    for row in tables:
        yield Finding("zero", f"{label(row.place)} is 0.", (row.place.name,), 0.0, fault=given)


def copy_findings(rows: Sequence[AuditRow], parameters: Mapping[str, Tensor]) -> Iterator[Finding]:
    """Tensors with the same entries in separate storage: layers copied instead of drawn."""
    seen: dict[bytes, list[AuditRow]] = defaultdict(list)
    for row in rows:
        sample = row.sample
        role = row.place.role
        # State-space and mixing vectors are the same numbers in every layer by design.
        compared = row.place.is_matrix or role in ("bias", "embedding", "head")
        if not compared or sample.count < 16 or sample.shape in ("zero", "constant"):
            continue
        entries = row.place.view.of(parameters[row.place.name].detach()).contiguous().cpu()
        digest = hashlib.blake2b(entries.view(torch.uint8).numpy().tobytes(), digest_size=16)
        digest.update(str(tuple(entries.shape)).encode())
        seen[digest.digest()].append(row)
    groups = [group for group in seen.values() if len({r.place.name for r in group}) > 1]
    across = [group for group in groups if len({r.place.layer for r in group}) > 1]
    if across:
        layers = sorted({r.place.layer for group in across for r in group})
        names = tuple(dict.fromkeys(r.place.name for group in across for r in group))
        if len(layers) > 2 and layers == list(range(layers[0], layers[-1] + 1)):
            said = f"Layers {layers[1]}…{layers[-1]} equal layer {layers[0]}"
        else:
            said = f"Layers {', '.join(map(str, layers))} are equal"
        yield Finding(
            "copies",
            f"{said} in {plural(len(across), 'tensor')} each ({count_names(names)}), "
            "bit for bit and in separate storage: a layer was copied. The conditions of every "
            "depth theory assume independent draws: redraw, and do not multiply in place.",
            names,
        )
    within = [group for group in groups if len({r.place.layer for r in group}) == 1]
    if within:
        pairs = "; ".join(" = ".join(names_of(r.place for r in g)) for g in within[:2])
        yield Finding(
            "copies",
            f"{len(within)} pairs of tensors of one layer have equal entries ({pairs}): they were "
            "drawn from generators in the same state.",
            tuple(dict.fromkeys(r.place.name for group in within for r in group)),
        )


def padding_findings(model: nn.Module, rows: Sequence[AuditRow]) -> Iterator[Finding]:
    """Rows of padding tokens that are not zero."""
    names = {id(p): name for name, p in model.named_parameters()}
    heads = {row.place.name for row in rows if row.place.role == "head"}
    done = set()
    for module in model.modules():
        if not isinstance(module, nn.Embedding) or module.padding_idx is None:
            continue
        name = names.get(id(module.weight))
        if name is None or name in done:
            continue
        done.add(name)
        norm = float(module.weight[module.padding_idx].detach().double().norm())
        if norm == 0:
            continue
        reached = (
            "The table is also the head, so a gradient reaches the row through the softmax."
            if name in heads
            else "No gradient reaches the row, so it stays as it is."
        )
        yield Finding(
            "padding",
            f"{name}: the row of the padding token {module.padding_idx} has norm {norm:.4g} and "
            f"should be 0: it was drawn after torch had zeroed it. {reached}",
            (name,),
            norm,
            0.0,
        )


def dead_findings(structure: Structure) -> Iterator[Finding]:
    """Parameters that no operation of the forward reads."""
    if structure.unread:
        yield Finding(
            "dead",
            f"{len(structure.unread)} parameters are read by nothing "
            f"({count_names(structure.unread)}): their gradient is always 0.",
            structure.unread,
            fault=False,
        )


def truncation_findings(rows: Sequence[AuditRow]) -> Iterator[Finding]:
    """A cut that is asked for and is not there."""
    uncut = [
        row
        for row in rows
        if row.asked is not None
        and _is_cut(row.asked)
        and row.sample.shape == "normal"
        and row.agrees
        and row.sample.largest > 1.01 * row.asked.cut * row.asked.sigma
    ]
    if uncut:
        asked = uncut[0].asked
        assert asked is not None
        reach = max(r.sample.largest / r.asked.sigma for r in uncut if r.asked)
        yield Finding(
            "truncation",
            f"{plural(len(uncut), 'tensor')} ({count_names(r.place.name for r in uncut)}) should "
            f"be cut at {asked.cut:g}σ and reach {reach:.3g}σ: a bound in "
            "absolute numbers (as ±2) does nothing at this σ.",
            names_of(r.place for r in uncut),
            reach,
            asked.cut,
        )


def _is_cut(asked: Draw) -> bool:
    return asked.kind == "truncated"
