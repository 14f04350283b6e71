"""A derivation as data: statements in order, each with the check that decides it.

Every step also carries a *false* statement of the same shape, which the same check must reject: a
derivation whose checks cannot fail proves nothing. Checks are run when a step is asked for, so a
reader sees each one decided as it is printed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape

import sympy as sp

from theory.derivations.statements import (
    At,
    Computed,
    Definition,
    OrderEquality,
    PointDraw,
    Rounded,
    at,
    evaluable,
    is_name,
    true_as_printed,
)
from theory.markup import marked

StatementCheck = Callable[[sp.Basic], bool]


@dataclass(frozen=True)
class Step:
    """One statement of a derivation."""

    because: str
    """Why it holds, in words."""
    statement: sp.Basic
    """The statement: one of the kinds of `theory.derivations.statements`."""
    check: StatementCheck
    """Decides statements of this shape."""
    false: sp.Basic
    """A false statement that ``check`` must reject."""
    scope: str = ""
    """For which values the check decides it, where that is not all that the line allows."""
    given: tuple[str, ...] = ()
    """Hypotheses beyond the signs of the symbols."""
    draw: PointDraw | None = None
    """Values that meet the hypotheses, at which the line is evaluated as printed."""
    section: str = ""
    """Heading of the part of a derivation that begins here."""

    def holds(self) -> bool:
        """Whether the check passes and, where it has a value, the line is true as printed."""
        if isinstance(self.statement, Definition):
            return True
        if not self.check(self.statement):
            return False
        return not evaluable(self.statement) or true_as_printed(self.statement, self.draw)

    @property
    def checked(self) -> str:
        """How it was checked, in words."""
        if isinstance(self.statement, Definition):
            return "definition: nothing to check"
        decided = self.scope or str(getattr(self.check, "scope", "")) or _told(self.because)
        return f"checked: {decided or _scope(self.statement)}"


_WORDS = "exact|signs|digits|integrated|symbolic|every entry|points|[a-zLN] = [0-9]"
_INSTANCES = re.compile(rf"\(([^()]*(?:{_WORDS})[^()]*)\)")


def _told(because: str) -> str:
    """The instances that a line names in its own words, such as "exact, n = 2 and 3"."""
    found = _INSTANCES.findall(because)
    return found[-1] if found else ""


def _scope(statement: sp.Basic) -> str:
    """What a check without a narrower scope covers."""
    inner = statement.args[0] if isinstance(statement, At) else statement
    if isinstance(inner, OrderEquality):
        return f"the power of {inner.args[2]}"
    if isinstance(inner, Rounded):
        return "to the digits printed"
    free = sorted({str(s) for s in statement.free_symbols if isinstance(s, sp.Symbol)})
    if isinstance(statement, At):
        free = [name for name in free if name not in map(str, statement.values)]
    return f"for every {', '.join(free)}" if free else "exactly"


@dataclass(frozen=True)
class CheckedStep:
    """A step with the outcome of its check and of its control."""

    step: Step
    holds: bool
    control_rejected: bool | None
    """Whether the altered version was rejected; ``None`` for a definition, which has none."""

    @property
    def sound(self) -> bool:
        """Whether the step holds and its altered version, where it has one, was rejected."""
        return self.holds and self.control_rejected is not False

    @property
    def told(self) -> str:
        """How the step was checked, or what is wrong with it."""
        if not self.holds:
            return "FAILS"
        return self.step.checked if self.sound else "UNSOUND: the altered step passed too"


@dataclass(frozen=True)
class Derivation:
    """Steps that lead to one claim."""

    claim: str
    title: str
    steps: tuple[Step, ...]

    def check(self) -> Iterator[CheckedStep]:
        """Check the steps one after the other."""
        for step in self.steps:
            defined = isinstance(step.statement, Definition)
            yield CheckedStep(step, step.holds(), None if defined else not step.check(step.false))

    def _repr_html_(self) -> str:
        """Every step in words and as a formula, checked while it is written out.

        Examples
        --------
        >>> drawn, false = sp.Eq(sp.pi, sp.S("22/7"), evaluate=False), sp.Eq(1, 2, evaluate=False)
        >>> wrong = Step("π is 22/7", drawn, lambda line: line.lhs == line.rhs, false)
        >>> "FAILS" in Derivation("p.x", "a wrong value", (wrong,))._repr_html_()
        True
        """
        steps = "".join(f"<li>{_item(checked)}</li>" for checked in self.check())
        return f"<div><p><b>{escape(self.title)}</b></p><ol>{steps}</ol></div>"


def _item(checked: CheckedStep) -> str:
    """A step as a notebook lists it, in HTML: words, how it was checked, formula."""
    step = checked.step
    given = "".join(f"<br>given: {escape(text)}" for text in step.given)
    formula = escape(sp.latex(step.statement))
    how = marked(checked.told, checked.sound)
    return f"{escape(step.because)} <small>({how})</small>{given} $${formula}$$"


def section(heading: str, *steps: Step) -> tuple[Step, ...]:
    """A part of a derivation under a heading.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> step = definition("a square", x, x**2)
    >>> [part.section for part in section("Squares", step, step)]
    ['Squares', '']
    """
    first, *others = steps
    return (replace(first, section=heading), *others)


def equation(lhs: sp.Expr, rhs: sp.Expr) -> sp.Basic:
    """``lhs = rhs``, kept as written: of a named quantity if ``lhs`` is a name.

    Examples
    --------
    >>> x, gain = sp.symbols("x gain")
    >>> [type(equation(left, x**2)).__name__ for left in (gain, x * x)]
    ['Computed', 'Equality']
    """
    kind = Computed if is_name(sp.sympify(lhs)) else sp.Eq
    return kind(lhs, rhs, evaluate=False)


def covers(scope: str) -> Callable[[StatementCheck], StatementCheck]:
    """Mark a check with the instances that it decides, where these are not all values.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> @covers("at x = 2")
    ... def at_two(statement):
    ...     return identity(statement.subs(x, 2))
    >>> Step("a square", equation(x**2, 2 * x), at_two, equation(x**2, x)).checked
    'checked: at x = 2'
    """

    def mark(check: StatementCheck) -> StatementCheck:
        vars(check)["scope"] = scope
        return check

    return mark


def definition(because: str, name: sp.Basic, meaning: sp.Basic) -> Step:
    """``name`` stands for ``meaning`` from here on."""
    return Step(because, Definition(name, meaning), lambda _: False, sp.false)


def at_step(
    because: str,
    relation: sp.Basic,
    values: Mapping[sp.Basic, sp.Basic],
    wrong: Mapping[sp.Basic, sp.Basic],
) -> Step:
    """An equality at stated values; at the values ``wrong`` it is false.

    Examples
    --------
    >>> x = sp.Symbol("x", positive=True)
    >>> step = at_step("a root", equation(2 * x, 6), {x: sp.Integer(3)}, {x: sp.Integer(4)})
    >>> step.holds(), step.check(step.false)
    (True, False)
    """

    def check(statement: sp.Basic) -> bool:
        return identity(statement.inserted()) if isinstance(statement, At) else False

    return Step(because, at(relation, values), check, at(relation, wrong))


def rounded_step(because: str, exact: sp.Expr, decimal: str) -> Step:
    """``exact`` ≈ ``decimal``, rounded to its digits; the control is off by one in the last.

    Examples
    --------
    >>> step = rounded_step("half of the root of two", sp.sqrt(2) / 2, "0.7071")
    >>> step.holds(), step.check(step.false)
    (True, False)
    """
    value, unit = sp.Rational(decimal), sp.Rational(1, 10 ** len(decimal.partition(".")[2]))

    def check(statement: sp.Basic) -> bool:
        left, right = statement.args
        return bool(abs(sp.N(left, 40) - right) <= unit / 2)

    return Step(because, Rounded(exact, value), check, Rounded(exact, value + unit))


def mean_step(
    because: str,
    inner: sp.Expr,
    value: sp.Expr,
    check: StatementCheck,
    false: sp.Expr,
    scope: str,
) -> Step:
    """A step about an average, E[``inner``] = ``value``.

    ``check`` compares the average of the left side with the right.
    """

    def averaged(statement: sp.Basic) -> bool:
        return check(sp.Eq(statement.args[0].args[0], statement.args[1], evaluate=False))

    mean = sp.Function("E")(inner)
    return Step(because, equation(mean, value), averaged, equation(mean, false), scope)


def equal(one: sp.Expr, other: sp.Expr) -> bool:
    """Whether two expressions simplify to the same.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> equal((x + 1) ** 2, x**2 + 2 * x + 1), equal(x, -x)
    (True, False)
    """
    return sp.simplify(one - other) == 0


def identity(statement: sp.Basic) -> bool:
    """Whether an equation is an identity: lhs − rhs simplifies to 0.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> identity(equation((x + 1) ** 2, x**2 + 2 * x + 1)), identity(equation(x, -x))
    (True, False)
    """
    if statement in (sp.true, sp.false):  # substitution made both sides literally alike, or not
        return bool(statement)
    difference = statement.args[0] - statement.args[1]
    if difference.is_Matrix:
        return all(sp.simplify(entry) == 0 for entry in difference)
    return sp.simplify(difference.doit() if hasattr(difference, "doit") else difference) == 0


def dominated(statement: sp.Basic) -> bool:
    """Whether lhs ≤ rhs follows from the signs of symbols: rhs − lhs has a positive form.

    The difference is brought over one denominator; if numerator and denominator expand to
    polynomials with only non-negative coefficients in non-negative symbols (or even powers of
    real ones), it is non-negative. Sufficient, not necessary: an inequality that needs more is
    rejected.

    Examples
    --------
    >>> t = sp.Symbol("t", nonnegative=True)
    >>> dominated(sp.Le(1 / (1 + t), 1, evaluate=False)), dominated(sp.Le(1 + t, 1, evaluate=False))
    (True, False)
    """
    if statement in (sp.true, sp.false):
        return bool(statement)
    numerator, denominator = sp.fraction(sp.together(statement.args[1] - statement.args[0]))
    return all(
        term.is_nonnegative is True
        for side in (numerator, denominator)
        for term in sp.Add.make_args(sp.expand(side))
    )
