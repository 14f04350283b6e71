"""Names in the derivations about T-Fixup."""

from collections.abc import Mapping

DEPTHS = {
    "N": "layers of the encoder, and of the decoder",
    "N_e": "layers of the encoder",
    "N_d": "layers of the decoder",
    "L": "number of residual blocks",
}
NORMS = {
    "v_e": "norm of the encoder's value matrices and first MLP matrices",
    "w_e": "norm of the encoder's output matrices and second MLP matrices",
    "v_d": "norm of the decoder's value matrices and first MLP matrices",
    "w_d": "norm of the decoder's output matrices and second MLP matrices",
    "x": "norm of the encoder's input",
    "y": "norm of the decoder's input",
    "m": "norm of the memory, the encoder's output",
    "u": "common value of v_d, w_d, y and m",
}
ATTENTION = {
    "v": "value projection, a scalar at d = d' = 1",
    "w": "output projection",
    "q": "query projection",
    "k": "key projection",
    "y": "query input",
    "m": "memory, an array m_j of n tokens",
    "n": "number of tokens of the memory",
    "i": "index of a token",
    "s": "attention weights, an array s_j with sum 1",
    "mbar": "m̄ = Σ s_j m_j, the attended mean",
    "V": "Σ s_j (m_j − m̄)², the attended variance",
    "z": "an array z_j with sum 1, above all z_j = s_j (1 + q k y (m_j − m̄))",
    "S": "Σ (z_j − 1/n)²",
    "B": "bound on |q|, |k|, |y| and |m_j|",
    "G": "output of the attention block, and as a function its dependence on the parameters",
    "K": "update gain: the squared norm of G's gradient by m, k, q, v, w",
    "Qbar": "Q̄ = v²w² + (v² + w²) m̄²",
    "L": DEPTHS["L"],
    "g": "∂L/∂G",
    "ΔG": "change of G in one SGD step",
    "eta": "learning rate",
}
LAYER_NORM = {
    "J": "Jacobian of layer norm, by differentiation",
    "U": "11ᵀ/d, the projector on constant vectors",
    "Y": "yyᵀ/r² with y = x − x̄, the projector on the centred input",
    "X": "‖x‖, norm of the input",
    "c": "size of the input's constant part: x = c 1 + δ",
    "d": "width",
    "delta": "‖δ‖, norm of the input's part that is not constant",
    "kappa": "least share of ‖x‖ that ‖x − x̄‖ has",
    "r": "‖x − x̄‖",
    "rank P": "rank of P = 1 − U − Y, at an integer y of mean 0",
    "ratio": "‖J‖ divided by √d/‖x‖",
    "t": "slack, so that ‖x − x̄‖ = (1 + t) κ ‖x‖",
}
_MEMORY = {
    "E": "mean over independent weights of ‖output‖²/‖input‖² of the block named",
    "MLP": "an MLP block with its shortcut",
    "attention": "a self-attention block with its shortcut",
    "N": DEPTHS["N"],
    "S": "mean of ‖y_j‖² over tokens",
    "ybar": "norm of the tokens' mean",
    "deviation": "mean of ‖y_j − mean‖² over tokens, from its definition",
    "c": "a positive number that does not depend on N",
    "d": "width",
    "d_ff": "width of the MLP",
    "s": "the encoder's scale, v_e = w_e = s",
    "sigma_1": "standard deviation of the first MLP matrix's entries",
    "sigma_2": "standard deviation of the second MLP matrix's entries",
    "t": "number of tokens",
}
_BIASES = {
    "N": DEPTHS["N"],
    "beta": "mean square of the value bias b",
    "gain": "squared norm of the gradient of G by v, w, x, b, o, averaged over b's sign",
    "v": "value matrix, a scalar",
    "w": "output matrix, a scalar",
    "x": "input, a scalar",
}
TABLES: Mapping[str, Mapping[str, str]] = {
    "tfixup.eq1": LAYER_NORM,
    "tfixup.eq3": {
        "Δf": "change of f in one SGD step",
        "F": "∂f_d/∂f_e",
        "J_D": "∂f_d/∂θ_D",
        "J_E": "∂f_e/∂θ_E",
        "g": "∂L/∂fᵀ",
    },
    "tfixup.eq4": {
        **{f"F{n}": f"∂f/∂y_{n + 1}, what follows block {n}" for n in range(4)},
        **{f"g{n}": f"∂G_{n}/∂θ_{n}, the gradient of block {n}" for n in range(1, 4)},
        "L": DEPTHS["L"],
        "S": "squared gradient of three composed blocks, by differentiation",
        "share": "remainder divided by the sum, equal terms: (1/L) Σ_l (E F_l² − 1)",
        "share_y": "the same with terms ∝ y_l²: Σ_l E y_l² (E F_l² − 1) ÷ Σ_l E y_l²",
        "x": "E(∂G/∂y)² of one block",
    },
    "tfixup.skip": {
        "E": "mean over the sign ε = ±1",
        "L": DEPTHS["L"],
        "a": "|v w| of one block",
        "epsilon": "sign of v w",
    },
    "tfixup.thm31-upper": ATTENTION
    | {"m_max": "max |m_i|", "points": "number of counterexamples found"},
    "tfixup.thm31-lower": ATTENTION | {"points": "number of counterexamples found"},
    "tfixup.thm31-sufficient": ATTENTION | {"m_min": "min |m_i|"},
    "tfixup.thm31-repaired": ATTENTION | {"c": "a constant: Q̄ ≥ c/L"},
    "tfixup.eq6": DEPTHS | NORMS,
    "tfixup.eq7": DEPTHS | NORMS,
    "tfixup.eq8": DEPTHS | NORMS,
    "tfixup.decoder-scale": DEPTHS | NORMS,
    "tfixup.encoder-scale": DEPTHS
    | NORMS
    | ATTENTION
    | {
        "m": "the memory: up to Theorem 3.1 an array m_j of n tokens, from Eq. 7 on its norm",
        "s": "up to Theorem 3.1 the attention weights s_j; from the encoder's scale on v_e = w_e",
        "t": "s² √N",
        "y": "query input up to Theorem 3.1; from Eq. 7 on the norm of the decoder's input",
    },
    "tfixup.memory": _MEMORY,
    "tfixup.code-init": DEPTHS
    | NORMS
    | _BIASES
    | {
        "E_logit": "mean square of a logit divided by ‖y‖²‖m‖², over all signs of q and k",
        "H": "number of heads",
        "V": "size of the vocabulary",
        "c2": "squared factor on the logits",
        "d": "width",
        "d'": "width of a head",
        "sigma_k": "standard deviation of k's entries",
        "sigma_q": "standard deviation of q's entries",
    },
    "tfixup.biases": _BIASES,
    "tfixup.positions": DEPTHS,
    "tfixup.adam": DEPTHS | NORMS,
}
