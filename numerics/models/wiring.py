"""How a residual block joins its branch to its skip path, as independent choices.

With y a block's input and G its branch, a block is

    norm? ( shortcut · y + factor · norm? G(norm? y) ),

each norm there or not, and a fourth one inside G before its last matrix; the shortcut's and the
branch's factor are 1, fixed or trained. Behind a block a gate may damp the stream. What a layer
reads is the output of the layer below, or a weighted sum of all layers below. Code asks for the
choice that it needs, never for a wiring's name: `WIRINGS` names those that papers use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from theory.errors import InputError, nearest


class Shortcut(StrEnum):
    """What multiplies the skip path."""

    ONE = "one"
    """Nothing: y."""
    FIXED = "fixed"
    """α y, a number that is not trained: DeepNorm's."""
    VECTOR = "vector"
    """ω∘y, a trainable vector per block: Admin's."""


class BranchFactor(StrEnum):
    """What multiplies the branch."""

    ONE = "one"
    """Nothing: G(y)."""
    FIXED = "fixed"
    """γ G(y), a number that is not trained: depth-μP's, CompleteP's, Granite's."""
    SCALAR = "scalar"
    """γ G(y), a trainable scalar per block: SkipInit's."""
    VECTOR = "vector"
    """λ∘G(y), a trainable vector per block: LayerScale's."""
    LAYER_GATE = "layer-gate"
    """α G(y), one trainable scalar per layer, from 0: ReZero's."""
    SCALARS = "scalars"
    """s G(y + b), trainable scalars per block, and two more shifts inside an MLP: R-Fixup's."""


class Parallel(StrEnum):
    """Whether the blocks of a layer read the same stream."""

    NO = "no"
    """In sequence: each block reads what the one before it has left."""
    ONE_NORM = "one-norm"
    """x + A(norm x) + M(norm x), one norm for all branches (GPT-J, Falcon 7B, Cohere)."""
    OWN_NORMS = "own-norms"
    """x + A(norm x) + M(norm' x) (GPT-NeoX, Falcon 40B)."""


@dataclass(frozen=True)
class Wiring:
    """One choice for each part of a residual block; the default is y + G(y).

    Examples
    --------
    >>> WIRINGS["admin"].norm_after, WIRINGS["admin"].shortcut.value
    (True, 'vector')
    >>> WIRINGS["dlcl-pre"].final_norm
    True
    """

    norm_before: bool = False
    """Whether the branch begins with a layer norm; the stack then ends in one."""
    norm_after: bool = False
    """Whether the block ends in a layer norm of the sum."""
    norm_on_branch: bool = False
    """Whether the branch's output is normalised before it is added; the stack then ends in one."""
    norm_inside: bool = False
    """Whether there is a norm before the branch's last matrix (Sub-LN)."""
    after_share: float = 0.0
    """Share of the lowest layers, rounded down, with the norm after instead of before (Mix-LN)."""
    shortcut: Shortcut = Shortcut.ONE
    """What multiplies the skip path."""
    branch: BranchFactor = BranchFactor.ONE
    """What multiplies the branch."""
    history: bool = False
    """Whether a layer reads a trained sum of all layers below (DLCL)."""
    parallel: Parallel = Parallel.NO
    """Whether the blocks of a layer read the same stream."""
    damped: bool = False
    """Whether a gate g of each layer, trained from 0, damps the stream behind its blocks (GPAS)."""

    def __post_init__(self) -> None:
        if not 0 <= self.after_share <= 1:
            raise InputError(f"after_share must lie in [0, 1], got {self.after_share}")
        if self.after_share and (self.norm_after or not self.norm_before):
            raise InputError("after_share needs norm_before and no norm_after")
        if self.damped and (self.norm_after or self.parallel is not Parallel.NO):
            raise InputError("a damped stream needs blocks in sequence and no norm of the sum")
        if self.parallel is not Parallel.NO:
            if self.norm_after or self.after_share or self.shortcut is not Shortcut.ONE:
                raise InputError("parallel blocks need a plain shortcut and no norm of the sum")
            if self.parallel is Parallel.ONE_NORM and not self.norm_before:
                raise InputError("parallel blocks with one norm need norm_before")

    @property
    def final_norm(self) -> bool:
        """Whether a stack ends in a norm of its own, since its last sum has none."""
        return self.norm_before or (self.norm_on_branch and not self.norm_after)

    @property
    def norms_per_block(self) -> int:
        """How many norms of the width of the stream one block computes."""
        return self.norm_before + self.norm_after + self.norm_on_branch + self.norm_inside

    def at(self, layer: int, layers: int) -> "Wiring":
        """The wiring of one layer, from 0, of a stack of several.

        Examples
        --------
        >>> mixed = Wiring(norm_before=True, after_share=0.25)
        >>> [mixed.at(layer, 8).norm_after for layer in range(4)]
        [True, True, False, False]
        """
        if not self.after_share:
            return self
        below = layer < int(self.after_share * layers)
        return replace(self, norm_before=not below, norm_after=below, after_share=0.0)

    @property
    def name(self) -> str:
        """The name in `WIRINGS`, or the choices that differ from y + G(y)."""
        for name, wiring in WIRINGS.items():
            if wiring == self:
                return name
        default = Wiring()
        own = {key: value for key, value in vars(self).items() if value != vars(default)[key]}
        return ", ".join(f"{key}={value}" for key, value in own.items())


WIRINGS: Mapping[str, Wiring] = {
    "none": Wiring(),
    "post-ln": Wiring(norm_after=True),
    "pre-ln": Wiring(norm_before=True),
    "admin": Wiring(norm_after=True, shortcut=Shortcut.VECTOR),
    "deepnorm": Wiring(norm_after=True, shortcut=Shortcut.FIXED),
    "rezero": Wiring(branch=BranchFactor.LAYER_GATE),
    "r-fixup": Wiring(branch=BranchFactor.SCALARS),
    "dlcl-pre": Wiring(norm_before=True, history=True),
    "dlcl-post": Wiring(norm_after=True, history=True),
    "branch-norm": Wiring(norm_on_branch=True),
    "peri-ln": Wiring(norm_before=True, norm_on_branch=True),
    "sub-ln": Wiring(norm_before=True, norm_inside=True),
    "mix-ln": Wiring(norm_before=True, after_share=0.25),
    "scaled-pre-ln": Wiring(norm_before=True, branch=BranchFactor.FIXED),
    "weighted-pre-ln": Wiring(norm_before=True, shortcut=Shortcut.FIXED, branch=BranchFactor.FIXED),
    "layerscale": Wiring(norm_before=True, branch=BranchFactor.VECTOR),
    "skip-init": Wiring(branch=BranchFactor.SCALAR),
    "gpas": Wiring(norm_before=True, damped=True),
    "parallel": Wiring(norm_before=True, parallel=Parallel.ONE_NORM),
    "parallel-two-norms": Wiring(norm_before=True, parallel=Parallel.OWN_NORMS),
}
"""Wirings by name:

    none       y + G(y)
    post-ln    LN(y + G(y))
    pre-ln     y + G(LN(y)), and a final layer norm per stack
    admin      LN(ω∘y + G(y)), ω a trainable vector per block
    deepnorm   LN(α y + G(y)), α a number per stack
    rezero     y + α G(y), α a trainable scalar per layer
    r-fixup    y + s G(y + b), s and b trainable scalars per block; two more shifts inside an MLP
    dlcl-pre   Pre-LN; each layer reads Σ_k W_k LN(y_k) over all layers below
    dlcl-post  Post-LN; each layer reads LN(Σ_k W_k y_k) over all layers below

    branch-norm         y + LN(G(y)), and a final norm per stack (OLMo 2)
    peri-ln             y + LN(G(LN(y))), likewise (Gemma 2)
    sub-ln              Pre-LN with another norm before the branch's last matrix (Magneto)
    mix-ln              Post-LN in the lowest quarter of the layers, Pre-LN above
    scaled-pre-ln       y + γ G(LN(y)), γ a number (depth-μP, CompleteP)
    weighted-pre-ln     λ y + γ G(LN(y)), λ and γ numbers (DeepScaleLM, u-μP)
    layerscale          y + λ∘G(LN(y)), λ a trainable vector per block
    skip-init           y + γ G(y), γ a trainable scalar per block
    gpas                z − silu(g) [z], z = y + G(LN(y)), g a trainable scalar per layer from 0,
                        [z] without a gradient of its own
    parallel            y + A(LN y) + M(LN y), one norm per layer
    parallel-two-norms  y + A(LN y) + M(LN' y)
"""


def wiring_named(name: str) -> Wiring:
    """Look a wiring up by name.

    Raises
    ------
    InputError
        For an unknown name, with the closest known one.

    Examples
    --------
    >>> wiring_named("pre-ln").norm_before
    True
    """
    if name not in WIRINGS:
        raise nearest(name, WIRINGS, "wiring")
    return WIRINGS[name]
