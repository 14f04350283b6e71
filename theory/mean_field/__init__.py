"""The gradient's energy by part, predicted from widths, scales and depths without a fitted number.

``predict`` is the entry. It follows second moments forward (``signal_propagation``) and cotangents
back, block by block (``residual_block``), through attention, layer norm and the histories of DLCL.
"""

__all__ = [
    "predict",
    "rules",
    "signal_propagation",
    "attention_moments",
    "norm_moments",
    "residual_block",
    "layer_history",
    "history_cotangents",
    "profiled_shortcuts",
]
