import pytest
import sympy as sp

from proofs.bridge import agree, check, disagreements, formulas, values
from proofs.coqc import sources
from proofs.gallina import Reader
from theory.attention import scalar as attention
from theory.attention.scalar import mean, v


@pytest.fixture(scope="module")
def reader():
    return Reader(list(sources().values()))


def test_coq_and_sympy_agree_and_an_edit_is_noticed():
    assert check().sound


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(v ^ 2 + w ^ 2) * mbar ^ 2 + v", "(v ^ 2 + w ^ 2) * 2 * mbar ^ 2 + v"),
        ("(q ^ 2 + k ^ 2) * y ^ 2", "(q ^ 2 - k ^ 2) * y ^ 2"),
        ("y ^ 2 * V ^ 2)", "y ^ 2 * V)"),
    ],
)
def test_editing_k_in_coq_is_noticed(old, new):
    text = sources()["Attention"]
    assert text.count(old) == 1
    assert not agree(formulas()[0], Reader([text.replace(old, new)]))


def test_editing_the_softmax_in_coq_is_noticed():
    texts = sources()
    texts["Attention"] = texts["Attention"].replace("exp (l j) /", "exp (2 * l j) /")
    reader = Reader(list(texts.values()))
    assert not agree(values()[2], reader)


def test_editing_k_in_sympy_is_noticed(monkeypatch):
    printed = attention.gain()
    monkeypatch.setattr(attention, "gain", lambda: printed + v**2 * mean**2)
    assert "gain_formula" in disagreements()


def test_k_at_two_tokens_is_the_theory_s_exact_value(reader):
    one = sp.Integer(1)
    held = (one, -one)
    found = reader("gain", 2, one, one, one, one, sp.Integer(0), lambda j: held[int(j)])
    assert found == attention.gain_at(held, v=one, w=one, q=one, k=one, y=sp.Integer(0))[1]


def test_what_cannot_be_read_is_an_error(reader):
    with pytest.raises(ValueError, match="no definition"):
        reader("no_such_definition")
    with pytest.raises(ValueError, match="unknown name"):
        Reader(["Definition f (x : R) : R := sine x."])("f", sp.S.One)
