"""From a stack of residual blocks and an update rule to the scales of its weights.

``stacks`` describes a stack as data, ``update_rules`` say how far one step moves a branch,
``conditions`` are the equations that follow (Eqs. 6 to 8 of T-Fixup are one case), and ``solver``
solves them in the depth (0.6696 N^(-1/4) is one case).
"""

__all__ = [
    "stacks",
    "depth_names",
    "architecture",
    "architectures",
    "update_rules",
    "muon_scalings",
    "conditions",
    "solver",
    "shares",
    "leading_laws",
    "tfixup_constants",
    "presets",
    "published_scales",
    "official_code",
    "biases",
    "depth_powers",
    "learning_rates",
]
