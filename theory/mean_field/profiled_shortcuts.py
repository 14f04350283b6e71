"""Predicts multipliers of the shortcut that a scheme measures in a forward pass: Admin's ω.

Behind a Post-LN block the stream has mean square 1. With g_i = E‖G_i‖²/d, averaged over the tokens
of a sequence, and x_0 the embedded input,

    paper   ω_i² = Σ_{j<i} g_j, profiled with every ω at 1; ω_1 = 1
    code    ω_{i+1}² = ω_i² E‖x_{i−1}‖²/d + g_i, set during the pass; ω_1 = 1

The blocks of each stack are counted separately. No number is fitted: g is the mean field's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from theory.derivations.number import Number
from theory.mean_field.norm_moments import StreamMoments, gaussian
from theory.mean_field.predict import EmbeddedTokens, Network, setting_of
from theory.mean_field.residual_block import MeanFieldBlock, NetworkSetting
from theory.mean_field.signal_propagation import Passed, forward
from theory.moments.token_gram import Gram, square_root, trace

Choice = Callable[[Sequence[Passed]], Number]
"""Chooses a block's multiplier from the blocks of its stack that were passed before it."""


def paper(network: Network) -> Network:
    """The network with the multipliers of Admin's paper, ω_i = √(Σ_{j<i} g_j).

    Examples
    --------
    >>> from theory.mean_field.residual_block import BlockKind, NormPlace
    >>> xavier = {"w1": 2 / 192, "w2": 2 / 192}
    >>> mlp = MeanFieldBlock("decoder.mlp", BlockKind.MLP, xavier, NormPlace.POST)
    >>> one = EmbeddedTokens(tokens=1, token_square=1.0)
    >>> found = paper(Network(64, 128, 2, 1000, one, one, (), (mlp,) * 3))
    >>> [round(block.shortcut**2, 2) for block in found.decoder]
    [1, 0.44, 0.89]
    """
    passed = {stack: items for stack, items in _passes(network, lambda _: 1).items()}

    def chosen(stack: str) -> tuple[MeanFieldBlock, ...]:
        blocks, total = [], 0
        for number, item in enumerate(passed[stack]):
            shortcut = square_root(total) if number else 1
            blocks.append(replace(item.block, shortcut=shortcut))
            total += mean_square(item.output_gram)
        return tuple(blocks)

    return replace(network, encoder=chosen("encoder"), decoder=chosen("decoder"))


def code(network: Network) -> Network:
    """The network with the multipliers of Admin's code, ω_{i+1} = √(ω_i² E‖x_{i−1}‖²/d + g_i).

    Examples
    --------
    >>> from theory.mean_field.residual_block import BlockKind, NormPlace
    >>> xavier = {"w1": 2 / 192, "w2": 2 / 192}
    >>> mlp = MeanFieldBlock("decoder.mlp", BlockKind.MLP, xavier, NormPlace.POST)
    >>> one = EmbeddedTokens(tokens=1, token_square=4.0)
    >>> found = code(Network(64, 128, 2, 1000, one, one, (), (mlp,) * 3))
    >>> [round(block.shortcut**2, 2) for block in found.decoder]  # 4 and 4 × 0.44, then 1 × 0.44
    [1, 5.78, 6.21]
    """

    def following(passed: Sequence[Passed]) -> Number:
        if not passed:
            return 1
        last = passed[-1]
        entered = mean_square(last.entered.gram)
        return square_root(last.block.shortcut**2 * entered + mean_square(last.output_gram))

    passed = _passes(network, following)
    return replace(
        network,
        encoder=tuple(item.block for item in passed["encoder"]),
        decoder=tuple(item.block for item in passed["decoder"]),
    )


def mean_square(gram: Gram) -> Number:
    """Mean square of a sequence's coordinates: the mean of the Gram's diagonal."""
    return trace(gram) / len(gram)


def _passes(network: Network, choice: Choice) -> dict[str, list[Passed]]:
    """Run a forward pass that chooses every block's multiplier when it reaches the block."""
    setting = setting_of(network)

    def pass_stack(
        inputs: EmbeddedTokens,
        blocks: Sequence[MeanFieldBlock],
        memory: StreamMoments | None,
        setting: NetworkSetting,
    ) -> tuple[list[Passed], StreamMoments]:
        stream = gaussian(inputs.gram(network.width, network.vocabulary), setting.fluctuations)
        passed: list[Passed] = []
        for block in blocks:
            passed.append(forward(replace(block, shortcut=choice(passed)), stream, memory, setting))
            stream = passed[-1].left
        return passed, stream

    encoded, memory = pass_stack(network.source, network.encoder, None, setting)
    decoded, _ = pass_stack(network.target, network.decoder, memory, setting)
    return {"encoder": encoded, "decoder": decoded}
