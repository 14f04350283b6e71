"""Second moments through one residual block, forward and backward, and its matrices' energies.

A block is y = α x + γ G(x), with a layer norm behind the sum (Post-LN), before G (Pre-LN), or none.
Weights are independent of each other and of x. They have mean 0 and variances σ², so terms add up:

    forward    K ← α² K + γ² E G Gᵀ/d              K_ij = E x_i·x_j/d                (1)
    backward   B ← α² B + γ² E (∂G/∂x)ᵀ B ∂G/∂x    B_ij = E δ_i·δ_j                  (2)

The branch G contributes, for an MLP in units of d_ff d σ₁² σ₂²,

    forward  √(K_ii K_jj) κ₁(ρ_ij)/2     backward  B_ij κ₀(ρ_ij)/2                   (3)

and for attention in units of σ_v² σ_o² d²

    forward  E A Z Aᵀ                    backward  E AᵀBA + the gradient by logits   (4)

The *energy* of a matrix W in h = W x is the expected squared norm of its gradient:

    E‖Σ_i δ_i ⊗ x_i‖² = Σ_ij E δ_i·δ_j E x_i·x_j                                     (5)

The layer norm's Jacobian is exact: √d/‖x − x̄‖ times the projector of
``theory.layer_norm.jacobian``. With S = ‖x − x̄‖²/d, E 1/S = (1 + r)/E S to first order in the
spread r = Var S/(E S)².
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from theory.derivations.number import Number
from theory.mean_field.attention_moments import AttentionMoments, attention_moments
from theory.mean_field.norm_moments import (
    CotangentMoments,
    StreamMoments,
    added,
    isotropic_cotangent,
    jacobian_gain,
    normalised,
    parameter_energy,
    projector_overlap,
    pulled_through,
)
from theory.mean_field.residual_block import BlockKind, MeanFieldBlock, NetworkSetting, NormPlace
from theory.moments.relu_kernel import ReluPairs, relu_pairs
from theory.moments.token_gram import (
    Gram,
    centred_gram,
    combine,
    correlations,
    diagonal,
    entrywise,
    inner,
    pulled_back,
    rescaled,
    split_gram,
    visible,
)


@dataclass(frozen=True)
class Passed:
    """The forward pass through one block, as its backward pass needs it."""

    block: MeanFieldBlock
    entered: StreamMoments
    """Second moments of the block's input x."""
    summed: StreamMoments
    """Second moments of the sum α x + γ G."""
    left: StreamMoments
    """Second moments of the block's output y."""
    output_gram: Gram
    """Gram of the branch's output G."""
    inside: ReluPairs | AttentionMoments
    """Moments inside the branch."""


def forward(
    block: MeanFieldBlock,
    entered: StreamMoments,
    memory: StreamMoments | None,
    setting: NetworkSetting,
) -> Passed:
    """Second moments behind a block, equation (1).

    ``memory`` is the encoder's output, which encoder-attention reads.

    Examples
    --------
    >>> from theory.mean_field.attention_moments import Fluctuations
    >>> from theory.mean_field.norm_moments import gaussian
    >>> from theory.moments.softmax_moments import uniform
    >>> setting = NetworkSetting(64, 128, lambda n, *_: uniform(n), Fluctuations())
    >>> xavier = {"w1": 2 / 192, "w2": 2 / 192}
    >>> x = gaussian(((1.0,),), Fluctuations())
    >>> mlp = MeanFieldBlock("mlp", BlockKind.MLP, xavier)
    >>> round(forward(mlp, x, None, setting).left.gram[0][0], 4)
    1.4444
    """
    d, epsilon, variances = setting.width, setting.fluctuations, block.variances
    read = normalised(entered) if block.norm is NormPlace.PRE else entered
    if block.kind is BlockKind.MLP:
        inside = relu_pairs(read.gram, setting.relu_share, epsilon.width)
        gain = variances["w1"] * variances["w2"] * d * setting.hidden
        mixed, spread = inside.values, 2 * epsilon.width + 5 * epsilon.hidden
    else:
        keys = memory if block.kind is BlockKind.CROSS and memory is not None else read
        seen = visible(len(read.gram), len(keys.gram), causal=block.causal)
        scale = variances["q"] * variances["k"] * d**2
        spreads = (read.spread, keys.spread)
        inside = attention_moments(
            read.gram, keys.gram, seen, scale, setting.softmax, epsilon, spreads
        )
        gain = variances["v"] * variances["out_proj"] * d**2
        mixed, spread = inside.mixed, 4 * epsilon.width
    output = entrywise(lambda entry: gain * entry, mixed)
    branch = entrywise(lambda entry: block.branch**2 * entry, output)
    summed = added(entered, block.shortcut, branch, spread, epsilon)
    left = normalised(summed) if block.norm is NormPlace.POST else summed
    return Passed(block, entered, summed, left, output, inside)


@dataclass(frozen=True)
class Pulled:
    """The result of a block's backward pass."""

    stream: CotangentMoments
    """Cotangent on the block's input x."""
    memory: CotangentMoments | None
    """Cotangent on the memory that encoder-attention reads; None for other blocks."""
    energies: Mapping[str, Number]
    """Energy per matrix, and of the layer norm (``norm``), ω (``omega``) and γ (``alpha``)."""


def backward(passed: Passed, arriving: CotangentMoments, setting: NetworkSetting) -> Pulled:
    """Cotangents in front of a block, equation (2), and the energies of its matrices, (5)."""
    block, energies = passed.block, {}
    gram, bound = arriving.gram, (0,) * len(arriving.gram)
    if block.norm is NormPlace.POST:
        energies["norm"] = parameter_energy(gram, passed.summed)
        gram = pulled_through(gram, arriving.removed, passed.summed)
        bound = _bound_share(passed)
    if block.trained_shortcut:  # Σ_i δ_i∘x_i, coordinate by coordinate
        energies["omega"] = inner(gram, passed.entered.gram)
    if block.trained_branch:  # Σ_i δ_i·G_i
        energies["alpha"] = inner(gram, passed.output_gram)
    scaled = entrywise(lambda entry: block.branch**2 * entry, gram)
    # Inside the branch the cotangent has lost its component along the direction that leads to y.
    kept = rescaled(scaled, tuple(1 - x * _inner_width(passed, setting) for x in bound))
    excess = _excess_before(passed, arriving)
    read = entrywise(lambda entry: block.branch**2 * entry, excess)
    if block.norm is NormPlace.PRE:
        read = rescaled(read, tuple(1 / own for own in diagonal(passed.entered.gram)))
    onto_keys = None
    if block.kind is BlockKind.MLP:
        back, own = _through_mlp(passed, scaled, kept, read, setting)
    else:
        back, onto_keys, own = _through_attention(passed, scaled, kept, read, setting)
    energies |= own
    excess = entrywise(lambda entry: block.shortcut**2 * entry, excess)
    memory = None
    if onto_keys is not None and block.kind is BlockKind.CROSS:
        memory = onto_keys
    elif onto_keys is not None:
        back, excess = combine(1, back, 1, onto_keys.gram), combine(1, excess, 1, onto_keys.excess)
    if block.norm is NormPlace.PRE:
        energies["norm"] = parameter_energy(back, passed.entered)
        before = _before_branch(passed, gram, back, excess, arriving, setting)
    elif block.norm is NormPlace.POST:
        before = _before_sum(passed, gram, back, excess, setting)
    else:
        stream = combine(block.shortcut**2, gram, 1, back)
        before = CotangentMoments(stream, arriving.removed, arriving.sensitivity, excess)
    return Pulled(before, memory, energies)


def _excess_before(passed: Passed, arriving: CotangentMoments) -> Gram:
    """How far cotangents on y depend on x: α K_x/K_y of their dependence on y, per token."""
    shares = tuple(
        passed.block.shortcut * own / whole
        for own, whole in zip(
            diagonal(passed.entered.gram), diagonal(passed.summed.gram), strict=True
        )
    )
    return tuple(
        tuple(entry * one * other for entry, other in zip(row, shares, strict=True))
        for row, one in zip(arriving.excess, shares, strict=True)
    )


def _through_mlp(
    passed: Passed, scaled: Gram, kept: Gram, excess: Gram, setting: NetworkSetting
) -> tuple[Gram, dict[str, Number]]:
    """Cotangents in front of an MLP's branch by (3), and the energies of its matrices by (5).

    The excess of the cotangents' dependence on tokens enters the gradients of both matrices.
    """
    inside, variances = passed.inside, passed.block.variances
    assert isinstance(inside, ReluPairs)
    d, hidden = setting.width, setting.hidden
    back = entrywise(lambda b, open_: b * open_, kept, inside.gates)
    gain = variances["w1"] * variances["w2"] * d * hidden
    met = inner(inside.gates, excess)
    energies = {
        "w2": (inner(inside.values, scaled) + met) * variances["w1"] * d * hidden,
        "w1": (inner(inside.gated, kept) + met) * variances["w2"] * d * hidden,
    }
    return entrywise(lambda b: gain * b, back), energies


def _through_attention(
    passed: Passed, scaled: Gram, kept: Gram, excess: Gram, setting: NetworkSetting
) -> tuple[Gram, CotangentMoments, dict[str, Number]]:
    """Cotangents on the queries and on the keys by (4), and the energies of the matrices by (5).

    Cotangents that depend on the queries correlate with the logits. This enters the gradients of
    W_q and W_k through K_ij, and those of W_v and W_o through q(c_ij).
    """
    inside, variances, d = passed.inside, passed.block.variances, setting.width
    assert isinstance(inside, AttentionMoments)
    seen, keys = inside.seen, len(inside.centred) - 1
    centred = tuple(tuple(inside.centred[min(n, m)] for m in seen) for n in seen)
    gain = variances["v"] * variances["out_proj"] * d**2
    logit = variances["q"] * variances["k"] * d**2

    def weighted(moments: Gram, power: int) -> Gram:
        return entrywise(lambda b, m, a: b * m * a**power, kept, moments, centred)

    met = sum(map(sum, entrywise(lambda k, r, a: k * r * a**2, excess, inside.response, centred)))
    shared = (sum(map(sum, weighted(inside.aligned, 2))) + met) * gain * d**2
    read = _read_behind_own_norm(passed, inside.mixed)
    energies = {
        "v": (inner(read, kept) + logit * met) * variances["out_proj"] * d**2,
        "out_proj": (inner(read, scaled) + logit * met) * variances["v"] * d**2,
        "q": shared * variances["k"],
        "k": shared * variances["q"],
    }
    # E AᵀBA is the uniform average's, plus the weights' overlap beyond 1/n.
    beyond_average = centred_gram(weighted(inside.overlap_excess, 0), seen, keys)
    by_value = combine(gain, pulled_back(kept, seen, keys), gain, beyond_average)
    by_logit = centred_gram(weighted(inside.onto_keys, 1), seen, keys)
    by_query = entrywise(lambda t: gain * logit * t, weighted(inside.response, 2))
    excess = split_gram(
        weighted(inside.excess_diagonal, 0), weighted(inside.excess_off_diagonal, 0), seen, keys
    )
    memory = isotropic_cotangent(combine(1, by_value, gain * logit, by_logit), setting.fluctuations)
    excess = entrywise(lambda entry: gain * entry, excess)
    return by_query, replace(memory, excess=excess), energies


def _read_behind_own_norm(passed: Passed, mixed: Gram) -> Gram:
    """Gram of the averages that queries read, corrected for a correlation in Post-LN.

    Post-LN divides the cotangent of token i by a length that contains x_i, and query i reads
    x_i/n_i. A long token hence reads more and receives less. The correction is r K_ii/n_i² times
    the token's share of the sum.
    """
    block, inside = passed.block, passed.inside
    if block.norm is not NormPlace.POST or block.kind is not BlockKind.SELF:
        return mixed
    assert isinstance(inside, AttentionMoments)
    own, whole = diagonal(passed.entered.gram), diagonal(passed.summed.gram)
    return tuple(
        tuple(
            entry
            - (i == j)
            * passed.entered.spread[i]
            * block.shortcut**2
            * own[i] ** 2
            / (whole[i] * inside.seen[i] ** 2)
            for j, entry in enumerate(row)
        )
        for i, row in enumerate(mixed)
    )


def _before_branch(
    passed: Passed,
    gram: Gram,
    back: Gram,
    excess: Gram,
    arriving: CotangentMoments,
    setting: NetworkSetting,
) -> CotangentMoments:
    """Pre-LN: the cotangent in front of the block; the branch's share passes the layer norm.

    Later layer norms divide by lengths that contain this token's length. Cotangents that attention
    carries from token j to token i depend on the length of i only as far as the two tokens are
    alike, by ρ_ij² on average.
    """
    stream, isotropic = passed.entered, 2 * setting.fluctuations.width
    size = len(back)
    alike = 1
    if passed.block.kind is BlockKind.SELF:
        alike = sum(rho**2 for row in correlations(stream.gram) for rho in row) / size**2
    gains = jacobian_gain(stream)
    own = diagonal(stream.gram)
    factors = tuple(
        (1 - isotropic) * gains[i] * (1 + alike * arriving.sensitivity[i] * r * own[i])
        for i, r in enumerate(stream.spread)
    )
    overlap = projector_overlap(stream, (isotropic,) * size)
    branch = entrywise(lambda entry, less: entry * less, rescaled(back, factors), overlap)
    before = combine(passed.block.shortcut**2, gram, 1, branch)
    sensitivity = tuple(
        s + _share(b, whole) * (1 / k - (1 - alike) * s)
        for s, b, whole, k in zip(
            arriving.sensitivity, diagonal(branch), diagonal(before), own, strict=True
        )
    )
    return CotangentMoments(before, arriving.removed, sensitivity, excess)


def _before_sum(
    passed: Passed, gram: Gram, back: Gram, excess: Gram, setting: NetworkSetting
) -> CotangentMoments:
    """Post-LN: the cotangent in front of the block, with its share along the input x.

    The layer norm leaves a cotangent δ orthogonal to y = α x + γ G(x). With δ isotropic in front of
    the projector, α δ·x has second moment b/d and δ·γG has b g/d, and the two add up to 0. The
    branch's own share δ_G·x has second moment h/d. Its covariance with δ·γG is c/d. An MLP is
    homogeneous, so for it c = b g and δ_x·x = 0. Hence

        E (δ_x·x)² d = b + h − (b + c)²/(b (1 + g)),   and ‖δ_x‖² loses (2c + c²/b)/((1 + g) d).
    """
    epsilon = setting.fluctuations.width
    before = combine(passed.block.shortcut**2, gram, 1, back)
    straight = tuple(passed.block.shortcut**2 * b for b in diagonal(gram))
    relative = _relative_branch(passed)
    covariances = _branch_covariances(passed, gram, straight, relative, setting)
    factors, removed = [], []
    rows = zip(straight, diagonal(back), diagonal(before), relative, covariances, strict=True)
    for b, h, whole, g, c in rows:
        # The two formulas of the docstring, relative to the whole cotangent.
        kept = 1 - _share(2 * c + _share(c * c, b), whole) * epsilon / (1 + g)
        along = b + h - _share((b + c) ** 2, b) / (1 + g)
        factors.append(kept)
        removed.append(_share(along + h, whole) * epsilon / kept)
    return CotangentMoments(rescaled(before, factors), tuple(removed), (0,) * len(removed), excess)


def _branch_covariances(
    passed: Passed,
    gram: Gram,
    straight: tuple[Number, ...],
    relative: tuple[Number, ...],
    setting: NetworkSetting,
) -> tuple[Number, ...]:
    """The covariance c of `_before_sum`, per token.

    c is b g for an MLP and 0 for encoder-attention. For self-attention it is in between: a token
    reads itself among others.
    """
    block = passed.block
    if block.kind is BlockKind.MLP:
        return tuple(b * g for b, g in zip(straight, relative, strict=True))
    if block.kind is BlockKind.CROSS:
        return (0,) * len(straight)
    assert isinstance(passed.inside, AttentionMoments)
    seen, entered = passed.inside.seen, passed.entered.gram
    gain = block.branch**2 * block.variances["v"] * block.variances["out_proj"] * setting.width**2
    return tuple(
        gain
        * (sum(entered[s][i] for s in range(n)) / (n * entered[i][i]))
        * sum(gram[i][j] / m for j, m in enumerate(seen) if i < m)
        for i, n in enumerate(seen)
    )


def _relative_branch(passed: Passed) -> tuple[Number, ...]:
    """The branch's energy relative to the shortcut's, per token: g = γ² ‖G‖²/(α² ‖x‖²)."""
    shortcut = passed.block.shortcut**2
    pairs = zip(diagonal(passed.summed.gram), diagonal(passed.entered.gram), strict=True)
    return tuple(whole / (shortcut * own) - 1 for whole, own in pairs)


def _bound_share(passed: Passed) -> tuple[Number, ...]:
    """Share that δ ⊥ y removes from the direction inside the branch that leads to y: g/(1 + g)."""
    return tuple(g / (1 + g) for g in _relative_branch(passed))


def _inner_width(passed: Passed, setting: NetworkSetting) -> Number:
    """Inverse of the number of directions inside the branch.

    For an MLP it is 3/d_ff. A ReLU opens half of the hidden units, which gives 2/d_ff. The number
    of open units fluctuates and raises both ‖G‖ and the cotangent, which gives another 1/d_ff.
    """
    if passed.block.kind is BlockKind.MLP:
        return 3 * setting.fluctuations.hidden
    return setting.fluctuations.width


def _share(part: Number, whole: Number) -> Number:
    """``part``/``whole``, or 0 where no cotangent arrives."""
    return 0 if whole == 0 else part / whole
