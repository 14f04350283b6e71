"""``tfixup plot``: the figure of a sweep."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Plot:
    """Draw a sweep: ‖Δf‖/η against depth by part, or the depth exponents of many schemes."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Output folder of ``tfixup sweep``."""
    out: Path | None = None
    """File to write, .svg, .png or .pdf; the default is QUANTITY.svg in the folder, or
    exponents.svg."""
    kind: Literal["curves", "exponents"] = "curves"
    """Curves, log–log with bands over seeds; or each scheme's exponent with its 95 % interval."""
    schemes: str = "all"
    """Which of the sweep's schemes, comma-separated."""
    quantity: Literal["update", "gradient_energy"] = "update"
    """What to draw: ‖Δf‖/η or the gradient's ‖Jᵀu‖²."""
    from_depth: int = 6
    """Least depth that enters the exponents."""

    def run(self) -> int:
        """Read the rows, draw, write whole or not at all."""
        from numerics.exponent_figure import draw_exponents
        from numerics.plots import draw_sweep, save
        from numerics.sweep import exponent_table
        from numerics.sweep_store import open_for_reading

        rows = self._chosen(open_for_reading(self.folder).rows())
        if self.kind == "exponents":
            out = self.out or self.folder / "exponents.svg"
            figure = draw_exponents(exponent_table(rows, from_depth=self.from_depth))
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
