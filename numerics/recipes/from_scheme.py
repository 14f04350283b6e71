"""A scheme of ours as a recipe: the numbers come from `Scheme.prescribe` and nowhere else.

A foreign model's sizes make the specification that the scheme prescribes for. Xavier's factor
times √(2/(fan_in + fan_out)) is then what a matrix asks, by its own fans.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from numerics.models.spec import Architecture, ModelSpec
from numerics.models.wiring import BranchFactor, Shortcut, Wiring
from numerics.recipes.draw import Draw, constant, normal, truncated, uniform, xavier
from numerics.recipes.place import ModelSizes, ParameterPlace
from numerics.recipes.recipe import Placement, Recipe
from numerics.schemes import SCHEMES, Prescription, Scheme, draws
from numerics.schemes.tfixup import scaled_roles
from theory.errors import InputError

_MATRIX = {"q": "q", "k": "k", "v": "v", "out": "out_proj"}
_MLP = {"w_in": "w1", "gate": "w1", "w_out": "w2"}


@dataclass(frozen=True)
class SchemeRecipe(Recipe):
    """The recipe of one scheme."""

    scheme: Scheme = SCHEMES["xavier"]

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """Xavier times the role's factor and the layer's power."""
        spec, prescription = prescribed(self.scheme, setting)
        role = role_in_scheme(place, spec)
        if role is None:
            return None
        own = prescription.draw(role, place.layer - 1)
        if own is not None:
            return _drawn(own)
        factor = prescription.factors.get(role, 1.0) * place.layer**prescription.depth_power
        asked = xavier(*place.fans, factor)
        if self.scheme.name == "dt-fixup" and role in scaled_roles(role.partition(".")[0]):
            return replace(asked, profiled=role.partition(".")[0])
        return asked

    def table(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """By the width, d^(-1/2), times the factor of the stack that reads the table."""
        spec, prescription = prescribed(self.scheme, setting)
        std = setting.d_model**-0.5
        draw = uniform if prescription.embeddings == "uniform" else normal
        names = {"head": "output", "positions": "positions"}
        own = prescription.draw(names.get(place.role, "embeddings"))
        if own is not None:
            return _drawn(own)
        if place.role == "head" and not place.tied:
            return normal(std)
        if place.role == "positions":
            return draw(std * spec.position_scale / setting.position_multiplier)
        source = spec.has_encoder and (place.stack == "encoder" or not spec.has_decoder)
        return draw(std * (prescription.source_factor if source else prescription.target_factor))

    def other(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """ReZero's gates are 0; nothing is said of other scalars."""
        del setting
        gates = self.scheme.wiring.branch in (BranchFactor.LAYER_GATE, BranchFactor.SCALAR)
        return constant(0.0) if gates and place.role == "scalar" else None

    def shortcut(self, stack: str, setting: ModelSizes) -> float | None:
        """The constant factor on the skip paths, such as DeepNorm's α; Admin's ω is trained."""
        if self.scheme.wiring.shortcut is Shortcut.VECTOR:
            return None
        if self.scheme.wiring.shortcut is Shortcut.ONE:
            return 1.0
        spec, _ = prescribed(self.scheme, setting)
        encoder = stack == "encoder" or not spec.has_decoder
        return _one(spec.encoder_shortcut if encoder else spec.decoder_shortcut)

    def multiplier(self, stack: str, setting: ModelSizes) -> float | None:
        """The constant factor on the branches, such as depth-μP's; ReZero's is trained."""
        if self.scheme.wiring.branch is BranchFactor.ONE:
            return 1.0
        if self.scheme.wiring.branch is not BranchFactor.FIXED:
            return None
        spec, _ = prescribed(self.scheme, setting)
        encoder = stack == "encoder" or not spec.has_decoder
        return _one(spec.encoder_branch if encoder else spec.decoder_branch)


def _sizes(setting: ModelSizes) -> ModelSpec:
    """The specification with a foreign model's sizes."""
    encoder, decoder = setting.encoder, setting.decoder
    both = encoder is not None and decoder is not None
    last = decoder or encoder
    return ModelSpec(
        encoder.layers if encoder is not None and both else 0,
        last.layers if last is not None else 1,
        d_model=setting.d_model,
        d_ff=setting.d_ff or 4 * setting.d_model,
        heads=1,
        vocabulary=setting.vocabulary or 1,
        architecture=Architecture.ENCODER_DECODER if both else Architecture.DECODER_ONLY,
    )


def prescribed(scheme: Scheme, setting: ModelSizes) -> tuple[ModelSpec, Prescription]:
    """A scheme's numbers for a foreign model's sizes, and the sizes as the scheme sees them."""
    return _prescribed(scheme, _sizes(setting))


@lru_cache(maxsize=64)
def _prescribed(scheme: Scheme, sizes: ModelSpec) -> tuple[ModelSpec, Prescription]:
    if sizes.architecture not in scheme.architectures:
        if Architecture.ENCODER_ONLY not in scheme.architectures:
            known = ", ".join(sorted(scheme.architectures))
            raise InputError(
                f"recipe {scheme.name} must be used on {known}, got a model of one stack"
            )
        sizes = replace(
            sizes,
            encoder_layers=sizes.decoder_layers,
            decoder_layers=0,
            architecture=Architecture.ENCODER_ONLY,
        )
    spec = scheme.adapt(sizes)
    return spec, scheme.prescribe(spec)


def role_in_scheme(place: ParameterPlace, spec: ModelSpec) -> str | None:
    """The role in the scheme's words, such as ``decoder.cross_attention.v``."""
    stack = "encoder" if place.stack == "encoder" or not spec.has_decoder else "decoder"
    if place.role in _MLP:
        return f"{stack}.mlp.{_MLP[place.role]}"
    if place.role not in _MATRIX or place.branch is None:
        return None
    if stack == "encoder":
        block = "attention"
    else:
        crosses = place.branch.kind == "cross-attention"
        block = "cross_attention" if crosses else "self_attention"
    return f"{stack}.{block}.{_MATRIX[place.role]}"


def _drawn(own: draws.WeightDraw) -> Draw:
    if own.std == 0:
        return constant(0.0)
    return uniform(own.std) if own.kind == "uniform" else truncated(own.std, own.cut)


def _one(multiplier: float | tuple[float, ...]) -> float | None:
    """The one number of a stack; ``None`` where every block has its own."""
    return None if isinstance(multiplier, tuple) else multiplier


def _placement(wiring: Wiring) -> Placement:
    if wiring.norm_on_branch or wiring.norm_inside or wiring.after_share:
        return "any"
    if wiring.norm_after:
        return "on-stream"
    return "before" if wiring.norm_before else "none"


_RULES = {
    "xavier": "Xavier, embeddings N(0, d^(-1/2))",
    "tfixup": "Xavier × (9N)^(-1/4) and its encoder's, (6N)^(-1/4) alone, on v, out and MLP",
    "tfixup-code": "Xavier × 0.67 N^(-1/4) and (9N)^(-1/4), q and k ÷ √2",
    "tfixup-adam": "Xavier × T-Fixup's factors squared",
    "deepnorm": "Xavier × β on v, out and MLP; α on the skip paths",
    "deepnorm-torchscale": "DeepNorm with torchscale's constant, q, k, v ÷ √2",
    "ds-init": "Xavier × 1/√l in layer l",
    "ds-init-code": "Xavier × l^(-1/4) in layer l",
    "lri": "U(±1/√fan_in), embeddings U(±√(2/(d + V)))",
    "r-fixup": "q, k, v Xavier × L^(-1/6)/√2, W₁ × L^(-1/2), writers 0",
    "rezero": "Xavier, gates 0",
    "dt-fixup": "Xavier ÷ √(N (4μ² + 2μ + 2)), μ the largest input norm",
    "flat": "N(0, 0.02) everywhere",
    "gpt2": "N(0, 0.02), writers N(0, 0.02/√B) for B blocks",
    "small-init-wang": "N(0, √(2/(5d))), writers N(0, 2/(N√d))",
    "mitchell": "N(0, 1/√fan_in) cut at 3σ, writers of layer l ÷ √(2l)",
    "torchtitan": "N(0, 0.02), writers and up-projection of layer l ÷ √(2l), embeddings N(0, 1)",
    "torchtitan-w2": "N(0, 0.02), writers of layer l ÷ √(2l), embeddings N(0, 1)",
    "t5": "N(0, 1/√fan_in), q also ÷ √d', embeddings N(0, 1)",
    "sub-ln": "Xavier × √ln(2N) on v, out and MLP, norms inside the branches",
    "sub-ln-rms": "Sub-LN's, with RMS norms",
    "sub-ln-torchscale": "Sub-LN's, but on encoder-attention; q, k, v ÷ √2",
    "peri-ln": "N(0, 0.02), norms before branches, on their outputs and on the embeddings",
    "olmo2": "N(0, 0.02) cut at 3σ, norms on the branches' outputs, QK-norm",
    "olmo2-relu": "OLMo 2's, without its gate",
    "layernorm-scaling": "N(0, 0.02), norms of layer l × 1/√l",
    "mix-ln": "N(0, 0.02), Post-LN in the lowest quarter of the layers",
    "dyt": "N(0, 0.02), tanh(x/2) for the norms",
    "layerscale": "N(0, 0.02), branches × a trained vector from 0.1, 1e-5 or 1e-6 by depth",
    "zero-out": "U of σ 1/(2√d), writers 0, embeddings N(0, 1)",
    "depth-mup": "N(0, 1/√fan_in), branches and Adam's rate × √(2/N), embeddings N(0, 1)",
    "completep": "N(0, 0.02/√(d/256)), branches × 2/N, embeddings N(0, 1), rates by width",
    "u-mup": "N(0, 1/√fan_in), branches × τ_i, rates × 1/(fan_in √L)",
    "deepscalelm": "branches of variance 1 × 1/√L, the stream × √(1 − 1/L)",
    "deepscalelm-code": "DeepScaleLM's with β² = 0.005 whatever the depth",
    "skip-init": "Xavier, branches × a trained scalar from 0",
    "gpas": "N(0, 0.02), a gate of each layer from 0 that damps the stream",
}


def _leaves(wiring: Wiring) -> str:
    if wiring.shortcut is Shortcut.VECTOR:
        return "the trained shortcuts ω, which a forward pass profiles"
    if wiring.branch is BranchFactor.SCALARS:
        return "scalars: shifts 0 and scales 1 are not told apart"
    return "the weights of earlier layers" if wiring.history else "scalars of the wiring"


def recipe_of(scheme: Scheme) -> SchemeRecipe:
    """The recipe of a scheme."""
    leaves = _leaves(scheme.wiring)
    if scheme.name == "dt-fixup":
        leaves = "the common factor of its scaled roles, which a forward pass profiles"
    return SchemeRecipe(
        scheme.name,
        scheme.source,
        _RULES.get(scheme.name, "Xavier, embeddings N(0, d^(-1/2))"),
        _placement(scheme.wiring),
        leaves,
        scheme,
    )


FROM_SCHEMES = {name: recipe_of(scheme) for name, scheme in SCHEMES.items()}
