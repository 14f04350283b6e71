r"""Prose and formulas as LaTeX that any engine compiles: ASCII alone, symbols through commands.

Prose here is written with the papers' symbols in Unicode (‖Δf‖ ≤ Θ(η), m̄, N^(-1/4)); each becomes
its command in math mode. A character without one is an error, not a hole in the page.
"""

import re
import unicodedata

import sympy as sp

from theory.errors import InputError

_COMMANDS = {
    "½": r"\tfrac{1}{2}",
    "¼": r"\tfrac{1}{4}",
    "⅓": r"\tfrac{1}{3}",
    "⅔": r"\tfrac{2}{3}",
    "±": r"\pm",
    "·": r"\cdot",
    "×": r"\times",
    "÷": r"\div",
    "–": r"\textrm{--}",
    "—": r"\textrm{---}",
    "…": r"\ldots",
    "⋯": r"\cdots",
    "‖": r"\|",
    "−": "-",
    "ᵀ": r"^{\top}",
    "ᵗ": "^{t}",
    "⁻": "^{-}",
    "←": r"\leftarrow",
    "→": r"\to",
    "↦": r"\mapsto",
    "⇐": r"\Leftarrow",
    "⇒": r"\Rightarrow",
    "⇔": r"\Leftrightarrow",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∈": r"\in",
    "√": r"\surd",
    "∝": r"\propto",
    "∞": r"\infty",
    "∫": r"\int",
    "≈": r"\approx",
    "≠": r"\ne",
    "≤": r"\le",
    "≥": r"\ge",
    "≪": r"\ll",
    "≫": r"\gg",
    "∼": r"\sim",
    "⊗": r"\otimes",
    "⊥": r"\perp",
    "⟨": r"\langle",
    "⟩": r"\rangle",
    "⪰": r"\succeq",
    "ℓ": r"\ell",
    "ε": r"\varepsilon",
    "φ": r"\varphi",
    "§": r"\S",
}
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    **{special: "\\" + special for special in "_%&#{}$"},
}
_ACCENTS = {"\N{COMBINING MACRON}": r"\bar", "\N{COMBINING CIRCUMFLEX ACCENT}": r"\hat"}
_TRANSPOSED = re.compile(r"\\operatorname\{transpose\}\{\\left\(([^()]*?) ?\\right\)\}")
_WORD = re.compile(
    r"(?P<command>\\(?:operatorname|text|textrm|mathrm|begin|end)\{[^{}]*\}|\\[A-Za-z]+)"
    r"|(?<![A-Za-z])(?P<word>[a-z]+\[[a-z._]+\]"
    r"|(?:[a-z]{4,}|max|min|log|age|Var|MLP|LN)(?: [a-z]{2,})*)"
    r"(?P<next> (?=[A-Z]))?"
)
_NAMED = ((re.compile(r"(?<!\\)Delta(?=[A-Z])"), r"\\Delta "), (re.compile(r"/deta\b"), r"/d\\eta"))
_INDICES = re.compile(r"(?:[vwqk]|m[ik])+")
PREAMBLE = r"""\documentclass{article}
\usepackage[margin=2cm]{geometry}
\usepackage{amsmath,amssymb,graphicx}
\newsavebox{\formula}
\newcommand{\fit}[1]{\sbox{\formula}{$\displaystyle #1$}%
  \ifdim\wd\formula>0.9\linewidth\resizebox{0.9\linewidth}{!}{\usebox{\formula}}%
  \else\usebox{\formula}\fi}
\begin{document}"""


def _command(character: str) -> str:
    """The math command of one character.

    Raises
    ------
    InputError
        If there is none in the tables.
    """
    if character in _COMMANDS:
        return _COMMANDS[character]
    name = unicodedata.name(character, "")
    words = name.split()
    if name.startswith("GREEK") and len(words) == 4:
        greek = "omega" if words[3] == "OMEGA" else words[3].lower().replace("lamda", "lambda")
        return "\\" + (greek.capitalize() if words[1] == "CAPITAL" else greek)
    if name.startswith(("SUPERSCRIPT ", "SUBSCRIPT ")):
        mark = "^" if words[0] == "SUPERSCRIPT" else "_"
        return f"{mark}{{{unicodedata.digit(character)}}}"
    raise InputError(f"no LaTeX command is known for {character!r} ({name})")


def prose(words: str) -> str:
    r"""Words for LaTeX.

    Examples
    --------
    >>> print(prose("‖m̄‖² = Θ(N^(-1/4)) for m_1"))
    $\|$$\bar{m}$$\|$$^{2}$ = $\Theta$(N\textasciicircum{}(-1/4)) for m\_1
    """
    found: list[str] = []
    for character in unicodedata.normalize("NFD", words):
        if character in _ACCENTS:
            base = found.pop().strip("$")
            found.append(f"${_ACCENTS[character]}{{{base}}}$")
        elif character.isascii():
            found.append(_ESCAPED.get(character, character))
        else:
            found.append(f"${_command(character)}$")
    return "".join(found)


def formula(statement: sp.Basic) -> str:
    r"""A SymPy statement for math mode; symbols whose names are Unicode through their commands.

    A name that is a word stands upright, so that it does not read as a product of its letters.

    Examples
    --------
    >>> print(formula(sp.Eq(sp.Symbol("λ"), sp.Symbol("x") ** 2, evaluate=False)))
    \lambda  = x^{2}
    >>> print(formula(sp.Symbol("rate[encoder.in]") + sp.Symbol("rank P")))
    \mathrm{rank}\,P + \mathrm{rate[encoder.in]}
    """
    drawn = _TRANSPOSED.sub(r"{\1}^{\\top}", sp.latex(statement))
    for name, command in _NAMED:
        drawn = name.sub(command, drawn)
    drawn = _WORD.sub(_upright, drawn)
    return "".join(c if c.isascii() else _command(c) + " " for c in drawn)


def _upright(found: re.Match[str]) -> str:
    """A word in roman type; commands and the indices of derivatives as they are."""
    word = found["word"]
    if not word or _INDICES.fullmatch(word):
        return found[0]
    spaced = word.replace(" ", "\\ ")
    return rf"\mathrm{{{spaced}}}" + (r"\," if found["next"] else "")
