"""Does the gradient of a Post-LN stack shrink geometrically towards the input? It does not.

Xiong et al. state a decay by (2/3)^((L−l)/2). They take the factor √(2/3) = √d/‖x^{post,5}‖ of the
layer norm's Jacobian and omit the Jacobian of the residual block. In mean square over independent
weights, with E_l = Σ_i ‖∂L/∂x_{l,i}‖² over the t tokens and cotangents that do not depend on these
weights,

    MLP half        x → LN(x + f(x)):      2/3 · (1 + 1/2) = 1
    attention half  x → LN(x + mean(x) W): (1 + γ)/(1 + c)

Here c d = ‖mean of the tokens‖² and γ = ‖Σ_i g_i‖²/(t Σ_i ‖g_i‖²) say how alike tokens and their
gradients are. Both lie in [0, 1] and are 1 for one token. Attention maps c → 2c/(1 + c) forward,
and γ likewise backward. Hence 1/c − 1 and 1/γ − 1 halve in every layer; ReLU changes them only
slightly (``theory.layer_norm.gradient_profile``). So c and γ tend to 1, and the rate per layer
tends to 1.

Attention alone conserves E c γ. Over any number of layers E therefore changes by a factor within
[γ_L, 1/c_0]. For independent tokens and gradients that is at most t in either direction, where
(2/3)^L would be 0.008 at L = 12. With ReLU the upper end is unchanged and the lower one moves by
less than 2 %; this follows from the recursion and is not proved. ‖∂L/∂W₂‖² adds up over tokens and
moves less still: it is proportional to E γ where tokens are alike.

The limit is d → ∞. At finite d the layer norm's projector removes 2/d of an isotropic cotangent.
Norms that vary by O(d^(-1/2)) make the energy of a deep stack log-normal with a mean above 1.
"""

from itertools import product

import sympy as sp

from theory.derivations.derivation import (
    Derivation,
    StatementCheck,
    Step,
    at_step,
    covers,
    equation,
    identity,
)
from theory.layer_norm.gradient_profile import gradient_profile
from theory.layer_norm.hidden_norms import alikeness
from theory.layer_norm.post_ln_jacobians import attention_half, gamma, mlp_half
from theory.moments.relu_moments import d, pair_kernels, rho

c, K = sp.symbols("c K", positive=True)
t = sp.Symbol("t", integer=True, positive=True)
_after = sp.Function("after")
PRINTED_RATE = sp.Rational(2, 3)
"""The printed factor of the squared norm per layer."""


@covers("for t = 1 to 4, every ρ")
def _next_alikeness(statement: sp.Basic) -> bool:
    """Alikeness c behind x_i + m W, from the Gram matrix of t tokens of cosine ρ, t = 1…4."""
    for tokens in range(1, 5):
        before = alikeness(rho, tokens)
        gram = (1 - rho) * sp.eye(tokens) + (rho + before) * sp.ones(tokens, tokens)
        exact = sum(gram) / tokens**2 / gram[0, 0]
        if sp.simplify(exact - statement.args[1].subs(c, before)) != 0:
            return False
    return True


def _attention_halves(kept: sp.Expr) -> sp.Expr:
    """Ratio of E c γ behind one attention half to that before; ``kept`` is the change of E."""
    ahead, behind = 2 * c / (1 + c), 2 * gamma / (1 + gamma)
    # backward γ changes to 2γ/(1 + γ) while c goes back from 2c/(1 + c) to c
    return sp.Mul(kept, c / ahead, behind / gamma)


@covers("for K = 1 to 8, to 1e-12")
def _one_token(statement: sp.Basic) -> bool:
    """Energy of one token behind K layers, by the recursion, K = 1…8."""
    return all(
        abs(gradient_profile(layers, 1)[0].stream - float(statement.args[1].subs(K, layers)))
        < 1e-12
        for layers in range(1, 9)
    )


def _limit(statement: sp.Basic) -> bool:
    return statement.args[0].doit() == statement.args[1]


def printed_is_false() -> Derivation:
    """Show that with one token the energy stays constant, where (2/3)^K was claimed.

    With one token every factor is known.
    """
    at_one = (1 + gamma) / (1 + c)
    slowest = ((d - 2) / d) ** 2 / PRINTED_RATE
    return Derivation(
        "xiong.decay",
        "The residual block's own Jacobian makes up for the layer norm's",
        (
            *mlp_half(),
            *attention_half(),
            at_step(
                "one token is its own mean: c = γ = 1, and an attention half keeps E as well",
                equation(at_one, sp.S.One),
                {c: alikeness(rho, 1), gamma: alikeness(rho, 1)},
                {c: alikeness(rho, 1), gamma: sp.S.Zero},
            ),
            Step(
                "K layers of one token: 1, not (2/3)^K",
                equation(_after(K), sp.S.One),
                _one_token,
                equation(_after(K), PRINTED_RATE**K),
            ),
            Step(
                "the printed bound is exceeded without limit",
                equation(sp.Limit(PRINTED_RATE ** (-K), K, sp.oo), sp.oo),
                _limit,
                equation(sp.Limit(PRINTED_RATE**K, K, sp.oo), sp.oo),
            ),
            Step(
                "even if each layer norm's projector is charged in full, from d = 11 on: "
                "((d − 2)/d)² > 2/3",
                sp.Gt(slowest, 1, evaluate=False),
                _from(11),
                sp.Gt(slowest * PRINTED_RATE, 1, evaluate=False),
                given=("d ≥ 11",),
                draw=lambda generator: {d: sp.Integer(generator.randint(11, 99))},
            ),
        ),
    )


def _from(width: int) -> StatementCheck:
    """Whether an inequality holds for every d from ``width`` on, and for no smaller d."""

    def check(statement: sp.Basic) -> bool:
        gap = sp.together(statement.args[0] - statement.args[1])
        beyond = sp.expand(sp.fraction(gap)[0].subs(d, width + sp.Symbol("p", nonnegative=True)))
        return all(term.is_nonnegative for term in sp.Add.make_args(beyond)) and bool(
            gap.subs(d, width - 1) <= 0
        )

    return check


@covers("at t = 2, 5, 16 in 80 layers, to 1e-4")
def _profile_tends_to(statement: sp.Basic) -> bool:
    """Compare the middle layer's rate in deep stacks, for several t, with the claimed limit."""
    for tokens in (2, 5, 16):
        profile = gradient_profile(80, tokens)
        rate = profile[40].stream / profile[41].stream
        if abs(rate - float(statement.args[1])) > 1e-4:
            return False
    return True


@covers("for K = 1 to 6 and t = 1 to 5, exactly")
def _telescopes(statement: sp.Basic) -> bool:
    """Check Π (1 + γ_k)/2 along γ → 2γ/(1 + γ) from 1/t, exactly, K = 1…6 and t = 1…5."""
    for tokens, layers in product(range(1, 6), range(1, 7)):
        alike, energy = sp.Rational(1, tokens), sp.S.One
        for _ in range(layers):
            energy *= (1 + alike) / 2
            alike = 2 * alike / (1 + alike)
        if sp.simplify(energy - statement.args[1].subs({t: tokens, K: layers})) != 0:
            return False
    return True


def repaired() -> Derivation:
    """Derive the rate per layer (1 + γ)/(1 + c).

    Both c and γ tend to 1, and attention conserves E c γ.
    """
    mapped, halved = 2 * c / (1 + c), (1 / c - 1) / 2
    kept = (1 + gamma) / (1 + c)
    floor = (1 + (t - 1) / 2**K) / t
    return Derivation(
        "xiong.decay",
        "How the gradient of a Post-LN stack really changes from layer to layer",
        (
            *mlp_half(),
            *attention_half(),
            Step(
                "attention makes tokens alike, and gradients on their way back: c, and γ likewise",
                equation(_after(c), mapped),
                _next_alikeness,
                equation(_after(c), c),
            ),
            Step(
                "which halves 1/c − 1 in every layer",
                equation(1 / mapped - 1, halved),
                identity,
                equation(1 / mapped - 1, 2 * halved),
            ),
            Step(
                "so the rate (1 + γ)/(1 + c) leaves E c γ as it was",
                equation(_attention_halves(kept), sp.S.One),
                identity,
                equation(_attention_halves(1 / (1 + c)), sp.S.One),
            ),
            *pair_kernels(),
            Step(
                "with MLPs too, whose ReLU moves ρ by κ₁ and ρ_g by κ₀, the rate tends to 1",
                equation(sp.Symbol("rate"), sp.S.One),
                _profile_tends_to,
                equation(sp.Symbol("rate"), PRINTED_RATE),
            ),
            Step(
                "K layers below a deep stack's output (c = 1), independent gradients (γ = 1/t)",
                equation(_after(K), floor),
                _telescopes,
                equation(_after(K), PRINTED_RATE**K),
            ),
            at_step(
                "‖∂L/∂W₂‖² adds up over tokens: ∝ E γ where they are alike, which a layer keeps",
                equation(kept * 2 / (1 + gamma), sp.S.One),
                {c: alikeness(1, t)},
                {c: alikeness(0, t)},
            ),
            Step(
                "E itself never falls below 1/t there",
                equation(sp.Limit(floor.subs(t, gamma), K, sp.oo), 1 / gamma),
                _limit,
                equation(sp.Limit(floor.subs(t, gamma), K, sp.oo), sp.S.Zero),
            ),
        ),
    )
