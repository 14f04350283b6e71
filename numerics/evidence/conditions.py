"""Equations 6–8 measured: whether each left side sets the exponent of what it must bound.

With unit random cotangents u on the encoder's memory m and on the output f,

    encoder  ‖(∂m/∂θ_e)ᵀ u‖²   (Eq. 6),
    decoder  ‖(∂f/∂θ_d)ᵀ u‖²   (Eq. 7),
    memory   ‖(∂f/∂m)ᵀ u‖²     (Eq. 8)

are measured on whole Transformers with T-Fixup's norms. These norms set each left side to Θ(1), and
what it must bound is then Θ(1) too. With norms whose exponent is off by 1/4 it is not.
`numerics.evidence.condition_terms` measures which monomials of a left side matter.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.cotangents import random_cotangent
from numerics.models import ModelSpec, Positions, Transformer
from numerics.models.tokens import TokenBatch, embed, random_batch
from numerics.schemes import Scheme, build
from numerics.schemes.tfixup import TFIXUP, TFIXUP_CODE
from numerics.schemes.xavier import XAVIER
from numerics.statistics.exponents import Exponent, NoExponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, Reading, provides

DEPTHS = (6, 12, 24, 48, 96)
SEEDS = 3
_QUANTITY = {6: "encoder", 7: "decoder", 8: "memory"}
Energies = Callable[[Transformer, TokenBatch, torch.Generator], Mapping[str, float]]
"""What is measured of one drawn model: squared gradient norms by name."""


def encoder_energies(
    model: Transformer, batch: TokenBatch, generator: torch.Generator
) -> Mapping[str, float]:
    """The squared gradient norm of the encoder, and ‖m‖/‖x‖ as ``ratio``."""
    return _of_encoder(model, embed(model, batch)[0].detach(), generator)[1]


def _of_encoder(
    model: Transformer, x_BSD: Float[Tensor, "B S D"], generator: torch.Generator
) -> tuple[Float[Tensor, "B S D"], Mapping[str, float]]:
    """The memory m, without its graph, and `encoder_energies`."""
    memory = model.encode(x_BSD)
    u = random_cotangent(memory.shape, generator)(memory)
    slopes = torch.autograd.grad(memory, list(model.encoder.parameters()), u)
    memory = memory.detach()
    return memory, {
        "encoder": sum(float(slope.square().sum()) for slope in slopes),
        "ratio": float(memory.norm() / x_BSD.norm()),
    }


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
    memory, found = _of_encoder(model, x, generator)
    memory.requires_grad_()
    output = model.decode(memory, y)
    u = random_cotangent(output.shape, generator)(output)
    memory_slope, *slopes = torch.autograd.grad(output, [memory, *model.decoder.parameters()], u)
    return {
        **found,
        "decoder": sum(float(slope.square().sum()) for slope in slopes),
        "memory": float(memory_slope.square().sum()),
    }


def exponents(
    scheme: Scheme,
    seed: int,
    *,
    measure: Energies = energies,
    positions: Positions = Positions.NONE,
    depths: Sequence[int] = DEPTHS,
    seeds: int = SEEDS,
) -> Mapping[str, Exponent | NoExponent]:
    """Depth exponents of what ``measure`` finds over ``depths``, each point an independent draw."""
    rows: list[tuple[int, Mapping[str, float]]] = []
    for depth in depths:
        for number in range(seeds):
            generator = torch.Generator().manual_seed(10_000 * seed + 100 * depth + number)
            spec = ModelSpec(depth, depth, positions=positions)
            model = build(scheme, spec, generator)
            batch = random_batch(spec, generator, sequences=4, tokens=8)
            rows.append((depth, measure(model, batch, generator)))
    where = [float(depth) for depth, _ in rows]
    return {name: power_law(where, [row[name] for _, row in rows]) for name in rows[0][1]}


def _within(fit: Exponent | NoExponent, target: float) -> bool | None:
    if isinstance(fit, NoExponent):
        return False
    return fit.equivalent(target, tolerance("condition-exponent"))


@provides("tfixup.eq6", "tfixup.eq7", "tfixup.eq8", "tfixup.memory", kind=Kind.MEASUREMENT)
def equations(context: Context) -> Iterator[Observation]:
    """At the paper's norms, what each left side bounds is flat, and so is ‖m‖/‖x‖."""
    found = exponents(TFIXUP, context.seed)
    off = exponents(replace(TFIXUP, power=2.0), context.seed, depths=DEPTHS[:3])
    margin, scope = tolerance("condition-exponent"), _scope(DEPTHS)
    for number, name in _QUANTITY.items():
        fit, other = fitted(found[name]), fitted(off[name])
        yield Observation(
            claim=f"tfixup.eq{number}",
            passed=fit.equivalent(0.0, margin),
            summary=f"{name}, whole model, at the paper's norms: N^{fit.value:+.3f}",
            control=Control(
                f"norms N^(-1/2), the exponent off by 1/4: N^{other.value:+.2f}",
                other.equivalent(0.0, margin) is False,
            ),
            value=fit.value,
            expected=0.0,
            tolerance=margin,
            interval=fit.interval,
            scope=scope,
        )
    ratio = fitted(found["ratio"])
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
        scope=scope,
        reading=Reading.RESTRICTED,
        reading_text="independent zero-mean weights, in mean square: 1 ≤ E‖m‖²/‖x‖² ≤ 1.352",
    )


def _scope(depths: Sequence[int], seeds: int = SEEDS) -> str:
    return f"N = {depths[0]}…{depths[-1]}, width 64, {seeds} seeds"


@provides("tfixup.positions", kind=Kind.MEASUREMENT)
def positions(context: Context) -> Iterator[Observation]:
    """The encoder's gradient with sinusoids, unscaled as in the code and scaled with the tokens."""
    fits = {
        scheme.name: exponents(
            scheme,
            context.seed,
            measure=encoder_energies,
            positions=Positions.SINUSOIDAL,
            seeds=3 * SEEDS,
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
                "scaled must be accepted" if fit is unscaled else "unscaled must grow",
                _within(scaled, 0.0) is True if fit is unscaled else grows,
            ),
            reading=reading,
            value=fit.value,
            expected=0.0,
            tolerance=tolerance("condition-exponent"),
            interval=fit.interval,
            scope=_scope(DEPTHS, 3 * SEEDS),
        )


PROVIDERS = (equations, positions)
