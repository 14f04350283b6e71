"""What a recipe is: the distribution asked of every role, and the wiring that it assumes.

A recipe is an initialisation scheme seen from outside. It says what numbers a tensor should have,
given the tensor's place in a model, and knows nothing of how the model is written.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from numerics.recipes.draw import Draw, constant
from numerics.recipes.factors import UNCHANGED, Factors
from numerics.recipes.place import ModelSizes, ParameterPlace

Placement = Literal["before", "on-stream", "none", "any"]
"""Where the layer norms are: before the branch, on the stream after the addition, nowhere."""

WIRINGS: dict[Placement, str] = {
    "before": "Pre-LN: x + F(LN x)",
    "on-stream": "Post-LN: LN(x + F(x))",
    "none": "no layer norm: x + F(x)",
    "any": "any wiring",
}


@dataclass(frozen=True)
class Recipe:
    """An initialisation by role; subclasses say what matrices and tables ask."""

    name: str
    """The name on the command line."""
    source: str
    """The publication or code it comes from."""
    rule: str
    """What it asks, in one line."""
    placement: Placement = "any"
    """The wiring that it assumes."""
    leaves: str = ""
    """What it does not cover."""

    fitted: ClassVar[bool] = False
    """Whether its ``std`` is a choice of its user, as GPT-2's 0.02 is."""

    @property
    def wiring(self) -> str:
        """The wiring that it assumes, in words."""
        return WIRINGS[self.placement]

    def ask(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """The distribution asked of a tensor; ``None`` where the recipe says nothing.

        Biases and norm biases start at 0 and norm gains at 1, unless a recipe says otherwise.
        """
        if place.is_matrix:
            return self.matrix(place, setting)
        if place.role in ("embedding", "positions", "head"):
            return self.table(place, setting)
        constants = {"bias": 0.0, "norm_bias": 0.0, "norm_gain": 1.0}
        if place.role in constants:
            return constant(constants[place.role])
        return self.other(place, setting)

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """What a branch's matrix asks."""
        del place, setting
        return None

    def table(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """What an embedding, a table of positions or the head asks."""
        del place, setting
        return None

    def other(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """What scalars and tensors of no known role ask: nothing, in most recipes."""
        del place, setting
        return None

    def factors_of(self, place: ParameterPlace) -> Factors:
        """Factors on the optimizer's settings for a tensor; all 1 in a rule for weights alone."""
        del place
        return UNCHANGED

    def shortcut(self, stack: str, setting: ModelSizes) -> float | None:
        """The constant factor on a stack's skip paths; ``None`` where it is trained."""
        del stack, setting
        return 1.0

    def multiplier(self, stack: str, setting: ModelSizes) -> float | None:
        """The constant factor on a stack's branches; ``None`` where it is trained."""
        del stack, setting
        return 1.0


def additions(place: ParameterPlace, setting: ModelSizes) -> int:
    """Number of residual additions, B, of the stack that a tensor belongs to."""
    stack = setting.stacks.get(place.stack)
    return stack.additions if stack else sum(s.additions for s in setting.stacks.values()) or 1


def layers(place: ParameterPlace, setting: ModelSizes) -> int:
    """Number of layers, N, of the stack that a tensor belongs to."""
    stack = setting.stacks.get(place.stack)
    return stack.layers if stack else sum(s.layers for s in setting.stacks.values()) or 1
