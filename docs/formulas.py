r"""Formulas of the derivations as a page shows them: long ones over several lines.

A formula is LaTeX of SymPy. A line break may stand before a relation or a sum's next term where no
bracket is open. The whole becomes ``aligned``. A number of very many digits is shown by its first
and last ones.
"""

import re

WIDTH = 72
"""Characters of a line, in the estimate of `width`, that fit a page's column."""
SHORT = 6
"""A right side of at most this width does not get a line of its own."""
_GIVEN = r"\quad\text{at }"
_RELATION = re.compile(r"\\(?:leq|le|geq|ge|neq|asymp|approx|preceq) |:= |= |< |> ")
_SIGN = re.compile(r"[+-] ")
_COMMA = re.compile(r"(?<=, )\S")
_UNARY = re.compile(r"(=|<|>|\\(leq|le|geq|ge|neq|asymp|approx|quad)) *$")
_DIGITS = re.compile(r"\d{40,}")
_SPACED = {
    "+",
    "-",
    "=",
    "<",
    ">",
    r"\leq",
    r"\geq",
    r"\neq",
    r"\asymp",
    r"\approx",
    r"\quad",
    r"\le",
}
_WITHOUT_WIDTH = {
    "^",
    "_",
    r"\mathrm",
    r"\operatorname",
    r"\text",
    r"\sqrt",
    r"\limits",
    r"\,",
    r"\ ",
}
_TOKEN = re.compile(r"\\left\s*\S|\\right\s*\\?\S|\\[A-Za-z]+ ?|\\.|.", re.DOTALL)


def shown(latex: str) -> str:
    r"""A formula with line breaks where it is too wide for the page.

    Examples
    --------
    >>> shown("a = b")
    'a = b'
    >>> term = "a_{1} b_{1} c_{1} d_{1} e_{1} f_{1} g_{1} h_{1}"
    >>> print(shown(" + ".join([term] * 6) + " = s"))  # doctest: +ELLIPSIS
    \begin{aligned}& a_{1} ... \\ & \quad + a_{1} ... = s\end{aligned}
    """
    latex = _DIGITS.sub(_shortened, latex)
    if width(latex) <= WIDTH:
        return latex
    relation, given, values = latex.partition(_GIVEN)
    lines: list[str] = []
    for side in _cut(relation, _RELATION):
        lines += _filled(_cut(side, _SIGN))
    if given:
        lines += _filled([given, *_cut(values, _COMMA)])
    short = width(lines[-1]) <= SHORT and width("".join(lines[-2:])) <= WIDTH
    if len(lines) > 1 and short and lines[-1].startswith("="):
        lines[-2:] = ["".join(lines[-2:])]
    if len(lines) == 1:
        return latex
    return r"\begin{aligned}& " + r" \\ & ".join(lines) + r"\end{aligned}"


def _filled(parts: list[str]) -> list[str]:
    """Lines that are filled with the parts; those after the first are indented."""
    lines = [""]
    for part in parts:
        if lines[-1] and width(lines[-1] + part) > WIDTH:
            lines.append(r"\quad ")
        lines[-1] += part
    return lines


def width(latex: str) -> int:
    r"""How wide a formula is, in characters: a fraction is as wide as its wider half.

    Examples
    --------
    >>> width(r"\frac{a + b}{c}"), width(r"\mathrm{rate}"), width("x^{2}")
    (5, 4, 2)
    """
    found, _ = _measured(_TOKEN.findall(latex), 0)
    return found


def _measured(tokens: list[str], start: int) -> tuple[int, int]:
    """The width from one token to the end of its group, and the position behind that."""
    total, position = 0, start
    while position < len(tokens):
        token = tokens[position].strip()
        position += 1
        if token == "}":
            break
        if token == r"\frac":
            above, position = _measured(tokens, position + 1)
            below, position = _measured(tokens, position + 1)
            total += max(above, below)
        elif token == "{":
            inner, position = _measured(tokens, position)
            total += inner
        elif token and token not in _WITHOUT_WIDTH:
            total += 3 if token in _SPACED else 1
    return total, position


def _shortened(number: re.Match[str]) -> str:
    digits = number[0]
    return rf"\underbrace{{{digits[:8]}\ldots{digits[-8:]}}}_{{{len(digits)}\text{{ digits}}}}"


def _cut(latex: str, before: re.Pattern[str]) -> list[str]:
    """The parts that start with a sign where no bracket is open."""
    parts, depth, position = [""], 0, 0
    while found := _TOKEN.match(latex, position):
        token = found[0]
        opens = token in "{([" or token.startswith(r"\left")
        depth += opens - (token in "})]" or token.startswith(r"\right"))
        binary = parts[-1].endswith(" ") and not _UNARY.search(parts[-1])
        if depth == 0 and binary and before.match(latex, position):
            parts.append("")
        parts[-1] += token
        position = found.end()
    return parts
