"""How a residual block joins its branch to its skip path, as independent choices.

With y a block's input and G its branch, a block is

    LN? ( shortcut · y + factor · G(LN? (y)) ),

each layer norm there or not, the shortcut's and the branch's factor 1, fixed or trained. What a
layer reads is the output of the layer below, or a weighted sum of all layers below. Code asks for
the choice that it needs, never for a wiring's name: `WIRINGS` names those that papers use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from theory.errors import nearest


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
    LAYER_GATE = "layer-gate"
    """α G(y), one trainable scalar per layer, from 0: ReZero's."""
    SCALARS = "scalars"
    """s G(y + b), trainable scalars per block, and two more shifts inside an MLP: R-Fixup's."""


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
    shortcut: Shortcut = Shortcut.ONE
    """What multiplies the skip path."""
    branch: BranchFactor = BranchFactor.ONE
    """What multiplies the branch."""
    history: bool = False
    """Whether a layer reads a trained sum of all layers below (DLCL)."""

    @property
    def final_norm(self) -> bool:
        """Whether a stack ends in a layer norm of its own, since its last sum has none."""
        return self.norm_before

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
