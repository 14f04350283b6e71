"""How a change of one block travels through the residual stream.

The modules derive Eqs. 3 and 4 of T-Fixup, the growth of the shortcut path, coherence between
blocks, and the size of the encoder's output as the decoder reads it.
"""

__all__ = [
    "first_order_change",
    "decoder_gradient",
    "skip_path",
    "coherence",
    "memory_norm",
]
