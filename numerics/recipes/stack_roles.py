"""The role that the exponent solver gives a tensor of a traced model, by where it stands.

A role is a set of weights that one standard deviation and one rate serve: ``attention.out`` of all
layers, ``decoder.cross.score`` of queries and keys of all encoder-attentions. Names are stream (of
two), kind of branch, and what the tensor is.
"""

from numerics.structure.types import Branch, TensorView

INPUTS = ("embedding", "positions")
"""Roles of tables that are added up to what enters a stream."""
KINDS = {
    "self-attention": "attention",
    "attention": "attention",
    "cross-attention": "cross",
    "mlp": "mlp",
    "gated-mlp": "mlp",
}
"""Names of the kinds of branch that are understood."""
_SCORES = ("q", "k")


def role_of(view: TensorView, branch: Branch | None) -> str:
    """The solver's role of a tensor; empty where it has none.

    Examples
    --------
    >>> branch = Branch(0, "stream", 1, "mlp", True, False, False, True)
    >>> role_of(TensorView("up.bias", "bias", branch=0, part="w_in"), branch)
    'mlp.w_in.bias'
    >>> role_of(TensorView("q.weight", "q"), Branch(0, "decoder", 1, "cross-attention",
    ...     True, False, False, True))
    'decoder.cross.score'
    >>> role_of(TensorView("norm.weight", "norm_gain"), None)
    'end.gain'
    """
    if branch is None:
        return _outside(view)
    kind = KINDS.get(branch.kind)
    own = None if kind is None else _within(view, branch)
    return "" if own is None else f"{prefix(branch.stream)}{kind}.{own}"


def prefix(stream: str) -> str:
    """What the names of a stream's roles begin with: nothing for the only stream."""
    return "" if stream == "stream" else f"{stream}."


def _outside(view: TensorView) -> str:
    if view.role in INPUTS:
        return "embedding"
    names = {"norm_gain": "end.gain", "norm_bias": "end.bias", "head": "head", "bias": "end.bias"}
    return names.get(view.role, "")


def _within(view: TensorView, branch: Branch) -> str | None:
    part = "score" if view.part in _SCORES else view.part
    match view.role:
        case "q" | "k":
            return "score"
        case "v" | "out" | "w_in" | "gate" | "w_out":
            return view.role
        case "bias":
            return f"{part}.bias" if part else None
        case "norm_gain" | "norm_bias":
            own = view.role.replace("_", ".")
            if part:
                return f"{part}.{own}"
            return f"stream.{own}" if branch.norm_on_stream else own
        case "scalar":
            return "scale" if branch.branch_multiplier is None else None
    return None
