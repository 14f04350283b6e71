"""T-Fixup (Huang et al., ICML 2020, §3.2): no layer norm, depth-scaled v, w, MLP, embeddings.

With s_d = (9 N_d)^(-1/4) on the decoder and s_e on the encoder, where s_e solves Eq. 6 with the
input norm x: 2 N_e (2 s_e² x² + s_e⁴) = 1. The paper has x = (9 N_d)^(-1/4); its official code has
x = (9 N_e)^(-1/4) and rounds s_e to 0.67 N_e^(-1/4). The two agree when N_e = N_d, to the rounding.

A stack alone, which the paper leaves out, has the condition 6 N s⁴ = 1 of its two blocks per layer
with inputs, v, w and MLP of one scale: s = (6 N)^(-1/4).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from numerics.models.spec import LAYER_BLOCKS, Architecture, ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Prescription, Scheme
from theory.errors import InputError

SCALED = ("v", "out_proj", "w1", "w2")
"""Matrices that the theory scales; q and k stay as they are."""


def same(roles: Iterable[str], factor: float) -> dict[str, float]:
    """One factor for several roles."""
    return {role: factor for role in roles}


def scaled_roles(stack: str) -> tuple[str, ...]:
    """Roles of a stack's v, output projections and MLP matrices.

    Examples
    --------
    >>> scaled_roles("encoder")
    ('encoder.attention.v', 'encoder.attention.out_proj', 'encoder.mlp.w1', 'encoder.mlp.w2')
    """
    return tuple(
        f"{stack}.{block}.{matrix}"
        for block in LAYER_BLOCKS[stack]
        for matrix in (SCALED[2:] if block == "mlp" else SCALED[:2])
    )


def query_key_roles() -> tuple[str, ...]:
    """Roles of every q and k."""
    return tuple(
        f"{stack}.{block}.{letter}"
        for stack, blocks in LAYER_BLOCKS.items()
        for block in blocks
        if block != "mlp"
        for letter in "qk"
    )


def stack_factors(encoder: float, decoder: float) -> dict[str, float]:
    """One factor for each stack's scaled roles."""
    return same(scaled_roles("encoder"), encoder) | same(scaled_roles("decoder"), decoder)


@dataclass(frozen=True)
class TFixup(Scheme):
    """The paper's form: positions belong to the inputs x, y and are scaled with them."""

    power: float = 1.0
    """Scales are raised to this power: 1 for SGD, 2 for updates by the sign (Adam)."""

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier: the paper's s_e and s_d, to the power."""
        x = _input_scale(spec)
        encoder = decoder = x
        if spec.architecture is Architecture.ENCODER_DECODER:
            # Positive root of 2 N_e (2 s² x² + s⁴) = 1 in s², in the form without cancellation.
            a = 1 / (2 * spec.encoder_layers)
            encoder = (a / (x**2 + (x**4 + a) ** 0.5)) ** 0.5
        return Prescription(
            factors=stack_factors(encoder**self.power, decoder**self.power),
            source_factor=x**self.power,
            target_factor=x**self.power,
        )

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """No layer norm; positions scaled to keep the inputs at the prescribed norm."""
        if spec.mlp.gated:
            raise InputError(
                f"scheme {self.name} is for MLPs without a gate; for gated ones the scales are "
                "those of tfixup solve --mlp gated"
            )
        return replace(super().adapt(spec), position_scale=_input_scale(spec) ** self.power)


def _input_scale(spec: ModelSpec) -> float:
    if spec.architecture is Architecture.ENCODER_DECODER:
        return (9 * spec.decoder_layers) ** -0.25
    return (6 * (spec.encoder_layers + spec.decoder_layers)) ** -0.25


@dataclass(frozen=True)
class TFixupCode(Scheme):
    """The official code's form: separate depths, q and k at gain 1/√2, unscaled positions.

    Where all embeddings are shared, the encoder's scale (9 N_e)^(-1/4) is the table's.
    """

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier: 0.67 N_e^(-1/4) and (9 N_d)^(-1/4).

        The embeddings of each stack are scaled by its own depth.
        """
        encoder, decoder = 0.67 * spec.encoder_layers**-0.25, (9 * spec.decoder_layers) ** -0.25
        return Prescription(
            factors=stack_factors(encoder, decoder) | same(query_key_roles(), 0.5**0.5),
            source_factor=(9 * spec.encoder_layers) ** -0.25,
            target_factor=decoder,
        )


_PAPER = "Huang et al., ICML 2020, §3.2"
TFIXUP = TFixup("tfixup", WIRINGS["none"], _PAPER)
TFIXUP_ADAM = TFixup("tfixup-adam", WIRINGS["none"], "squared T-Fixup scales, ours", power=2.0)
TFIXUP_CODE = TFixupCode(
    "tfixup-code",
    WIRINGS["none"],
    "layer6ai-labs/T-Fixup",
    frozenset({Architecture.ENCODER_DECODER}),
)
