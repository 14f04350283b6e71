"""The zero-parameter prediction of ‖Jᵀu‖² beside its measurement, part by part.

Bridges a `ModelSpec` and the `Prescription` of a scheme to the network that ``theory.mean_field``
describes, and measures the same energies with one reverse pass a seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

import torch

from numerics.features import Inputs as InputKind
from numerics.features import features_of, random_batch
from numerics.linearization import energy, gradient
from numerics.models import ModelSpec, Positions
from numerics.roles import LEAF_PARTS, part_of
from numerics.schemes import Scheme, build, scheme_named
from numerics.updates import random_cotangent
from theory import mean_field
from theory.errors import InputError
from theory.mean_field import EVERYTHING, Assumptions, Network, predict
from theory.residual_block import Block, BlockKind, Norm

_KINDS = {
    "attention": BlockKind.SELF,
    "self_attention": BlockKind.SELF,
    "cross_attention": BlockKind.CROSS,
    "mlp": BlockKind.MLP,
}
_MATRICES = {BlockKind.MLP: ("w1", "w2")}
_LAYERS = {
    "encoder": ("attention", "mlp"),
    "decoder": ("self_attention", "cross_attention", "mlp"),
}


def network_of(scheme: str | Scheme, spec: ModelSpec, tokens: int = 16) -> Network:
    """What the theory needs to know of a scheme's model: Var W = 2 g²/(fan_in + fan_out) by role.

    Examples
    --------
    >>> network = network_of("xavier", ModelSpec(1, 2))
    >>> len(network.encoder), len(network.decoder), network.decoder[0].variances["v"] * 64
    (2, 6, 1.0)

    Raises
    ------
    InputError
        If the model has parts that the theory does not describe.
    """
    chosen = scheme_named(scheme) if isinstance(scheme, str) else scheme
    spec = chosen.adapt(spec)
    prescription = chosen.prescribe(spec)
    _require_described(spec)
    if chosen.profiled or prescription.depth_power != 0:
        raise InputError(
            f"a prediction needs one scale a role from the depths alone, got {chosen.name}, whose "
            "scales come from a forward pass or differ by layer"
        )
    d, sinusoidal = spec.d_model, spec.positions is Positions.SINUSOIDAL

    def block(stack: str, name: str) -> Block:
        kind = _KINDS[name]
        fans = d + (spec.d_ff if kind is BlockKind.MLP else d)
        part = f"{stack}.{name}"
        factors = {
            matrix: prescription.factors.get(f"{part}.{matrix}", 1.0)
            for matrix in _MATRICES.get(kind, ("q", "k", "v", "out_proj"))
        }
        variances = {matrix: 2 * factor**2 / fans for matrix, factor in factors.items()}
        causal = name == "self_attention"
        return Block(part, kind, variances, Norm(spec.wiring.value), causal=causal)

    def stack(name: str, layers: int) -> tuple[Block, ...]:
        return tuple(block(name, kind) for kind in _LAYERS[name]) * layers

    def inputs(factor: float) -> mean_field.Inputs:
        square = (spec.multiplier * factor) ** 2 / d
        positions = spec.position_scale**2 if sinusoidal else 0
        return mean_field.Inputs(tokens, square, spec.multiplier, positions)

    return Network(
        width=d,
        hidden=spec.d_ff,
        heads=spec.heads,
        vocabulary=spec.vocabulary,
        source=inputs(prescription.source_factor),
        target=inputs(prescription.target_factor),
        encoder=stack("encoder", spec.encoder_layers),
        decoder=stack("decoder", spec.decoder_layers),
    )


def _require_described(spec: ModelSpec) -> None:
    wirings = [norm.value for norm in Norm]
    if spec.wiring.value not in wirings:
        raise InputError(
            f"a prediction needs a wiring of {', '.join(wirings)}, got {spec.wiring.value}"
        )
    if spec.positions not in (Positions.NONE, Positions.SINUSOIDAL):
        raise InputError(
            f"a prediction needs positions none or sinusoidal, got {spec.positions.value}"
        )


def measured_energies(
    scheme: str | Scheme,
    spec: ModelSpec,
    seed: int,
    *,
    sequences: int = 8,
    tokens: int = 16,
    inputs: InputKind = "free",
) -> Mapping[str, float]:
    """‖J_pᵀu‖² by part, of one draw of weights, tokens and u.

    Examples
    --------
    >>> found = measured_energies("tfixup", ModelSpec(1, 1), 0)
    >>> sorted(found) == sorted(LEAF_PARTS)
    True
    """
    generator = torch.Generator().manual_seed(seed)
    model = build(scheme, spec, generator).eval()
    batch = random_batch(model.spec, generator, sequences=sequences, tokens=tokens)
    u = random_cotangent((sequences, tokens, spec.d_model), generator)
    function, parameters = features_of(model, batch, inputs)
    output, gradients = gradient(function, parameters, u)
    return {
        part: float(energy([g for n, g in gradients.items() if part_of(n) == part], like=output))
        for part in LEAF_PARTS
    }


@dataclass(frozen=True)
class PartComparison:
    """One part: prediction beside the mean of its measurements."""

    part: str
    predicted: float
    measured: float
    standard_error: float
    """Of the mean over draws."""

    @property
    def deviation(self) -> float:
        """predicted/measured − 1."""
        return self.predicted / self.measured - 1

    @property
    def noise(self) -> float:
        """Relative standard error of the mean."""
        return self.standard_error / self.measured

    def within(self, margin: float) -> bool | None:
        """Whether the prediction is within ``margin`` of the mean.

        True or false where two standard errors cannot change the answer by more than ``margin``
        itself; ``None`` where the draws scatter too much to tell.

        Examples
        --------
        >>> PartComparison("total", 1.02, 1.0, 0.01).within(0.05)
        True
        >>> PartComparison("total", 1.2, 1.0, 0.01).within(0.05)
        False
        >>> PartComparison("total", 1.02, 1.0, 0.1).within(0.05) is None
        True
        """
        if abs(self.deviation) > margin + 2 * self.noise:
            return False
        return True if self.noise < margin / 2 else None


def compare(
    scheme: str | Scheme,
    spec: ModelSpec,
    seeds: int,
    *,
    first_seed: int = 0,
    predicted_scheme: str | Scheme | None = None,
    assumptions: Assumptions = EVERYTHING,
    inputs: InputKind = "free",
) -> tuple[PartComparison, ...]:
    """Prediction and mean over seeds of every part.

    Parameters
    ----------
    scheme, spec
        What is measured.
    seeds, first_seed
        Draws of weights, tokens and cotangent.
    predicted_scheme
        What is predicted, if another scheme: a negative control.
    assumptions
        Switches of the prediction.
    inputs
        As for `numerics.updates.measure_update`.

    Raises
    ------
    InputError
        If fewer than two seeds are asked for: one has no standard error.
    """
    if seeds < 2:
        raise InputError(f"a comparison needs at least 2 seeds, got {seeds}")
    network = network_of(predicted_scheme or scheme, spec)
    found = predict(network, assumptions, free_inputs=inputs == "free")
    draws = [
        measured_energies(scheme, spec, seed, inputs=inputs)
        for seed in range(first_seed, first_seed + seeds)
    ]
    return tuple(
        PartComparison(
            part,
            float(found.part(part)),
            mean(draw[part] for draw in draws),
            stdev(draw[part] for draw in draws) / sqrt(seeds),
        )
        for part in LEAF_PARTS
    )
