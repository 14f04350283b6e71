"""Reads the definitions of ``proofs/coq`` into SymPy, for a small part of Coq's language.

It reads + − * / ^, inverses ``/ x``, application, ``fun j => …``, ``let x := … in …``, and ``total
n f``, which is added up for a given n. Names are looked up among the arguments, then among the
definitions of the files, then among a few functions. Anything else is an error, never a guess.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

TOKEN = re.compile(r"\s*(=>|:=|[A-Za-z_][\w']*|\d+(?:\.\d+)?|[-+*/^()])(?:%nat)?")
CoqValue = Any
"""A SymPy expression, or a function of further arguments."""


@dataclass(frozen=True)
class CoqDefinition:
    """A Coq definition: its parameters and its body, in tokens."""

    name: str
    parameters: tuple[str, ...]
    body: tuple[str, ...]


def definitions(text: str) -> dict[str, CoqDefinition]:
    """Every ``Definition`` of a file that is a formula.

    Examples
    --------
    >>> definitions("Definition square (x : R) : R := x ^ 2.")["square"].body
    ('x', '^', '2')
    """
    bare = re.sub(r"\(\*.*?\*\)", " ", text, flags=re.DOTALL)
    pattern = r"Definition (\w+)((?:\s*\([^()]*:[^()]*\))*)\s*(?::\s*R\s*)?:=\s(.*?)\.(?=\s|$)"
    found = {}
    for name, typed, body in re.findall(pattern, bare, flags=re.DOTALL):
        groups = re.findall(r"\(([^:()]*):", typed)
        words = tuple(word for group in groups for word in group.split())
        found[name] = CoqDefinition(name, words, tokens(body))
    return found


def tokens(text: str) -> tuple[str, ...]:
    """Words of a formula, or none if it has characters that are not read here."""
    words, place = [], 0
    text = text.strip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            return ()
        words.append(match[1])
        place = match.end()
    return tuple(words)


FUNCTIONS: Mapping[str, Callable[[CoqValue], CoqValue]] = {
    "sqrt": sp.sqrt,
    "exp": sp.exp,
    "ln": sp.log,
    "Rabs": sp.Abs,
    "INR": lambda number: number,
}


class Reader:
    """Evaluates definitions of the given files.

    Examples
    --------
    >>> reader = Reader(["Definition twice (x : R) : R := 2 * x.",
    ...                  "Definition sum (n : nat) (m : nat -> R) : R := total n (fun j => m j)."])
    >>> reader("twice", sp.Symbol("a"))
    2*a
    >>> reader("sum", 3, lambda j: sp.Symbol(f"m{j}"))
    m0 + m1 + m2
    """

    def __init__(self, texts: list[str]) -> None:
        self.known: dict[str, CoqDefinition] = {}
        for text in texts:
            self.known |= definitions(text)

    def __call__(self, name: str, *arguments: CoqValue) -> CoqValue:
        """The definition ``name`` at these arguments; missing ones give a function of the rest."""
        if name not in self.known:
            raise ValueError(f"no definition {name} could be read")
        return self._apply(self.known[name], arguments)

    def _apply(self, known: CoqDefinition, arguments: tuple[CoqValue, ...]) -> CoqValue:
        if not known.body:
            raise ValueError(f"the definition of {known.name} cannot be read")
        if len(arguments) < len(known.parameters):
            return lambda *more: self._apply(known, (*arguments, *more))
        split = len(known.parameters)
        names = dict(zip(known.parameters, arguments, strict=False))
        whole = _Evaluation(self, known.body, names).whole()
        return whole(*arguments[split:]) if arguments[split:] else whole


class _Evaluation:
    """One pass over the tokens of a body, precedence climbing."""

    def __init__(
        self, reader: Reader, words: tuple[str, ...], names: Mapping[str, CoqValue]
    ) -> None:
        self.reader, self.words, self.names, self.place = reader, words, dict(names), 0

    def whole(self) -> CoqValue:
        value = self.expression()
        if self.place != len(self.words):
            raise ValueError(f"cannot read the Coq formula at {' '.join(self.words[self.place :])}")
        return value

    def peek(self) -> str:
        return self.words[self.place] if self.place < len(self.words) else ""

    def take(self, *expected: str) -> str:
        word = self.peek()
        if not word or (expected and word not in expected):
            raise ValueError(f"expected {expected}, got {word!r} in {' '.join(self.words)}")
        self.place += 1
        return word

    def expression(self) -> CoqValue:
        if self.peek() == "let":
            self.take()
            name = self.take()
            self.take(":=")
            value = self.expression()
            self.take("in")
            self.names[name] = value
            return self.expression()
        if self.peek() == "fun":
            return self.function()
        value = self.product()
        while self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            value = value + sign * self.product()
        return value

    def function(self) -> CoqValue:
        """``fun j => body``: the body is read again for each argument."""
        self.take("fun")
        name = self.take()
        self.take("=>")
        start, names = self.place, dict(self.names)
        depth, end = 0, start
        while end < len(self.words) and depth >= 0:
            depth += {"(": 1, ")": -1}.get(self.words[end], 0)
            end += depth >= 0
        self.place = end
        body = self.words[start:end]
        return lambda value: _Evaluation(self.reader, body, {**names, name: value}).whole()

    def product(self) -> CoqValue:
        value = self.unary()
        while self.peek() in ("*", "/"):
            value = value * self.unary() if self.take() == "*" else value / self.unary()
        return value

    def unary(self) -> CoqValue:
        if self.peek() == "-":
            self.take()
            return -self.unary()
        if self.peek() == "/":
            self.take()
            return 1 / self.power()
        return self.power()

    def power(self) -> CoqValue:
        value = self.application()
        if self.peek() == "^":
            self.take()
            return value ** self.power()
        return value

    def application(self) -> CoqValue:
        head = self.atom()
        arguments = []
        while self.peek() not in ("", ")", "+", "-", "*", "/", "^", "in"):
            arguments.append(self.atom())
        return head(*arguments) if arguments else head

    def atom(self) -> CoqValue:
        word = self.take()
        if word == "(":
            value = self.expression()
            self.take(")")
            return value
        if word[0].isdigit():
            return sp.Rational(word)
        if word in self.names:
            return self.names[word]
        if word == "total":
            return lambda count, f: sp.Add(*(f(sp.Integer(j)) for j in range(int(count))))
        if word in self.reader.known:
            known = self.reader.known[word]
            if not known.parameters:
                return self.reader(word)
            return lambda *arguments: self.reader(word, *arguments)
        if word in FUNCTIONS:
            return FUNCTIONS[word]
        raise ValueError(f"unknown name {word!r} in a Coq formula")
