"""Xiong et al. measured in their own setting: Lemmas 1 and 2, Theorem 1's exponents, the decay.

Every number is a mean over independent draws with Student's interval. It is decided as an
equivalence: the whole interval must lie inside the margin. Exponents are fitted over layers L and
over widths d.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import log

import numpy as np
import torch

from numerics.models import WIRINGS, Wiring
from numerics.models.attention import Attention
from numerics.models.mlp import MLP
from numerics.models.xiong_encoder import redraw_, unit_tokens, xiong_encoder
from numerics.signals.gradients import matrix_gradients, norms_by_layer
from numerics.signals.residual_stream import norm_inputs
from numerics.statistics.estimates import Estimate, all_of, mean_estimate
from numerics.statistics.exponents import Exponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, provides

WIDTH = 64
TOKENS = 8
LAYERS = 6
DRAWS = {Level.QUICK: 160, Level.FULL: 1000}
DEPTHS = (32, 64, 128, 256)
"""Deep, as the tokens first have to become alike: ‖x_L‖² grows faster than L until then."""
WIDTHS = (32, 64, 128, 256)
WIDTH_LAYERS = 2
SEEDS = {Level.QUICK: 6, Level.FULL: 60}
SEQUENCES = 8
"""Losses a network, averaged; networks are the independent draws."""
SIGMAS = (0.5, 1.0, 3.0)
DECAY_LAYERS = 12
DECAY_SEEDS = 16
DECAY = log(2 / 3) / 2
"""The printed change of log ‖∂L/∂W‖ from layer l to layer l − 1."""


@provides("xiong.lemma1", kind=Kind.MEASUREMENT)
def lemma1(context: Context) -> Iterator[Observation]:
    """Mean square of ReLU, E‖ReLU(X)‖²/(σ²d), for Gaussian X of mean 0 and of mean σ/2."""
    generator = torch.Generator().manual_seed(context.seed)

    def shares(sigma: float, mean: float) -> Estimate:
        drawn = torch.randn(20_000, WIDTH, generator=generator, dtype=torch.float64)
        squares = (sigma * drawn + mean).relu().square().sum(-1) / (sigma**2 * WIDTH)
        return mean_estimate(squares.tolist())

    margin = tolerance("sampled-mean")
    found = {sigma: shares(sigma, 0.0) for sigma in SIGMAS}
    decisions = [one.inside(0.5 * (1 - margin), 0.5 * (1 + margin)) for one in found.values()]
    shifted = shares(1.0, 0.5).inside(0.5 * (1 - margin), 0.5 * (1 + margin))
    unit = found[1.0]
    yield Observation(
        scope=f"width {WIDTH}, 20,000 draws, σ = {SIGMAS[0]}…{SIGMAS[-1]}",
        passed=all_of(decisions),
        summary="E‖ReLU(X)‖²/(σ²d) is "
        + ", ".join(f"{one.value:.4f} at σ = {sigma:g}" for sigma, one in found.items()),
        control=Control("mean σ/2 in place of 0", shifted is False),
        value=unit.value,
        expected=0.5,
        tolerance=margin,
        interval=unit.interval,
    )


def hidden_norms(wiring: Wiring, seed: int, draws: int) -> np.ndarray:
    """Mean squares ‖x‖²/d at each layer's norms, mean over tokens: (draws, norms) in order."""
    rows = []
    generator = torch.Generator().manual_seed(seed)
    model = xiong_encoder(LAYERS, WIDTH, wiring, generator)
    for _ in range(draws):
        redraw_(model, generator)
        x = unit_tokens(1, TOKENS, WIDTH, generator)
        with torch.no_grad():
            found = norm_inputs(model, lambda x=x: model.encode(x))
        rows.append([float(norms.mean()) / WIDTH for norms in found.values()])
    return np.array(rows)


@provides("xiong.lemma2-post", "xiong.lemma2-pre", kind=Kind.MEASUREMENT)
def lemma2(context: Context) -> Iterator[Observation]:
    """Norms in every layer: ‖x^{post,5}‖², and ‖x_l^{pre}‖² between its bounds after l layers."""
    margin, draws = tolerance("hidden-norm"), DRAWS[context.level]
    post = hidden_norms(WIRINGS["post-ln"], context.seed, draws)
    five = [mean_estimate(column) for column in post[:, 1::2].T.tolist()]
    four = [mean_estimate(column) for column in post[:, 0::2].T.tolist()]

    def is_three_halves(found: Estimate) -> bool | None:
        return found.inside(1.5 * (1 - margin), 1.5 * (1 + margin))

    widest = max(five, key=lambda found: abs(found.value - 1.5))
    yield Observation(
        scope=f"{LAYERS} layers, width {WIDTH}, {draws} draws",
        claim="xiong.lemma2-post",
        passed=all_of([is_three_halves(found) for found in five]),
        summary="‖x^{post,5}‖²/d in layers 1…6: "
        + ", ".join(f"{found.value:.3f}" for found in five),
        control=Control(
            "the norm before attention's layer norm: "
            + ", ".join(f"{found.value:.2f}" for found in four),
            all_of([is_three_halves(found) for found in four]) is False,
        ),
        value=widest.value,
        expected=1.5,
        tolerance=margin,
        interval=widest.interval,
    )
    pre = hidden_norms(WIRINGS["pre-ln"], context.seed, draws)
    behind = [mean_estimate(column) for column in pre[:, 2::2].T.tolist()]

    def bounded(shift: int) -> bool | None:
        """Whether the stream after l layers lies between the bounds at l + shift."""
        return all_of(
            [
                found.inside(1 + (l + shift) / 2, 1 + 3 * (l + shift) / 2)
                for l, found in enumerate(behind, start=1)  # noqa: E741 - the paper's layer index
            ]
        )

    yield Observation(
        scope=f"{LAYERS} layers, width {WIDTH}, {draws} draws",
        claim="xiong.lemma2-pre",
        passed=bounded(0),
        summary="‖x_l‖²/d after l = 1…6 layers: "
        + ", ".join(f"{found.value:.2f}" for found in behind),
        control=Control(
            "l counted one lower or one higher", bounded(-1) is False and bounded(1) is False
        ),
        value=behind[-1].value,
        expected=f"{1 + LAYERS / 2} to {1 + 3 * LAYERS / 2}",
        interval=behind[-1].interval,
    )


def last_gradients(
    layers: int, width: int, wiring: Wiring, seed: int, draws: int
) -> Sequence[float]:
    """Mean norm of the last layer's gradient, ‖∂L/∂W^{2,L}‖_F, over losses at one token.

    Each loss has ‖∂L/∂x‖ = √d at the stack's output.

    Examples
    --------
    >>> (one,) = last_gradients(2, 16, WIRINGS["post-ln"], 0, 1)
    >>> 5 < one < 16
    True
    """
    generator = torch.Generator().manual_seed(seed)
    model = xiong_encoder(layers, width, wiring, generator).requires_grad_(False)
    weight = model.get_parameter(f"encoder.{layers - 1}.mlp.branch.w2").requires_grad_()
    norms = []
    for _ in range(draws):
        redraw_(model, generator)
        x = unit_tokens(SEQUENCES, TOKENS, width, generator)
        output = model.encode(x)[:, 0]
        slopes = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        slopes = slopes / slopes.norm(dim=1, keepdim=True) * width**0.5
        # Each loss is differentiated by itself: the norm is taken before gradients are summed.
        each = [
            float(torch.autograd.grad(row, weight, slope, retain_graph=True)[0].norm())
            for row, slope in zip(output, slopes, strict=True)
        ]
        norms.append(sum(each) / SEQUENCES)
    return norms


def _fit(points: Sequence[int], gradients: Callable[[int], Sequence[float]]) -> Exponent:
    pairs = [(float(point), value) for point in points for value in gradients(point)]
    return fitted(power_law(*zip(*pairs, strict=True)))


@provides("xiong.thm1-post", "xiong.thm1-pre", kind=Kind.MEASUREMENT)
def theorem1(context: Context) -> Iterator[Observation]:
    """The last MLP's gradient: flat in L (Post-LN), L^(-1/2) (Pre-LN), at most d√ln d in both."""
    seed, draws = context.seed, SEEDS[context.level]
    depth, width = {}, {}
    for wiring in (WIRINGS["post-ln"], WIRINGS["pre-ln"]):
        measured = partial(last_gradients, wiring=wiring, seed=seed, draws=draws)
        depth[wiring] = _fit(DEPTHS, lambda layers, run=measured: run(layers, WIDTH))
        width[wiring] = _fit(WIDTHS, lambda d, run=measured: run(WIDTH_LAYERS, d))
    margin = tolerance("gradient-exponent")
    for claim, wiring, power, other in (
        ("xiong.thm1-post", WIRINGS["post-ln"], 0.0, WIRINGS["pre-ln"]),
        ("xiong.thm1-pre", WIRINGS["pre-ln"], -0.5, WIRINGS["post-ln"]),
    ):
        fit, of_width = depth[wiring], width[wiring]
        bounded = of_width.interval[0] <= 1 + margin
        agrees = fit.equivalent(power, margin)
        yield Observation(
            scope=f"L = {DEPTHS[0]}…{DEPTHS[-1]} at width {WIDTH}, width {WIDTHS[0]}…{WIDTHS[-1]} "
            f"at L = {WIDTH_LAYERS}, {draws} draws",
            claim=claim,
            passed=False if not bounded else agrees,
            summary=f"‖∂L/∂W^{{2,L}}‖ ~ L^{fit.value:+.3f} over L = {DEPTHS[0]}…{DEPTHS[-1]}, "
            f"d^{of_width.value:.2f} over d = {WIDTHS[0]}…{WIDTHS[-1]}",
            control=Control(
                f"{other}: L^{depth[other].value:+.3f}",
                depth[other].equivalent(power, margin) is False,
            ),
            value=fit.value,
            expected=power,
            tolerance=margin,
            interval=fit.interval,
            details={"draws": draws, "width exponent": str(of_width)},
        )


def layer_slope(seed: int, *, jacobians: bool, attention: bool) -> float:
    """Slope of log ‖∂L/∂W^{2,l}‖ in l over a Post-LN stack of 12 layers.

    ``jacobians`` false leaves the MLPs' own Jacobians out of the backward pass, as the printed
    factor does; ``attention`` false sets the value matrices to 0.
    """
    generator = torch.Generator().manual_seed(seed)
    model = xiong_encoder(DECAY_LAYERS, WIDTH, WIRINGS["post-ln"], generator)
    for part in model.modules():
        if isinstance(part, Attention) and not attention:
            part.in_proj.detach().zero_()
        if isinstance(part, MLP) and not jacobians:
            part.register_forward_pre_hook(lambda _, given: (given[0].detach(),))
    x = unit_tokens(1, TOKENS, WIDTH, generator)
    u = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    rows = matrix_gradients(model, lambda: model.encode(x), u)
    norms = norms_by_layer(rows, "encoder.mlp.w2")
    return float(np.polyfit(np.arange(len(norms)), np.log(norms), 1)[0])


@provides("xiong.decay", kind=Kind.MEASUREMENT)
def decay(context: Context) -> Iterator[Observation]:
    """The measured slope over layers against ½ log(3/2), with the blocks' Jacobians and without."""
    seeds = range(1000 * context.seed, 1000 * context.seed + DECAY_SEEDS)
    whole, alone, printed = (
        mean_estimate([layer_slope(seed, jacobians=j, attention=a) for seed in seeds])
        for j, a in ((True, True), (True, False), (False, False))
    )
    margin = tolerance("layer-slope")

    def as_printed(found: Estimate) -> bool | None:
        return found.inside(-DECAY - margin, -DECAY + margin)

    first = np.exp(-whole.value * (DECAY_LAYERS - 1))
    yield Observation(
        scope=f"{DECAY_LAYERS} layers, width {WIDTH}, {DECAY_SEEDS} seeds",
        passed=as_printed(whole),
        summary=f"log ‖∂L/∂W^{{2,l}}‖ rises by {whole.value:.4f} a layer ({alone.value:.4f} "
        f"without attention), not by ½ log(3/2) = {-DECAY:.4f}: at layer 1 of {DECAY_LAYERS} it is "
        f"{first:.2f} of the last, not {np.exp(DECAY * (DECAY_LAYERS - 1)):.2f}",
        control=Control(
            f"with the MLPs' own Jacobians left out it must be accepted: {printed.value:.4f}",
            as_printed(printed) is True,
        ),
        value=whole.value,
        expected=-DECAY,
        tolerance=margin,
        interval=whole.interval,
    )


PROVIDERS = (theorem1, decay, lemma2, lemma1)
