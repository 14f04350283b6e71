import pytest
import sympy as sp

from theory.scales.architectures import encoder_decoder, single
from theory.scales.shares import shares
from theory.scales.solver import solve
from theory.scales.update_rules import SGD, SIGN

N = sp.Symbol("N", positive=True)


@pytest.mark.parametrize(("depth", "percent"), [(6, 10.4), (24, 3.1), (96, 0.8), (1000, 0.08)])
def test_the_gated_mlp_falls_behind_attention_as_the_depth_grows(depth, percent):
    solved = solve(single("decoder", sp.Integer(depth), mlp="gated"), SGD)
    found = {share.block: 100 * float(share.value) for share in shares(solved)}
    assert found["gated MLP"] == pytest.approx(percent, rel=0.05)
    assert sum(found.values()) == pytest.approx(100)


def test_the_laws_of_shares():
    gated = {s.block: s.law for s in shares(solve(single("decoder", N, mlp="gated"), SGD))}
    assert gated == {"self-attention": (1, 0), "gated MLP": (sp.Rational(7, 9), -1)}
    plain = shares(solve(encoder_decoder(N, N), SIGN))
    assert [share.law for share in plain] == [(sp.Rational(1, 2), 0)] * 2 + [
        (sp.Rational(1, 3), 0)
    ] * 3


def test_parallel_branches_have_a_share_each():
    found = shares(solve(single("decoder", N, mlp="gated", parallel=True), SGD))
    assert [share.block for share in found] == ["self-attention", "gated MLP"]


def test_free_norms_leave_the_law_open():
    found = shares(solve(encoder_decoder(N, N, ties=False), SGD))
    laws = {(share.stack, share.block): share.law for share in found}
    assert laws["decoder", "encoder-attention"] is None
    assert laws["encoder", "MLP"] == (sp.Rational(1, 2), 0)


def test_a_depth_of_a_norms_name_changes_no_share():
    v_d = sp.Symbol("v_d", positive=True)
    found = shares(solve(single("decoder", v_d, mlp="gated"), SGD))
    assert [share.law for share in found] == [(1, 0), (sp.Rational(7, 9), -1)]
    assert float(found[1].value.subs(v_d, 6)) == pytest.approx(0.104, abs=5e-4)
