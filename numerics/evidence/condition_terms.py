"""Equations 6–8 measured term by term: each monomial sets the gradients' order where it dominates.

A block's own gradient is ‖Jᵀu‖² with J = ∂G/∂(m, v, w, q, k) and a unit random cotangent u on its
output (`numerics.signals.branches`), by automatic differentiation. Eq. 6 is about its sum over the
encoder's blocks, Eq. 7 about its sum over the decoder's, and Eq. 8 about ‖(∂f/∂m)ᵀu‖² of the whole
decoder. The norms x, v, w, y, m get separate powers of N and magnitudes, so each case has another
largest monomial. The measured power of N must be that of the printed left side at those norms. If
any one monomial is dropped, the left side has another power in some case, so an equation that lacks
a term, or has another in its place, is refuted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sympy as sp
import torch

from numerics.linearization.cotangents import random_cotangent
from numerics.models import WIRINGS, ModelSpec
from numerics.models.tokens import embed, random_batch
from numerics.schemes import build
from numerics.schemes.scheme import Prescription, Scheme
from numerics.signals.branches import BranchCall, branch_calls
from numerics.statistics.estimates import all_of, all_rejected
from numerics.statistics.exponents import Exponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, provides
from theory.scales import conditions
from theory.scales.stacks import N_D, N_E, V_D, V_E, W_D, W_E, M, X, Y

DEPTHS = {Level.QUICK: (4, 8, 16, 32), Level.FULL: (4, 8, 16, 32, 64, 128)}
SEEDS = {Level.QUICK: 3, Level.FULL: 6}
WIDTH = 32
QUARTER = (1.0, -0.25)
SMALL = (0.03, -1.0)
"""A norm 0.03/N, small beside N^(-1/4) even where a vector's d entries count together."""
COTANGENTS = 6
"""Directions of u per model over which ‖(∂f/∂m)ᵀu‖² is averaged."""


@dataclass(frozen=True)
class Norms:
    """Each norm as (magnitude, power of N); m follows x, as the encoder passes it on."""

    x: tuple[float, float] = QUARTER
    v_e: tuple[float, float] = QUARTER
    w_e: tuple[float, float] = QUARTER
    y: tuple[float, float] = QUARTER
    v_d: tuple[float, float] = QUARTER
    w_d: tuple[float, float] = QUARTER

    def at(self, depth: int) -> Mapping[sp.Symbol, float]:
        """The norms' values at a depth, with both depths."""

        def value(norm: tuple[float, float]) -> float:
            return norm[0] * depth ** norm[1]

        return {
            X: value(self.x),
            M: value(self.x),
            Y: value(self.y),
            V_E: value(self.v_e),
            W_E: value(self.w_e),
            V_D: value(self.v_d),
            W_D: value(self.w_d),
            N_E: float(depth),
            N_D: float(depth),
        }


CASES: Mapping[str, Norms] = {
    "all alike": Norms(*[(9**-0.25, -0.25)] * 6),
    "v_e²w_e², v_d²w_d²": Norms(x=SMALL, y=SMALL),
    "v_d²y²": Norms(x=SMALL, w_d=SMALL),
    "w_d²y²": Norms(x=SMALL, v_d=SMALL),
    "v_e²x², v_d²m²": Norms(w_e=SMALL, y=SMALL, w_d=SMALL),
    "w_e²x², w_d²m²": Norms(v_e=SMALL, y=SMALL, v_d=SMALL),
}
"""Norms by the monomials that are the largest there."""


@dataclass(frozen=True)
class Separate(Scheme):
    """A scheme whose norms are given one by one; v and w of an MLP are its two matrices."""

    norms: Norms = field(default_factory=Norms)

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """The factors at the depth of ``spec``."""
        at = self.norms.at(spec.encoder_layers)
        pairs = {"encoder": (at[V_E], at[W_E]), "decoder": (at[V_D], at[W_D])}
        factors = {}
        for stack, block in (
            ("encoder", "attention"),
            ("decoder", "self_attention"),
            ("decoder", "cross_attention"),
        ):
            factors[f"{stack}.{block}.v"], factors[f"{stack}.{block}.out_proj"] = pairs[stack]
        for stack, (v, w) in pairs.items():
            factors[f"{stack}.mlp.w1"], factors[f"{stack}.mlp.w2"] = v, w
        return Prescription(factors=factors, source_factor=at[X], target_factor=at[Y])


def own_gradient(call: BranchCall, generator: torch.Generator) -> float:
    """Norm of one block's gradient, ‖(∂G/∂(m, θ))ᵀu‖², for one unit random u.

    Examples
    --------
    >>> from numerics.models.attention import Attention
    >>> module = Attention(1, 1, biases=False)
    >>> _ = [torch.nn.init.constant_(weight, 2.0) for weight in module.parameters()]
    >>> one = torch.ones(1, 1, 1)
    >>> call = BranchCall("encoder.attention", 0, module, one, one, None)
    >>> own_gradient(call, torch.Generator())  # v = w = 2, m = 1: (v² + w²) m² + v² w² = 24
    24.0
    """
    memory = call.memory_BSD.detach().requires_grad_()
    output = call.module(*call.arguments(memory))
    u = random_cotangent(output.shape, generator)(output)
    slopes = torch.autograd.grad(output, [memory, *call.module.parameters()], u)
    return float(torch.stack([slope.double().square().sum() for slope in slopes]).sum())


def gradients(norms: Norms, depth: int, generator: torch.Generator) -> Mapping[int, float]:
    """What Eqs. 6, 7 and 8 are about, of one drawn model.

    Examples
    --------
    >>> found = gradients(Norms(), 1, torch.Generator().manual_seed(0))
    >>> sorted(found), min(found.values()) > 0
    ([6, 7, 8], True)
    """
    spec = ModelSpec(depth, depth, d_model=WIDTH, d_ff=WIDTH, vocabulary=100)
    scheme = Separate("separate norms", WIRINGS["none"], "", norms=norms)
    model = build(scheme, spec, generator).eval()
    batch = random_batch(spec, generator, sequences=8, tokens=4)
    sums = {6: 0.0, 7: 0.0}
    for call in branch_calls(model, lambda: model.features(batch.source_BS, batch.target_BT)):
        sums[6 if call.part.startswith("encoder.") else 7] += own_gradient(call, generator)
    x, y = (part.detach() for part in embed(model, batch))
    memory = model.encode(x).detach().requires_grad_()
    output = model.decode(memory, y)
    squares = []
    for _ in range(COTANGENTS):
        u = random_cotangent(output.shape, generator)(output)
        (slope,) = torch.autograd.grad(output, memory, u, retain_graph=True)
        squares.append(float(slope.double().square().sum()))
    return {**sums, 8: sum(squares) / COTANGENTS}


def measured(context: Context) -> Mapping[str, Mapping[int, Exponent]]:
    """Powers of N by case and equation."""
    depths, seeds = DEPTHS[context.level], SEEDS[context.level]
    found: dict[str, Mapping[int, Exponent]] = {}
    for position, (name, norms) in enumerate(CASES.items()):
        rows, where = [], []
        for depth in depths:
            for number in range(seeds):
                seed = 100_000 * context.seed + 1000 * depth + 10 * position + number
                rows.append(gradients(norms, depth, torch.Generator().manual_seed(seed)))
                where.append(float(depth))
        found[name] = {
            number: fitted(power_law(where, [row[number] for row in rows])) for number in (6, 7, 8)
        }
    return found


def power(left_side: sp.Expr, norms: Norms, depths: Sequence[int]) -> float:
    """The power of N that a left side has at those norms over those depths.

    Examples
    --------
    >>> round(power(conditions.printed(8), Norms(v_d=(2.0, -0.5)), (4, 8, 16)), 9)
    -0.5
    """
    values = [float(left_side.subs(norms.at(depth))) for depth in depths]
    return float(np.polyfit(np.log(depths), np.log(values), 1)[0])


def neighbours(number: int) -> Mapping[str, sp.Expr]:
    """The left sides that lack one monomial each; a single monomial lacks one factor instead.

    Examples
    --------
    >>> len(neighbours(6)), len(neighbours(7)), sorted(neighbours(8))
    (3, 5, ['without N', 'without v_d²', 'without w_d²'])
    """
    whole = sp.expand(conditions.printed(number))
    terms = sp.Add.make_args(whole)
    if len(terms) > 1:
        return {f"without {_shown(term)}": whole - term for term in terms}
    return {
        "without N": whole / N_D,
        "without v_d²": whole / V_D**2,
        "without w_d²": whole / W_D**2,
    }


def _shown(term: sp.Expr) -> str:
    return str(term).replace("**2", "²").replace("*", " ")


def follows(
    number: int,
    left_side: sp.Expr,
    found: Mapping[str, Mapping[int, Exponent]],
    depths: Sequence[int],
) -> bool | None:
    """Whether the measured powers are those of ``left_side`` in every case."""
    margin = tolerance("term-exponent")
    return all_of(
        found[name][number].equivalent(power(left_side, norms, depths), margin)
        for name, norms in CASES.items()
    )


@provides("tfixup.eq6", "tfixup.eq7", "tfixup.eq8", kind=Kind.MEASUREMENT)
def terms(context: Context) -> Iterator[Observation]:
    """Measured powers of N against each printed left side, and against it without a monomial."""
    depths, found = DEPTHS[context.level], measured(context)
    scope = (
        f"N = {depths[0]}…{depths[-1]}, width {WIDTH}, {SEEDS[context.level]} seeds, "
        f"{len(CASES)} choices of the norms"
    )
    for number in (6, 7, 8):
        left_side = conditions.printed(number)
        false = {
            name: follows(number, side, found, depths) for name, side in neighbours(number).items()
        }
        worst = max(
            CASES,
            key=lambda name: abs(found[name][number].value - power(left_side, CASES[name], depths)),
        )
        fit, target = found[worst][number], power(left_side, CASES[worst], depths)
        yield Observation(
            claim=f"tfixup.eq{number}",
            passed=follows(number, left_side, found, depths),
            summary="measured powers of N differ from the equation's by at most "
            f"{abs(fit.value - target):.2f}, in {len(CASES)} choices of norms, each with another "
            "largest monomial",
            control=Control(", ".join(false), all_rejected(false.values())),
            value=fit.value,
            expected=target,
            tolerance=tolerance("term-exponent"),
            interval=fit.interval,
            scope=f"{scope}; measured (by the equation): "
            + ", ".join(
                f"{name} {found[name][number].value:+.2f} ({power(left_side, norms, depths):z.2f})"
                for name, norms in CASES.items()
            ),
        )


PROVIDERS = (terms,)
