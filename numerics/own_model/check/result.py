"""The result of a check, which can also be drawn and shown in a notebook.

Figure and text read the plain record (`CheckRecord`), so that neither knows this class.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from numerics.own_model.check.types import CheckRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Check(CheckRecord):
    """The answer about one factory of models: a verdict per optimizer, and what to change."""

    def plot(self) -> "Figure":
        """Draw ‖Δf‖/η over the sizes with the fitted laws (`numerics.own_model.check.figure`)."""
        from numerics.own_model.check.figure import draw_check

        return draw_check(self)

    def _repr_html_(self) -> str:
        from numerics.figures.markup import page
        from numerics.own_model.check.report import print_check

        return page(lambda console: print_check(self, console), self.plot())
