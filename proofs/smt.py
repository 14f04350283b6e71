"""Polynomial statements decided by two SMT solvers, from the same SMT-LIB 2 text.

To prove φ, a solver is asked whether ¬φ has a solution; ``unsat`` is the proof. To refute a printed
statement, it is asked for a point that violates it. Formulas are translated from the theory's SymPy
expressions, so both sides speak about the same object. z3 answers first, then cvc5 reads the same
file. A statement counts as proved only if both say ``unsat``.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sympy as sp
import z3

from proofs.recheck import Rechecker
from proofs.result import Altered, Machine, Result, Support, evidence
from proofs.statements import DEPTH, Statement, counterexample, statements
from theory.claims import Context, Evidence, Kind, Reading, provides

TIMEOUT_MS = 20_000
"""Time limit in milliseconds for each question to either solver."""


@dataclass(frozen=True)
class SolverAnswer:
    """A solver's answer: ``sat`` with a point, ``unsat``, or ``unknown``."""

    status: str
    point: dict[str, str]


def translate(expression: sp.Basic) -> z3.ExprRef:
    """A polynomial or a relation between polynomials, as a z3 term over the reals.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> translate(x**2 > 1)
    1 < x*x
    """
    if expression.is_Symbol:
        return z3.Real(expression.name)
    if expression.is_Rational:
        return z3.RealVal(f"{expression.p}/{expression.q}")
    parts = [translate(argument) for argument in expression.args if not _is_power(expression)]
    match expression:
        case sp.Add():
            return z3.Sum(*parts)
        case sp.Mul():
            return z3.Product(*parts)
        case sp.Pow(exp=exponent) if exponent.is_Integer and exponent > 0:
            return z3.Product(*[translate(expression.base)] * int(exponent))
        case sp.Le():
            return parts[0] <= parts[1]
        case sp.Lt():
            return parts[0] < parts[1]
        case sp.Ge():
            return parts[0] >= parts[1]
        case sp.Gt():
            return parts[0] > parts[1]
        case sp.Ne():
            return parts[0] != parts[1]
        case sp.Eq():
            return parts[0] == parts[1]
    raise ValueError(f"only polynomial relations can be translated, got {expression}")


def _is_power(expression: sp.Basic) -> bool:
    return isinstance(expression, sp.Pow)


def smtlib(constraints: Sequence[sp.Basic]) -> str:
    """The question whether the constraints have a common real solution, as SMT-LIB 2 text.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> print(smtlib([sp.Lt(x**2, 0, evaluate=False)]).splitlines()[0])
    (set-logic QF_NRA)
    """
    solver = z3.Solver()
    for constraint in constraints:
        solver.add(translate(constraint))
    asserted = [
        line for line in solver.to_smt2().splitlines() if not line.startswith((";", "(set"))
    ]
    return "\n".join(["(set-logic QF_NRA)", *asserted, ""])


def ask(constraints: Sequence[sp.Basic]) -> SolverAnswer:
    """Ask z3 whether the constraints have a common real solution."""
    solver = z3.SolverFor("QF_NRA")
    solver.set("timeout", TIMEOUT_MS)
    solver.from_string(smtlib(constraints).replace("(check-sat)", ""))
    status = str(solver.check())
    point = {}
    if status == "sat":
        model = solver.model()
        point = {str(name): str(model[name]) for name in model.decls()}
    return SolverAnswer(status, point)


def _decided(item: Statement, again: Rechecker) -> Result:
    """Ask both solvers about a statement's negation, and z3 about the altered one."""
    start = time.perf_counter()
    first = ask(item.negation).status
    second = again.status(smtlib(item.negation), TIMEOUT_MS / 1000)
    control = ask(item.altered)
    said = {"z3": first, "cvc5": second}
    open_ = [name for name, status in said.items() if status not in ("sat", "unsat")]
    return Result(
        Machine.SMT,
        item.name,
        item.words,
        None if open_ else set(said.values()) == {"unsat"},
        (Altered(item.what, control.status == "sat"),),
        seconds=time.perf_counter() - start,
        problem=f"{' and '.join(open_)} gave no answer in {TIMEOUT_MS // 1000} s" if open_ else "",
        details={"answers": said, "point of the altered statement": control.point},
    )


def _refuted(again: Rechecker) -> Result:
    """Find a point that violates the lower half, and check it with cvc5."""
    start = time.perf_counter()
    constraints = counterexample(one_sign=False)
    found = ask(constraints)
    shown = ", ".join(f"{name} = {value}" for name, value in sorted(found.point.items()))
    at_point = tuple(
        sp.Eq(sp.Symbol(name, real=True), sp.Rational(value), evaluate=False)
        for name, value in found.point.items()
        if _is_rational(value)
    )
    second = again.status(smtlib((*constraints, *at_point)), TIMEOUT_MS / 1000)
    control = ask(counterexample(one_sign=True)).status
    answered = {found.status, second} <= {"sat", "unsat"}
    return Result(
        Machine.SMT,
        "lower_half_counterexample",
        f"condition in [1, 9]/L and K < 1/(100 L) at v² = w² = 1/L = 1/{DEPTH}: {shown}",
        {found.status, second} == {"sat"} if answered else None,
        (Altered("with all m_i > 0 there is none", control == "unsat"),),
        seconds=time.perf_counter() - start,
        problem="" if answered else "a solver gave no answer in time",
        details={"point": found.point},
    )


def _is_rational(value: str) -> bool:
    return all(character in "0123456789/-" for character in value)


def check() -> tuple[Result, ...]:
    """Check every statement with both solvers."""
    with Rechecker() as again:
        return (_refuted(again), *(_decided(item, again) for item in statements()))


LOWER = tuple(f"{name}_n{n}" for n in (1, 2, 3) for name in ("tilted_sum", "squares"))
UPPER = tuple(
    f"{name}_n{n}"
    for n in (1, 2, 3)
    for name in ("centred", "tilted_squares", "variance", "second_moment")
)
SUPPORTS = (
    Support("tfixup.encoder-scale", ("eq6", "positive_root"), "Eq. 6 is 1 at one t > 0, all N > 0"),
    Support("tfixup.decoder-scale", ("eq7", "eq8"), "Eq. 7 is 2 and Eq. 8 is 1/3, all N > 0"),
    Support(
        "tfixup.thm31-lower",
        ("lower_half_counterexample",),
        f"a point found: condition in [1, 9]/L, K < 1/(100 L) at L = {DEPTH}",
        refutes=True,
    ),
    Support(
        "tfixup.thm31-lower",
        ("lower_bound_n1", *LOWER, "compose_lower"),
        "Q̄/n ≤ K over free weights, n = 1, 2, 3, link by link",
        Reading.REPAIRED,
    ),
    Support(
        "tfixup.thm31-repaired",
        (
            *LOWER,
            "compose_lower",
            *UPPER,
            "weight_term",
            "product_of_four",
            "product_of_three",
            "compose_upper",
        ),
        "both bounds over free weights, n = 1, 2, 3, link by link",
    ),
)


@provides(*dict.fromkeys(support.claim for support in SUPPORTS), kind=Kind.PROOF)
def inequalities(context: Context) -> Iterator[Evidence]:
    """The evidence of every SMT statement."""
    del context
    results = check()
    yield from (evidence(support, results) for support in SUPPORTS)


PROVIDERS = (inequalities,)
