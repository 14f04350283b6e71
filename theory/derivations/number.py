"""What a formula takes and gives: numbers where a value is wanted, expressions where a formula is.

The same function then serves the prediction at one depth and the derivation for all depths.
"""

import sympy as sp

Number = float | sp.Expr
"""A float, an exact number or a symbolic expression."""
