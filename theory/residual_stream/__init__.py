"""How a change of one block travels through the residual stream.

T-Fixup's Eqs. 3 and 4, the growth of the shortcut path, coherence between blocks, and the size of
the encoder's output as the decoder reads it.
"""

__all__ = [
    "first_order_change",
    "decoder_gradient",
    "skip_path",
    "coherence",
    "memory_norm",
]
