"""Mathematics on a terminal that has only ASCII: Greek letters are spelled, signs get a look-alike.

Python asks an *error handler* what to print for a character that the terminal's encoding lacks.
This one answers ``sqrt`` for a root sign and ``eta`` for the letter, where a question mark would
make different formulas look the same.
"""

import codecs
import unicodedata
from collections.abc import Mapping

HANDLER = "spelled"
"""The handler's name, as ``open(errors=…)`` takes it."""
LIKENESS: Mapping[str, str] = {
    "‖": "||",
    "√": "sqrt ",
    "∂": "d",
    "∇": "grad ",
    "Σ": "sum ",
    "∫": "int ",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "≠": "!=",
    "≡": "==",
    "⇔": "<=>",
    "⇒": "=>",
    "⇐": "<=",
    "→": "->",
    "←": "<-",
    "∞": "infinity",
    "∈": " in ",
    "−": "-",
    "–": "-",
    "—": "-",
    "±": "+-",
    "×": "x",
    "÷": "/",
    "·": "*",
    "⋅": "*",
    "…": "...",
    "∝": "~",
    "⟨": "<",
    "⟩": ">",
    "✓": "ok",
    "•": "*",
    "“": '"',
    "”": '"',
}
ACCENTS: Mapping[str, str] = {
    "MACRON": "_bar",
    "OVERLINE": "_bar",
    "CIRCUMFLEX": "_hat",
    "TILDE": "_tilde",
}
"""What is written behind a letter for the mark above it, by a word of the mark's name."""
ACCENTED: Mapping[str, str] = {"\u0304": "_bar", "\u0302": "_hat", "\u0303": "_tilde"}
"""The same for letters that Unicode has with their mark."""


def spelled(character: str) -> str:
    """A character in ASCII: its likeness, a Greek letter's name, a raised digit behind ``^``.

    Examples
    --------
    >>> "".join(map(spelled, "‖Δf‖/η ≤ √d²"))
    '||Deltaf||/eta <= sqrt d^2'
    """
    if character.isascii():
        return character
    if character in LIKENESS:
        return LIKENESS[character]
    name = unicodedata.name(character, "")
    if name.startswith("GREEK") and " LETTER " in name:
        letter = name.partition(" LETTER ")[2].split()[0].lower()
        return letter.capitalize() if "CAPITAL" in name else letter
    if unicodedata.combining(character):
        return next((word for mark, word in ACCENTS.items() if mark in name), "")
    parts = unicodedata.normalize("NFKD", character)
    plain = "".join(part if part.isascii() else ACCENTED.get(part, "") for part in parts)
    if plain and ("SUPERSCRIPT" in name or "MODIFIER LETTER" in name):
        return f"^{plain}"
    if plain:
        return plain
    return "-" if name.startswith("BOX DRAWINGS") else "?"


def _handle(failure: UnicodeError) -> tuple[str, int]:
    if not isinstance(failure, UnicodeEncodeError):
        raise failure
    lacking = failure.object[failure.start : failure.end]
    return "".join(map(spelled, lacking)), failure.end


def use_spelled_letters() -> str:
    """Make the handler known to Python, and return its name."""
    codecs.register_error(HANDLER, _handle)
    return HANDLER
