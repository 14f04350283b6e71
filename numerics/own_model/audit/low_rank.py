"""Low-rank additions to a matrix, W x + B A x: no recipe asks anything of A and B.

B starts at 0, so that the addition does nothing at first. A must not be 0 as well, because the
gradients of both would then be 0 for ever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

from numerics.own_model.audit.comparison import AuditRow
from numerics.own_model.audit.finding import Finding, count_names, names_of, plural


def low_rank_pairs(rows: Sequence[AuditRow]) -> list[tuple[AuditRow, AuditRow]]:
    """A and B of every addition: B has the role of a full matrix beside it, A the inner width."""
    by_branch: dict[int, list[AuditRow]] = {}
    for row in rows:
        if row.place.branch is not None and row.place.view.fan_in is not None:
            by_branch.setdefault(row.place.branch.index, []).append(row)
    pairs = []
    for own in by_branch.values():
        for b in own:
            rank, width = b.place.fans
            full = [r for r in own if r.place.role == b.place.role and r.place.fans[1] == width]
            if not b.place.is_matrix or not any(r.place.fans[0] > 2 * rank for r in full):
                continue
            # On a query, key or value, A has the role of the matrix that it is added to.
            roles = ("other", b.place.role)
            inner = [r for r in own if r.place.role in roles and r.place.fans[1] == rank]
            if inner:
                pairs.append((max(inner, key=lambda a: _shared_path(a, b)), b))
    return pairs


def _shared_path(a: AuditRow, b: AuditRow) -> int:
    """How many modules hold both tensors: ``q.a`` and ``q.b``, or ``q.lora_A.x``, share ``q``."""
    steps = zip(a.place.name.split("."), b.place.name.split("."), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], steps))


def unasked(
    rows: Sequence[AuditRow], pairs: Sequence[tuple[AuditRow, AuditRow]]
) -> tuple[AuditRow, ...]:
    """The rows with nothing asked of A and B."""
    places = {row.place for pair in pairs for row in pair}
    blank = {"asked": None, "factor": None, "tolerance": 0.0, "problem": ""}
    return tuple(replace(row, **blank) if row.place in places else row for row in rows)  # type: ignore[arg-type]


def low_rank_findings(pairs: Sequence[tuple[AuditRow, AuditRow]]) -> Iterator[Finding]:
    """Additions whose two matrices are both 0."""
    dead = [row for pair in pairs if all(r.sample.shape == "zero" for r in pair) for row in pair]
    if dead:
        names = names_of(row.place for row in dead)
        yield Finding(
            "dead",
            f"{plural(len(dead) // 2, 'low-rank addition')} B A ({count_names(names)}) have A = 0 "
            "and B = 0: both gradients are 0 for ever. Draw A, and leave B at 0.",
            names,
            0.0,
        )
