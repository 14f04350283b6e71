"""Equations 6–8 measured: whether each left side sets the exponent of what it must bound.

With unit random cotangents u on the encoder's memory m and on the output f,

    encoder  ‖(∂m/∂θ_e)ᵀ u‖²   (Eq. 6),
    decoder  ‖(∂f/∂θ_d)ᵀ u‖²   (Eq. 7),
    memory   ‖(∂f/∂m)ᵀ u‖²     (Eq. 8)

are measured on real Transformers whose norms are T-Fixup's to a power p, norm ~ N^(-p/4), so that
each left side has a known order N^(1-p). The equation is right about a quantity if the measured
exponent is that of its left side for every p, and Θ(1) at p = 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import sympy as sp
import torch

from numerics.models import ModelSpec, Positions, Transformer
from numerics.models.tokens import TokenBatch, embed, random_batch
from numerics.schemes import Scheme, build
from numerics.schemes.tfixup import TFIXUP, TFIXUP_CODE
from numerics.schemes.xavier import XAVIER
from numerics.statistics.exponents import Exponent, NoExponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, Reading, provides
from theory.derivations.orders import order
from theory.scales import conditions as theory_conditions
from theory.scales.stacks import N_D, N_E, V_D, V_E, W_D, W_E, M, X, Y
from theory.scales.tfixup_constants import N

DEPTHS = (6, 12, 24, 48, 96)
SEEDS = 3
POWERS = (1.0, 1.5, 2.0)
_QUANTITY = {6: "encoder", 7: "decoder", 8: "memory"}


def energies(
    model: Transformer, batch: TokenBatch, generator: torch.Generator
) -> Mapping[str, float]:
    """The three squared gradient norms of the module's docstring, and ‖m‖/‖x‖ as ``ratio``.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("tfixup", ModelSpec(2, 2), generator)
    >>> sorted(energies(model, random_batch(model.spec, generator), generator))
    ['decoder', 'encoder', 'memory', 'ratio']
    """
    x, y = (part.detach() for part in embed(model, batch))
    encoder, decoder = list(model.encoder.parameters()), list(model.decoder.parameters())
    memory = model.encode(x)
    encoder_slopes = torch.autograd.grad(memory, encoder, _unit(memory, generator))
    fixed = memory.detach().requires_grad_()
    output = model.decode(fixed, y)
    memory_slope, *decoder_slopes = torch.autograd.grad(
        output, [fixed, *decoder], _unit(output, generator)
    )
    return {
        "encoder": sum(float(slope.square().sum()) for slope in encoder_slopes),
        "decoder": sum(float(slope.square().sum()) for slope in decoder_slopes),
        "memory": float(memory_slope.square().sum()),
        "ratio": float(memory.detach().norm() / x.norm()),
    }


def _unit(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    return (drawn / drawn.norm()).to(like)


def exponents(
    scheme: Scheme,
    seed: int,
    *,
    positions: Positions = Positions.NONE,
    depths: Sequence[int] = DEPTHS,
    seeds: int = SEEDS,
) -> Mapping[str, Exponent | NoExponent]:
    """Depth exponents of `energies` over ``depths``, each point an independent draw."""
    rows: list[tuple[int, Mapping[str, float]]] = []
    for depth in depths:
        for number in range(seeds):
            generator = torch.Generator().manual_seed(10_000 * seed + 100 * depth + number)
            spec = ModelSpec(depth, depth, positions=positions)
            model = build(scheme, spec, generator)
            batch = random_batch(spec, generator, sequences=4, tokens=8)
            rows.append((depth, energies(model, batch, generator)))
    where = [float(depth) for depth, _ in rows]
    return {name: power_law(where, [row[name] for _, row in rows]) for name in rows[0][1]}


def predicted(number: int, power: float) -> float:
    """Order in N of a printed left side when every norm is N^(-power/4).

    Examples
    --------
    >>> predicted(6, 1.0), predicted(7, 2.0)
    (0.0, -1.0)
    """
    norm = N ** (-sp.Rational(power) / 4)
    norms = dict.fromkeys((X, Y, M, V_E, W_E, V_D, W_D), norm) | {N_E: N, N_D: N}
    return float(order(theory_conditions.printed(number).subs(norms), N).power)


def _within(fit: Exponent | NoExponent, target: float) -> bool | None:
    if isinstance(fit, NoExponent):
        return False
    return fit.equivalent(target, tolerance("condition-exponent"))


@provides("tfixup.eq6", "tfixup.eq7", "tfixup.eq8", "tfixup.memory", kind=Kind.MEASUREMENT)
def equations(context: Context) -> Iterator[Observation]:
    """Measured exponents against the left sides' orders, for three powers of the norms."""
    found = {power: exponents(replace(TFIXUP, power=power), context.seed) for power in POWERS}
    for number, name in _QUANTITY.items():
        fits = {power: found[power][name] for power in POWERS}
        agree = [_within(fits[p], predicted(number, p)) for p in POWERS]
        shifted = [_within(fits[p], predicted(number, p + 1)) for p in POWERS]
        flat = fitted(fits[1.0])
        yield Observation(
            claim=f"tfixup.eq{number}",
            passed=None if None in agree and False not in agree else all(agree),
            summary=f"{name}: exponents "
            + ", ".join(_shown(fits[p], predicted(number, p), p) for p in POWERS),
            control=Control("norms' exponent off by 1/4", not any(shifted)),
            value=flat.value,
            expected=0.0,
            tolerance=tolerance("condition-exponent"),
            interval=flat.interval,
            details={"depths": DEPTHS, "seeds": SEEDS},
        )
    ratio = fitted(found[1.0]["ratio"])
    unscaled = exponents(XAVIER, context.seed, depths=DEPTHS[:3])["ratio"]
    yield Observation(
        claim="tfixup.memory",
        passed=ratio.equivalent(0.0, tolerance("flat-exponent")),
        summary=f"‖m‖/‖x‖ ~ N^{ratio.value:+.3f} over N = {DEPTHS[0]}…{DEPTHS[-1]}",
        control=Control(
            "Xavier without layer norm must not be flat", _within(unscaled, 0.0) is False
        ),
        value=ratio.value,
        expected=0.0,
        tolerance=tolerance("flat-exponent"),
        interval=ratio.interval,
        reading=Reading.RESTRICTED,
        reading_text="independent zero-mean weights, in mean square: 1 ≤ E‖m‖²/‖x‖² ≤ 1.352",
    )


def _shown(fit: Exponent | NoExponent, target: float, power: float) -> str:
    value = fit.reason if isinstance(fit, NoExponent) else f"{fit.value:+.2f}"
    return f"{value} (predicted {target:+.1f}) at norms N^(-{power:g}/4)"


@provides("tfixup.positions", kind=Kind.MEASUREMENT)
def positions(context: Context) -> Iterator[Observation]:
    """The encoder's gradient with sinusoids, unscaled as in the code and scaled with the tokens."""
    fits = {
        scheme.name: exponents(
            scheme, context.seed, positions=Positions.SINUSOIDAL, seeds=3 * SEEDS
        )["encoder"]
        for scheme in (TFIXUP_CODE, TFIXUP)
    }
    unscaled, scaled = fitted(fits["tfixup-code"]), fitted(fits["tfixup"])
    grows = _within(unscaled, 0.0) is False and unscaled.value > 0
    for name, fit, reading in (
        ("unscaled", unscaled, Reading.PRINTED),
        ("scaled by (9N)^(-1/4)", scaled, Reading.REPAIRED),
    ):
        yield Observation(
            passed=_within(fit, 0.0),
            summary=f"{name}: ‖(∂m/∂θ_e)ᵀu‖² ~ N^{fit.value:+.3f} over N = 6…96",
            control=Control(
                "scaled must not be refuted" if fit is unscaled else "unscaled must grow",
                _within(scaled, 0.0) is not False if fit is unscaled else grows,
            ),
            reading=reading,
            value=fit.value,
            expected=0.0,
            tolerance=tolerance("condition-exponent"),
            interval=fit.interval,
        )


PROVIDERS = (equations, positions)
