"""``tfixup plot``: the figure of a sweep."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Plot:
    """Draw ‖Δf‖/η against depth, log–log, a panel a part, with bands over seeds."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Output folder of ``tfixup sweep``."""
    out: Path | None = None
    """File to write, .svg, .png or .pdf; the default is update.svg in the folder."""
    quantity: Literal["update", "gradient_energy"] = "update"
    """What to draw: ‖Δf‖/η or the gradient's ‖Jᵀu‖²."""
    from_depth: int = 6
    """Least depth that enters the exponents in the legend."""

    def run(self) -> int:
        """Read the rows, draw, write whole or not at all."""
        from numerics.plots import draw_sweep, save
        from numerics.sweep_store import open_for_reading

        rows = open_for_reading(self.folder).rows()
        out = self.out or self.folder / f"{self.quantity}.svg"
        save(draw_sweep(rows, quantity=self.quantity, from_depth=self.from_depth), out)
        print(out)
        return 0
