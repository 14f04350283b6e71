"""Update rules one by one: what a step does to a branch, and the depth power of the learning rate.

With the scales of one rule kept under another, a condition's left side is Θ(N^p) and the function
moves by Θ(η N^p): the rate must fall as N^(-p). With T-Fixup's scales p is 0 for SGD and momentum,
1/2 for sign updates (Adam's first step and its steady state, Lion) and orthogonalised ones, 1/4 for
LARS and LAMB.
"""

from collections.abc import Callable

import sympy as sp

from theory.derivations.derivation import Derivation, Step, equation, identity
from theory.derivations.orders import order
from theory.derivations.statements import OrderEquality
from theory.scales import conditions, stacks
from theory.scales.architectures import encoder_decoder
from theory.scales.solver import Solution, solve
from theory.scales.stacks import V_D, V_E, W_E, NormPolynomial, X
from theory.scales.tfixup_constants import N
from theory.scales.update_rules import RULES, SGD, UpdateRule, branch_gain, stack_gain

_beta = sp.Symbol("beta", positive=True)
_k = sp.Symbol("k", integer=True, nonnegative=True)
_g = sp.Symbol("g", positive=True)
STEPS: dict[str, Callable[[sp.Expr, sp.Expr], sp.Expr]] = {
    "sgd": lambda derivative, _: derivative,
    "sign": lambda derivative, _: sp.sign(derivative),
    "lamb": lambda derivative, norm: sp.Abs(norm) * sp.sign(derivative),
}
"""The step ÷ −η of a single number θ, from ∂G/∂θ and θ."""


def change_power(solved: Solution, rule: UpdateRule) -> sp.Expr:
    """Power p of the change, ‖Δf‖ = Θ(η N^p), under ``rule`` at norms solved for, perhaps, another.

    Examples
    --------
    >>> paper = solve(encoder_decoder(N, N), SGD)
    >>> {name: change_power(paper, RULES[name]) for name in ("sgd", "sign", "lamb")}
    {'sgd': 0, 'sign': 1/2, 'lamb': 1/4}
    """
    exact = [item for item in conditions.system(solved.architecture, rule) if item.exact]
    sides = (item.left_side.subs(solved.scales) for item in exact if item.name != "source input")
    return sp.Max(*(order(sp.expand(side), N).power for side in sides))


def _moves(name: str) -> Step:
    """The gain of v w x under a rule is what a real step does to it, signs included."""
    rule, move = RULES[name], STEPS[name]
    branch = NormPolynomial(V_E * W_E * X, (V_E, W_E, X))
    eta = sp.Symbol("eta", positive=True)

    def check(statement: sp.Basic) -> bool:
        for point in ((2, 3, 5), (-2, 3, 5), (2, -3, -7), (-1, -4, 6)):
            at = dict(zip(branch.trained, map(sp.Integer, point), strict=True))
            moved = {
                slot: at[slot] - eta * move(sp.diff(branch.output, slot).subs(at), at[slot])
                for slot in branch.trained
            }
            slope = sp.diff(branch.output.subs(moved, simultaneous=True), eta).subs(eta, 0)
            sizes = {slot: abs(value) for slot, value in at.items()}
            if slope != statement.args[1].subs(sizes):
                return False
        return True

    gain = branch_gain(branch, rule)
    return Step(
        f"{name}: {rule.meaning}; v w x moves at this rate, by derivative along the step",
        equation(sp.Symbol("dG/deta"), -gain),
        check,
        equation(
            sp.Symbol("dG/deta"), -branch_gain(branch, RULES["sgd" if name != "sgd" else "sign"])
        ),
        "at rational values of both signs, exactly",
    )


def _momentum() -> Step:
    total = sp.Sum(_beta**_k, (_k, 0, sp.oo))

    def check(statement: sp.Basic) -> bool:
        left, right = (side.subs(_beta, sp.Rational(1, 3)) for side in statement.args)
        return left.doit() == right

    return Step(
        "momentum: a steady gradient counts Σ β^k times",
        equation(total, 1 / (1 - _beta)),
        check,
        equation(total, 1 / (1 + _beta)),
        "at β = 1/3, exactly",
    )


def _adam() -> tuple[Step, ...]:
    first, second = sp.symbols("beta_1 beta_2", positive=True)
    t = sp.Symbol("t", integer=True, positive=True)

    def average(decay: sp.Symbol, value: sp.Expr) -> sp.Expr:
        index = sp.Symbol("i", integer=True, positive=True)
        return (1 - decay) * sp.Sum(decay ** (t - index) * value, (index, 1, t)) / (1 - decay**t)

    step = average(first, _g) / sp.sqrt(average(second, _g**2))
    noise = sp.Sum(((1 - _beta) * _beta**_k) ** 2, (_k, 0, sp.oo))
    size, first_noise, second_noise = sp.symbols("D xi_1 xi_2", real=True)
    # Two gradients ξ_t D that differ by the noise alone, averaged with weights 1/3 and 2/3.
    shared = (first_noise + 2 * second_noise) / 3
    rms = sp.sqrt((first_noise**2 + second_noise**2) / 2)
    moved = sp.Function("step")(size)

    def common_factor(statement: sp.Basic) -> bool:
        draws = {first_noise: sp.Rational(3), second_noise: -sp.Rational(1, 2)}
        for value in (sp.Integer(5), -sp.Rational(2, 7)):
            gradients = [xi * value for xi in draws.values()]
            average_of = (gradients[0] + 2 * gradients[1]) / 3
            root = sp.sqrt((gradients[0] ** 2 + gradients[1] ** 2) / 2)
            if sp.simplify(average_of / root - statement.args[1].subs(draws | {size: value})) != 0:
                return False
        return True

    def at_numbers(statement: sp.Basic) -> bool:
        numbers = {first: sp.Rational(9, 10), second: sp.Rational(49, 50), _beta: sp.Rational(2, 3)}
        return all(
            identity(equation(*(side.subs(numbers | {t: time}).doit() for side in statement.args)))
            for time in (1, 2, 7)
        )

    return (
        Step(
            "Adam on gradients ξ_t D of a noisy ∂L/∂f: every parameter's step is sign(D) times one "
            "factor, so the changes still add",
            equation(moved, sp.sign(size) * shared / rms),
            common_factor,
            equation(moved, shared / rms),
            "at D = 5 and −2/7, exactly",
        ),
        Step(
            "Adam: m̂/√v̂ of a steady gradient g > 0 is its sign, from the first step on "
            "(t = 1, 2, 7)",
            equation(step, sp.S.One),
            at_numbers,
            equation(step, _g),
        ),
        Step(
            "and for ξ independent of variance 1 that factor has variance (1 − β₁)/(1 + β₁)",
            equation(noise, (1 - _beta) / (1 + _beta)),
            at_numbers,
            equation(noise, 1 - _beta),
            "at β = 2/3, exactly",
        ),
    )


def _orthogonalised() -> Step:
    """U Vᵀ has spectral norm 1, and its inner product with g is the sum of g's singular values."""
    rotation = sp.Matrix([[3, -4], [4, 3]]) / 5
    other = sp.Matrix([[5, 12], [-12, 5]]) / 13
    singular = sp.diag(7, 2)
    gradient, polar = rotation * singular * other.T, rotation * other.T
    inner = sp.Symbol("<g, U V^T>")

    def check(statement: sp.Basic) -> bool:
        exact = (gradient.T * polar).trace()
        return identity(equation(exact, statement.args[1])) and polar.T * polar == sp.eye(2)

    return Step(
        "orthogonalised: ⟨g, U Vᵀ⟩ = Σ σ_i = 7 + 2, as the sign gives Σ |g_i|; the step has norm 1",
        equation(inner, sp.Integer(9)),
        check,
        equation(inner, sp.sqrt(53)),
        "for one matrix g, exactly",
    )


def _power(name: str, paper: Solution) -> Step:
    rule = RULES[name]
    power = change_power(paper, rule)
    kept = sp.Function("change")(N)
    demanded = conditions.system(paper.architecture, rule)[:2]
    sides = [item.left_side.subs(paper.scales) for item in demanded]

    def check(statement: sp.Basic) -> bool:
        exponent = order(statement.args[1], N).power
        # Θ(N^p) has a finite, positive limit ratio to N^p.
        ratios = [sp.limit(side / N**exponent, N, sp.oo) for side in sides]
        return all(ratio.is_positive is True and ratio.is_finite is True for ratio in ratios)

    return Step(
        f"{name}, T-Fixup's scales kept: ‖Δf‖/η has this power of N, so η must have its inverse",
        OrderEquality(kept, N**power, N),
        check,
        OrderEquality(kept, N ** (power - sp.Rational(1, 4)), N),
        "by the limits of both stacks' left sides over this power",
    )


def _scale(name: str) -> Step:
    """The decoder's scale that the solver returns for a rule meets its condition at every N."""
    solved = solve(encoder_decoder(N, N), RULES[name])
    gain = stack_gain(stacks.decoder(N), RULES[name])
    left = gain.subs(conditions.decoder_choice(V_D))

    def check(statement: sp.Basic) -> bool:
        return identity(equation(sp.powsimp(left.subs(V_D, statement.args[1])), sp.S.One))

    return Step(
        f"{name}: the decoder's scale from the solver, put into its condition",
        equation(V_D, solved[V_D]),
        check,
        equation(V_D, solved[V_D] * N ** sp.Rational(1, 4)),
        "inserted into the condition, for every N",
    )


def derivation() -> Derivation:
    """Each rule's effect on a branch, its scales, and the rate's power at T-Fixup's scales."""
    names = ("sgd", "momentum", "adam-noise", "sign", "lion", "muon", "lars", "lamb")
    paper = solve(encoder_decoder(N, N), SGD)
    return Derivation(
        "ours.optimizers",
        "Scales and learning-rate powers for other update rules",
        (
            *(_moves(name) for name in STEPS),
            _momentum(),
            *_adam(),
            _orthogonalised(),
            *(_scale(name) for name in ("momentum", "adam-noise", "lion", "lamb", "muon")),
            *(_power(name, paper) for name in names),
        ),
    )
