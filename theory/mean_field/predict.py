"""Predicts the squared gradient norm ‖Jᵀu‖² of every part of a network, without a fitted number.

For a unit random cotangent u on the decoder's outputs, ‖Jᵀu‖² is the sum of squared gradients over
all parameters. Its expectation over weights, tokens and u follows from a description of the
network. Second moments of the streams are carried forward through every block. Those of the
cotangents are carried backward (``theory.mean_field.signal_propagation``). The energy of a matrix
in h = W x is then

    E‖∂/∂W‖² = Σ_ij E δ_i·δ_j E x_i·x_j.

The prediction is inaccurate in five cases:

- It is a mean over draws. A deep stack with layer norms has a log-normal spread, so single draws
  lie below the mean.
- Logits of variance well above 1, as in a deep stack with Xavier weights and no layer norm,
  correlate the weights with the tokens beyond first order.
- Once tokens have become alike, the energies of W_q and W_k depend on fourth moments.
- Widths enter to first order in 1/d. Where cotangents meet again by several paths (DLCL), the share
  that layer norms remove is approximate: the error is 12 % at N = 12.
- Sequences must be long enough to be statistically alike. One single draw of tokens has no
  prediction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from theory.derivations.number import Number
from theory.errors import InputError, require_positive
from theory.mean_field.attention_moments import Fluctuations, Softmax
from theory.mean_field.history_cotangents import pull_history
from theory.mean_field.layer_history import HistoryWiring, run_history
from theory.mean_field.norm_moments import (
    CotangentMoments,
    StreamMoments,
    add_uncorrelated,
    gaussian,
    isotropic_cotangent,
    normalised,
    parameter_energy,
    pulled_through,
)
from theory.mean_field.pulled_stack import PulledStack
from theory.mean_field.residual_block import MeanFieldBlock, NetworkSetting, NormPlace
from theory.mean_field.signal_propagation import Passed, backward, forward
from theory.moments.softmax_moments import moments
from theory.moments.token_gram import Gram, combine, diagonal, exchangeable, sinusoids, total, trace


@dataclass(frozen=True)
class EmbeddedTokens:
    """The embedded tokens of one stack."""

    tokens: int
    """Tokens per sequence."""
    token_square: Number
    """Mean square of an embedded token's coordinates, including the embedding multiplier."""
    multiplier: Number = 1
    """Embedding multiplier."""
    position_square: Number = 0
    """Factor on the Gram of sinusoidal positions, whose own mean square is 1/2."""

    def gram(self, width: int, vocabulary: Number) -> Gram:
        """Gram of uniform random tokens; two are equal with probability 1/vocabulary."""
        tokens = exchangeable(self.tokens, self.token_square, self.token_square / vocabulary)
        if self.position_square == 0:
            return tokens
        return combine(1, tokens, self.position_square, sinusoids(self.tokens, width))


@dataclass(frozen=True)
class Network:
    """An encoder-decoder at initialisation, as the theory sees it."""

    width: int
    """Width d of the residual stream."""
    hidden: int
    """Hidden width d_ff of the MLPs."""
    heads: int
    """Number of attention heads, each of width d' = d/heads."""
    vocabulary: int
    """Size V of the vocabulary, over which tokens are uniform."""
    source: EmbeddedTokens
    """The encoder's input."""
    target: EmbeddedTokens
    """The decoder's input."""
    encoder: Sequence[MeanFieldBlock]
    """The encoder's blocks, from the input."""
    decoder: Sequence[MeanFieldBlock]
    """The decoder's blocks, from the input."""
    history: HistoryWiring | None = field(default=None, kw_only=True)
    """Position of the history's layer norms; None where a layer reads only the layer below."""

    def __post_init__(self) -> None:
        require_positive(source_tokens=self.source.tokens, target_tokens=self.target.tokens)
        if not self.decoder:
            raise InputError("a prediction needs at least one decoder block, got none")


@dataclass(frozen=True)
class Assumptions:
    """The effects that the prediction includes; each can be switched off as a control."""

    softmax: Softmax = moments
    """Moments of the attention weights; ``softmax_moments.uniform`` ignores the logits."""
    finite_width: bool = True
    """Whether terms of order 1/d are kept."""
    relu_share: Number = 0.5
    """Share of a second moment that ReLU passes on; any value but 1/2 is a false control."""


EVERYTHING = Assumptions()
"""Assumptions that include all effects."""


@dataclass(frozen=True)
class Prediction:
    """The predicted ‖Jᵀu‖² of every matrix."""

    energies: Mapping[str, Number]
    """Energy by ``part.matrix``; also ``embeddings.source``, ``.target``, ``.norm``, ``.alpha``."""
    output_square: Number
    """Mean square of the coordinates of the output f."""
    rms_ratio_square: Number
    """Mean square of f divided by that of the embedded target."""

    def part(self, name: str) -> Number:
        """The energy of ``total``, of a part such as ``decoder.mlp``, or of a stack."""
        return sum(
            value
            for key, value in self.energies.items()
            if name == "total" or key == name or key.startswith(name + ".")
        )


def predict(
    network: Network, assumptions: Assumptions = EVERYTHING, *, free_inputs: bool = True
) -> Prediction:
    """Predict the squared gradient norm E ‖Jᵀu‖² of every matrix, for u of unit norm.

    Parameters
    ----------
    network
        Sizes, inputs and blocks of the network.
    assumptions
        Effects to include.
    free_inputs
        Whether the embedded inputs themselves count as parameters; otherwise the rows of the
        embedding tables do.

    Examples
    --------
    >>> from theory.mean_field.residual_block import BlockKind
    >>> mlp = MeanFieldBlock("decoder.mlp", BlockKind.MLP, {"w1": 2 / 192, "w2": 2 / 192})
    >>> one = EmbeddedTokens(tokens=4, token_square=1.0)
    >>> network = Network(64, 128, 2, 1000, one, one, (), (mlp,))
    >>> found = predict(network)
    >>> round(found.part("embeddings"), 4), round(found.part("decoder.mlp.w2"), 2)
    (1.4444, 42.67)
    """
    setting = setting_of(network, assumptions)
    if network.history is not None:
        return _predict_history(network, setting, network.history, free_inputs=free_inputs)
    encoded, memory = _run(network.source, network.encoder, None, network, setting)
    decoded, output = _run(network.target, network.decoder, memory, network, setting)
    tokens = network.target.tokens
    u = isotropic_cotangent(exchangeable(tokens, 1 / tokens), setting.fluctuations)
    target = _pull(decoded, u, "decoder", memory, setting)
    source = _pull(encoded, target.memory, "encoder", None, setting)
    return _with_inputs(network, source, target, output, free_inputs=free_inputs)


def _predict_history(
    network: Network, setting: NetworkSetting, history: HistoryWiring, *, free_inputs: bool
) -> Prediction:
    """The prediction for a network in which every layer reads all layers below."""
    source_gram, target_gram = (
        inputs.gram(network.width, network.vocabulary)
        for inputs in (network.source, network.target)
    )
    encoded = run_history(source_gram, network.encoder, history, "encoder", None, setting)
    memory = encoded.output
    decoded = run_history(target_gram, network.decoder, history, "decoder", memory, setting)
    tokens, keys = network.target.tokens, network.source.tokens
    u = isotropic_cotangent(exchangeable(tokens, 1 / tokens), setting.fluctuations)
    target = pull_history(decoded, u, keys, setting)
    source = pull_history(encoded, target.memory, keys, setting)
    return _with_inputs(network, source, target, decoded.output, free_inputs=free_inputs)


def _with_inputs(
    network: Network,
    source: PulledStack,
    target: PulledStack,
    output: StreamMoments,
    *,
    free_inputs: bool,
) -> Prediction:
    """Add the energies of the embedded inputs, or of their tables, to those of the blocks."""
    energies = _added(target.energies, source.energies)
    for side, inputs, gram in (
        ("source", network.source, source.inputs),
        ("target", network.target, target.inputs),
    ):
        energies[f"embeddings.{side}"] = (
            trace(gram) if free_inputs else table_energy(gram, inputs, network.vocabulary)
        )
    tokens = network.target.tokens
    square = trace(output.gram) / tokens
    start = trace(network.target.gram(network.width, network.vocabulary)) / tokens
    return Prediction(energies, square, square / start)


def table_energy(gram: Gram, inputs: EmbeddedTokens, vocabulary: Number) -> Number:
    """Energy of an embedding table: c² (Σ_i B_ii + Σ_{i≠j} B_ij/V), c the embedding multiplier.

    The gradients of repeated tokens of a sequence add up in one row. Cotangents of different
    sequences are uncorrelated, so repetitions across sequences add only squares.

    Examples
    --------
    >>> table_energy(exchangeable(2, 1.0, 0.5), EmbeddedTokens(2, 1.0, multiplier=8.0), 10)
    134.4
    """
    own = trace(gram)
    return inputs.multiplier**2 * (own + (total(gram) - own) / vocabulary)


def setting_of(network: Network, assumptions: Assumptions = EVERYTHING) -> NetworkSetting:
    """The quantities that all blocks of ``network`` have in common."""
    fluctuations = Fluctuations()
    if assumptions.finite_width:
        fluctuations = Fluctuations(
            1 / network.width, network.heads / network.width, 1 / network.hidden
        )
    return NetworkSetting(
        network.width, network.hidden, assumptions.softmax, fluctuations, assumptions.relu_share
    )


def _run(
    inputs: EmbeddedTokens,
    blocks: Sequence[MeanFieldBlock],
    memory: StreamMoments | None,
    network: Network,
    setting: NetworkSetting,
) -> tuple[list[Passed], StreamMoments]:
    """Forward pass through one stack: its blocks and its output.

    The output of a Pre-LN stack is that of its final layer norm.
    """
    stream = gaussian(inputs.gram(network.width, network.vocabulary), setting.fluctuations)
    passed = []
    for block in blocks:
        passed.append(forward(block, stream, memory, setting))
        stream = passed[-1].left
    return passed, normalised(stream) if _has_final_norm(blocks) else stream


def _pull(
    passed: Sequence[Passed],
    cotangent: CotangentMoments,
    stack: str,
    memory: StreamMoments | None,
    setting: NetworkSetting,
) -> PulledStack:
    """Backward pass through one stack."""
    energies: dict[str, Number] = {}
    if _has_final_norm([item.block for item in passed]):
        # The final layer norm, and how its length depends on the stream's (`sensitivity`).
        last = passed[-1].left
        energies[f"{stack}.norm"] = parameter_energy(cotangent.gram, last)
        cotangent = replace(
            cotangent,
            gram=pulled_through(cotangent.gram, cotangent.removed, last),
            sensitivity=tuple(1 / k for k in diagonal(last.gram)),
        )
    nothing = exchangeable(len(memory.gram) if memory else 1, 0)
    on_memory = isotropic_cotangent(nothing, setting.fluctuations)
    for item in reversed(passed):
        pulled = backward(item, cotangent, setting)
        cotangent = pulled.stream
        if pulled.memory is not None:
            on_memory = add_uncorrelated(on_memory, pulled.memory)
        for matrix, energy in pulled.energies.items():
            shared = matrix == "alpha"  # ReZero's α: one per layer, shared by its blocks
            key = f"{stack}.alpha" if shared else f"{item.block.part}.{matrix}"
            energies[key] = energies.get(key, 0) + energy
    return PulledStack(cotangent.gram, on_memory, energies)


def _added(one: Mapping[str, Number], other: Mapping[str, Number]) -> dict[str, Number]:
    """Energies of two stacks, added where they have a name in common."""
    return dict(one) | {key: one.get(key, 0) + energy for key, energy in other.items()}


def _has_final_norm(blocks: Sequence[MeanFieldBlock]) -> bool:
    return bool(blocks) and blocks[-1].norm is NormPlace.PRE
