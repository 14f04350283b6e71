"""What holds for every provider of measurements: decided controls, and a stated range."""

import ast
import inspect
from pathlib import Path

import pytest

from numerics.evidence import PROVIDERS, condition_terms, official_code
from theory.claims import Context, Kind, Level
from theory.scales import conditions

MEASURED = [one for one in PROVIDERS if one.kind is Kind.MEASUREMENT]
TRAINED = {"experiments.py", "experiment_rows.py", "training.py"}
SOURCES = [
    path
    for path in Path(inspect.getfile(official_code)).parent.glob("*.py")
    if path.name not in TRAINED
]


def _calls(tree: ast.AST, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def doubtful(source: str) -> list[str]:
    """Comparisons that take an undecided ``None`` for a decision, anywhere in a provider."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            for operator, right in zip(node.ops, node.comparators, strict=True):
                constant = isinstance(right, ast.Constant) and isinstance(right.value, bool)
                if constant and not isinstance(operator, ast.Is):
                    found.append(ast.unparse(node))
        if (
            isinstance(node, ast.UnaryOp)
            and isinstance(node.op, ast.Not)
            and isinstance(node.operand, ast.Call)
        ):
            called = ast.unparse(node.operand.func)
            if called in {"any", "all"} or called.endswith(THREE_VALUED):
                found.append(ast.unparse(node))
    return found + _doubtful_names(ast.parse(source))


THREE_VALUED = (".equivalent", ".within", ".inside", "all_of")
"""Ends of the functions that answer with ``None`` where the data do not decide."""


def _doubtful_names(tree: ast.AST) -> list[str]:
    """Each ``not x`` of an ``x`` that may be ``None``, but for ``None if x is None else not x``."""
    undecided = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).endswith(THREE_VALUED)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    guarded = {
        id(node.orelse)
        for node in ast.walk(tree)
        if isinstance(node, ast.IfExp)
        and ast.unparse(node.body) == "None"
        and ast.unparse(node.test).endswith(" is None")
    }
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.Not)
        and isinstance(node.operand, ast.Name)
        and node.operand.id in undecided
        and id(node) not in guarded
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_check_takes_a_doubt_for_a_decision(path):
    assert doubtful(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "x is not False",
        "x is not True",
        "not any(shifted)",
        "not f.equivalent(1.0, m)",
        "x != True",
        "flat = fit.within(0.0, m)\nrejected = not flat",
        "flat = all_of(found)\nrejected = 0 if flat is None else not flat",
    ],
)
def test_the_rule_finds_what_it_forbids(source):
    assert doubtful(source)


@pytest.mark.parametrize(
    "source",
    ["flat = fit.within(0.0, m)\npassed = None if flat is None else not flat", "not found"],
)
def test_the_rule_leaves_what_is_decided(source):
    assert doubtful(source) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_observation_of_a_measurement_states_its_range(path):
    for call in _calls(ast.parse(path.read_text()), "Observation"):
        scopes = [word.value for word in call.keywords if word.arg == "scope"]
        assert scopes, f"line {call.lineno}"
        assert not (isinstance(scopes[0], ast.Constant) and not scopes[0].value)


CHEAP = ("layer_norm", "theorem31", "expansion", "code_init", "lemma1", "bounds", "divergent")


@pytest.mark.parametrize(
    "provider",
    [one for one in MEASURED if any(word in one.name for word in CHEAP)],
    ids=lambda one: one.name.rpartition(".")[2],
)
def test_cheap_measurements_are_admissible_and_state_their_range(provider):
    for item in provider(Context(seed=3)):
        assert item.admissible, item.summary
        assert item.scope


def test_the_code_s_facts_differ_from_the_paper_where_they_should():
    drawn = official_code.drawn_scales(official_code.TFIXUP_CODE, 0)
    assert set(drawn) == set(official_code.OFFICIAL)
    wrong = dict(official_code.OFFICIAL) | {"encoder.attention.v": 0.3}
    assert list(official_code.divergences(drawn, wrong)) == ["encoder.attention.v"]


def test_every_monomial_decides_in_some_case():
    """The left side without a monomial predicts another power where that monomial leads."""
    depths = condition_terms.DEPTHS[Level.QUICK]
    for number in (6, 7, 8):
        whole = conditions.printed(number)
        for side in condition_terms.neighbours(number).values():
            apart = [
                abs(
                    condition_terms.power(side, norms, depths)
                    - condition_terms.power(whole, norms, depths)
                )
                for norms in condition_terms.CASES.values()
            ]
            assert max(apart) >= 0.5, side


def test_equation_7_without_the_memory_is_told_from_equation_7():
    norms = condition_terms.CASES["v_e²x², v_d²m²"]
    import torch

    small, large = (
        condition_terms.gradients(norms, depth, torch.Generator().manual_seed(1))[7]
        for depth in (4, 24)
    )
    assert 1 / 3 < large / small < 3, "Θ(1), as the printed equation says"
    lacking = condition_terms.neighbours(7)["without 3 N_d m² v_d²"]
    assert (24 / 4) ** condition_terms.power(lacking, norms, (4, 24)) < 0.1
