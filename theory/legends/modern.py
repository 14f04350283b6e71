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
TABLES: Mapping[str, Mapping[str, str]] = {
    "modern.gpt2-stream": _STREAM,
    "modern.gpt2-update": _STREAM,
    "ours.adam-shares": EXPONENTS | {"free": "number of exponents that the equations leave open"},
    "ours.adam-shares-more": EXPONENTS,
}
