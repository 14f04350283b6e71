"""Why GPT-2's 1/√(2N) keeps the stream and not the update, with the exponent at finite depth.

Pre-LN blocks y_(l+1) = y_l + b_l, with E b_l² = c/N by the rule, give the stream y_l² = e² + c l/N,
which is Θ(1). In mean square block k multiplies a cotangent by 1 + (c/N)/y_k² = y_(k+1)²/y_k², so
the way from block l to the end gives y_N²/y_l², and the norm at the end 1/y_N²: the output's
squared derivative with respect to what block l adds is 1/y_l².

An output matrix does not see its own size in its gradient: the rule makes it small, and the change
that a step of it makes stays. Under SGD the output matrices move f by Σ_l 1/y_l² = Θ(N), under sign
updates by Σ_l 1/y_l = Θ(N). Matrices that read the stream act through the small output matrix: it
takes c/N (SGD) or √(c/N) (sign) off the same sums, which leaves Θ(1) and Θ(N^(1/2)).

At finite depth a small embedding e makes early blocks weigh more: the local exponent of Σ 1/y_l²
lies between 1 (e² ≫ c) and that of the harmonic numbers N H_N (e² ≪ c/N).
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, equation, identity
from theory.derivations.statements import Between

N = sp.Symbol("N", positive=True)
_start, _added, _before, _block = sp.symbols("e c y b", positive=True)
_t = sp.Symbol("t", positive=True)
_l = sp.Symbol("l", integer=True, positive=True)


def stream_squared(layer: sp.Expr, layers: sp.Expr) -> sp.Expr:
    """The mean square of GPT-2's stream behind layer l, y_l² = e² + c l/N."""
    return _start**2 + _added * layer / layers


def change_of_outputs(power: int, layers: int, start: sp.Expr, added: sp.Expr) -> sp.Expr:
    """The change of f through the output matrices up to a constant: Σ over l = 1 … N of 1/y_l^p.

    Examples
    --------
    >>> change_of_outputs(2, 3, sp.Integer(0), sp.Integer(1))
    11/2
    """
    at = {_start: start, _added: added}
    sizes = (
        stream_squared(sp.Integer(layer), sp.Integer(layers)) for layer in range(1, layers + 1)
    )
    return sp.Add(*(size.subs(at) ** sp.Rational(-power, 2) for size in sizes))


def local_exponent(power: int, shallow: int, deep: int, start: float, added: float) -> float:
    """Exponent in N of the output matrices' change of f between two depths.

    Parameters
    ----------
    power
        2 for SGD, 1 for sign updates.
    shallow, deep
        Numbers of layers.
    start
        e, the embedding's root mean square.
    added
        c, the variance that all blocks together add.

    Examples
    --------
    >>> [round(local_exponent(2, 8, 64, start, 1.0), 2) for start in (0.0, 0.1, 1.0)]
    [1.27, 1.21, 1.02]
    """
    first, last = (
        float(change_of_outputs(power, n, sp.Float(start), sp.Float(added)))
        for n in (shallow, deep)
    )
    return float(sp.log(last / first) / sp.log(sp.Rational(deep, shallow)))


def _telescoping(because: str, first: int, last: int) -> Step:
    """A product of quotients at N = ``last``, from block ``first``."""
    layers = sp.Integer(last)
    quotient = stream_squared(_l + 1, layers) / stream_squared(_l, layers)
    whole = sp.Product(quotient, (_l, first, last - 1))
    end = stream_squared(layers, layers) / stream_squared(sp.Integer(first), layers)
    wrong = stream_squared(layers, layers) / stream_squared(sp.Integer(first + 1), layers)

    def multiplied(statement: sp.Basic) -> bool:
        return identity(equation(statement.args[0].doit(), statement.args[1]))

    return Step(because, equation(whole, end), multiplied, equation(whole, wrong))


def _limit(because: str, power: int, closed: sp.Expr, wrong: sp.Expr) -> Step:
    """The limit of the mean over layers, decided by integration and by sums at a growing depth.

    Σ/N → ∫₀¹ dt/(e² + c t)^(p/2).
    """
    integral = sp.Integral(stream_squared(_t, sp.S.One) ** sp.Rational(-power, 2), (_t, 0, 1))

    def check(statement: sp.Basic) -> bool:
        at = {_start: sp.Rational(1, 2), _added: sp.Rational(3)}
        value = sp.N(statement.args[1].subs(at))
        exact = sp.N(integral.subs(at).evalf())
        # Right-hand Riemann sums of a falling function: off by at most (first − last value)/N.
        errors = [
            abs(sp.N(change_of_outputs(power, n, at[_start], at[_added])) / n - value)
            for n in (50, 100, 200)
        ]
        halves = (
            errors[1] < sp.Rational(6, 10) * errors[0]
            and errors[2] < sp.Rational(6, 10) * errors[1]
        )
        return bool(abs(exact - value) < sp.Float("1e-9") and halves)

    scope = "at e = 1/2, c = 3: the integral to 9 digits, the sums at N = 50, 100, 200"
    return Step(because, equation(integral, closed), check, equation(integral, wrong), scope)


def _factored(because: str, power: int, expected: sp.Expr) -> Step:
    """The reading matrices' change: the blocks' sum, N times its mean S, and what b takes off."""
    mean = sp.Symbol("S", positive=True)
    size = (_added / N) ** sp.Rational(power, 2)
    left = sp.Mul(size, N * mean, evaluate=False)
    right = _added ** sp.Rational(power, 2) * mean

    def equal(statement: sp.Basic) -> bool:
        return identity(equation(statement.args[0].doit(), statement.args[1]))

    return Step(
        because,
        equation(left, right * N**expected),
        equal,
        equation(left, right * N ** (expected + 1)),
    )


def _between(because: str, start: sp.Expr, low: sp.Expr, high: sp.Expr) -> Step:
    """The local exponent from N = 8 to 64 at an embedding's size, for SGD."""
    exponent = sp.Symbol("exponent", positive=True)
    value = sp.Float(local_exponent(2, 8, 64, float(start), 1.0))

    def inside(statement: sp.Basic) -> bool:
        lower, _, upper = statement.args
        return bool(lower <= value <= upper)

    return Step(
        because,
        Between(low, exponent, high),
        inside,
        Between(high, exponent, high + 1),
        "by the sums at N = 8 and 64",
    )


def stream() -> Derivation:
    """GPT-2's rule keeps the stream's variance."""
    blocks = _start**2 + sp.Sum(_added / N, (_l, 1, N))
    return Derivation(
        "modern.gpt2-stream",
        "GPT-2's 1/√(2N): the stream",
        (
            Step(
                "the stream: y_N² = e² + c at every depth, as N blocks add c/N each",
                equation(blocks, _start**2 + _added),
                identity,
                equation(blocks, _start**2 + _added * N),
            ),
        ),
    )


def update() -> Derivation:
    """GPT-2's rule: the update is Θ(N) through the output matrices."""
    ratio = sp.log(1 + _added / _start**2) / _added
    root = 2 * (sp.sqrt(_start**2 + _added) - _start) / _added
    # The way from block l to the end and the last norm, not yet multiplied out.
    way = stream_squared(N, N) / stream_squared(_l, N)
    passed = sp.Mul(way, 1 / stream_squared(N, N), evaluate=False)
    return Derivation(
        "modern.gpt2-update",
        "GPT-2's 1/√(2N): the update",
        (
            Step(
                "a block's factor on a squared cotangent is the growth of the squared stream",
                equation(1 + _block**2 / _before**2, (_before**2 + _block**2) / _before**2),
                identity,
                equation(1 + _block**2 / _before**2, (_before**2 + _block**2) / _block**2),
            ),
            _telescoping("so the way from block 3 of 9 to the end multiplies by y_9²/y_3²", 3, 9),
            Step(
                "with the last norm, 1/y_N², the squared derivative is 1/y_l²",
                equation(passed, 1 / stream_squared(_l, N)),
                identity,
                equation(passed, stream_squared(N, N) / stream_squared(_l, N)),
            ),
            _limit(
                "SGD, output matrices: (Σ 1/y_l²)/N has a positive limit: N^1", 2, ratio, 2 * ratio
            ),
            _limit("sign, output matrices: (Σ 1/y_l)/N has one as well: N^1", 1, root, root / 2),
            _factored("SGD, matrices that read: c/N times a sum of Θ(N)", 2, sp.S.Zero),
            _factored("sign, matrices that read: √(c/N) times a sum of Θ(N)", 1, sp.Rational(1, 2)),
            _between(
                "SGD from N = 8 to 64, embedding of size 10 √c",
                sp.Integer(10),
                sp.Rational(99, 100),
                sp.Rational(101, 100),
            ),
            _between(
                "the same with an embedding of size 0.07 √c",
                sp.Rational(7, 100),
                sp.Rational(123, 100),
                sp.Rational(127, 100),
            ),
        ),
    )
