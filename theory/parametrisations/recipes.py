"""Published initialisations and parametrisations, role by role, as formulas with their sources.

Formulas are the sources' own, in N layers, layer number l, width n; N₀ and n₀ are the depth and
width at which a recipe was tuned. A rate is a factor on the base rate. ``powers`` reads exponents
off them and ``prescription`` numbers, so a recipe stands here once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from theory.errors import InputError, nearest
from theory.parametrisations.powers import BASE_DEPTH as N_0
from theory.parametrisations.powers import BASE_WIDTH as n_0
from theory.parametrisations.powers import DEPTH as N
from theory.parametrisations.powers import LAYER as l
from theory.parametrisations.powers import WIDTH as n
from theory.parametrisations.powers import Powers, RolePowers, powers
from theory.parametrisations.structures import StackStructure, structure_named

_002 = sp.Rational(1, 50)
_FAN_IN = 1 / sp.sqrt(n)
_QUARTER = sp.Rational(1, 4)


@dataclass(frozen=True)
class PowerRecipe:
    """Formulas by role for one structure."""

    name: str
    structure: str
    rules: Mapping[str, RolePowers]
    """Roles that are not named have multiplier 1, rate 1, and the std 1/√fan_in."""
    optimizer: str
    """The step law that it was stated for."""
    source: str
    remark: str = ""
    extent: tuple[str, ...] = ("depth",)
    """Along which axes it is a rule."""
    shape: StackStructure | None = None
    """Its structure, where that is none of the named ones."""

    @property
    def wired(self) -> StackStructure:
        """The structure of the recipe: a named one, or its own."""
        return self.shape or structure_named(self.structure)

    def rule(self, role: str) -> RolePowers:
        """The powers of a role; default ones where the recipe names none."""
        kind = self.wired.kinds[role]
        default = RolePowers(std=_FAN_IN) if kind in ("hidden", "output") else RolePowers()
        return self.rules.get(role, default)

    def powers(self, axis: str = "depth") -> dict[str, Powers]:
        """Exponents of every role along the depth or the width."""
        return {role: powers(self.rule(role), axis) for role in self.wired.used}

    def check_roles(self) -> None:
        """Raise unless every named role occurs in the structure."""
        for role in self.rules:
            if role not in self.wired.used:
                raise nearest(role, self.wired.used, f"role of {self.structure}")


def _flat(**changed: RolePowers) -> dict[str, RolePowers]:
    """Powers of one standard deviation of 0.02 everywhere, but for what is changed."""
    return {
        **dict.fromkeys(("embedding", "in", "score", "out", "head"), RolePowers(std=_002)),
        **changed,
    }


def _bias(rate: sp.Expr = sp.S.One) -> RolePowers:
    return RolePowers(std=sp.S.Zero, rate=rate)


_HIDDEN = ("in", "score", "out")
_GPT2 = _flat(out=RolePowers(std=_002 / sp.sqrt(2 * N)), bias=_bias())


def _depth_mup(rate: sp.Expr) -> dict[str, RolePowers]:
    return {
        **dict.fromkeys(_HIDDEN, RolePowers(std=_FAN_IN, rate=rate)),
        "gain": RolePowers(rate=rate),
        "bias": _bias(rate),
        "branch": RolePowers(multiplier=sp.sqrt(N_0 / N)),
    }


def _completep() -> dict[str, RolePowers]:
    width, depth = n / n_0, N / N_0
    # Every hidden parameter's ε falls with both; α = 1, so no rate has a power of the depth.
    epsilon = 1 / (width * depth)
    hidden = RolePowers(
        std=_002 / sp.sqrt(width), rate=1 / width, weight_decay=width, epsilon=epsilon
    )
    return {
        **dict.fromkeys(_HIDDEN, hidden),
        "gain": RolePowers(epsilon=epsilon),
        "bias": RolePowers(std=sp.S.Zero, epsilon=epsilon),
        "embedding": RolePowers(std=_002),
        "branch": RolePowers(multiplier=1 / depth),
        "head": RolePowers(std=_002, multiplier=1 / width),
    }


def _u_mup() -> dict[str, RolePowers]:
    # α_res = α_ratio = 1, 2N branches; the i-th has τ² = 1/(N + i), so τ is Θ(N^(-1/2)) for all.
    hidden = RolePowers(multiplier=_FAN_IN, rate=_FAN_IN / sp.sqrt(2 * N))
    return {
        **dict.fromkeys(_HIDDEN, hidden),
        "branch": RolePowers(multiplier=1 / sp.sqrt(2 * N)),
        "head": RolePowers(multiplier=1 / n),
    }


def _mup() -> dict[str, RolePowers]:
    width = n / n_0
    hidden = RolePowers(std=_002 / sp.sqrt(width), rate=1 / width)
    return {
        **dict.fromkeys(_HIDDEN, hidden),
        "bias": _bias(),
        "embedding": RolePowers(std=_002),
        "head": RolePowers(std=_002, multiplier=1 / width),
    }


def _tfixup(
    matrices: sp.Rational, embeddings: sp.Rational, rate: sp.Expr = sp.S.One
) -> dict[str, RolePowers]:
    """T-Fixup's constants to the power that belongs to the exponents; query and key are Xavier."""
    decoder = (9 * N) ** matrices
    encoder = sp.Rational(67, 100) ** (-4 * matrices) * N**matrices
    rules = dict.fromkeys(("source", "target"), RolePowers(std=_FAN_IN * (9 * N) ** embeddings))
    for side, scale in (("encoder", encoder), ("decoder", decoder)):
        rules |= dict.fromkeys(
            (f"{side}.in", f"{side}.out"), RolePowers(std=_FAN_IN * scale, rate=rate)
        )
        rules[f"{side}.score"] = RolePowers(std=_FAN_IN, rate=rate)
    # An embedding N(0, 1/n) is multiplied by √n.
    return {
        role: RolePowers(sp.sqrt(n), rule.std) if role in ("source", "target") else rule
        for role, rule in rules.items()
    }


_RECIPES = (
    PowerRecipe("flat", "pre-norm", _flat(), "adamw", "Hugging Face, `initializer_range` = 0.02"),
    PowerRecipe(
        "gpt2",
        "pre-norm-biased",
        _GPT2,
        "adamw",
        "nanoGPT model.py l. 140-168; Megatron-LM `scaled_init_method_normal`",
        "the head is the embedding's transpose",
    ),
    PowerRecipe(
        "wang",
        "pre-norm-biased",
        {
            **dict.fromkeys(
                ("embedding", "in", "score", "head"), RolePowers(std=sp.sqrt(2 / (5 * n)))
            ),
            "bias": _bias(),
            "out": RolePowers(std=2 / (N * sp.sqrt(n))),
        },
        "adamw",
        "GPT-NeoX init_functions.py: small_init with wang_init",
    ),
    PowerRecipe(
        "mitchell",
        "pre-norm",
        {"out": RolePowers(std=1 / sp.sqrt(2 * n * l))},
        "adamw",
        "OLMo 1 model.py, init `mitchell`",
    ),
    PowerRecipe(
        "zero-out",
        "pre-norm",
        _flat(out=RolePowers(std=sp.S.Zero)),
        "adamw",
        "modded-nanogpt: output projections start at 0",
        "of the first step alone: later steps find `out` no longer 0",
    ),
    PowerRecipe(
        "layernorm-scaling",
        "pre-norm",
        _flat(gain=RolePowers(multiplier=1 / sp.sqrt(l))),
        "adamw",
        "arXiv 2502.05795: the norm's output × 1/√l",
    ),
    PowerRecipe(
        "peri-ln",
        "pre-norm-normed",
        _flat(),
        "adamw",
        "arXiv 2502.02732; Gemma 2",
    ),
    PowerRecipe(
        "olmo2", "pre-norm-normed", _flat(), "adamw", "OLMo-core block.py `reordered_norm`"
    ),
    PowerRecipe(
        "depth-mup",
        "pre-norm-biased",
        _depth_mup(sp.sqrt(N_0 / N)),
        "adamw",
        "Tensor Programs VI, arXiv 2310.02244: branch × a/√L, Adam's rate × 1/√L",
    ),
    PowerRecipe(
        "depth-mup-sgd",
        "pre-norm-biased",
        _depth_mup(sp.S.One),
        "sgd",
        "Tensor Programs VI, arXiv 2310.02244: branch × a/√L, SGD's rate × 1",
    ),
    PowerRecipe(
        "completep",
        "pre-norm-biased",
        _completep(),
        "adamw",
        "arXiv 2505.01618, α = 1; code in nanoGPT-mup",
        extent=("depth", "width"),
    ),
    PowerRecipe(
        "u-mup",
        "pre-norm-plain",
        _u_mup(),
        "adamw",
        "unit_scaling core/functional.py l. 83-123, optim.py l. 26-88",
        "a trained gain keeps its rate in the source and would move f by Θ(N^(1/2))",
        extent=("depth", "width"),
    ),
    PowerRecipe(
        "mup",
        "pre-norm-biased",
        _mup(),
        "adamw",
        "Tensor Programs V, arXiv 2203.03466, Table 8; nanoGPT-mup",
        extent=("width",),
    ),
    PowerRecipe(
        "deepnorm",
        "post-norm",
        {
            "in": RolePowers(std=_FAN_IN * (8 * N) ** -_QUARTER),
            "out": RolePowers(std=_FAN_IN * (8 * N) ** -_QUARTER),
            "shortcut": RolePowers(multiplier=(2 * N) ** _QUARTER),
        },
        "sgd",
        "arXiv 2203.00555: α = (2N)^(1/4), β = (8N)^(-1/4)",
    ),
    PowerRecipe(
        "tfixup",
        "encoder-decoder",
        _tfixup(-_QUARTER, -_QUARTER),
        "sgd",
        "Huang et al. 2020, section 3; official code",
    ),
    PowerRecipe(
        "tfixup-adam",
        "encoder-decoder",
        _tfixup(-2 * _QUARTER, -2 * _QUARTER),
        "adam",
        "this project: T-Fixup's conditions under Adam's first step",
        "every scale squared; the encoder's share falls as N^(-1/2)",
    ),
    PowerRecipe(
        "tfixup-adam-rates",
        "encoder-decoder",
        _tfixup(-_QUARTER, -_QUARTER, 1 / sp.sqrt(N)),
        "adam",
        "this project: T-Fixup's scales, matrices' rate N^(-1/2), embeddings' rate 1",
    ),
    PowerRecipe(
        "tfixup-adam-scales",
        "encoder-decoder",
        _tfixup(-_QUARTER, -3 * _QUARTER),
        "adam",
        "this project: the one solution in scales alone",
        "f itself is of size N^(-3/4), and query and key have no share",
    ),
)
for _recipe in _RECIPES:
    _recipe.check_roles()
RECIPES: Mapping[str, PowerRecipe] = {recipe.name: recipe for recipe in _RECIPES}
"""Recipes by name."""


def power_recipe_named(name: str) -> PowerRecipe:
    """Look a recipe up; an unknown name is an error that offers the nearest."""
    if name not in RECIPES:
        raise nearest(name, RECIPES, "recipe")
    return RECIPES[name]


def from_powers(
    name: str, structure: str, given: Mapping[str, tuple[str, str, str]], optimizer: str = "adamw"
) -> PowerRecipe:
    """A recipe from the powers of N in multiplier, std and rate by role, each a rational number.

    Raises
    ------
    InputError
        For an unknown structure or role, or a power that is no rational number.

    Examples
    --------
    >>> mine = from_powers("mine", "pre-norm", {"branch": ("-3/4", "0", "0")})
    >>> mine.powers()["branch"].multiplier
    -3/4
    """
    rules = {
        role: RolePowers(
            *(
                N ** _rational(role, text) * scale
                for text, scale in zip(texts, _units(structure, role), strict=True)
            )
        )
        for role, texts in given.items()
    }
    recipe = PowerRecipe(name, structure, rules, optimizer, "given by the user")
    recipe.check_roles()
    return recipe


def _units(structure: str, role: str) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Factors that make power 0 the default."""
    kind = structure_named(structure).kinds.get(role)
    return sp.S.One, _FAN_IN if kind in ("hidden", "output") else sp.S.One, sp.S.One


def _rational(role: str, text: str) -> sp.Rational:
    try:
        return sp.Rational(text)
    except (TypeError, ValueError, ZeroDivisionError):
        raise InputError(f"powers must be rational numbers, got {text!r} for {role}") from None
