"""``tfixup plot``: the figure of a sweep."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from theory.errors import InputError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Plot:
    """Draw a sweep: ‖Δf‖/η against depth by part, or the depth exponents of many schemes."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Output folder of ``tfixup sweep``."""
    out: Path | None = None
    """File to write, .svg, .png or .pdf; the default is QUANTITY.svg in the folder,
    exponents.svg, or QUANTITY-KIND.svg."""
    kind: Literal["curves", "exponents", "matrices", "layers"] = "curves"
    """Curves, log–log with bands over seeds; or each scheme's exponent with its 95 % interval. Of a
    sweep with that detail: curves by kind of matrix, or every block's share along the stack."""
    schemes: str = "all"
    """Which of the sweep's schemes, comma-separated."""
    quantity: Literal["update", "gradient_energy"] = "update"
    """What to draw: ‖Δf‖/η or the gradient's ‖Jᵀu‖²."""
    from_depth: int = 6
    """Least depth that enters the exponents."""

    def run(self) -> int:
        """Read the rows, draw, write whole or not at all."""
        from numerics.exponent_figure import draw_exponents
        from numerics.layer_profile import draw_profile
        from numerics.plots import draw_sweep, save
        from numerics.roles import ALL_PARTS
        from numerics.sweep import exponent_table
        from numerics.sweep_store import open_for_reading

        store = open_for_reading(self.folder)
        rows, detail = self._chosen(store.rows()), store.settings.detail
        needed = {"matrices": "matrix", "layers": "layer"}.get(self.kind, detail)
        if needed != detail:
            raise InputError(f"kind {self.kind} needs a sweep of detail {needed}, got {detail}")
        if self.kind == "exponents":
            out = self.out or self.folder / "exponents.svg"
            figure = draw_exponents(exponent_table(rows, from_depth=self.from_depth))
        elif self.kind == "layers":
            out = self.out or self.folder / f"{self.quantity}-layers.svg"
            figure = draw_profile(rows, quantity=self.quantity)
        elif self.kind == "matrices":
            out = self.out or self.folder / f"{self.quantity}-matrices.svg"
            below = [part for part in dict.fromkeys(rows["part"]) if part not in ALL_PARTS]
            figure = draw_sweep(
                rows, quantity=self.quantity, from_depth=self.from_depth, panels=below
            )
        else:
            out = self.out or self.folder / f"{self.quantity}.svg"
            figure = draw_sweep(rows, quantity=self.quantity, from_depth=self.from_depth)
        save(figure, out)
        print(out)
        return 0

    def _chosen(self, rows: "pl.DataFrame") -> "pl.DataFrame":
        import polars as pl

        from theory.errors import nearest

        if self.schemes.strip() == "all":
            return rows
        names = [name.strip() for name in self.schemes.split(",") if name.strip()]
        known = rows["scheme"].unique(maintain_order=True).to_list()
        for name in names:
            if name not in known:
                raise nearest(name, known, "scheme")
        return rows.filter(pl.col("scheme").is_in(names))
