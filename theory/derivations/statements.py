"""Kinds of statements that a derivation prints: each says no more than its check compares.

- *Equality* (SymPy's ``Eq``): both printed sides are equal for all values that the line allows.
- *Inequality* (``Le``, ``Lt``, …, ``Ne``): likewise.
- `Computed`: a named quantity, which the check computes from its definition, equals a formula.
- `OrderEquality`: two expressions are of one order; only powers of the depth and its logarithm are
  compared, and it is printed with ≍.
- `Rounded`: an exact value is a decimal to the digits printed; it is printed with ≈.
- `At`: a relation that holds at stated values of some symbols and need not hold elsewhere.
- `Asked`: a condition that is demanded, not asserted.
- `Definition`: a name for an expression. There is nothing to check, and the line says so.

Equalities and inequalities are also evaluated *as printed*, at random values of their symbols: a
check that compares something else cannot make a false line pass.
"""

import random
from collections.abc import Callable, Mapping
from decimal import Decimal

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.pretty.stringpict import prettyForm, stringPict

PointDraw = Callable[[random.Random], Mapping[sp.Basic, sp.Basic]]
"""Values that meet a line's hypotheses; symbols that it leaves out are drawn freely."""
POINTS = 3
_DIGITS = 30
_NEAR = sp.Rational(1, 10**12)


class _Printed(sp.Basic):
    """A statement that prints itself with a sign of its own between two sides."""

    sign = "="
    latex_sign = "="

    def _after(self) -> tuple[str, str]:
        """What follows the right side, for a terminal and in LaTeX."""
        return "", ""

    def _shown(self) -> tuple[sp.Basic, sp.Basic]:
        return self.args[0], self.args[1]

    def _pretty(self, printer) -> prettyForm:
        left, right = (printer._print(side) for side in self._shown())
        parts = (left, f" {self.sign} ", right, self._after()[0])
        return prettyForm(*stringPict.next(*(part for part in parts if part)))

    def _latex(self, printer) -> str:
        left, right = (printer._print(side) for side in self._shown())
        return f"{left} {self.latex_sign} {right}{self._after()[1]}"


class OrderEquality(_Printed):
    """Two quantities grow alike: (expression, target, depth), expression ≍ target."""

    sign = "≍"
    latex_sign = r"\asymp"

    def _after(self) -> tuple[str, str]:
        depth = self.args[2]
        return f"   ({depth} → ∞)", rf"\quad ({sp.latex(depth)} \to \infty)"


class Rounded(_Printed):
    """A value as it is printed: (exact, decimal), rounded to the digits of the decimal."""

    sign = "≈"
    latex_sign = r"\approx"

    def _shown(self) -> tuple[sp.Basic, sp.Basic]:
        return self.args[0], sp.Symbol(decimal_text(self.args[1]))

    def _sympystr(self, printer) -> str:
        return f"Rounded({printer._print(self.args[0])}, {decimal_text(self.args[1])})"


def decimal_text(value: sp.Basic) -> str:
    """A rational number with a power of ten below it, as a decimal.

    Examples
    --------
    >>> decimal_text(sp.Rational("0.0051928")), decimal_text(sp.Integer(264600))
    ('0.0051928', '264600')
    """
    exact = sp.Rational(str(value))
    digits = next(n for n in range(40) if (exact * 10**n).is_integer)
    return format(Decimal(exact.p) / Decimal(exact.q), f".{digits}f")


class LoewnerOrder(_Printed):
    """One matrix is below another: (lower, upper), upper − lower has no negative eigenvalue."""

    sign = "⪯"
    latex_sign = r"\preceq"


class Between(_Printed):
    """A named quantity lies between two bounds: (low, name, high)."""

    sign = "≤"
    latex_sign = r"\le"

    def _after(self) -> tuple[str, str]:
        return f" ≤ {self.args[2]}", rf" \le {sp.latex(self.args[2])}"


class Definition(_Printed):
    """What a name stands for from here on: (name, expression)."""

    sign = "≔"
    latex_sign = ":="


class At(sp.Basic):
    """A relation at given values of its symbols: (relation, (symbol, value), …)."""

    @property
    def values(self) -> dict[sp.Basic, sp.Basic]:
        """What the symbols are set to."""
        return {pair[0]: pair[1] for pair in self.args[1:]}

    def inserted(self) -> sp.Basic:
        """The relation with the values in it."""
        return self.args[0].func(
            *(side.subs(self.values, simultaneous=True) for side in self.args[0].args),
            **(
                {"evaluate": False}
                if isinstance(self.args[0], sp.core.relational.Relational)
                else {}
            ),
        )

    def _pretty(self, printer) -> prettyForm:
        parts: list[prettyForm | str] = [printer._print(self.args[0])]
        for number, (symbol, value) in enumerate(self.values.items()):
            parts += ["   at " if number == 0 else ", "]
            parts += [printer._print(symbol), " = ", printer._print(value)]
        return prettyForm(*stringPict.next(*parts))

    def _latex(self, printer) -> str:
        values = ", ".join(
            f"{printer._print(symbol)} = {printer._print(value)}"
            for symbol, value in self.values.items()
        )
        return rf"{printer._print(self.args[0])} \quad\text{{at }} {values}"


class Asked(sp.Basic):
    """A condition that is demanded: (relation).

    Whether anything meets it is another line's matter.
    """

    def _pretty(self, printer) -> prettyForm:
        return prettyForm(*stringPict.next(printer._print(self.args[0]), "   (asked)"))

    def _latex(self, printer) -> str:
        return rf"{printer._print(self.args[0])} \quad\text{{(asked)}}"


class Computed(sp.Equality):
    """A named quantity, computed from its definition, equals a formula: (name, formula)."""


def at(relation: sp.Basic, values: Mapping[sp.Basic, sp.Basic]) -> At:
    """``relation`` at ``values``."""
    return At(relation, *(sp.Tuple(symbol, value) for symbol, value in values.items()))


def sides(statement: sp.Basic) -> tuple[sp.Basic, sp.Basic]:
    """Left and right side, of the inner relation where there is one."""
    relation = statement.args[0] if isinstance(statement, At | Asked) else statement
    return relation.args[0], relation.args[1]


def is_name(expression: sp.Basic) -> bool:
    """Whether a left side is a name: a symbol, an entry of a named array, an unknown function."""
    base = expression.base if isinstance(expression, sp.Pow) else expression
    return isinstance(base, sp.Indexed | AppliedUndef) or isinstance(expression, sp.Symbol)


def relation_sign(statement: sp.Basic) -> str:
    """The sign between the printed sides, ``computed`` for a named quantity.

    Examples
    --------
    >>> x = sp.Symbol("x", positive=True)
    >>> relation_sign(sp.Le(x, 2, evaluate=False)), relation_sign(OrderEquality(2 * x, x, x))
    ('≤', '≍')
    """
    if isinstance(statement, At):
        return relation_sign(statement.args[0])
    if isinstance(statement, Asked):
        return "asked"
    if isinstance(statement, Computed):
        return "computed"
    if isinstance(statement, _Printed):
        return statement.sign
    known = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}
    rel_op = getattr(statement, "rel_op", "=")
    return known.get(rel_op, rel_op)


_NOT_EVALUATED = (sp.Limit, sp.Integral, sp.Derivative, AppliedUndef)
"""Parts that have no value at a point, or a slow one: their exact value is what the check takes."""


def evaluable(statement: sp.Basic) -> bool:
    """Whether both printed sides have a value at a point."""
    relation = statement.args[0] if isinstance(statement, At) else statement
    if isinstance(relation, Computed) or not isinstance(relation, sp.core.relational.Relational):
        return False
    ordinary = all(getattr(symbol, "is_commutative", True) for symbol in relation.free_symbols)
    matrices = any(getattr(side, "is_Matrix", False) for side in relation.args)
    return ordinary and not matrices and not relation.has(*_NOT_EVALUATED, sp.oo)


def true_as_printed(
    statement: sp.Basic, draw: PointDraw | None = None, points: int = POINTS
) -> bool:
    """Whether the two printed sides stand in the printed relation at random values.

    Parameters
    ----------
    statement
        An equality or an inequality, or one at stated values.
    draw
        Values that meet the line's hypotheses.
    points
        How many.

    Examples
    --------
    >>> x, y = sp.symbols("x y", positive=True)
    >>> true_as_printed(sp.Eq((x + y) ** 2, x**2 + 2 * x * y + y**2, evaluate=False))
    True
    >>> true_as_printed(sp.Eq(sp.sqrt(x**2 + y), 1, evaluate=False))
    False
    """
    generator = random.Random(20200713)
    relation = statement.inserted() if isinstance(statement, At) else statement
    for _ in range(points):
        values = dict(draw(generator)) if draw is not None else {}
        left, right = (_value(side, values, generator) for side in relation.args)
        if not _compare(relation, left, right):
            return False
    return True


def _value(side: sp.Basic, values: dict[sp.Basic, sp.Basic], generator: random.Random) -> sp.Basic:
    # A sum over named entries, m_1 + … + m_n, has them only once it is written out.
    inner = _inserted(_inserted(side, values).doit(), values) if values else side
    drawn = {
        symbol: _drawn(symbol, generator)
        for symbol in sorted(inner.free_symbols, key=str)
        if symbol not in values and isinstance(symbol, sp.Symbol)
    }
    values |= drawn
    return sp.N(_inserted(inner.subs(drawn).doit(), values) if drawn else inner, _DIGITS)


def _inserted(expression: sp.Basic, values: Mapping[sp.Basic, sp.Basic]) -> sp.Basic:
    """The expression with those values that it has a place for: SymPy looks for each in turn."""
    names = (sp.Symbol, sp.Indexed)
    there = expression.atoms(*names)
    return expression.subs(
        {k: v for k, v in values.items() if k in there or not isinstance(k, names)}
    )


def _drawn(symbol: sp.Symbol, generator: random.Random) -> sp.Basic:
    if symbol.is_integer:
        return sp.Integer(generator.randint(2, 7))
    return sp.Rational(generator.randint(7, 90), generator.choice((11, 13, 29)))


def _compare(relation: sp.Basic, left: sp.Basic, right: sp.Basic) -> bool:
    gap, size = left - right, max(abs(left), abs(right), 1)
    if isinstance(relation, sp.Equality):
        return bool(abs(gap) <= _NEAR * size)
    if isinstance(relation, sp.Unequality):
        return bool(abs(gap) > _NEAR * size)
    slack = _NEAR * size * (1 if relation.rel_op in ("<=", ">=") else -1)
    return bool(gap <= slack) if relation.rel_op in ("<=", "<") else bool(-gap <= slack)
