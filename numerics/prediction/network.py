"""A scheme as the mean-field prediction reads it: variances, shortcuts and inputs, as data.

Var W = 2 g²/(fan_in + fan_out) by role and layer, or the variance that a scheme names; where layer
norms stand, and what multiplies the skip path and the branch:

    none, r-fixup     x + G(x); R-Fixup's last matrices are 0, so its scalars have no gradient
    post-ln           LN(x + G(x))
    deepnorm, admin   LN(α x + G(x)), with one α per stack or the ω that the theory profiles itself
    pre-ln            x + G(LN(x))
    rezero            x + γ G(x) at γ = 0
    dlcl-pre, -post   as pre-ln and post-ln, of averages over all layers below

Learned positions are refused: their Gram is not the sinusoids'.
"""

from collections.abc import Callable, Mapping

from scipy import integrate, stats

from numerics.models import ModelSpec, Positions, Wiring
from numerics.models.blocks import BlockPlace
from numerics.models.wiring import BranchFactor, Parallel, Shortcut
from numerics.schemes import Scheme, as_scheme
from numerics.schemes.admin import AdminCode, AdminPaper
from numerics.schemes.dt_fixup import DTFixup
from numerics.schemes.tfixup import scaled_roles
from theory.errors import InputError
from theory.mean_field import predict as mean_field
from theory.mean_field import profiled_shortcuts
from theory.mean_field.layer_history import HistoryWiring
from theory.mean_field.predict import Network
from theory.mean_field.residual_block import BlockKind, MeanFieldBlock, NormPlace

PROFILE_TOKENS = 8 * 16
"""Tokens of the batch that schemes profile on."""
_KINDS = {
    "attention": BlockKind.SELF,
    "self_attention": BlockKind.SELF,
    "cross_attention": BlockKind.CROSS,
    "mlp": BlockKind.MLP,
}
_MATRICES = {BlockKind.MLP: ("w1", "w2")}


def network_of(scheme: str | Scheme, spec: ModelSpec, tokens: int = 16) -> Network:
    """What the theory needs to know of a scheme's model.

    Parameters
    ----------
    scheme, spec
        The model, before the scheme adapts it.
    tokens
        Tokens per sequence, on both sides.

    Raises
    ------
    InputError
        If the model has parts that the theory does not describe.

    Examples
    --------
    >>> network = network_of("xavier", ModelSpec(1, 2))
    >>> len(network.encoder), len(network.decoder), network.decoder[0].variances["v"] * 64
    (2, 6, 1.0)
    >>> round(network_of("deepnorm", ModelSpec(6, 6)).decoder[0].shortcut, 4)
    2.0598
    """
    chosen = as_scheme(scheme)
    spec = chosen.adapt(spec)
    _require_described(chosen, spec)
    prescription = chosen.prescribe(spec)
    profiled = _profiled_factors(chosen, spec)

    def variance(role: str, layer: int) -> float:
        own = prescription.draw(role, layer)
        if own is not None:
            return own.true_std**2
        factor = prescription.factors.get(role, 1.0) * profiled.get(role, 1.0)
        factor *= (layer + 1) ** prescription.depth_power
        fans = spec.d_model + (spec.d_ff if ".mlp." in role else spec.d_model)
        return 2 * factor**2 / fans

    def stack(name: str) -> tuple[MeanFieldBlock, ...]:
        return tuple(
            _block(spec, BlockPlace(name, layer, kind), variance)
            for layer in range(spec.layers(name))
            for kind in spec.layer_blocks(name)
        )

    def inputs(own: float) -> mean_field.EmbeddedTokens:
        square = (spec.multiplier * own) ** 2 / spec.d_model
        sinusoidal = spec.positions is Positions.SINUSOIDAL
        positions = spec.position_scale**2 if sinusoidal else 0
        return mean_field.EmbeddedTokens(tokens, square, spec.multiplier, positions)

    table = prescription.draw("embeddings")
    own = None if table is None else table.true_std * spec.d_model**0.5
    network = Network(
        width=spec.d_model,
        hidden=spec.d_ff,
        heads=spec.heads,
        vocabulary=spec.vocabulary,
        source=inputs(prescription.source_factor if own is None else own),
        target=inputs(prescription.target_factor if own is None else own),
        encoder=stack("encoder"),
        decoder=stack("decoder"),
        history=_history(spec.wiring),
    )
    if isinstance(chosen, AdminPaper):
        return profiled_shortcuts.paper(network)
    return profiled_shortcuts.code(network) if isinstance(chosen, AdminCode) else network


def _block(
    spec: ModelSpec, place: BlockPlace, variance: Callable[[str, int], float]
) -> MeanFieldBlock:
    kind, part = _KINDS[place.kind], f"{place.stack}.{place.kind}"
    gated, number = spec.wiring.branch is BranchFactor.LAYER_GATE, place.number(spec)
    fixed = spec.wiring.branch is BranchFactor.FIXED
    return MeanFieldBlock(
        part,
        kind,
        {
            matrix: variance(f"{part}.{matrix}", place.layer)
            for matrix in _MATRICES.get(kind, ("q", "k", "v", "out_proj"))
        },
        norm_place(spec.wiring),
        shortcut=spec.shortcut(place.stack, number),
        branch=0 if gated else spec.branch_factor(place.stack, number) if fixed else 1,
        causal=place.kind == "self_attention",
        trained_shortcut=spec.wiring.shortcut is Shortcut.VECTOR,
        trained_branch=gated,
    )


def _undescribed(wiring: Wiring) -> tuple[str, ...]:
    """What a wiring has that the theory does not describe, in words."""
    found = {
        "norm on the branch's output": wiring.norm_on_branch,
        "norm inside the branch": wiring.norm_inside,
        "norms before and after one block": wiring.norm_before and wiring.norm_after,
        "layers of two kinds": wiring.after_share > 0,
        "gates that damp the stream": wiring.damped,
        "parallel blocks": wiring.parallel is not Parallel.NO,
        "trained multiplier of a block's branch": wiring.branch
        in (BranchFactor.SCALAR, BranchFactor.VECTOR),
    }
    return tuple(words for words, there in found.items() if there)


def norm_place(wiring: Wiring) -> NormPlace:
    """Where a wiring has its layer norms, as the theory says it.

    Examples
    --------
    >>> norm_place(Wiring(norm_after=True)).value
    'post-ln'
    """
    if wiring.norm_before:
        return NormPlace.PRE
    return NormPlace.POST if wiring.norm_after else NormPlace.NONE


def _history(wiring: Wiring) -> HistoryWiring | None:
    if not wiring.history:
        return None
    return HistoryWiring.PRE if wiring.norm_before else HistoryWiring.POST


def _profiled_factors(scheme: Scheme, spec: ModelSpec) -> Mapping[str, float]:
    """Root mean squares, over the profiled batch, of factors that depend on it: DT-Fixup's."""
    if not isinstance(scheme, DTFixup):
        return {}
    return {
        role: dt_fixup_square(spec.layers(stack), spec.d_model, spec.vocabulary) ** 0.5
        for stack in ("encoder", "decoder")
        for role in scaled_roles(stack)
    }


def dt_fixup_square(layers: int, width: int, vocabulary: int) -> float:
    """Mean square of DT-Fixup's factor, E 1/(N (4μ² + 2μ + 2)), with μ over the profiled tokens.

    Examples
    --------
    >>> round(dt_fixup_square(1, 64, 1000) * (4 * 9.9**2 + 2 * 9.9 + 2), 2)
    1.0
    """
    distinct = vocabulary * (1 - (1 - 1 / vocabulary) ** PROFILE_TOKENS)
    norm = stats.chi(width)

    def weighted(mu: float) -> float:
        density = distinct * norm.cdf(mu) ** (distinct - 1) * norm.pdf(mu)
        return float(density / (4 * mu**2 + 2 * mu + 2))

    low, high = (float(norm.ppf(p)) for p in (0.5 ** (50 / distinct), 1 - 1e-12))
    return float(integrate.quad(weighted, low, high, limit=200)[0]) / layers


def _require_described(scheme: Scheme, spec: ModelSpec) -> None:
    if not (spec.has_encoder and spec.has_decoder):
        raise InputError(f"a prediction needs encoder-decoder, got {spec.architecture.value}")
    if spec.positions not in (Positions.NONE, Positions.SINUSOIDAL):
        raise InputError(
            f"a prediction needs positions none or sinusoidal, got {spec.positions.value}"
        )
    undescribed = (*_undescribed(spec.wiring), *spec.unusual)
    if undescribed:
        raise InputError(f"a prediction has no {undescribed[0]}")
    if scheme.profiled and not isinstance(scheme, (AdminPaper, AdminCode, DTFixup)):
        raise InputError(
            f"a prediction needs scales that the theory can profile, got {scheme.name}"
        )
    if isinstance(scheme, DTFixup) and spec.positions is not Positions.NONE:
        raise InputError(
            f"a prediction of {scheme.name} needs positions none, got {spec.positions.value}"
        )
