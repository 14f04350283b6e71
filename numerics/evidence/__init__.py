"""Measurement and training evidence, attached to claims by id."""

from numerics.evidence import (
    admin,
    baselines,
    biases,
    blocks,
    coherence,
    conditions,
    depth,
    expansion,
    experiment_rows,
    layer_norm,
    matrix,
    official_code,
    optimizers,
    prediction,
    radam,
    skip_path,
    spectrum,
    theorem31,
    training,
    xiong,
)
from theory.claims import Provider

PROVIDERS: tuple[Provider, ...] = (
    *depth.PROVIDERS,
    *conditions.PROVIDERS,
    *blocks.PROVIDERS,
    *spectrum.PROVIDERS,
    *optimizers.PROVIDERS,
    *radam.PROVIDERS,
    *xiong.PROVIDERS,
    *coherence.PROVIDERS,
    *biases.PROVIDERS,
    *matrix.PROVIDERS,
    *admin.PROVIDERS,
    *baselines.PROVIDERS,
    *layer_norm.PROVIDERS,
    *theorem31.PROVIDERS,
    *expansion.PROVIDERS,
    *skip_path.PROVIDERS,
    *official_code.PROVIDERS,
    *prediction.PROVIDERS,
    *training.PROVIDERS,
    *experiment_rows.PROVIDERS,
)
"""Every provider of measurements and training runs, the slowest first."""
