"""Second moments through one residual block, forward and backward, and its matrices' energies.

A block is y = α x + γ G(x), with a layer norm behind the sum (Post-LN), before G (Pre-LN), or none.
Weights are independent of each other and of x, with mean 0 and variances σ², so terms add up:

    forward    K ← α² K + γ² E G Gᵀ/d            K_ij = E x_i·x_j/d
    backward   B ← α² B + γ² E (∂G/∂x)ᵀ B ∂G/∂x   B_ij = E δ_i·δ_j

    MLP, times d_ff d σ₁² σ₂²    K → √(K_ii K_jj) κ₁(ρ_ij)/2    B → B_ij κ₀(ρ_ij)/2
    attention, times σ_v² σ_o² d²  K → E A Z Aᵀ                 B → E AᵀBA + the logits' part

and the energy of a matrix W in h = W x is E‖Σ_i δ_i ⊗ x_i‖² = Σ_ij E δ_i·δ_j E x_i·x_j.

The layer norm's Jacobian is exact: √d/‖x − x̄‖ times the projector of
``theory.layer_norm.jacobian``. With S = ‖x − x̄‖²/d, E 1/S = (1 + r)/E S to first order in the
spread r = Var S/(E S)².
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from theory.mean_field.attention_moments import AttentionMoments, attention_moments
from theory.mean_field.norm_moments import (
    Cotangent,
    Stream,
    added,
    jacobian_gain,
    normalised,
    parameter_energy,
    parting,
    pulled_through,
    unknowing,
)
from theory.mean_field.residual_block import Block, BlockKind, Norm, Setting
from theory.moments.relu_kernel import ReluPairs, relu_pairs
from theory.moments.token_gram import (
    Gram,
    Number,
    combine,
    contrast,
    correlations,
    diagonal,
    entrywise,
    inner,
    pulled_back,
    rescaled,
    scattered,
    visible,
)


@dataclass(frozen=True)
class Passed:
    """A block with what its backward pass needs."""

    block: Block
    entered: Stream
    """x."""
    summed: Stream
    """α x + γ G."""
    left: Stream
    """y."""
    output_gram: Gram
    """Gram of G."""
    inside: ReluPairs | AttentionMoments


def forward(block: Block, entered: Stream, memory: Stream | None, setting: Setting) -> Passed:
    """Second moments behind a block; ``memory`` is what encoder-attention reads.

    Examples
    --------
    >>> from theory.mean_field.attention_moments import Fluctuations
    >>> from theory.mean_field.norm_moments import gaussian
    >>> from theory.moments.softmax_moments import uniform
    >>> setting = Setting(64, 128, lambda n, *_: uniform(n), Fluctuations())
    >>> xavier = {"w1": 2 / 192, "w2": 2 / 192}
    >>> x = gaussian(((1.0,),), Fluctuations())
    >>> round(forward(Block("mlp", BlockKind.MLP, xavier), x, None, setting).left.gram[0][0], 4)
    1.4444
    """
    d, epsilon, variances = setting.width, setting.fluctuations, block.variances
    read = normalised(entered) if block.norm is Norm.PRE else entered
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
    left = normalised(summed) if block.norm is Norm.POST else summed
    return Passed(block, entered, summed, left, output, inside)


@dataclass(frozen=True)
class Pulled:
    """What a block's backward pass gives."""

    stream: Cotangent
    """On x."""
    memory: Cotangent | None
    """On the memory that encoder-attention reads."""
    energies: Mapping[str, Number]
    """By matrix, and of the layer norm (``norm``), ω (``omega``) and γ (``alpha``)."""


def backward(passed: Passed, arriving: Cotangent, setting: Setting) -> Pulled:
    """Cotangents in front of a block, and the energies of its matrices."""
    block, energies = passed.block, {}
    gram, bound = arriving.gram, (0,) * len(arriving.gram)
    if block.norm is Norm.POST:
        energies["norm"] = parameter_energy(gram, passed.summed)
        gram = pulled_through(gram, arriving.removed, passed.summed)
        bound = _bound_share(passed)
    if block.trained_shortcut:  # Σ_i δ_i∘x_i, coordinate by coordinate
        energies["omega"] = inner(gram, passed.entered.gram)
    if block.trained_branch:  # Σ_i δ_i·G_i
        energies["alpha"] = inner(gram, passed.output_gram)
    scaled = entrywise(lambda entry: block.branch**2 * entry, gram)
    kept = rescaled(scaled, tuple(1 - x * _inner_width(passed, setting) for x in bound))
    known = _known_before(passed, arriving)
    read = entrywise(lambda entry: block.branch**2 * entry, known)
    if block.norm is Norm.PRE:
        read = rescaled(read, tuple(1 / own for own in diagonal(passed.entered.gram)))
    onto_keys = None
    if block.kind is BlockKind.MLP:
        back, own = _through_mlp(passed, scaled, kept, read, setting)
    else:
        back, onto_keys, own = _through_attention(passed, scaled, kept, read, setting)
    energies |= own
    known = entrywise(lambda entry: block.shortcut**2 * entry, known)
    memory = None
    if onto_keys is not None and block.kind is BlockKind.CROSS:
        memory = onto_keys
    elif onto_keys is not None:
        back, known = combine(1, back, 1, onto_keys.gram), combine(1, known, 1, onto_keys.known)
    if block.norm is Norm.PRE:
        energies["norm"] = parameter_energy(back, passed.entered)
        before = _before_branch(passed, gram, back, known, arriving, setting)
    elif block.norm is Norm.POST:
        before = _before_sum(passed, gram, back, known, setting)
    else:
        stream = combine(block.shortcut**2, gram, 1, back)
        before = Cotangent(stream, arriving.removed, arriving.sensitivity, known)
    return Pulled(before, memory, energies)


def _known_before(passed: Passed, arriving: Cotangent) -> Gram:
    """What cotangents on y know of x: α K_x/K_y of what they know of y, for each of two tokens."""
    shares = tuple(
        passed.block.shortcut * own / whole
        for own, whole in zip(
            diagonal(passed.entered.gram), diagonal(passed.summed.gram), strict=True
        )
    )
    return tuple(
        tuple(entry * one * other for entry, other in zip(row, shares, strict=True))
        for row, one in zip(arriving.known, shares, strict=True)
    )


def _through_mlp(
    passed: Passed, scaled: Gram, kept: Gram, known: Gram, setting: Setting
) -> tuple[Gram, dict[str, Number]]:
    """Cotangents behind the branch, and energies; known tokens meet the gradients of both."""
    inside, variances = passed.inside, passed.block.variances
    assert isinstance(inside, ReluPairs)
    d, hidden = setting.width, setting.hidden
    back = entrywise(lambda b, open_: b * open_, kept, inside.gates)
    gain = variances["w1"] * variances["w2"] * d * hidden
    met = inner(inside.gates, known)
    energies = {
        "w2": (inner(inside.values, scaled) + met) * variances["w1"] * d * hidden,
        "w1": (inner(inside.gated, kept) + met) * variances["w2"] * d * hidden,
    }
    return entrywise(lambda b: gain * b, back), energies


def _through_attention(
    passed: Passed, scaled: Gram, kept: Gram, known: Gram, setting: Setting
) -> tuple[Gram, Cotangent, dict[str, Number]]:
    """Cotangents by the queries and on the keys, and energies.

    Known queries meet the logits: K_ij in the gradients of W_q and W_k, and q(c_ij) in the others.
    """
    inside, variances, d = passed.inside, passed.block.variances, setting.width
    assert isinstance(inside, AttentionMoments)
    seen, keys = inside.seen, len(inside.apart) - 1
    apart = tuple(tuple(inside.apart[min(n, m)] for m in seen) for n in seen)
    gain = variances["v"] * variances["out_proj"] * d**2
    logit = variances["q"] * variances["k"] * d**2

    def weighted(moments: Gram, power: int) -> Gram:
        return entrywise(lambda b, m, a: b * m * a**power, kept, moments, apart)

    met = sum(map(sum, entrywise(lambda k, r, a: k * r * a**2, known, inside.response, apart)))
    shared = (sum(map(sum, weighted(inside.aligned, 2))) + met) * gain * d**2
    read = _read_behind_own_norm(passed, inside.mixed)
    energies = {
        "v": (inner(read, kept) + logit * met) * variances["out_proj"] * d**2,
        "out_proj": (inner(read, scaled) + logit * met) * variances["v"] * d**2,
        "q": shared * variances["k"],
        "k": shared * variances["q"],
    }
    by_value = combine(
        gain, pulled_back(kept, seen, keys), gain, contrast(weighted(inside.excess, 0), seen, keys)
    )
    by_logit = contrast(weighted(inside.onto_keys, 1), seen, keys)
    by_query = entrywise(lambda t: gain * logit * t, weighted(inside.response, 2))
    known = scattered(weighted(inside.known_own, 0), weighted(inside.known_beside, 0), seen, keys)
    memory = unknowing(combine(1, by_value, gain * logit, by_logit), setting.fluctuations)
    known = entrywise(lambda entry: gain * entry, known)
    return by_query, replace(memory, known=known), energies


def _read_behind_own_norm(passed: Passed, mixed: Gram) -> Gram:
    """What a query reads, as its own cotangent sees it.

    Post-LN divides the cotangent by a length that contains x_i, of which query i reads x_i/n_i: a
    long token reads more and gets less, by r K_ii/n_i² times its share of the sum.
    """
    block, inside = passed.block, passed.inside
    if block.norm is not Norm.POST or block.kind is not BlockKind.SELF:
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
    passed: Passed, gram: Gram, back: Gram, known: Gram, arriving: Cotangent, setting: Setting
) -> Cotangent:
    """Pre-LN: the branch's cotangent goes through the layer norm, whose length later ones contain.

    Attention hands a token the cotangents of others, which know its length only as far as the two
    tokens are alike: by ρ_ij² on average.
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
    apart = parting(stream, (isotropic,) * size)
    branch = entrywise(lambda entry, less: entry * less, rescaled(back, factors), apart)
    before = combine(passed.block.shortcut**2, gram, 1, branch)
    sensitivity = tuple(
        s + _share(b, whole) * (1 / k - (1 - alike) * s)
        for s, b, whole, k in zip(
            arriving.sensitivity, diagonal(branch), diagonal(before), own, strict=True
        )
    )
    return Cotangent(before, arriving.removed, sensitivity, known)


def _before_sum(passed: Passed, gram: Gram, back: Gram, known: Gram, setting: Setting) -> Cotangent:
    """Post-LN: what δ ⊥ y, y = α x + γ G(x), says of the cotangent's share along x.

    With δ isotropic in front of the projector, p = α δ·x has second moment b/d, δ·γG has b g/d, and
    they add up to 0; the branch's own share δ_G·x has second moment h/d and covariance c/d with
    δ·γG (c = b g for an MLP, which is homogeneous: then δ_x·x = 0). Hence

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
        kept = 1 - _share(2 * c + _share(c * c, b), whole) * epsilon / (1 + g)
        along = b + h - _share((b + c) ** 2, b) / (1 + g)
        factors.append(kept)
        removed.append(_share(along + h, whole) * epsilon / kept)
    return Cotangent(rescaled(before, factors), tuple(removed), (0,) * len(removed), known)


def _branch_covariances(
    passed: Passed,
    gram: Gram,
    straight: tuple[Number, ...],
    relative: tuple[Number, ...],
    setting: Setting,
) -> tuple[Number, ...]:
    """c of every token: b g for an MLP, 0 for encoder-attention, what x reads of itself between."""
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
    """g = γ² ‖G‖²/(α² ‖x‖²) of every token."""
    shortcut = passed.block.shortcut**2
    pairs = zip(diagonal(passed.summed.gram), diagonal(passed.entered.gram), strict=True)
    return tuple(whole / (shortcut * own) - 1 for whole, own in pairs)


def _bound_share(passed: Passed) -> tuple[Number, ...]:
    """g/(1 + g): what δ ⊥ y takes from the one direction inside the branch that leads to y."""
    return tuple(g / (1 + g) for g in _relative_branch(passed))


def _inner_width(passed: Passed, setting: Setting) -> Number:
    """One over the number of directions inside the branch; a ReLU opens half of them.

    The third 1/d_ff: with more units open both ‖G‖ and the cotangent are larger.
    """
    if passed.block.kind is BlockKind.MLP:
        return 3 * setting.fluctuations.hidden
    return setting.fluctuations.width


def _share(part: Number, whole: Number) -> Number:
    """part/whole, and 0 where no cotangent arrives."""
    return 0 if whole == 0 else part / whole
