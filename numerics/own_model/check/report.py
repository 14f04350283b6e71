"""A check as text: the verdict first, then tables that fit 80 columns, then what to change.

A narrower terminal gets tables without lines, in which 60 columns hold every number.
"""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from numerics.own_model.check.types import CheckRecord, OptimizerCheck, SizeSeries
from numerics.statistics.exponents import Exponent

WIDTH = 80
UNEVEN = 3.0
"""Layers whose scores differ by this factor are shown one by one; a small batch scatters by 2."""
_SCORES = 12
"""Most layers whose scores are shown one by one; of more, the first and the last."""
_GROUPS = 8
"""Groups shown per optimizer; the rest is summed up in one line."""


def print_check(found: CheckRecord, console: Console | None = None) -> None:
    """Print everything for a person."""
    if console is None:
        console = Console(width=min(WIDTH, Console().width), highlight=False, emoji=False)
    width = min(WIDTH, console.width)
    console.print(headline(found), style="bold", markup=False)
    console.print(f"f is {found.function}. {found.wiring}", markup=False)
    console.print(_totals(found, width))
    for one in found.optimizers:
        console.print(_groups(found, one, width))
        if len(one.layers) > 1:
            console.print(_layers(one), markup=False)
        for line in _lines(found, one):
            console.print(Padding(line, (0, 0, 0, 2)), markup=False)
    for line in _sizes(found):
        console.print(line, markup=False)
    if found.advice:
        console.print("What to change:", style="bold")
        for sentence in found.advice:
            console.print(Padding(f"• {sentence}", (0, 0, 0, 2)), markup=False)
    for note in found.notes:
        console.print(f"Note: {note}", markup=False, style="dim")
    seeds = "1 seed" if found.seeds == 1 else f"{found.seeds} seeds"
    console.print(f"{len(found.sizes)} sizes × {seeds} in {found.seconds:.0f} s.", style="dim")


def headline(found: CheckRecord) -> str:
    """The verdict in one sentence.

    The sentence names every optimizer with its own verdict.
    """
    parts = [f"{one.optimizer} {_short(one)}" for one in found.optimizers]
    return f"{found.name}: {found.verdict} with {found.over} ({', '.join(parts)})."


def github_lines(found: CheckRecord) -> list[str]:
    """Annotations of GitHub Actions: an error where something grows, else a notice."""
    kind = {"grows": "error", "bounded": "notice"}.get(found.verdict, "warning")
    said = [headline(found), *(one.driver for one in found.optimizers if one.driver), *found.advice]
    text = " ".join(said).replace("%", "%25").replace("\n", "%0A")
    return [f"::{kind} title=tfixup check::{text}"]


def _short(one: OptimizerCheck) -> str:
    fit = one.total.law.exponent
    if one.verdict == "grows" and isinstance(fit, Exponent):
        law = one.total.law.law
        if law in ("log N", "exponential"):
            return f"{law}"
        return f"N^{fit.value:.2f}" if law else f"grows about as N^{fit.value:.2f}"
    return one.verdict


def _framed(title: str, width: int) -> Table:
    """A table with lines where 80 columns hold them, and without lines below that."""
    if width >= WIDTH:
        return Table(title=title, title_justify="left", width=WIDTH)
    return Table(title=title, title_justify="left", box=None, pad_edge=False)


def _totals(found: CheckRecord, width: int) -> Table:
    what = "‖Δf‖/η" if found.over == "depth" else "RMS(Δx)/η"
    table = _framed(f"{what} over {found.over}", width)
    table.add_column("step", no_wrap=True)
    sizes, most = found.sizes, 5 if width >= WIDTH else 3
    middle = _spread(sizes[1:-1]) if most > 3 else (sizes[len(sizes) // 2],)
    shown = sizes if len(sizes) <= most else (sizes[0], *middle, sizes[-1])
    for size in shown:
        table.add_column(str(size), justify="right", no_wrap=True)
    for name in ("exponent", "law"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found.optimizers:
        rows = {one.optimizer: one.total}
        if one.sites:
            rows = {f"{one.optimizer} {kind}": series for kind, series in one.sites.items()}
        for name, series in rows.items():
            numbers = [compact(series.at(size)) for size in shown]
            table.add_row(name, *numbers, exponent_words(series), str(series.law))
    return table


def _spread(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Three of the sizes between the ends."""
    return tuple(sizes[round(i * (len(sizes) - 1) / 2)] for i in range(3))


def compact(value: float) -> str:
    """Three digits in as few characters as they need.

    Examples
    --------
    >>> compact(357213.0), compact(0.00021), compact(12.0)
    ('3.57e5', '2.1e-4', '12')
    """
    text = f"{value:.3g}"
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def exponent_words(series: SizeSeries) -> str:
    """The exponent with half the width of its 95 % interval."""
    fit = series.law.exponent
    if not isinstance(fit, Exponent):
        return fit.reason
    low, high = fit.interval
    return f"{fit.value:+.2f} ± {(high - low) / 2:.2f}"


def _groups(found: CheckRecord, one: OptimizerCheck, width: int) -> Table:
    what = "‖Δf‖/η" if found.over == "depth" else "‖Δf‖/η of the output"
    table = _framed(f"{one.optimizer}: {what} by group", width)
    table.add_column("group", overflow="fold")
    for name in (str(found.sizes[0]), str(found.sizes[-1]), "share", "exponent", "law"):
        table.add_column(name, justify="right", no_wrap=True)
    for group in one.groups[:_GROUPS]:
        series = group.series
        table.add_row(
            group.name,
            compact(series.first),
            compact(series.last),
            f"{100 * group.share:.0f} %",
            exponent_words(series),
            str(series.law),
        )
    rest = one.groups[_GROUPS:]
    if rest:
        share = 100 * sum(group.share for group in rest)
        table.add_row(f"{len(rest)} more", "", "", f"{share:.0f} %", "", "")
    return table


def _layers(one: OptimizerCheck) -> str:
    """Shares by layer in one line, first to last."""
    shares = [f"{100 * share:.0f}" for share in one.layers.values()]
    names = list(one.layers)
    if len(shares) > 16:
        shares = [*shares[:6], "…", *shares[-6:]]
    return f"  shares by layer in %, {names[0]} to {names[-1]}: {' '.join(shares)}"


def _lines(found: CheckRecord, one: OptimizerCheck) -> list[str]:
    lines = [one.driver] if one.driver else []
    largest = found.sizes[-1]
    if found.over == "depth" and one.relative not in (0.0, float("inf")):
        predicted = ""
        if one.predicted is not None and found.over == "depth":
            predicted = f"One step changes f by {one.predicted:.3g} of its size at this rate; "
        scale = "" if one.optimizer not in ("sgd", "momentum") else " (loss slope ‖∂L/∂f‖ = 1)"
        lines.append(
            f"{predicted}at {largest} the largest rate that keeps the change of f below its size "
            f"is {one.largest_rate:.2g}{scale}."
        )
    if one.walk is not None:
        shown = ", ".join(f"{value:.3g}" for value in one.walk.relative)
        lines.append(
            f"Steps really taken at rate {one.walk.rate:g}: ‖f(θ_t) − f(θ_0)‖/‖f(θ_0)‖ = {shown}."
        )
    return lines


def _sizes(found: CheckRecord) -> list[str]:
    lines: list[str] = []
    if found.stream is not None:
        rms = [f"{found.streams[n][-1]:.3g}" for n in found.sizes]
        lines.append(
            f"Stream's RMS after its last addition: {' '.join(rms)}; its mean square: "
            f"{found.stream.law} (exponent {exponent_words(found.stream)})."
        )
    for name, memory in found.memories.items():
        rms = [f"{memory.at(n) ** 0.5:.3g}" for n in found.sizes]
        reads = "no norm stands" if name in found.raw_memories else "a norm stands"
        lines.append(
            f"RMS of the {name}'s stream after its last addition: {' '.join(rms)}; its mean "
            f"square: {memory.law} (exponent {exponent_words(memory)}); {reads} between it and "
            "what reads it."
        )
    for name, values in (
        ("Attention scores, largest std", found.scores),
        ("Logits' RMS", found.logits),
    ):
        if values:
            lines.append(f"{name}: {' '.join(f'{v:.3g}' for v in values.values())}.")
    by_layer = found.scores_by_layer
    if len(by_layer) > 1 and max(by_layer) > UNEVEN * min(by_layer):
        shown = [f"{value:.2g}" for value in by_layer]
        if len(shown) > _SCORES:
            shown = [*shown[: _SCORES // 2], "…", *shown[-_SCORES // 2 :]]
        lines.append(
            f"Attention scores' std by layer at {max(found.sizes)}: {' '.join(shown)}: the largest "
            f"is {max(by_layer) / min(by_layer):.3g} times the smallest."
            if min(by_layer) > 0
            else f"Attention scores' std by layer at {max(found.sizes)}: {' '.join(shown)}."
        )
    if found.first_loss is not None:
        loss = found.first_loss
        excess = loss.loss - loss.uniform
        size = "as it should be"
        if excess >= 0.5:
            size = f"{excess:.3g} above it: the logits are too large"
        lines.append(f"First loss {loss.loss:.3f}, ln V = {loss.uniform:.3f}: {size}.")
    lines.append(found.ranges)
    if found.waiting:
        lines.append(
            "No gradient at step 1 and alive after (one zero in a product): "
            f"{', '.join(found.waiting)}."
        )
    if found.dead:
        walked = any(one.walk is not None for one in found.optimizers)
        count = max((len(o.walk.changes) for o in found.optimizers if o.walk), default=0)
        said = (
            f"No gradient in {count} steps, dead for ever (two zeros in a product, or unread)"
            if walked
            else "No gradient at step 1 (--steps 2 tells waiting from dead)"
        )
        lines.append(f"{said}: {', '.join(found.dead)}.")
    return lines
