"""Polynomial inequalities decided by an SMT solver (z3's non-linear real arithmetic).

To prove φ, ask whether ¬φ has a solution; ``unsat`` is the proof. To refute a printed statement,
ask for a point that breaks it and print the point. Formulas are translated from the theory's SymPy
expressions, so both sides speak about the same object. Softmax weights are free variables s_j ≥ 0
with Σ s_j = 1, which contains every value that a softmax can take.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sympy as sp
import z3

from theory import attention
from theory.attention import k, mean, n, q, v, variance, w, y
from theory.claims import Context, Control, Evidence, Kind, Reading, provides
from theory.theorem31 import Q_BAR, printed_condition

TIMEOUT_MS = 20_000
DEPTH = 1000
"""L at which a counterexample is asked for."""


@dataclass(frozen=True)
class Answer:
    """What the solver said: ``sat`` with a point, ``unsat``, or ``unknown``."""

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
        case sp.Eq():
            return parts[0] == parts[1]
    raise ValueError(f"only polynomial relations can be translated, got {expression}")


def _is_power(expression: sp.Basic) -> bool:
    return isinstance(expression, sp.Pow)


def ask(constraints: Sequence[sp.Basic]) -> Answer:
    """Whether the constraints have a common real solution."""
    solver = z3.SolverFor("QF_NRA")
    solver.set("timeout", TIMEOUT_MS)
    for constraint in constraints:
        solver.add(translate(constraint))
    status = str(solver.check())
    point = {}
    if status == "sat":
        model = solver.model()
        point = {str(name): str(model[name]) for name in model.decls()}
    return Answer(status, point)


@dataclass(frozen=True)
class Attention:
    """Scalar attention over n tokens with free weights: K, Q̄ and the constraints.

    Parameters enter K only through A = v², W = w², a = q k y and r = (q² + k²) y², which become the
    variables: fewer and of lower degree than the parameters. A bound proved for all a and r ≥ 0
    holds for all parameters; a point with a = r = 0 is one with y = 0.
    """

    gain: sp.Expr
    q_bar: sp.Expr
    memory: tuple[sp.Symbol, ...]
    constraints: tuple[sp.Basic, ...]


A, W, r = sp.symbols("A W r", nonnegative=True)
a = sp.Symbol("a", real=True)
_NAMES = {v**2: A, w**2: W}


def _renamed(expression: sp.Expr) -> sp.Expr:
    inner = expression.subs(q * k * y, a).subs((q**2 + k**2) * y**2, r)
    return inner.subs(_NAMES)


def attention_of(length: int) -> Attention:
    """K of ``theory.attention`` at n = ``length``, with m̄ and V tied to the weights."""
    weights = sp.symbols(f"s1:{length + 1}", real=True)
    memory = sp.symbols(f"m1:{length + 1}", real=True)
    pairs = list(zip(weights, memory, strict=True))
    explicit = attention.gain().subs(n, length).doit()
    indexed = {attention.s[i + 1]: weights[i] for i in range(length)}
    indexed |= {attention.m[i + 1]: memory[i] for i in range(length)}
    constraints = (
        *(sp.Ge(weight, 0, evaluate=False) for weight in weights),
        *(sp.Ge(square, 0, evaluate=False) for square in (A, W, r)),
        sp.Eq(sp.Add(*weights), 1),
        sp.Eq(mean, sp.Add(*(s * m for s, m in pairs))),
        sp.Eq(variance, sp.Add(*(s * (m - mean) ** 2 for s, m in pairs))),
    )
    return Attention(_renamed(explicit).subs(indexed), _renamed(Q_BAR), memory, constraints)


def lower_bound_fails(length: int, factor: sp.Rational | sp.Integer) -> Answer:
    """Ask for K < factor · Q̄ / n; ``unsat`` proves factor · Q̄ / n ≤ K."""
    model = attention_of(length)
    return ask([*model.constraints, sp.Lt(length * model.gain, factor * model.q_bar)])


def small_gain(*, one_sign: bool) -> Answer:
    """Ask for a point with v² = w² = 1/L, the printed condition in [1, 9]/L, K < 1/(100 L).

    The parameters are bounded: |q k y| ≤ 1 and (q² + k²) y² ≤ 1; L = ``DEPTH``.
    """
    model = attention_of(2)
    size = sp.Rational(1, DEPTH)
    at_size = {A: size, W: size}
    conditions = [_renamed(printed_condition(m)).subs(at_size) for m in model.memory]
    signs = [sp.Gt(m, 0, evaluate=False) for m in model.memory] if one_sign else []
    ties = [c for c in model.constraints if not c.free_symbols & {A, W}]
    return ask(
        [
            *ties,
            *signs,
            sp.Le(a**2, 1),
            sp.Le(r, 1),
            *(sp.Ge(c, size) for c in conditions),
            *(sp.Le(c, 9 * size) for c in conditions),
            sp.Lt(model.gain.subs(at_size), size / 100),
        ]
    )


@provides("tfixup.thm31-lower", kind=Kind.PROOF)
def lower_half(context: Context) -> Iterator[Evidence]:
    """A point that breaks the lower half, and the bound with m̄ that repairs it."""
    del context
    start = time.perf_counter()
    found, control = small_gain(one_sign=False), small_gain(one_sign=True)
    shown = ", ".join(f"{name} = {value}" for name, value in sorted(found.point.items()))
    yield Evidence(
        claim="tfixup.thm31-lower",
        kind=Kind.PROOF,
        passed={"sat": False, "unsat": True}.get(found.status),
        summary=f"condition in [1, 9]/L and K < 1/(100 L) at v² = w² = 1/L = 1/{DEPTH}: {shown}",
        control=Control("with all m_i > 0 the solver must find none", control.status == "unsat"),
        value=found.status,
        expected="unsat",
        seconds=time.perf_counter() - start,
        details={"point": found.point},
    )
    start = time.perf_counter()
    statuses = [lower_bound_fails(length, sp.S.One).status for length in (1, 2)]
    false = lower_bound_fails(2, sp.Integer(2))
    yield Evidence(
        claim="tfixup.thm31-lower",
        kind=Kind.PROOF,
        passed=None if "unknown" in statuses else set(statuses) == {"unsat"},
        summary="K < Q̄/n has no solution over free weights, for n = 1 and 2",
        control=Control("K < 2 Q̄/n must have one at n = 2", false.status == "sat"),
        reading=Reading.REPAIRED,
        value=", ".join(statuses),
        expected="unsat",
        seconds=time.perf_counter() - start,
        details={"control point": false.point},
    )


PROVIDERS = (lower_half,)
