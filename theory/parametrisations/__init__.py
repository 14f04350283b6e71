"""Powers of the depth and the width in multipliers, standard deviations and learning rates.

``theory.scales`` finds the constants of one scale for all matrices of a stack; here every role has
a multiplier, a standard deviation and a learning rate of its own, and only their powers of N or n
are asked for. Depth-μP, CompleteP, T-Fixup and μP are solutions of one linear system, and any
recipe can be held against it.
"""

__all__ = [
    "structures",
    "step_laws",
    "powers",
    "sizes",
    "conditions",
    "recipes",
    "judgement",
    "linear_programs",
    "certificates",
    "families",
    "prescriptions",
    "gpt2_update",
    "encoder_decoder_shares",
]
