"""``tfixup plot``: the figure of a sweep, or of training runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from theory.errors import InputError, nearest, require_within, words_of

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plot:
    """Draw a sweep, ‖Δf‖/η against depth or its exponents, or the losses of training runs."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Output folder of tfixup sweep or tfixup train, or one that holds several runs."""
    out: Path | None = None
    """File to write, .svg, .png or .pdf. The default is a file in the folder: QUANTITY.svg,
    exponents.svg, QUANTITY-KIND.svg or loss.svg."""
    kind: Literal["curves", "exponents", "matrices", "layers"] = "curves"
    """curves: ‖Δf‖/η against depth, log–log, with bands over seeds. exponents: each scheme's
    exponent with its 95 % interval. matrices, layers: curves by kind of matrix, and every block's
    share along the stack; these need a sweep with --detail matrix or layer."""
    schemes: str = "all"
    """Schemes to draw, comma-separated; all that are there unless given."""
    quantity: Literal["update", "gradient_energy"] = "update"
    """What to draw: ‖Δf‖/η or the gradient's ‖Jᵀu‖²."""
    from_depth: int = 6
    """Least depth that enters the exponents."""

    def run(self) -> int:
        """Read the folder, write the figure whole or not at all, and print the file's name."""
        from numerics.figures.style import require_suffix, save
        from numerics.stores.files import require_writable
        from numerics.training.recorded import OUTCOME

        require_within(1, 100_000, from_depth=self.from_depth)
        if self.out is not None:
            require_suffix(self.out)
            require_writable(self.out)
        runs = not (self.folder / "manifest.json").exists() and any(self.folder.rglob(OUTCOME))
        figure, out = self._losses() if runs else self._sweep()
        save(figure, self.out or self.folder / out)
        print(self.out or self.folder / out)
        return 0

    def _losses(self) -> "tuple[Figure, str]":
        from numerics.training.experiments.curves import draw_losses
        from numerics.training.recorded import read_runs

        runs = read_runs(self.folder)
        kept = self._named([str(run.config["scheme"]) for run in runs])
        chosen = [run for run in runs if run.config["scheme"] in kept]
        chosen.sort(key=lambda run: (str(run.config["scheme"]), int(run.config["layers"])))
        if len({run.unigram_loss for run in chosen}) > 1:
            raise InputError(
                f"runs of one figure must share their data; those in {self.folder} do not"
            )
        by_scheme = len({run.config["scheme"] for run in chosen}) == len(chosen)
        figure = draw_losses(chosen, lambda run: run.path.resolve().name, by_depth=not by_scheme)
        return figure, "loss.svg"

    def _sweep(self) -> "tuple[Figure, str]":
        from numerics.figures.exponents import draw_exponents
        from numerics.figures.layer_profile import draw_profile
        from numerics.figures.sweep import draw_sweep
        from numerics.models.roles import ALL_PARTS
        from numerics.sweeps.run import exponent_table
        from numerics.sweeps.store import open_for_reading

        store = open_for_reading(self.folder)
        rows, detail = self._chosen(store.rows()), store.settings.detail
        needed = {"matrices": "matrix", "layers": "layer"}.get(self.kind, detail)
        if needed != detail:
            raise InputError(f"kind {self.kind} needs a sweep of detail {needed}, got {detail}")
        if self.kind == "exponents":
            return draw_exponents(exponent_table(rows, from_depth=self.from_depth)), "exponents.svg"
        if self.kind == "layers":
            return draw_profile(rows, quantity=self.quantity), f"{self.quantity}-layers.svg"
        if self.kind == "matrices":
            below = [part for part in dict.fromkeys(rows["part"]) if part not in ALL_PARTS]
            figure = draw_sweep(
                rows, quantity=self.quantity, from_depth=self.from_depth, panels=below
            )
            return figure, f"{self.quantity}-matrices.svg"
        figure = draw_sweep(rows, quantity=self.quantity, from_depth=self.from_depth)
        return figure, f"{self.quantity}.svg"

    def _chosen(self, rows: "pl.DataFrame") -> "pl.DataFrame":
        import polars as pl

        return rows.filter(pl.col("scheme").is_in(self._named(rows["scheme"].to_list())))

    def _named(self, there: list[str]) -> list[str]:
        """The schemes asked for, of those that are there."""
        known = list(dict.fromkeys(there))
        if self.schemes.strip() == "all":
            return known
        names = list(words_of("schemes", self.schemes))
        for name in names:
            if name not in known:
                raise nearest(name, known, "scheme")
        return names
