"""Names in the derivations about the rival schemes."""

from collections.abc import Mapping

from theory.arguments.legends.admin import DEPENDENCY

_SHARE = {
    "c": "g = c/l or c/l²: the branch's second moment",
    "g": "second moment of the branch's output at layer l, by Lemma 1 twice over",
    "l": "layer, from 1",
    "N": "number of layers",
}
TABLES: Mapping[str, Mapping[str, str]] = {
    "fixup.scale": {
        "L": "number of residual branches",
        "M": "layers of the decoder",
        "N": "layers of the encoder",
        "a": "norm of a branch's matrices but the last, which is zero",
        "b": "norm of the MLP's first matrix",
        "gain": "sum of the branches' gains, from the stack's description",
        "m": "matrices in a branch",
    },
    "deepnorm.scale": {
        "M": "layers of the decoder",
        "N": "layers of the encoder",
        "alpha_d": "multiplier of the decoder's shortcuts, α_d",
        "alpha_e": "multiplier of the encoder's shortcuts, α_e",
        "free": "number of norms that no condition fixes",
        "v_d": "gain of the decoder's value matrices, β_d",
        "v_e": "gain of the encoder's value matrices, β_e",
        "w_d": "gain of the decoder's output matrices, β_d",
        "w_e": "gain of the encoder's output matrices, β_e",
    },
    "dtfixup.scale": {
        "N": "number of layers",
        "mu": "largest norm of an input, μ",
        "t": "scale of v, w and the relation embeddings",
    },
    "rezero.isometry": {
        "L": "number of residual blocks",
        "alpha": "the trained scalar of a block",
        "f": "slope of a branch along a direction that it keeps",
        "F_11": "entry of a branch's Jacobian",
        "F_12": "entry of a branch's Jacobian",
        "J_11": "entry of the Jacobian of the blocks below",
        "J_21": "entry of the Jacobian of the blocks below",
    },
    "ours.rezero-update": {
        "L": "number of residual blocks",
        "alpha": "the trained scalar of a block",
        "v_e": "norm of the first matrix",
        "w_e": "norm of the second matrix",
        "x": "norm of the input",
    },
    "dsinit.scale": _SHARE,
    "dsinit.code": _SHARE,
    "dlcl.wiring": {
        "N": "number of layers",
        "c": "second moment of each branch's output, the embedded input having 1",
        "g": "what layer l adds to what it reads",
        "k": "layer, from 1",
        "l": "layer, from 1",
        "x": "what layer l reads: the average of all outputs below it",
    },
    "lri.scale": {
        "E(x + G)^2": "second moment of a normalised input plus its MLP",
        "V": "size of the vocabulary",
        "d": "width",
    },
    "adminTorch.omega": DEPENDENCY,
}
