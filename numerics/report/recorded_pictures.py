"""The figure of the recorded runs that a check reads, once per page.

A check names its records in its source, such as ``recorded: results/fig2``. The command that wrote
them has drawn a figure beside them. The first check that reads a folder shows its figure, and the
others say where it stands. A package from a wheel holds the records without figures.
"""

from pathlib import Path

from numerics.report import drawings
from numerics.report.cards import Figure
from numerics.stores.record_folder import BESIDE
from theory.claims import Evidence

NAMES = ("figure.svg", "exponents.svg", "update.svg")
"""What the commands reproduce, plot and sweep call the figure that decides."""
_READ = "recorded: "


class RecordedPictures:
    """Hands out the figure of each folder once.

    Parameters
    ----------
    prefix
        What the names within the figures of this run begin with.
    records
        The only folder below which figures are looked for: a document may name any path.
    """

    def __init__(self, prefix: str, records: Path = BESIDE) -> None:
        self._prefix = prefix
        self._records = records.resolve()
        self._shown: dict[Path, str] = {}

    def of(self, evidence: Evidence) -> tuple[Figure | None, str]:
        """The figure, and where it stands if another check shows it.

        Raises
        ------
        InputError
            If the figure is no SVG document.
        """
        path = self._file(evidence.source)
        if path is None:
            return None, ""
        if path in self._shown:
            return None, f"on the card {self._shown[path]}"
        self._shown[path] = evidence.claim
        names = f"{self._prefix}record{len(self._shown)}-"
        drawing = drawings.safe_svg(path.read_bytes(), names, str(path))
        return Figure(f"{path.relative_to(self._records.parent)}", drawing), ""

    def _file(self, source: str) -> Path | None:
        if not source.startswith(_READ):
            return None
        named = (self._records.parent / source.removeprefix(_READ)).resolve()
        folder = named.parent if named.is_file() else named
        if self._records not in folder.parents:
            return None
        return next((folder / name for name in NAMES if (folder / name).is_file()), None)
