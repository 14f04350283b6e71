"""Names in the derivations about Xiong et al."""

from collections.abc import Mapping

from theory.arguments.legends.tfixup import LAYER_NORM

_LAYERS = {
    "E": "mean of the squared norm over the weights, of what is named",
    "H": "‖h‖²",
    "LN": "output of a layer norm",
    "MLP": "output of the MLP without its shortcut",
    "X": "‖x‖²",
    "d": "width",
    "sigma": "standard deviation of X's coordinates",
    "z + MLP(z)": "a normalised vector plus its MLP",
    "P": "mean of (x_i − x_j)² over pairs",
    "c": "squared norm of the tokens' mean divided by d",
    "l": "number of finished layers",
    "mean of squares − square of mean": "of 1 to 4 numbers, from their definitions",
    "rho": "cosine of two tokens",
    "t": "number of tokens",
    "tau": "slack: c = 1/(1 + τ)",
    "theta": "angle of two tokens",
    "x_1": "stream after one layer",
    "x_2": "stream after two layers",
    "x_l": "stream after l layers",
}
_THEOREM = {
    "B": "bound on ‖g‖/√d, g the gradient of the loss by the normalised output",
    "H": "‖h‖², h the hidden activations of the last MLP",
    "JG": "‖J g‖², J the Jacobian of the last layer norm",
    "L": "number of layers",
    "P": "probability, of the event in the line's words",
    "Var": "variance of ‖x‖² over the last MLP's noise, integrated",
    "d": "width",
    "dW2_squared": "‖∂(g·LN(x + W h))/∂W‖², differentiated entry by entry",
    "delta": "probability that the norm exceeds (1 + ε) times its mean",
    "epsilon": "relative excess of the norm over its mean",
    "lambda": "parameter of the exponential moment",
    "mean_of_squares": "E‖x − x̄‖², integrated",
    "min": "least value over λ",
    "power": "power of L in an expression",
    "u": "threshold on one coordinate",
}
TABLES: Mapping[str, Mapping[str, str]] = {
    "xiong.lemma1": _LAYERS,
    "xiong.lemma2-post": _LAYERS,
    "xiong.lemma2-pre": _LAYERS,
    "xiong.lemma3": LAYER_NORM,
    "xiong.thm1-post": _THEOREM,
    "xiong.thm1-pre": _THEOREM,
    "xiong.decay": {
        "E": "mean of the squared gradient over the weights, behind what is named",
        "G": "squared norm of the gradient g that arrives",
        "K": "number of layers below the output",
        "after": "the quantity named, behind that many layers, or its value one layer on",
        "c": "how alike tokens are: ‖mean token‖² over the mean of ‖token‖²",
        "d": "width",
        "g + MLP'g": "a gradient plus what the MLP's Jacobian adds to it",
        "g + attention'g": "gradients plus what the averaging adds to them",
        "gamma": "how alike the tokens' gradients are, in the sense of c",
        "kept": "share of an isotropic gradient that layer norm's projector keeps, by its trace",
        "rate": "change of the squared gradient in the middle layer of a deep stack",
        "rho": "cosine of two tokens",
        "t": "number of tokens",
        "theta": "angle of two tokens",
    },
}
