"""Formulas on a terminal without Unicode stay apart and readable."""

import pytest

from numerics.cli.ascii_letters import spelled, use_spelled_letters
from theory.ledger import LEDGER


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("Θ(1/L)", "Theta(1/L)"),
        ("v²w² + m̄²", "v^2w^2 + m_bar^2"),
        ("θ ← θ − η g", "theta <- theta - eta g"),
        ("J Jᵀ", "J J^T"),
        ("‖x − x̄‖, ŷ", "||x - x_bar||, y_hat"),
        ("plain (ASCII) stays: ?", "plain (ASCII) stays: ?"),
    ],
)
def test_a_formula_is_spelled(shown, expected):
    assert shown.encode("ascii", use_spelled_letters()).decode() == expected


def test_no_statement_of_the_ledger_has_a_character_without_a_likeness():
    lost = {letter for claim in LEDGER for letter in claim.statement if spelled(letter) == "?"}
    assert lost - {"?"} == set()


def test_what_fails_for_another_reason_is_not_swallowed():
    use_spelled_letters()
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", "spelled")
