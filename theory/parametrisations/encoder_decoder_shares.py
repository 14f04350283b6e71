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

from collections.abc import Mapping

import sympy as sp

from theory.derivations.derivation import Derivation
from theory.parametrisations.certificates import Certificate, contradiction
from theory.parametrisations.conditions import STANDARD
from theory.parametrisations.families import Family, Question, multiplier, rate, solve, std
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


def scales_and_rates(law: StepLaw | None = None) -> Family:
    """Every member: scales and rates by group that leave each part its share."""
    return solve(_question((*_NO_BRANCH, *_XAVIER), law=law or law_named("adam")))


def scales_alone(law: StepLaw | None = None) -> Family:
    """The same with one rate for all weights.

    Examples
    --------
    >>> found = scales_alone()
    >>> found[std("target")], found[std("encoder.out")], found.free
    (-3/4, -1/4, ())
    """
    return solve(_question((*_NO_BRANCH, *_ONE_RATE, *_XAVIER), law=law or law_named("adam")))


def refutations(law: StepLaw | None = None) -> Mapping[str, Certificate]:
    """What scales alone cannot do, by the demand that is added."""
    law = law or law_named("adam")
    base: _Ties = (*_NO_BRANCH, *_ONE_RATE)
    tied = ("the embedding has the scale of the weights", std("target") - std("decoder.in"))
    unit = ("the target embedding is Θ(1)", std("target"))
    demands = {
        "embeddings tied to the weights": _question((*base, *_XAVIER, tied), law=law),
        "embeddings of size Θ(1)": _question((*base, *_XAVIER, unit), law=law),
        "query and key have their share": _question(base, law=law, without=()),
        "steps bounded": _question((*base, *_XAVIER), "bounded", law=law),
    }
    found = {}
    for demand, question in demands.items():
        # A demand that could be met would be no refutation and is left out.
        if (certificate := contradiction(question.conditions())) is not None:
            found[demand] = certificate
    return found


def derivations() -> tuple[Derivation, ...]:
    """The refutations, each as conditions and their contradictory sum."""
    return tuple(
        found.derivation("ours.adam-shares", f"Scales alone under Adam, {demand}: impossible")
        for demand, found in refutations().items()
    )
