"""What trained biases do to the update: the paper's blocks have none, its code's have.

A block G = (v x + b) w + o has, besides the three terms of Theorem 3.1, the gain of its biases:

    Σ (∂G/∂θ)² = v²w² + (v x + b)² + w²x² + w² + 1,

1 for the output bias o, whatever the scales. Over L blocks that is L, so ‖Δf‖ = Θ(ηL): drawing the
biases 0, as the code does, does not help, since ∂G/∂o does not depend on o. A factor (3N)^(-1/2) on
each decoder bias, or a learning rate of η/(3N) for it, brings the sum to 1. Value biases drawn from
nn.Linear's default U(±d^(-1/2)) have mean square 1/(3d).
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, covers, equation
from theory.derivations.orders import order_step
from theory.scales import stacks
from theory.scales.conditions import decoder_choice
from theory.scales.stacks import N_D
from theory.scales.update_rules import SGD, stack_gain

N = sp.Symbol("N", positive=True)
_bias = sp.Symbol("beta", nonnegative=True)


def default_mean_square(fan_in: sp.Expr) -> sp.Expr:
    """Mean square of torch's default biases, by integration: E b² = 1/(3 fan_in).

    They are U(±fan_in^(-1/2)).

    Examples
    --------
    >>> default_mean_square(sp.Integer(512))
    1/1536
    """
    b, bound = sp.symbols("b B", positive=True)
    mean = sp.integrate(b**2, (b, -bound, bound)) / (2 * bound)
    return mean.subs(bound, fan_in ** sp.Rational(-1, 2))


@covers("for every v, w, x and both signs of b")
def _block_with_biases(statement: sp.Basic) -> bool:
    """Squared partials of G = (v x + b) w + o by v, w, x, b, o, averaged over b's sign."""
    v, w, x, b, o = sp.symbols("v w x b o", real=True)
    value = (v * x + b) * w + o
    squares = sum(sp.diff(value, parameter) ** 2 for parameter in (v, w, x, b, o))
    mean = sum(sp.expand(squares).subs(b, sign * sp.sqrt(_bias)) for sign in (1, -1)) / 2
    return sp.expand(mean - statement.args[1]) == 0


def block_step() -> Step:
    """The gain of a block with biases."""
    v, w, x = sp.symbols("v w x", real=True)
    plain = v**2 * w**2 + v**2 * x**2 + w**2 * x**2
    return Step(
        "a block with biases, G = (v x + b) w + o with E b² = β: β, w² and 1 join the gain",
        equation(sp.Symbol("gain"), plain + _bias + w**2 + 1),
        _block_with_biases,
        equation(sp.Symbol("gain"), plain + _bias),
    )


def decoder_gain(factor: sp.Expr) -> sp.Expr:
    """The decoder's gain at (9N)^(-1/4) with output biases that are multiplied by ``factor``.

    Examples
    --------
    >>> decoder_gain(sp.Integer(1)), decoder_gain(sp.Integer(0))
    (3*N + 1, 1)
    """
    scale = (9 * N) ** sp.Rational(-1, 4)
    weights = stack_gain(stacks.decoder(), SGD).subs(decoder_choice(scale)).subs(N_D, N)
    return sp.expand(sp.simplify(weights) + stacks.decoder(N).count * factor**2)


def trained() -> Derivation:
    """With trained output biases the decoder's gain is 1 + 3N."""
    return Derivation(
        "tfixup.biases",
        "Output biases, one per block, each of gain 1",
        (
            block_step(),
            order_step("the decoder's gain at T-Fixup's scales", decoder_gain(sp.S.One), 1, N),
        ),
    )


def scaled() -> Derivation:
    """A factor (3N)^(-1/2) on each of them keeps the gain Θ(1)."""
    factor = (3 * N) ** sp.Rational(-1, 2)
    return Derivation(
        "tfixup.biases",
        "Output biases with a factor of (3N)^(-1/2)",
        (
            block_step(),
            order_step("the decoder's gain then", decoder_gain(factor), 0, N),
        ),
    )
