import shutil
import subprocess

import pytest
import sympy as sp

from theory.arguments import ARGUMENTS
from theory.arguments.latex import formula, prose
from theory.arguments.render import latex
from theory.errors import InputError
from theory.ledger import LEDGER

ENGINES = ("pdflatex", "lualatex", "xelatex", "tectonic")


def engine():
    found = next((name for name in ENGINES if shutil.which(name)), None)
    if found is None:
        pytest.skip(f"no LaTeX engine is installed: none of {', '.join(ENGINES)} was found")
    return found


def compiled(document, folder):
    name = engine()
    (folder / "all.tex").write_text(document)
    command = [name, "all.tex"]
    if name != "tectonic":
        command[1:1] = ["-interaction=nonstopmode", "-halt-on-error"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_derivation_compiles_as_one_document(tmp_path):
    engine()
    outcome = compiled("\n".join(latex(ARGUMENTS)), tmp_path)
    assert outcome.returncode == 0, outcome.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000


def test_a_document_with_an_unknown_command_does_not_compile(tmp_path):
    broken = "\\documentclass{article}\\begin{document}$\\frac{1}$\\nonsense\\end{document}"
    assert compiled(broken, tmp_path).returncode != 0


@pytest.mark.parametrize("claim", LEDGER, ids=lambda claim: claim.id)
def test_every_statement_of_the_ledger_has_its_symbols(claim):
    words = prose(" ".join((claim.statement, claim.where, *claim.assumptions)))
    assert words.isascii()
    assert words.count("$") % 2 == 0


def test_accents_and_scripts():
    assert prose("x̄² − ŵ") == r"$\bar{x}$$^{2}$ $-$ $\hat{w}$"
    assert prose("λ_1 ≤ Ω(√N)") == r"$\lambda$\_1 $\le$ $\Omega$($\surd$N)"
    assert formula(sp.Symbol("θ")) == r"\theta "


def test_a_symbol_without_a_command_is_an_error():
    with pytest.raises(InputError, match=r"no LaTeX command is known for '☃' \(SNOWMAN\)"):
        prose("a ☃")
