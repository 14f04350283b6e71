"""How the documentation is built: ``make docs`` writes it to ``build/docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_all
from recorded_tables import write_tables

project = "tfixup"
author = "the authors of tfixup"
copyright = "2026, the authors of tfixup"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",
]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
# Notebooks are executed by the tests; the documentation shows the outputs that they left.
nb_execution_mode = "off"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "tfixup"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_theme_options = {"source_repository": "", "navigation_with_keys": True}
exclude_patterns = ["build"]
suppress_warnings = ["myst.header"]

# A folder of generated pages: derivations, help texts, tables. It is not kept in git. With the tag
# `tables` only the recorded tables are written, which takes seconds.
write = write_tables if tags.has("tables") else write_all  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
write(Path(__file__).parent / "_generated")
