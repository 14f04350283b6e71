"""Theorem 3.1 measured: the update gain of scalar attention by automatic differentiation.

K is the squared norm of the gradient of G = v w Σ softmax_j(q k y m_j) m_j with respect to
(m, k, q, v, w), here never computed from its closed form.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, vmap

from numerics.statistics.exponents import fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, Reading, provides

POINTS = 20_000
TOKENS = 5
BOUND = 1.0
SCOPE = f"{POINTS:,} points, width 1, {TOKENS} tokens"
DEPTHS = (1e3, 1e4, 1e5, 1e6, 1e7)


@dataclass(frozen=True)
class Points:
    """Many parameter points at once: memory (P, n), the rest (P,)."""

    memory: Tensor
    parameters: Tensor
    """(P, 4): v, w, q, k."""
    query: Tensor


def attend(memory_n: Tensor, parameters_4: Tensor, query: Tensor) -> Tensor:
    """The attention G of Eq. 5 at one point."""
    v, w, q, k = parameters_4
    return v * w * ((q * k * query * memory_n).softmax(0) * memory_n).sum()


def gains(points: Points) -> Tensor:
    """The update gain K at every point.

    Examples
    --------
    >>> one = torch.ones(1, dtype=torch.float64)
    >>> gains(Points(torch.stack([one, -one], 1), torch.ones(1, 4).double(), 0 * one)).tolist()
    [0.5]
    """
    partials = vmap(grad(attend, argnums=(0, 1)))(points.memory, points.parameters, points.query)
    return sum(((part**2).sum(-1) for part in partials), torch.zeros_like(points.query))


def q_bar(points: Points) -> Tensor:
    """The theorem's expression at every point, v²w² + (v² + w²) m̄²."""
    v, w, q, k = points.parameters.unbind(-1)
    weights = ((q * k * points.query)[:, None] * points.memory).softmax(-1)
    mean = (weights * points.memory).sum(-1)
    return v**2 * w**2 + (v**2 + w**2) * mean**2


def random_points(generator: torch.Generator, *, bound: float) -> Points:
    """Points with q, k, y, m uniform in ±bound; v, w log-uniform over four decades, any sign."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64) * 2 - 1

    sign = torch.sign(uniform(POINTS, 2))
    scales = sign * 10.0 ** (2 * uniform(POINTS, 2))
    others = uniform(POINTS, 2) * bound
    return Points(
        uniform(POINTS, TOKENS) * bound,
        torch.cat([scales, others], dim=-1),
        uniform(POINTS) * bound,
    )


def _along(memory: tuple[float, float], q: float, power: float, k: float, y: float) -> list[float]:
    """The gain K at v = w = L^(-1/2) and q L^power, for L in ``DEPTHS``."""
    rows = [[size**-0.5, size**-0.5, q * size**power, k] for size in DEPTHS]
    points = Points(
        torch.tensor([memory] * len(DEPTHS), dtype=torch.float64),
        torch.tensor(rows, dtype=torch.float64),
        torch.full((len(DEPTHS),), y, dtype=torch.float64),
    )
    return gains(points).tolist()


def _slope_evidence(
    claim: str, values: list[float], control: list[float], summary: str, false_variant: str
) -> Observation:
    margin = tolerance("exact-exponent")
    fit, other = fitted(power_law(DEPTHS, values)), fitted(power_law(DEPTHS, control))
    same = fit.equivalent(-1.0, margin)
    return Observation(
        scope=f"L = {DEPTHS[0]:g}…{DEPTHS[-1]:g}, width 1, one point each",
        claim=claim,
        passed=same,
        summary=f"{summary}: K ~ L^{fit.value:.3f}",
        control=Control(false_variant, other.equivalent(-1.0, margin) is True),
        value=fit.value,
        expected=-1.0,
        tolerance=margin,
        interval=fit.interval,
    )


@provides(
    "tfixup.thm31-upper",
    "tfixup.thm31-lower",
    "tfixup.thm31-repaired",
    "tfixup.thm31-sufficient",
    kind=Kind.MEASUREMENT,
)
def theorem(context: Context) -> Iterator[Observation]:
    """Whether K is between its bounds at random points, and its order on the counterexamples."""
    points = random_points(torch.Generator().manual_seed(context.seed), bound=BOUND)
    ratio = gains(points) / q_bar(points)
    low, high, cap = float(ratio.min()), float(ratio.max()), 1 + 3 * BOUND**8
    wide = random_points(torch.Generator().manual_seed(context.seed), bound=4 * BOUND)
    outside = float((gains(wide) / q_bar(wide)).max()) > cap
    slack = tolerance("exact-formula")
    yield Observation(
        scope=SCOPE,
        claim="tfixup.thm31-repaired",
        passed=low >= 1 / TOKENS - slack and high <= cap + slack,
        summary=f"K/Q̄ in [{low:.3f}, {high:.3f}] at {POINTS} points with n = {TOKENS}, B = 1: "
        f"bounds [{1 / TOKENS}, {cap:g}]",
        control=Control("q, k, y, m up to 4 B must leave the bounds", outside),
        value=high,
        expected=f"at most {cap:g}",
    )
    yield _slope_evidence(
        "tfixup.thm31-upper",
        _along((1.0, 2.0), 1.0, 1.0, 0.0, 1.0),
        _along((1.0, 2.0), 1.0, 0.0, 0.0, 1.0),
        "m = (1, 2), k = 0, q = L, v = w = L^(-1/2)",
        "with q bounded the same fit must give −1",
    )
    vanishing = float(torch.log(torch.tensor(2.0, dtype=torch.float64)) / 3)
    yield _slope_evidence(
        "tfixup.thm31-lower",
        _along((1.0, -2.0), 1.0, 0.0, 1.0, vanishing),
        _along((1.0, 2.0), 1.0, 0.0, 1.0, vanishing),
        "m = (1, −2), q = k = 1, y = (ln 2)/3, v = w = L^(-1/2)",
        "with m = (1, 2) the same fit must give −1",
    )
    one_sign = Points(points.memory.abs(), points.parameters, points.query)
    smallest = one_sign.memory.min(dim=-1).values
    v, w = points.parameters[:, 0], points.parameters[:, 1]
    condition = v**2 * w**2 + (v**2 + w**2) * smallest**2
    kept = float((gains(one_sign) * TOKENS / condition).min())
    signed = points.memory.abs().min(dim=-1).values
    broken = v**2 * w**2 + (v**2 + w**2) * signed**2
    lost = float((gains(points) * TOKENS / broken).min())
    yield Observation(
        scope=SCOPE,
        claim="tfixup.thm31-sufficient",
        passed=kept >= 1 - slack,
        summary=f"one sign: n K ≥ {kept:.3f} × min_i of the printed condition at {POINTS} points",
        control=Control("with signs mixed the same bound must break", lost < 1 - slack),
        value=kept,
        expected="at least 1",
    )


@provides("tfixup.thm31-upper", kind=Kind.MEASUREMENT)
def bounded_upper(context: Context) -> Iterator[Observation]:
    """With q, k, y, m bounded, K stays below (1 + 3B⁸) times the printed condition."""
    points = random_points(torch.Generator().manual_seed(context.seed + 1), bound=BOUND)
    v, w = points.parameters[:, 0], points.parameters[:, 1]
    largest = points.memory.abs().max(dim=-1).values
    condition = v**2 * w**2 + (v**2 + w**2) * largest**2
    worst = float((gains(points) / condition).max())
    smallest = points.memory.abs().min(dim=-1).values
    at_least = v**2 * w**2 + (v**2 + w**2) * smallest**2
    cap = 1 + 3 * BOUND**8
    yield Observation(
        scope=SCOPE,
        passed=worst <= cap,
        summary=f"K ≤ {worst:.3f} × max_i of the printed condition at {POINTS} points, B = 1",
        control=Control(
            "min_i of the condition in place of max_i must break the bound",
            float((gains(points) / at_least).max()) > cap,
        ),
        reading=Reading.RESTRICTED,
        reading_text="|q|, |k|, |y|, |m_i| bounded",
        value=worst,
        expected=f"at most {cap:g}",
    )


PROVIDERS = (theorem, bounded_upper)
