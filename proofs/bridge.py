"""Checks that the definitions in Coq and in SymPy are the same formulas.

Both sides are computed, never typed in. Coq's are read from the ``.v`` files (``gallina.py``), the
theory's come from its own functions. Polynomials are compared symbol by symbol. Softmax, m̄, V, G
and the whole of K are compared at n = 1, 2, 3 and at rational points to 30 digits; there the theory
differentiates G itself. A changed coefficient in either language makes a comparison fail.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy as sp

from proofs.coqc import sources
from proofs.gallina import Reader
from proofs.result import Altered, Machine, Result
from theory.attention import scalar as attention
from theory.attention import scalar_hessian as attention_hessian
from theory.attention import theorem31
from theory.attention.theorem31 import B
from theory.residual_stream import skip_path
from theory.scales import conditions
from theory.scales import tfixup_constants as encoder_scale
from theory.scales.stacks import N_D, N_E, V_D, V_E, W_D, W_E, M, X, Y

_S = sp.Symbol("S", nonnegative=True)
_R, _N = sp.symbols("R N", positive=True)
_v, _w, _x, _y, _m = sp.symbols("v w x y m", positive=True)
DIGITS = 30


@dataclass(frozen=True)
class Correspondence:
    """A Coq definition at given arguments, with the theory's expression for it."""

    name: str
    ours: Callable[[Reader], sp.Expr]
    theirs: Callable[[], sp.Expr]
    points: tuple[Mapping[sp.Symbol, sp.Expr], ...] = ()
    """Points at which both sides are compared; as polynomials if there are none."""


def agree(item: Correspondence, reader: Reader) -> bool:
    """Whether both sides are the same."""
    ours, theirs = sp.sympify(item.ours(reader)), item.theirs()
    if not item.points:
        return sp.simplify(ours - theirs) == 0
    near = sp.Float(10) ** -(DIGITS - 5)
    return all(
        abs((ours - theirs).subs(point).evalf(DIGITS, maxn=500)) < near for point in item.points
    )


def _equation(number: int) -> sp.Expr:
    """The printed equation with v_e = v, v_d = v and so on, over N layers."""
    named = {V_E: _v, W_E: _w, V_D: _v, W_D: _w, X: _x, Y: _y, M: _m, N_E: _N, N_D: _N}
    return conditions.printed(number).subs(named)


def _upper_constant() -> sp.Expr:
    """The factor of Q̄ in the last step of the upper bound."""
    return sp.cancel(theorem31.upper_bound()[-1].statement.args[1] / theorem31.Q_BAR)


def formulas() -> tuple[Correspondence, ...]:
    """The correspondences of polynomials, which are compared symbol by symbol."""
    partial = attention.gradient()
    a_i, weight = attention.m[attention.i], attention.s[attention.i]
    return (
        Correspondence(
            "gain_formula",
            lambda coq: coq(
                "gain_formula",
                attention.v,
                attention.w,
                attention.q,
                attention.k,
                attention.y,
                attention.mean,
                _S,
                attention.variance,
            ),
            lambda: attention.gain().subs(attention.spread, _S),
        ),
        Correspondence(
            "q_bar_formula",
            lambda coq: coq("q_bar_formula", attention.v, attention.w, attention.mean),
            lambda: theorem31.Q_BAR,
        ),
        Correspondence(
            "printed_condition",
            lambda coq: coq("printed_condition", attention.v, attention.w, a_i),
            lambda: theorem31.printed_condition(a_i),
        ),
        Correspondence(
            "grad_v",
            lambda coq: coq("grad_v", attention.w, attention.mean),
            lambda: partial[attention.v],
        ),
        Correspondence(
            "grad_w",
            lambda coq: coq("grad_w", attention.v, attention.mean),
            lambda: partial[attention.w],
        ),
        Correspondence(
            "grad_k",
            lambda coq: coq(
                "grad_k", attention.v, attention.w, attention.q, attention.y, attention.variance
            ),
            lambda: partial[attention.k],
        ),
        Correspondence(
            "grad_q",
            lambda coq: coq(
                "grad_q", attention.v, attention.w, attention.k, attention.y, attention.variance
            ),
            lambda: partial[attention.q],
        ),
        Correspondence(
            "grad_m",
            lambda coq: coq(
                "grad_m",
                attention.v,
                attention.w,
                attention.q,
                attention.k,
                attention.y,
                weight,
                a_i,
                attention.mean,
            ),
            lambda: partial[a_i],
        ),
        Correspondence("upper_constant", lambda coq: coq("upper_constant", B), _upper_constant),
        Correspondence(
            "curvature", lambda coq: coq("curvature", _R), lambda: attention_hessian.curvature(_R)
        ),
        Correspondence("eq6", lambda coq: coq("eq6", 2 * _N, _v, _w, _x), lambda: _equation(6)),
        Correspondence("eq7", lambda coq: coq("eq7", 3 * _N, _v, _w, _y, _m), lambda: _equation(7)),
        Correspondence("eq8", lambda coq: coq("eq8", 3 * _N, _v, _w), lambda: _equation(8)),
        Correspondence(
            "encoder_constant", lambda coq: coq("encoder_constant"), encoder_scale.constant
        ),
        Correspondence(
            "coherent",
            lambda coq: coq("coherent", sp.Integer(7)),
            lambda: skip_path.coherent(sp.Integer(7)),
        ),
    )


def _memory(length: int) -> tuple[sp.Symbol, ...]:
    return sp.symbols(f"m1:{length + 1}", real=True)


def _points(length: int) -> tuple[Mapping[sp.Symbol, sp.Expr], ...]:
    """Rational values of (v, w, q, k, y) and the memory."""
    symbols = (attention.v, attention.w, attention.q, attention.k, attention.y, *_memory(length))
    return tuple(
        {
            symbol: sp.Rational((5 * place + 3 * start) % 11 - 5 or 3, 4)
            for place, symbol in enumerate(symbols)
        }
        for start in (1, 4)
    )


def _explicit(expression: sp.Expr, length: int) -> sp.Expr:
    entries = {attention.m[place + 1]: entry for place, entry in enumerate(_memory(length))}
    return expression.subs(attention.n, length).doit().subs(entries)


def _squared_gradient(length: int) -> sp.Expr:
    """Sum of (∂G/∂θ)² over v, w, q, k and the memory, by differentiating the theory's G."""
    whole = _explicit(attention.output(), length)
    return sp.Add(
        *(
            sp.diff(whole, p) ** 2
            for p in (attention.v, attention.w, attention.q, attention.k, *_memory(length))
        )
    )


def values() -> tuple[Correspondence, ...]:
    """The correspondences of G and K, through every definition they use, at n = 1, 2, 3."""
    found = []
    for length in (1, 2, 3):
        entries, points = _memory(length), _points(length)

        def arguments(count: int = length, held: tuple[sp.Symbol, ...] = entries) -> tuple:
            return (
                count,
                attention.v,
                attention.w,
                attention.q,
                attention.k,
                attention.y,
                lambda place: held[int(place)],
            )

        found += [
            Correspondence(
                f"{name} at n = {length}",
                lambda coq, name=name, arguments=arguments: coq(name, *arguments()),
                lambda theirs=theirs, length=length: theirs(length),
                points,
            )
            for name, theirs in (
                ("output", lambda count: _explicit(attention.output(), count)),
                ("gain", _squared_gradient),
            )
        ]
    return tuple(found)


def disagreements(texts: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Names of the formulas on which Coq and SymPy differ; empty if all agree.

    Parameters
    ----------
    texts
        Files by name; those of ``proofs/coq`` by default.
    """
    reader = Reader(list((sources() if texts is None else texts).values()))
    return tuple(item.name for item in (*formulas(), *values()) if not agree(item, reader))


def check() -> Result:
    """The comparison as a statement, with one coefficient of K changed as its altered version."""
    start = time.perf_counter()
    texts = sources()
    edited = texts["Attention"].replace(
        "(v ^ 2 + w ^ 2) * mbar ^ 2 + v", "(v ^ 2 + 2 * w ^ 2) * mbar ^ 2 + v"
    )
    differ = disagreements(texts)
    noticed = not agree(formulas()[0], Reader([edited]))
    return Result(
        Machine.COQ,
        "same_formulas",
        f"{len(formulas())} Coq definitions and the theory's expressions agree symbol by symbol; "
        "G and K through all they use at n = 1, 2, 3, to 25 digits",
        not differ,
        (Altered("a coefficient of K", noticed),),
        seconds=time.perf_counter() - start,
        problem=f"Coq and SymPy differ on {', '.join(differ)}" if differ else "",
    )
