"""Zero-parameter prediction of ‖Jᵀu‖² by part (theory §5): mean-field theory of the whole stack.

For a unit random cotangent u on the decoder's outputs, ‖Jᵀu‖² is the sum over parameters of squared
gradients. Its expectation over weights, tokens and u follows from the description of the network
alone: second moments of the streams are carried forward through every block, those of the
cotangents backward (``theory.mean_field.signal_propagation``), and each matrix has the energy
Σ_ij E δ_i·δ_j E x_i·x_j. No number is fitted.

Where it fails, and how badly: a mean over draws is predicted, and a deep stack with layer norms has
a log-normal spread, so single draws lie below; logits of variance well above 1 (a deep stack with
Xavier and no layer norm) tie the weights to the tokens beyond first order; energies of W_q and W_k
of tokens that have become alike depend on fourth moments; widths enter to first order in 1/d, and
what layer norms take out of cotangents that meet again by several paths (DLCL) only roughly: 12 %
at N = 12. Sequences must be long enough to be alike: one draw of tokens has no prediction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from theory.errors import InputError, require_positive
from theory.mean_field.attention_moments import Fluctuations, Softmax
from theory.mean_field.history_cotangents import pull_history
from theory.mean_field.layer_history import History, run_history
from theory.mean_field.norm_moments import (
    Cotangent,
    Stream,
    gaussian,
    normalised,
    parameter_energy,
    pulled_through,
    together,
    unknowing,
)
from theory.mean_field.residual_block import Block, Norm, Setting
from theory.mean_field.signal_propagation import Passed, backward, forward
from theory.moments.softmax_moments import moments
from theory.moments.token_gram import (
    Gram,
    Number,
    combine,
    diagonal,
    exchangeable,
    sinusoids,
    total,
    trace,
)


@dataclass(frozen=True)
class Inputs:
    """The embedded tokens of one stack."""

    tokens: int
    """Tokens a sequence."""
    token_square: Number
    """Mean square of an embedded token's coordinates, with the embedding multiplier."""
    multiplier: Number = 1
    """Embedding multiplier."""
    position_square: Number = 0
    """Factor on the Gram of sinusoidal positions, whose own mean square is 1/2."""

    def gram(self, width: int, vocabulary: Number) -> Gram:
        """Uniform random tokens: two are the same one with probability 1/vocabulary."""
        tokens = exchangeable(self.tokens, self.token_square, self.token_square / vocabulary)
        if self.position_square == 0:
            return tokens
        return combine(1, tokens, self.position_square, sinusoids(self.tokens, width))


@dataclass(frozen=True)
class Network:
    """An encoder-decoder at initialisation, as the theory sees it."""

    width: int
    """d."""
    hidden: int
    """d_ff."""
    heads: int
    """Attention heads, each of width d' = d/heads."""
    vocabulary: int
    """Tokens are uniform over it."""
    source: Inputs
    target: Inputs
    encoder: Sequence[Block]
    decoder: Sequence[Block]
    history: History | None = field(default=None, kw_only=True)
    """Whether layers read sums of all layers below, instead of the one below."""

    def __post_init__(self) -> None:
        require_positive(source_tokens=self.source.tokens, target_tokens=self.target.tokens)
        if not self.decoder:
            raise InputError("a prediction needs at least one decoder block, got none")


@dataclass(frozen=True)
class Assumptions:
    """What the prediction takes into account; each can be dropped to see what it is worth."""

    softmax: Softmax = moments
    """Moments of the attention weights; ``softmax_moments.uniform`` ignores the logits."""
    finite_width: bool = True
    """Whether terms of order 1/d are kept."""
    relu_share: Number = 0.5
    """Share of a second moment that ReLU passes on; 1 is wrong."""


EVERYTHING = Assumptions()
"""All effects."""


@dataclass(frozen=True)
class Prediction:
    """Expected ‖Jᵀu‖² by matrix."""

    energies: Mapping[str, Number]
    """By ``part.matrix``; also ``embeddings.source``, ``.target``, ``.norm``, ``.alpha``."""
    output_square: Number
    """Mean square of f per coordinate."""
    rms_ratio_square: Number
    """That over the embedded target's."""

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
    """E ‖Jᵀu‖² of every matrix for u of unit norm.

    Parameters
    ----------
    network
        Sizes, inputs and blocks.
    assumptions
        Switches.
    free_inputs
        Whether the embedded inputs are the parameters, or the rows of the embedding tables.

    Examples
    --------
    >>> from theory.mean_field.residual_block import BlockKind
    >>> mlp = Block("decoder.mlp", BlockKind.MLP, {"w1": 2 / 192, "w2": 2 / 192})
    >>> one = Inputs(tokens=4, token_square=1.0)
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
    energies: dict[str, Number] = {}
    u = unknowing(exchangeable(tokens, 1 / tokens), setting.fluctuations)
    on_target, on_memory = _pull(decoded, u, "decoder", memory, setting, energies)
    on_source, _ = _pull(encoded, on_memory, "encoder", None, setting, energies)
    return _with_inputs(network, energies, on_source, on_target, output, free_inputs=free_inputs)


def _predict_history(
    network: Network, setting: Setting, history: History, *, free_inputs: bool
) -> Prediction:
    """The same where every layer reads all layers below."""
    source, target = (
        inputs.gram(network.width, network.vocabulary)
        for inputs in (network.source, network.target)
    )
    encoded = run_history(source, network.encoder, history, "encoder", None, setting)
    memory = encoded.output
    decoded = run_history(target, network.decoder, history, "decoder", memory, setting)
    energies: dict[str, Number] = {}
    tokens, keys = network.target.tokens, network.source.tokens
    u = unknowing(exchangeable(tokens, 1 / tokens), setting.fluctuations)
    on_target, on_memory = pull_history(decoded, u, keys, setting, energies)
    on_source, _ = pull_history(encoded, on_memory, keys, setting, energies)
    output = decoded.output
    return _with_inputs(network, energies, on_source, on_target, output, free_inputs=free_inputs)


def _with_inputs(
    network: Network,
    energies: dict[str, Number],
    on_source: Gram,
    on_target: Gram,
    output: Stream,
    *,
    free_inputs: bool,
) -> Prediction:
    """The prediction, with the energies of the embedded inputs or of their tables."""
    for side, inputs, gram in (
        ("source", network.source, on_source),
        ("target", network.target, on_target),
    ):
        energies[f"embeddings.{side}"] = (
            trace(gram) if free_inputs else table_energy(gram, inputs, network.vocabulary)
        )
    tokens = network.target.tokens
    square = trace(output.gram) / tokens
    start = trace(network.target.gram(network.width, network.vocabulary)) / tokens
    return Prediction(energies, square, square / start)


def table_energy(gram: Gram, inputs: Inputs, vocabulary: Number) -> Number:
    """c² (Σ_i B_ii + Σ_{i≠j} B_ij/V): repeated tokens of a sequence add up in one row.

    Across sequences cotangents are uncorrelated, so that repetitions there add squares only.

    Examples
    --------
    >>> table_energy(exchangeable(2, 1.0, 0.5), Inputs(2, 1.0, multiplier=8.0), 10)
    134.4
    """
    own = trace(gram)
    return inputs.multiplier**2 * (own + (total(gram) - own) / vocabulary)


def setting_of(network: Network, assumptions: Assumptions = EVERYTHING) -> Setting:
    """What all blocks of ``network`` have in common."""
    fluctuations = Fluctuations()
    if assumptions.finite_width:
        fluctuations = Fluctuations(
            1 / network.width, network.heads / network.width, 1 / network.hidden
        )
    return Setting(
        network.width, network.hidden, assumptions.softmax, fluctuations, assumptions.relu_share
    )


def _run(
    inputs: Inputs,
    blocks: Sequence[Block],
    memory: Stream | None,
    network: Network,
    setting: Setting,
) -> tuple[list[Passed], Stream]:
    """The blocks passed, and the stack's output behind a final layer norm if Pre-LN has one."""
    stream = gaussian(inputs.gram(network.width, network.vocabulary), setting.fluctuations)
    passed = []
    for block in blocks:
        passed.append(forward(block, stream, memory, setting))
        stream = passed[-1].left
    return passed, normalised(stream) if _has_final_norm(blocks) else stream


def _pull(
    passed: Sequence[Passed],
    cotangent: Cotangent,
    stack: str,
    memory: Stream | None,
    setting: Setting,
    energies: dict[str, Number],
) -> tuple[Gram, Cotangent]:
    """Cotangents on a stack's inputs and on its memory; ``energies`` are added to."""
    if _has_final_norm([item.block for item in passed]):
        last = passed[-1].left
        energies[f"{stack}.norm"] = parameter_energy(cotangent.gram, last)
        cotangent = replace(
            cotangent,
            gram=pulled_through(cotangent.gram, cotangent.removed, last),
            sensitivity=tuple(1 / k for k in diagonal(last.gram)),
        )
    nothing = exchangeable(len(memory.gram) if memory else 1, 0)
    on_memory = unknowing(nothing, setting.fluctuations)
    for item in reversed(passed):
        pulled = backward(item, cotangent, setting)
        cotangent = pulled.stream
        if pulled.memory is not None:
            on_memory = together(on_memory, pulled.memory)
        for matrix, energy in pulled.energies.items():
            shared = matrix == "alpha"  # one a layer, whatever the block
            key = f"{stack}.alpha" if shared else f"{item.block.part}.{matrix}"
            energies[key] = energies.get(key, 0) + energy
    return cotangent.gram, on_memory


def _has_final_norm(blocks: Sequence[Block]) -> bool:
    return bool(blocks) and blocks[-1].norm is Norm.PRE
