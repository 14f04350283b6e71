"""What drives a growth and what to change, in sentences that follow from the measurement.

A change of f in one step is a sum over groups of parameters, each proportional to the group's
learning rate. So a rate that falls as N^(−p) for the groups that grow as N^p always keeps the first
step bounded, whatever the model; the other sentences depend on how the model is wired.
"""

from collections.abc import Sequence

from numerics.own_model.check.types import GroupCheck, OptimizerCheck, SizeSeries
from numerics.own_model.measurement.groups import starred
from numerics.own_model.measurement.update_steps import sign_like
from numerics.statistics.exponents import Exponent
from numerics.structure.types import Structure

MATTERS = 0.05
"""A group whose share of all groups is below this drives nothing."""
_WORDS = {
    "w_in": "the MLP's first matrices (w_in)",
    "w_out": "the MLP's output matrices (w_out)",
    "out": "attention's output matrices (out)",
    "gate": "the MLP's gates (gate)",
    "v": "attention's values (v)",
    "q": "attention's queries (q)",
    "k": "attention's keys (k)",
    "cross-attention out": "the cross-attention's output matrices (out)",
    "cross-attention v": "the cross-attention's values (v)",
    "cross-attention q": "the cross-attention's queries (q)",
    "cross-attention k": "the cross-attention's keys (k)",
    "bias": "the biases",
    "norm": "the norms' gains and biases",
    "embedding": "the embedding",
    "positions": "the positions",
    "head": "the head",
    "scalar": "the scalars that multiply branches",
}


def drivers(groups: Sequence[GroupCheck]) -> tuple[GroupCheck, ...]:
    """The groups that make up most of the growth, largest first.

    Growth of a group is what it gained from the least to the largest size; the drivers are the
    fewest that make up two thirds of all gains.
    """
    gains = {g.name: max(g.series.last - g.series.first, 0.0) for g in groups}
    total = sum(gains.values())
    growing = sorted(
        (g for g in groups if gains[g.name] > 0 and g.share >= MATTERS),
        key=lambda g: -gains[g.name],
    )
    chosen: list[GroupCheck] = []
    for group in growing:
        if sum(gains[g.name] for g in chosen) >= 2 / 3 * total:
            break
        chosen.append(group)
    return tuple(chosen)


def driver_sentence(groups: Sequence[GroupCheck]) -> str:
    """Which groups drive the growth, with shares and laws.

    Examples
    --------
    >>> driver_sentence([])
    ''
    """
    found = drivers(groups)
    if not found:
        return ""
    parts = [f"{word(g.name)} {100 * g.share:.0f} %{_power(g.series)}" for g in found]
    return "Driven by " + _listed(parts) + "."


def advice(
    axis: str,
    optimizers: Sequence[OptimizerCheck],
    structure: Structure | None,
    copies: str,
) -> tuple[str, ...]:
    """What to change, the most useful first; empty where nothing grows."""
    growing = [one for one in optimizers if one.verdict == "grows"]
    if not growing:
        return ()
    said: list[str] = []
    if copies:
        said.append(
            f"{copies} Conditions on depth assume independent draws: initialise every layer after "
            "it was copied."
        )
    if axis == "depth":
        said += _wiring(structure, growing)
    elif any(sign_like(one.optimizer) and not one.optimizer.startswith("muon") for one in growing):
        said.append(
            "A step of Adam moves every entry alike, so that a product over the width moves by the "
            "width: let the hidden matrices' learning rate fall as 1/width (μP)."
        )
    for one in growing:
        said += _rate(axis, one)
    return tuple(dict.fromkeys(said))


def wiring_sentence(structure: Structure | None) -> str:
    """How the model is wired, in words.

    Examples
    --------
    >>> wiring_sentence(None)
    'The structure is not known.'
    """
    if structure is None:
        return "The structure is not known."
    if not structure.understood or not structure.branches:
        return "The structure is not understood."
    branches = structure.branches
    count = f"{structure.depth} residual additions in {structure.layers} layers"
    final = ", a norm before the head" if structure.final_norm else ""
    if all(b.norm_on_stream for b in branches):
        return (
            "Post-LN: no path from input to output is free of norms, the stream itself is "
            f"normalised after each of {count}."
        )
    if not any(b.norm_free_shortcut for b in branches):
        return f"No path from input to output is free of norms: {count}. This behaves as Post-LN."
    if all(b.norm_before and b.norm_after for b in branches):
        return f"Norms before and after each branch: {count}{final}."
    if all(b.norm_before for b in branches):
        return f"Pre-LN: {count}{final}."
    if all(b.norm_after for b in branches):
        return f"Norms on the branches' outputs: {count}{final}."
    if not any(b.norm_before or b.norm_after or b.norm_on_stream for b in branches):
        return f"No norms in the branches: {count}{final}."
    return f"Branches are wired in more than one way: {count}{final}."


def copies_sentence(names: Sequence[Sequence[str]]) -> str:
    """Which layers are bit-equal, from the sets of equal tensors.

    Examples
    --------
    >>> copies_sentence([("layers.0.w", "layers.1.w"), ("layers.0.v", "layers.1.v")])
    'Layers are copies of one another: 2 matrices are equal in all of 2 layers (layers.*.w, …).'
    """
    across = [own for own in names if len({starred(name) for name in own}) == 1]
    if not across:
        return ""
    most = max(len(own) for own in across)
    example = starred(across[0][0]) + (", …" if len(across) > 1 else "")
    count = "matrix is" if len(across) == 1 else "matrices are"
    return (
        f"Layers are copies of one another: {len(across)} {count} equal in all of {most} layers "
        f"({example})."
    )


def word(name: str) -> str:
    """A group's name for a reader."""
    return _WORDS.get(name, name)


def _wiring(structure: Structure | None, growing: Sequence[OptimizerCheck]) -> list[str]:
    if structure is None or not structure.understood or not structure.branches:
        return []
    branches = structure.branches
    names = {g.name for one in growing for g in drivers(one.groups)}
    if names and names <= {"norm", "bias"}:
        return [
            "The steps of norms' gains and of biases add up over the depth, whatever the matrices' "
            "scales are: divide their learning rate by N."
        ]
    if not any(b.norm_free_shortcut for b in branches):
        if all(b.norm_on_stream for b in branches):
            return [
                "No path is free of norms. If Pre-LN was meant, let the shortcut carry the stream "
                "itself: x + F(norm(x)). If Post-LN was, take DeepNorm's or T-Fixup's scales."
            ]
        return [
            "No path from input to output is free of norms, so that this behaves as Post-LN: let "
            "the shortcut carry the stream itself, x + F(norm(x))."
        ]
    if "scalar" in names:
        return ["The scalars' steps add up over branches: divide their learning rate by N."]
    if not any(b.norm_before or b.norm_after for b in branches):
        return [
            "Without norms the scales decide: `tfixup solve` gives those of v, out, w_in, w_out "
            "and of the inputs, embeddings and positions alike, for this depth (N^(−1/4) each in a "
            "single stack under SGD)."
        ]
    if any(one.optimizer not in ("sgd", "momentum") for one in growing):
        return [
            "A small initialisation of the outputs keeps the stream and not the update: multiply "
            "each branch by N^(−1/2) and the hidden learning rate by N^(−1/2) (depth-μP), or each "
            "branch by 1/N (CompleteP), with a stream that starts at RMS 1."
        ]
    return []


def _rate(axis: str, one: OptimizerCheck) -> list[str]:
    """The rates that keep the growing groups' part as it is at the least size."""
    fit = one.total.law.exponent
    found = drivers(one.groups)
    if not isinstance(fit, Exponent) or not found or axis != "depth":
        return []
    sizes = sorted(set(one.total.sizes))
    power = max(
        (g.series.law.exponent.value for g in found if isinstance(g.series.law.exponent, Exponent)),
        default=fit.value,
    )
    factor = (sizes[-1] / sizes[0]) ** power
    names = _listed([word(g.name) for g in found])
    return [
        f"{one.optimizer}: a learning rate of {names} that falls as N^(−{power:.2f}), divided by "
        f"{factor:.3g} from {sizes[0]} to {sizes[-1]} layers, keeps their step bounded."
    ]


def _power(series: SizeSeries) -> str:
    fit = series.law.exponent
    return f", N^{fit.value:.2f}" if isinstance(fit, Exponent) else ""


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
