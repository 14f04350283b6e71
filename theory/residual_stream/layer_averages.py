"""What DLCL's averages keep of the first layers, which a residual connection forgets.

A reader averages all outputs below it, x_{l+1} = Σ_{k≤l} y_k/(l+1), where y_k = x_k + g_k is what
layer k makes of what it reads. An average over one output more moves by a share of the newest,

    x_{l+1} = (l x_l + y_l)/(l+1) = x_l + g_l/(l+1),

so that at first DLCL is a residual stack whose branch l has the weight 1/(l+1). With independent
branches of second moment c on an input of second moment 1, the input's share of the mean square is
1/(1 + c Σ_{k≤N} 1/(k+1)²), which stays above 1/(1 + c(π²/6 − 1)). A residual connection, whose
branches all have the weight 1, leaves 1/(1 + cN). The layer norms on y_k are left out here; the
measurement has them.
"""

import sympy as sp

from theory.derivations.derivation import Derivation, Step, equation, identity
from theory.derivations.orders import order_step

_l, _k, N = sp.symbols("l k N", integer=True, positive=True)
_x, _g = sp.symbols("x g", real=True)
c = sp.Symbol("c", positive=True)


def averages() -> Derivation:
    """Derive that the input's share has a positive limit."""
    newest = (_l * _x + (_x + _g)) / (_l + 1)
    weights = sp.Sum(1 / (_k + 1) ** 2, (_k, 1, sp.oo))
    limit = sp.pi**2 / 6 - 1
    return Derivation(
        "dlcl.wiring",
        "DLCL's first averages",
        (
            Step(
                "an average over l + 1 outputs, the newest x + g: a residual step of weight "
                "1/(l + 1)",
                equation(newest, _x + _g / (_l + 1)),
                identity,
                equation(newest, _x + _g / _l),
            ),
            Step(
                "the squared weights of all branches have a finite sum",
                equation(weights, limit),
                identity,
                equation(weights, limit + 1),
            ),
            order_step(
                "a residual connection, all of whose branches have the weight 1, leaves the input "
                "a share of the mean square that falls",
                1 / (1 + c * N),
                -1,
                N,
            ),
            order_step(
                "these averages leave it at least this share at any depth",
                1 / (1 + c * limit),
                0,
                N,
            ),
        ),
    )
