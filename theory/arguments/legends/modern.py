"""Names in the derivations about modern scalings, and about exponents of roles."""

from collections.abc import Mapping

_ROLES = {
    "source": "the source embeddings",
    "target": "the target embeddings",
    **{
        f"{stack}.{part}": f"the {stack}'s {words}"
        for stack in ("encoder", "decoder")
        for part, words in (
            ("score", "query and key matrices"),
            ("in", "matrices that read the stream"),
            ("out", "matrices that write to the stream"),
            ("branch", "residual branches"),
        )
    },
}
EXPONENTS = {
    f"{kind}[{role}]": f"power of N in the {words} of {what}"
    for kind, words in (
        ("multiplier", "multiplier"),
        ("std", "standard deviation"),
        ("rate", "learning rate"),
    )
    for role, what in _ROLES.items()
}
_STREAM = {
    "N": "number of residual blocks",
    "S": "mean of the sum's terms over the blocks",
    "b": "norm of what a block adds to the stream",
    "c": "variance that all blocks together add",
    "e": "norm of the embedding",
    "exponent": "slope of log ‖Δf‖/η between the two depths",
    "l": "number of a block",
    "y": "norm of the stream before the block",
}
_BLOCKS = {
    "N": "number of residual blocks",
    "a": "slope of the tanh at 0",
    "b": "norm of what a block adds to the stream",
    "beta": "multiplier of the branch",
    "c": "variance of one branch, or of all together where N divides it",
    "d": "width of the stream, or of a head where norms make it √d",
    "e": "root mean square of the embedding",
    "f": "factor on the logits",
    "g": "the gate's root mean square, or the factor of a norm",
    "h": "root mean square of what a branch reads",
    "j_g": "the product's slope in the gate",
    "j_u": "the product's slope in the up-projection",
    "k": "width of a head",
    "kappa": "mean square of a branch's Jacobian over that of its output",
    "u": "the up-projection's root mean square",
    "l": "number of a block",
    "lamda": "multiplier of the shortcut, or LayerScale's λ",
    "s": "size of a branch before its norm",
    "s_k": "standard deviation of the key matrix, or a key's norm",
    "s_q": "standard deviation of the query matrix, or a query's norm",
    "t": "argument of the tanh",
    "tau": "u-μP's weight of a branch against its shortcut",
    "x": "root mean square of what attention reads, or a standard Gaussian",
    "y": "root mean square of the stream",
    **{
        f"{name}_{i}": f"entry of a {what}"
        for i in range(1, 4)
        for name, what in (("q", "query"), ("k", "key"))
    },
}
_OF_BLOCKS = (
    *("depth-mup-update", "depth-mup-sgd", "completep-update", "u-mup-update", "sub-ln-update"),
    *("pre-ln-stream", "peri-ln-stream", "olmo2-growth", "lns-stream", "lns-gradient"),
    *("lns-identity", "u-mup-stream", "deepscalelm-stream", "deepscalelm-gradient"),
    *("spike-gradient", "dyt-jacobian", "t5-logits", "qk-norm-logits"),
)
_OURS = (
    *("completep-sgd", "peri-ln-exponent", "olmo2-exponent", "wang-update", "mitchell-update"),
    *("layerscale-update", "zero-out-update", "w3-shares", "cloned-stream"),
)
TABLES: Mapping[str, Mapping[str, str]] = {
    "modern.gpt2-stream": _STREAM,
    "modern.gpt2-update": _STREAM,
    **{f"modern.{row}": _BLOCKS for row in _OF_BLOCKS},
    **{f"ours.{row}": _BLOCKS for row in _OURS},
    "ours.adam-shares": EXPONENTS | {"free": "number of exponents that the equations leave open"},
    "ours.adam-shares-more": EXPONENTS,
}
