"""The official code's initialisation against the paper's: every role's drawn scale, compared.

For each role the root mean square of the drawn entries is divided by that of Xavier at gain 1 (for
the embeddings: by d^(-1/2)); the paper prescribes one number for it, the code draws another.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import torch

from numerics.models import ModelSpec, Positions
from numerics.models.roles import matrices
from numerics.schemes import Scheme, build
from numerics.schemes.tfixup import TFIXUP, TFIXUP_CODE
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, Reading, provides

DEPTH = 6


def drawn_scales(scheme: Scheme, seed: int) -> Mapping[str, float]:
    """Scale by role of one drawn model, with the position scale.

    Examples
    --------
    >>> round(drawn_scales(TFIXUP, 0)["decoder.mlp.w1"], 2)  # (9 · 6)^(-1/4)
    0.37
    """
    spec = ModelSpec(DEPTH, DEPTH, positions=Positions.SINUSOIDAL)
    model = build(scheme, spec, torch.Generator().manual_seed(seed), dtype=torch.float64)
    squares: dict[str, list[float]] = defaultdict(list)
    for matrix in matrices(model):
        unit = 2 / sum(matrix.tensor.shape)
        squares[matrix.role].append(float(matrix.tensor.detach().square().mean()) / unit)
    for name in ("source_embedding", "target_embedding"):
        entries = model.get_parameter(name).detach()
        squares[name] = [float(entries.square().mean()) * spec.d_model]
    scales = {role: (sum(found) / len(found)) ** 0.5 for role, found in squares.items()}
    return scales | {"positions": model.spec.position_scale}


def divergences(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    """Roles whose scales differ by more than a draw's own scatter, with theirs ÷ ours."""
    ratios = {role: theirs[role] / ours[role] for role in ours}
    margin = tolerance("drawn-scale")
    return {role: ratio for role, ratio in ratios.items() if abs(ratio - 1) > margin}


@provides("tfixup.code-init", kind=Kind.MEASUREMENT)
def code_init(context: Context) -> Iterator[Observation]:
    """What the official recipe draws otherwise than the paper."""
    paper = drawn_scales(TFIXUP, context.seed)
    code = drawn_scales(TFIXUP_CODE, context.seed)
    same = divergences(paper, drawn_scales(TFIXUP, context.seed + 1))
    found = divergences(paper, code)
    told = ", ".join(f"{role} × {ratio:.3f}" for role, ratio in sorted(found.items()))
    yield Observation(
        passed=not found,
        summary=f"code ÷ paper at N = {DEPTH}, where they differ: {told}",
        control=Control("another draw of the paper's must not differ", not same),
        value=float(len(found)),
        expected=0.0,
        tolerance=tolerance("drawn-scale"),
    )
    kept = [role for role in paper if role.endswith((".v", "out_proj", "w1", "w2", "embedding"))]
    rest = divergences({r: paper[r] for r in kept}, code)
    others = divergences({r: paper[r] for r in paper if r not in kept}, code)
    yield Observation(
        passed=not rest,
        summary=f"{len(kept)} roles agree: every v, output, MLP matrix and embedding",
        control=Control("q, k and the positions must not agree", len(others) > 0),
        reading=Reading.REPAIRED,
        reading_text="equal for v, output, MLP and embeddings (0.67 rounded); q, k have gain 1/√2, "
        "positions are not scaled",
        value=float(len(rest)),
        expected=0.0,
        tolerance=tolerance("drawn-scale"),
    )


PROVIDERS = (code_init,)
