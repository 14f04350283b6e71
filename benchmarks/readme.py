"""Writes the README's table of verdicts from the recorded ones: ``make readme``.

The recorded verdicts are ``results/verify/verdicts.json``, which ``make record`` wrote. The table
between the two marks of the README is what ``tfixup verify --format markdown`` prints for them. A
test compares the two.
"""

import re
from pathlib import Path

from numerics.report.verdicts import WHAT_MATTERS, markdown
from numerics.verify import from_document, selected

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "results" / "verify" / "verdicts.json"
_BETWEEN = re.compile(r"(<!-- verdicts: [^>]*-->\n).*?(<!-- /verdicts -->)", re.DOTALL)


def table() -> str:
    """The Markdown table of the eight verdicts, from the record."""
    _, verdicts = from_document(RECORD, selected(",".join(WHAT_MATTERS)))
    return markdown(verdicts)


def with_table(readme: str) -> str:
    """The README with the table as it should be."""
    return _BETWEEN.sub(lambda marks: f"{marks[1]}\n{table()}\n\n{marks[2]}", readme)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_table(path.read_text("utf-8")), "utf-8")
