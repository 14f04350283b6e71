"""Predicts the squared gradient norm of every part of a Transformer, without a fitted number.

The input is a description of the network: widths, scales, depths. ``predict`` is the entry. It
carries second moments of streams forward and those of cotangents backward (``signal_propagation``),
block by block (``residual_block``), through attention, layer norm and the histories of DLCL.
"""

__all__ = [
    "predict",
    "rules",
    "signal_propagation",
    "attention_moments",
    "norm_moments",
    "residual_block",
    "pulled_stack",
    "layer_history",
    "history_cotangents",
    "profiled_shortcuts",
]
