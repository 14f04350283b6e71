"""Theorem 3.1 with matrices and with a finite step, measured on real attention modules in float64.

The gain tr J Jᵀ and the eigenvalues of J Jᵀ come from automatic differentiation. The change of a
finite step comes from two calls of the module. The bounds come from
`theory.attention.matrix_theorem` and `theory.attention.finite_step`.
"""

from collections.abc import Iterator
from itertools import product

import torch

from numerics.measure.attention_gain import (
    AttentionPoint,
    gain,
    jacobian,
    q_bar,
    random_point,
    upper_bound,
)
from numerics.models.attention import Attention
from numerics.statistics.estimates import all_of
from numerics.statistics.exponents import fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.attention.scalar_hessian import curvature
from theory.claims import Context, Control, Kind, Observation, Reading, provides

SHAPES = tuple(product((2, 6), (1, 2), (1, 4), (1, 3)))
"""Width, heads, tokens, queries."""
LENGTHS = (1e2, 1e3, 1e4, 1e5, 1e6)
STEPS = 400
TOKENS = (1, 2, 5, 20)


def cancelling() -> AttentionPoint:
    """Two heads that cancel (v₁w₁ = −v₂w₂, q = 0, no attended mean), which the hypothesis excludes.

    Examples
    --------
    >>> q_bar(cancelling()) < 1e-30 < gain(cancelling())
    True
    """
    module = Attention(2, 2, biases=False).double()
    with torch.no_grad():
        module.in_proj.zero_()
        module.in_proj[2:] = torch.tensor([[1.0, 0.0]] * 4)  # k and v of both heads
        module.out_proj.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
    memory = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    return AttentionPoint(module, torch.ones(1, 2, dtype=torch.float64), memory)


@provides("ours.matrix", kind=Kind.MEASUREMENT)
def bounds(context: Context) -> Iterator[Observation]:
    """The theorem's bounds at random modules, and that both are of order 1/L together.

    Q̄/n ≤ tr J Jᵀ ≤ (H/κ)(1 + 3c²B⁸) Q̄.
    """
    generator = torch.Generator().manual_seed(context.seed)
    points = [
        random_point(*shape, generator, scale=scale) for shape in SHAPES for scale in (1.0, 0.1)
    ]
    low = [gain(point) * len(point.memory) / q_bar(point) for point in points]
    high = [gain(point) / upper_bound(point) for point in points]
    slack = tolerance("exact-formula")
    both = min(low) >= 1 - slack and max(high) <= 1 + slack
    gains, bars = zip(*(_scaled(length, context.seed) for length in LENGTHS), strict=True)
    fits = [fitted(power_law(LENGTHS, values)) for values in (gains, bars)]
    order = [fit.equivalent(-1.0, tolerance("exact-exponent")) for fit in fits]
    heads = cancelling()
    yield Observation(
        scope=f"{len(points)} draws, width 2 and 6; L = {LENGTHS[0]:g}…{LENGTHS[-1]:g}",
        passed=all_of([both, *order]),
        summary=f"{len(points)} real modules, d ≤ 6, H ≤ 2, n ≤ 4, T ≤ 3: n K/Q̄ ≥ {min(low):.2f}, "
        f"K ≤ {max(high):.2f} of the upper bound; at norms L^(-1/4) K ~ L^{fits[0].value:.3f}, "
        f"Q̄ ~ L^{fits[1].value:.3f}",
        control=Control(
            "heads that cancel must break the upper bound with κ = 1",
            gain(heads) > 2 * 4 * q_bar(heads),
        ),
        value=max(high),
        expected="at most 1",
        details={"shapes": SHAPES, "lengths": LENGTHS},
    )


def _scaled(length: float, seed: int) -> tuple[float, float]:
    """Gain K and Q̄ at one point with v, w and m times L^(-1/4)."""
    point = random_point(4, 2, 3, 2, torch.Generator().manual_seed(seed), scale=length**-0.25)
    small = AttentionPoint(point.module, point.query, point.memory * length**-0.25)
    return gain(small), q_bar(small)


@provides("ours.matrix-spectrum", kind=Kind.MEASUREMENT)
def spectrum(context: Context) -> Iterator[Observation]:
    """Two equal queries leave a direction that never moves; λ_max stays between its bounds."""
    generator = torch.Generator().manual_seed(context.seed)
    apart = random_point(4, 2, 5, 2, generator)
    alike = AttentionPoint(apart.module, apart.query[:1].expand(2, 4), apart.memory)
    ratios = []
    for point in (alike, apart):
        values = torch.linalg.svdvals(jacobian(point)).square()
        ratios.append(float(values[-1] / values[0]))
    slack = tolerance("exact-formula")
    yield Observation(
        scope="one draw, width 4, 5 tokens, 2 queries",
        passed=not ratios[0] < slack,
        summary=f"two equal queries: λ_min/λ_max = {ratios[0]:.0e} at every scale of v, w",
        control=Control(f"two different queries: {ratios[1]:.0e}", not ratios[1] < slack),
        value=ratios[0],
        expected="Ω(1)",
    )
    points = [random_point(*shape, generator) for shape in SHAPES]
    largest = [float(torch.linalg.matrix_norm(jacobian(point), ord=2)) ** 2 for point in points]
    sizes = [len(point.memory) * point.query.numel() for point in points]
    low = min(
        value * size / q_bar(point)
        for value, size, point in zip(largest, sizes, points, strict=True)
    )
    high = max(value / upper_bound(point) for value, point in zip(largest, points, strict=True))
    heads = cancelling()
    top = float(torch.linalg.matrix_norm(jacobian(heads), ord=2)) ** 2
    yield Observation(
        scope=f"{len(points)} draws, width 2 and 6",
        passed=low >= 1 - slack and high <= 1 + slack,
        summary=f"{len(points)} real modules: λ_max ≥ {low:.2f} Q̄/(nTd) and ≤ {high:.2f} of its "
        "upper bound",
        control=Control("heads that cancel break it with κ = 1", top > 2 * 4 * q_bar(heads)),
        reading=Reading.REPAIRED,
        reading_text="the largest eigenvalue: Q̄/(nTd) ≤ λ_max ≤ (H/κ)(1 + 3B⁸/d') Q̄; the smallest, "
        "for one query and head, is at least ‖Am‖² σ_min(w)² + ‖Amv‖² + σ_min(vw)²/n",
        value=high,
        expected="at most 1",
    )


def scalar_module(v: float, w: float, q: float, k: float) -> Attention:
    """A module of width 1 with the four scalars of Theorem 3.1.

    Examples
    --------
    >>> one = torch.ones(1, 1, 1, dtype=torch.float64)
    >>> scalar_module(2.0, 3.0, 0.0, 0.0)(one, one).item()
    6.0
    """
    module = Attention(1, 1, biases=False).double()
    with torch.no_grad():
        module.in_proj.copy_(torch.tensor([[q], [k], [v]], dtype=torch.float64))
        module.out_proj.fill_(w)
    return module.requires_grad_()


def relative_move(
    scalars: tuple[float, float, float, float], query: float, memory: torch.Tensor, eta: float
) -> float:
    """Change of G in one step over its first-order value, ΔG/(−η g K), from two calls.

    The step is of (m, k, q, v, w) with g = 1.

    Examples
    --------
    >>> m = torch.tensor([1.0, -1.0], dtype=torch.float64)
    >>> round(relative_move((1.0, 1.0, 1.0, 1.0), 1.0, m, 1 / 4420), 6)
    0.999767
    """
    module = scalar_module(*scalars)
    y = torch.full((1, 1, 1), query, dtype=torch.float64)
    m = memory[None, :, None].clone().requires_grad_()
    before = module(y, m)
    slopes = torch.autograd.grad(before, [m, module.in_proj, module.out_proj])
    size = sum(float(slope.square().sum()) for slope in slopes)
    with torch.no_grad():
        module.in_proj.sub_(eta * slopes[1])
        module.out_proj.sub_(eta * slopes[2])
        after = module(y, m - eta * slopes[0])
    return float((after - before.detach()).sum()) / (-eta * size)


@provides("ours.finite-step", kind=Kind.MEASUREMENT)
def finite_step(context: Context) -> Iterator[Observation]:
    """Whether a finite step moves G as far as the first order says, and an unbounded query.

    ½ ≤ ΔG/(−ηgK) ≤ 3/2 at η = 1/M₂, over random points with |·| ≤ 1.
    """
    generator = torch.Generator().manual_seed(context.seed)
    eta = 1 / float(curvature(2))
    ratios = []
    for number in range(STEPS):
        v, w, q, k, y = (torch.rand(5, generator=generator, dtype=torch.float64) * 2 - 1).tolist()
        size = 10.0 ** -(number % 4)
        tokens = TOKENS[number % len(TOKENS)]
        memory = torch.rand(tokens, generator=generator, dtype=torch.float64) * 2 - 1
        ratios.append(relative_move((v * size, w * size, q, k), y, memory, eta))
    memory = torch.tensor([1.0, 2.0], dtype=torch.float64)
    length = 1e8
    wild = relative_move((length**-0.5, length**-0.5, length, 0.0), 1.0, memory, 1.0)
    yield Observation(
        scope=f"{STEPS} draws, width 1, up to {max(TOKENS)} tokens",
        passed=min(ratios) >= 0.5 and max(ratios) <= 1.5,
        summary=f"{STEPS} real modules, n ≤ 20, |·| ≤ 1, v and w down to 10⁻³: at η = 1/M₂ = "
        f"{eta:.2e} the change is {min(ratios):.4f} to {max(ratios):.4f} of η|g|K",
        control=Control(f"q = L = 10⁸ at a fixed η: {wild:.3g}", not 0.5 <= wild <= 1.5),
        value=max(abs(ratio - 1) for ratio in ratios),
        expected="at most 1/2",
    )


PROVIDERS = (bounds, spectrum, finite_step)
