import pytest
import sympy as sp
import z3

from proofs import smt
from proofs.recheck import Rechecker
from proofs.smt import SUPPORTS, ask, check, smtlib, translate
from proofs.statements import attention_of, counterexample, statements, whole_lower_bound
from theory.attention.scalar import gain_at

x = sp.Symbol("x", real=True)


@pytest.fixture(scope="module")
def found():
    return check()


def test_every_statement_is_proved_by_both_solvers(found):
    assert all(item.sound for item in found)
    decided = [item for item in found if "answers" in item.details]
    assert all(item.details["answers"] == {"z3": "unsat", "cvc5": "unsat"} for item in decided)
    assert {name for s in SUPPORTS for name in s.statements} == {item.name for item in found}


def test_the_solver_decides_what_is_decidable():
    assert ask([sp.Lt(x**2, 0, evaluate=False)]).status == "unsat"
    assert ask([sp.Gt(x**2, 2)]).status == "sat"


@pytest.mark.parametrize("length", [1, 2])
def test_the_lower_bound_in_one_question_agrees_with_the_links(length):
    whole = whole_lower_bound(length)
    assert ask(whole.negation).status == "unsat"
    assert ask(whole.altered).status == "sat"


def test_the_point_found_breaks_the_theorem_in_exact_arithmetic():
    found = ask(counterexample(one_sign=False))
    assert found.status == "sat"
    value = {name: sp.Rational(text) for name, text in found.point.items()}
    m1, m2, weight = value["m1"], value["m2"], value["s1"]
    assert weight * m1 + (1 - weight) * m2 == value["mbar"]
    size = sp.Rational(1, 1000)
    for memory in (m1, m2):
        assert size <= size**2 + 2 * size * memory**2 <= 9 * size
    if value["a"] == 0 and weight == sp.Rational(1, 2):
        scale = sp.sqrt(size)
        zero = sp.S.Zero
        assert gain_at((m1, m2), v=scale, w=scale, q=zero, k=zero, y=zero)[1] < size / 100


def test_a_statement_is_not_proved_when_cvc5_is_silent(monkeypatch):
    monkeypatch.setattr(Rechecker, "status", lambda *_: "unknown")
    with Rechecker() as silent:
        item = smt._decided(statements()[0], silent)
    assert item.proved is None
    assert item.problem == "cvc5 gave no answer in 20 s"


def test_time_runs_out_for_a_hard_file_and_the_next_one_is_read():
    with Rechecker() as again:
        hard = smtlib(whole_lower_bound(3).negation)
        assert again.status(hard, 0.5) == "unknown"
        assert again.status(smtlib([sp.Lt(x**2, 0, evaluate=False)]), 20.0) == "unsat"


def test_the_text_says_what_the_formulas_say():
    text = smtlib([sp.Gt(x**2, 2), sp.Ne(x, 0)])
    assert text.count("(assert") == 2
    assert z3.parse_smt2_string(text.replace("(check-sat)", ""))


def test_the_translation_has_the_theory_s_value():
    model = attention_of(2)
    assert {str(symbol) for symbol in model.gain.free_symbols} >= {"A", "W", "a", "r", "s1", "m2"}
    with pytest.raises(ValueError, match="polynomial"):
        translate(sp.exp(x) > 1)
