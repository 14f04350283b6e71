"""Adam on an encoder-decoder without norms: which scales and rates leave every part its share.

Asked under sign updates: each kind of block moves the decoder's output by Θ(1) through each of its
value, output and MLP matrices, so do both embeddings, and the streams keep their size. Then

- there is a family: in each stack the stds of value and output have powers of at most -1/2 in sum,
  the embeddings are free, and every group's rate follows from these; T-Fixup's scales are a member
  with rate N^(-1/2) for the matrices and rate 1 for the embeddings;
- scales alone, with one rate for all weights, can do it in exactly one way: all value, output and
  MLP matrices N^(-1/4), both embeddings N^(-3/4);
- they cannot if embeddings are tied to the weights' scale as T-Fixup ties them, or are Θ(1), or if
  query and key are to have their share, or if no step may exceed what it changes: each of these is
  refuted by multiples of the conditions that add up to 1.
"""

from collections.abc import Callable, Mapping

import sympy as sp

from theory.derivations.derivation import Derivation, Step, equation
from theory.derivations.statements import at
from theory.errors import InputError
from theory.parametrisations.certificates import Certificate, contradiction
from theory.parametrisations.conditions import STANDARD, PowerCondition
from theory.parametrisations.families import Question, SolutionFamily, multiplier, rate, solve, std
from theory.parametrisations.step_laws import StepLaw, law_named
from theory.parametrisations.structures import structure_named

_STRUCTURE = structure_named("encoder-decoder")
SCORES = ("encoder.score", "decoder.score")
"""Query and key, which T-Fixup does not scale."""
_Ties = tuple[tuple[str, sp.Expr], ...]
_NO_BRANCH: _Ties = tuple(
    (f"{role} is 1", multiplier(role)) for role in ("encoder.branch", "decoder.branch")
)
_ONE_RATE: _Ties = tuple((f"the rate of {role} is 1", rate(role)) for role in _STRUCTURE.trained)
_XAVIER: _Ties = tuple((f"{role} is not scaled", std(role)) for role in SCORES)


def _question(ties: _Ties, *more: str, without: tuple[str, ...] = SCORES, law: StepLaw) -> Question:
    return Question(_STRUCTURE, law, (*STANDARD, *more), ties=ties, without=without)


def scales_and_rates(law: StepLaw | None = None) -> SolutionFamily:
    """Every member: scales and rates by group that leave each part its share."""
    return solve(_question((*_NO_BRANCH, *_XAVIER), law=law or law_named("adam")))


def scales_alone(law: StepLaw | None = None) -> SolutionFamily:
    """The same with one rate for all weights.

    Examples
    --------
    >>> found = scales_alone()
    >>> found[std("target")], found[std("encoder.out")], found.free
    (-3/4, -1/4, ())
    """
    return solve(_question((*_NO_BRANCH, *_ONE_RATE, *_XAVIER), law=law or law_named("adam")))


_BASE: _Ties = (*_NO_BRANCH, *_ONE_RATE)
_TIED = ("the embedding has the scale of the weights", std("target") - std("decoder.in"))
_UNIT = ("the target embedding is of size 1", std("target"))
DEMANDS: Mapping[str, Callable[[StepLaw], Question]] = {
    "embeddings tied to the weights": lambda law: _question((*_BASE, *_XAVIER, _TIED), law=law),
    "embeddings of size 1": lambda law: _question((*_BASE, *_XAVIER, _UNIT), law=law),
    "query and key have their share": lambda law: _question(_BASE, law=law, without=()),
    "no step exceeds what it changes": lambda law: _question(
        (*_BASE, *_XAVIER), "bounded", law=law
    ),
}
"""What is asked of scales alone on top of every part's share."""


def refutation(demand: str, law: StepLaw | None = None) -> Certificate | None:
    """Multiples of the conditions that add up to 1 when ``demand`` is added; None if it can be met.

    Examples
    --------
    >>> refutation("embeddings of size 1").total
    1
    """
    return contradiction(DEMANDS[demand](law or law_named("adam")).conditions())


def refuted(demand: str) -> Derivation:
    """The conditions that contradict each other, and their sum.

    Raises
    ------
    InputError
        If the demand can be met, so that there is nothing to refute.
    """
    certificate = refutation(demand)
    if certificate is None:
        raise InputError(f"scales alone can meet the demand that {demand}")
    return certificate.derivation("ours.adam-shares-more", f"Scales alone under Adam: {demand}")


def solution() -> Derivation:
    """Every condition at the solution, and that the equations leave nothing free."""
    asked = _question((*_BASE, *_XAVIER), law=law_named("adam")).conditions()
    exponents = scales_alone().exponents
    steps = tuple(_met(item, exponents) for item in asked)
    return Derivation(
        "ours.adam-shares", "Scales alone under Adam: the one solution", (*steps, _unique(asked))
    )


def _met(item: PowerCondition, exponents: Mapping[sp.Symbol, sp.Expr]) -> Step:
    """A condition with the solution's exponents put in; half a power more breaks an equation."""
    relation = sp.Eq if item.exact else sp.Le
    slack = sp.Rational(1, 2) - sp.expand(item.form.subs(exponents))

    values = {symbol: value for symbol, value in exponents.items() if item.form.has(symbol)}

    def check(statement: sp.Basic) -> bool:
        inserted = statement.inserted()
        value = sp.expand(inserted.args[0])
        return bool(value == 0 if isinstance(inserted, sp.Eq) else value <= 0)

    return Step(
        f"{item.name}, at matrices N^(-1/4) and embeddings N^(-3/4)",
        at(relation(item.form, sp.S.Zero, evaluate=False), values),
        check,
        at(relation(item.form + slack, sp.S.Zero, evaluate=False), values),
    )


def _unique(asked: tuple[PowerCondition, ...]) -> Step:
    exact = [item.form for item in asked if item.exact]
    unknowns = sorted(set().union(*(item.form.free_symbols for item in asked)), key=str)
    rank = sp.linear_eq_to_matrix(exact, unknowns)[0].rank()
    free = sp.Symbol("free", nonnegative=True)

    def check(statement: sp.Basic) -> bool:
        return statement.args[1] == len(unknowns) - rank

    return Step(
        f"the equations have as many independent rows as exponents, {len(unknowns)}: none is free",
        equation(free, sp.S.Zero),
        check,
        equation(free, sp.S.One),
        "by the rank of the equations, exactly",
    )
