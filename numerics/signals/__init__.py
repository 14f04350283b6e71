"""What is read inside a network while it runs: streams, branches, gradients, coherence."""

__all__ = [
    "residual_stream",
    "branches",
    "gradients",
    "coherence",
    "condition_norms",
    "layer_dependency",
    "output_change",
    "histograms",
]
