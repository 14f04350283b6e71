"""The zero-parameter prediction of ‖Jᵀu‖² against its measurement, part by part.

Quick: T-Fixup at N = 1 and 6, Pre-LN and Post-LN at N = 1. Full: every scheme at N = 1, 6, 24, 96,
where the scatter of the draws leaves a decision. Plain Xavier without layer norms is the scheme for
which the printed claim fails.
"""

from collections.abc import Iterator, Sequence

from numerics.models import ModelSpec
from numerics.prediction.compare import PartComparison, compare
from numerics.schemes.tfixup import TFIXUP, TFIXUP_ADAM
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, Reading, provides
from theory.mean_field.predict import Assumptions

_MANY = {1: 256, 6: 256, 24: 256, 96: 128}
SEEDS = {
    Level.QUICK: {"tfixup": {1: 32, 6: 16}, "pre-ln": {1: 48}, "post-ln": {1: 48}},
    Level.FULL: {
        scheme: _MANY for scheme in ("tfixup", "tfixup-code", "tfixup-adam", "pre-ln", "post-ln")
    },
}
"""Draws by scheme and depth."""
READING = (
    "T-Fixup in its three forms, Pre-LN, Post-LN (not plain Xavier: logits of variance above 1); "
    "mean over draws of the weights"
)


def agreement(comparisons: Sequence[PartComparison], margin: float) -> bool | None:
    """False if a part is off, ``None`` if the draws cannot tell of any part, else true.

    Parts whose draws scatter too much to tell are passed over beside others that are decided.
    """
    decisions = [item.within(margin) for item in comparisons]
    if False in decisions:
        return False
    return True if True in decisions else None


def worst(comparisons: Sequence[PartComparison], margin: float) -> PartComparison:
    """The part with the largest deviation, of those that are decided if any is."""
    decided = [item for item in comparisons if item.within(margin) is not None]
    return max(decided or comparisons, key=lambda item: abs(item.deviation))


@provides("ours.prediction", kind=Kind.MEASUREMENT)
def prediction(context: Context) -> Iterator[Observation]:
    """Every part of every scheme and depth; without ReLU's ½, or with N^(-1/2) scales, none is."""
    margin = tolerance("prediction")
    first = 100_000 * context.seed
    found = {
        (scheme, depth): compare(scheme, ModelSpec(depth, depth), seeds, first_seed=first)
        for scheme, depths in SEEDS[context.level].items()
        for depth, seeds in depths.items()
    }
    parts = [item for comparison in found.values() for item in comparison]
    spec = ModelSpec(2, 2)
    wrong = (
        compare(TFIXUP, spec, 6, assumptions=Assumptions(relu_share=1), first_seed=first),
        compare(TFIXUP, spec, 6, predicted_scheme=TFIXUP_ADAM, first_seed=first),
    )
    extreme = worst(parts, margin)
    scheme, depth = next(place for place, items in found.items() if extreme in items)
    place = f"{extreme.part} of {scheme} at N = {depth}"
    decided = sum(item.within(margin) is not None for item in parts)
    yield Observation(
        passed=agreement(parts, margin),
        summary=f"{decided} of {len(parts)} parts decided by {len(found)} sets of draws; "
        f"furthest {place}: {extreme.deviation:+.1%} ± {extreme.noise:.1%}",
        control=Control(
            "the same without ReLU's ½, and with the scales' exponent off by 1/4",
            all(agreement(item, margin) is False for item in wrong),
        ),
        reading=Reading.RESTRICTED,
        reading_text=READING,
        value=extreme.deviation,
        expected=0.0,
        tolerance=margin,
        details={f"{s} {n} {item.part}": str(item) for (s, n), c in found.items() for item in c},
    )
    plain = compare("xavier", ModelSpec(1, 1), 192, first_seed=first)
    still = compare("tfixup", ModelSpec(1, 1), 24, first_seed=first + 50_000)
    off = worst(plain, margin)
    yield Observation(
        passed=False if agreement(plain, margin) is False else None,
        summary="Xavier without layer norm at N = 1, whose logits have variance 1 to 3.5: "
        f"{off.part} {off.deviation:+.1%} ± {off.noise:.1%}",
        control=Control("T-Fixup at N = 1 must not be off", agreement(still, margin) is not False),
        value=off.deviation,
        expected=0.0,
        tolerance=margin,
    )


PROVIDERS = (prediction,)
