"""The variance of Adam's adaptive step: the statements of RAdam, derived and made exact.

``variance`` has the formulas, ``inverse_chi`` and ``first_order_variance`` their derivations;
``rectification`` has RAdam's rectifier, ``average_length`` its derivation.
"""

__all__ = [
    "variance",
    "average_length",
    "rectification",
    "inverse_chi",
    "gamma_ratio",
    "first_order_variance",
]
