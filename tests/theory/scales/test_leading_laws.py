import pytest
import sympy as sp

from theory.errors import InputError
from theory.scales.architectures import encoder_decoder, single
from theory.scales.leading_laws import leading_root, leading_solution
from theory.scales.shares import shares
from theory.scales.solver import depth_law, solve
from theory.scales.stacks import V_D, V_E
from theory.scales.update_rules import SGD, SIGN

N, t = sp.symbols("N t", positive=True)


@pytest.mark.parametrize("rule", [SGD, SIGN])
def test_the_laws_are_what_the_exact_scales_tend_to(rule):
    laws = leading_solution(encoder_decoder(N, N, mlp="gated"), rule, N)
    deep = sp.Integer(10**8)
    exact = solve(encoder_decoder(deep, deep, mlp="gated"), rule)
    for slot in (V_E, V_D):
        ratio = float(exact[slot]) / float(laws[slot].subs(N, deep))
        assert ratio == pytest.approx(1, abs=2e-4 if rule is SGD else 1e-3)


def test_where_there_is_a_closed_form_the_law_is_its_leading_term():
    law = leading_solution(single("decoder", N, mlp="gated"), SGD, N)[V_D]
    assert depth_law(law, N) == (sp.Rational(1, 3) ** sp.Rational(1, 4), sp.Rational(-1, 4))
    plain = leading_solution(encoder_decoder(N, N), SGD, N)
    assert sp.simplify(plain[V_E] - solve(encoder_decoder(N, N), SGD)[V_E]) == 0


def test_the_gated_share_falls_in_an_encoder_decoder_as_well():
    m = sp.Symbol("m", positive=True)
    found = shares(leading_solution(encoder_decoder(m, m, mlp="gated"), SGD, m))
    powers = {(share.stack, share.block): share.law[1] for share in found if share.law}
    assert powers["encoder", "gated MLP"] == powers["decoder", "gated MLP"] == -1
    assert powers["decoder", "self-attention"] == 0


def test_conditions_without_a_law_are_refused():
    with pytest.raises(InputError, match="no positive solution as N"):
        leading_root(N * t + N, t, N)
    with pytest.raises(InputError, match="no leading law"):
        leading_root(N / t, t, N)
    with pytest.raises(InputError, match="no order in N"):
        leading_root(sp.log(1 + N) * t, t, N)
    assert leading_root(t**2 + 1 / N, t, N) == 1
