"""How a change of one block travels through the residual stream.

The modules derive Eqs. 3 and 4 of T-Fixup, the growth of the shortcut path, coherence between
blocks, the size of the encoder's output as the decoder reads it, and what an average over layers
keeps of the first ones.
"""

__all__ = [
    "first_order_change",
    "decoder_gradient",
    "skip_path",
    "coherence",
    "memory_norm",
    "layer_averages",
]
