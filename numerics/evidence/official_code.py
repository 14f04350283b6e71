"""The official code against the paper: every role's drawn scale, and whether it meets the GOAL.

For each role the root mean square of the drawn entries is divided by that of Xavier at gain 1, or
by d^(-1/2) for the embeddings. The paper prescribes one value of this scale, and the code draws
another.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl
import torch

from numerics.evidence import depth
from numerics.evidence.depth import fits_of, range_of, scope_of
from numerics.evidence.recorded_sweep import recorded_or_fresh
from numerics.models import ModelSpec, Positions
from numerics.models.roles import matrices
from numerics.schemes import Scheme, build
from numerics.schemes.tfixup import TFIXUP, TFIXUP_CODE
from numerics.statistics.exponents import fitted
from numerics.statistics.row_exponents import row_exponent
from numerics.statistics.tolerances import tolerance
from numerics.sweeps.grid import SweepConfig, SweepSettings
from numerics.sweeps.run import run_sweep
from theory.claims import Context, Control, Kind, Observation, Reading, provides

DEPTH = 6
RECORD = "positions"
"""Folder of the recorded sweep below the results."""
SHORT = SweepConfig(("tfixup-code", "tfixup"), ("sgd",), (6, 12, 25, 50), 8)
"""What is measured where nothing is recorded."""
REPEATED = replace(depth.REPEATED, schemes=("tfixup-code",))
"""Tasks of the record that are measured again before it is believed."""
DEEP = 12
"""Below it tokens and branches, whose share of x falls with N, still bend the law of the limit."""
_HALF_QKV = 2**-0.5
"""fairseq draws q, k and v of one width as a block: Xavier at gain 1/√2."""
OFFICIAL: Mapping[str, float] = {
    "encoder.attention.q": _HALF_QKV,
    "encoder.attention.k": _HALF_QKV,
    "encoder.attention.v": _HALF_QKV * 2**0.5 * 0.67 * DEPTH ** (-1 / 4),
    "encoder.attention.out_proj": 0.67 * DEPTH ** (-1 / 4),
    "encoder.mlp.w1": 0.67 * DEPTH ** (-1 / 4),
    "encoder.mlp.w2": 0.67 * DEPTH ** (-1 / 4),
    "decoder.self_attention.q": _HALF_QKV,
    "decoder.self_attention.k": _HALF_QKV,
    "decoder.self_attention.v": _HALF_QKV * 2**0.5 * (9 * DEPTH) ** (-1 / 4),
    "decoder.self_attention.out_proj": (9 * DEPTH) ** (-1 / 4),
    "decoder.cross_attention.q": _HALF_QKV,
    "decoder.cross_attention.k": _HALF_QKV,
    "decoder.cross_attention.v": _HALF_QKV * 2**0.5 * (9 * DEPTH) ** (-1 / 4),
    "decoder.cross_attention.out_proj": (9 * DEPTH) ** (-1 / 4),
    "decoder.mlp.w1": (9 * DEPTH) ** (-1 / 4),
    "decoder.mlp.w2": (9 * DEPTH) ** (-1 / 4),
    "source_embedding": (9 * DEPTH) ** (-1 / 4),
    "target_embedding": (9 * DEPTH) ** (-1 / 4),
    "positions": 1.0,
}
"""The official code's factors on Xavier's scale (embeddings: on d^(-1/2)) at N_e = N_d = 6."""


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


def divergences(drawn: Mapping[str, float], written: Mapping[str, float]) -> dict[str, float]:
    """Roles whose drawn scale differs from the written one by more than a draw's own scatter.

    Their values are written ÷ drawn.

    Raises
    ------
    KeyError
        If a role is not written down.
    """
    ratios = {role: written[role] / scale for role, scale in drawn.items()}
    margin = tolerance("drawn-scale")
    return {role: ratio for role, ratio in ratios.items() if abs(ratio - 1) > margin}


@provides("tfixup.code-init", kind=Kind.MEASUREMENT)
def code_init(context: Context) -> Iterator[Observation]:
    """Compare what the paper's prescription draws with the official code's factors."""
    paper = drawn_scales(TFIXUP, context.seed)
    code = drawn_scales(TFIXUP_CODE, context.seed)
    found = divergences(paper, OFFICIAL)
    told = ", ".join(f"{role} × {ratio:.3f}" for role, ratio in sorted(found.items()))
    scope = f"N = {DEPTH}, width 64, one draw"
    yield Observation(
        passed=not found,
        summary=f"code ÷ paper at N = {DEPTH}, where they differ: {told}",
        control=Control(
            "the scheme of the official code must agree with its factors",
            not divergences(code, OFFICIAL),
        ),
        value=float(len(found)),
        expected=0.0,
        tolerance=tolerance("drawn-scale"),
        scope=scope,
    )
    kept = [role for role in paper if role.endswith((".v", "out_proj", "w1", "w2", "embedding"))]
    rest = divergences({r: paper[r] for r in kept}, OFFICIAL)
    others = divergences({r: paper[r] for r in paper if r not in kept}, OFFICIAL)
    yield Observation(
        passed=not rest,
        summary=f"{len(kept)} roles agree: every v, output, MLP matrix and embedding",
        control=Control(
            "no q, no k and no position may agree", len(others) == len(paper) - len(kept)
        ),
        reading=Reading.REPAIRED,
        reading_text="equal for v, output, MLP and embeddings (0.67 rounded); q, k have gain 1/√2, "
        "positions are not scaled",
        value=float(len(rest)),
        expected=0.0,
        tolerance=tolerance("drawn-scale"),
        scope=scope,
    )


def _fresh_rows(context: Context) -> pl.DataFrame:
    """A sweep with unscaled sinusoids made now."""
    settings = replace(
        SweepSettings(root_seed=context.seed),
        positions=str(Positions.SINUSOIDAL),
        device=context.device,
    )
    return run_sweep(replace(SHORT, settings=settings))


@provides("tfixup.code-goal", kind=Kind.MEASUREMENT)
def code_goal(context: Context) -> Iterator[Observation]:
    """‖Δf‖/η with the code's unscaled sinusoids grows with depth; with scaled ones it does not."""
    found = recorded_or_fresh(context, RECORD, REPEATED, lambda: _fresh_rows(context))
    rows = found.rows
    fits, margin = fits_of(rows, "sgd", SHORT.schemes), tolerance("flat-exponent")
    points_of = {
        scheme: rows.filter(
            (pl.col("scheme") == scheme)
            & (pl.col("part") == "total")
            & (pl.col("quantity") == "update")
        )
        for scheme in SHORT.schemes
    }
    totals = {scheme: fitted(row_exponent(points)) for scheme, points in points_of.items()}
    unscaled, scaled = (totals[scheme] for scheme in SHORT.schemes)
    deep = {
        scheme: fitted(row_exponent(points.filter(pl.col("n_encoder") >= DEEP)))
        for scheme, points in points_of.items()
    }
    flat = {name: fit.equivalent(0.0, margin) for name, fit in totals.items()}
    for name, reading, text, control in (
        (
            "tfixup-code",
            Reading.PRINTED,
            "",
            Control(
                f"sinusoids scaled by (9N)^(-1/4) must be accepted: N^{scaled.value:+.3f}",
                flat["tfixup"] is True,
            ),
        ),
        (
            "tfixup",
            Reading.REPAIRED,
            "the GOAL's total, with the sinusoids scaled as the tokens are, by (9N)^(-1/4)",
            Control(f"unscaled: N^{unscaled.value:+.3f}", flat["tfixup-code"] is False),
        ),
    ):
        fit = totals[name]
        low, high = fit.interval
        yield Observation(
            passed=flat[name] if found.believed else None,
            summary=f"{name}: ‖Δf‖/η ~ N^{fit.value:+.3f} [{low:+.3f}, {high:+.3f}], from "
            f"N = {DEEP} on N^{deep[name].value:+.3f}; " + range_of(fits[name]) + found.told,
            control=control,
            reading=reading,
            reading_text=text,
            value=fit.value,
            expected=0.0,
            tolerance=margin,
            interval=fit.interval,
            scope=scope_of(rows),
            source=found.source,
        )


PROVIDERS = (code_init, code_goal)
