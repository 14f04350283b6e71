"""‖Δf‖/η below the parts: by kind of matrix, or block by block.

For every *share* p of the parameters, a matrix kind in all layers or one residual block,

    update           ‖J_p s_p‖, exact: what its step alone does to the output
    gradient_energy  ‖J_pᵀu‖²

with g = Jᵀu and the step s(g) of the whole tensor, as in ``updates.py``; the J_p s_p of all shares
add up to lim Δf/η. One forward derivative a share, several side by side, so the time of the
detail ``layer`` is quadratic in depth.

Names: ``decoder.mlp.w1``, ``encoder.attention.q``, ``encoder.mlp.norm``, ``decoder.mlp.bias2``,
``embeddings.source`` by matrix; ``decoder.mlp.17`` by layer, from 0, with what no layer owns under
the name of its part.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jvp, vmap

from numerics.linearization.autodiff import Cotangent, Linearization, Parameters, energy, gradient
from numerics.linearization.measured_function import Inputs, TokenBatch, features_of
from numerics.linearization.update_directions import rule_named
from numerics.models import Transformer
from numerics.models.roles import part_of
from numerics.sweeps.settings import DETAILS
from theory.errors import nearest

SIDE_BY_SIDE = 8
"""Shares a forward derivative; more cost memory and gain nothing."""
_PACKED = {"in_proj": ("q", "k", "v"), "in_bias": ("q_bias", "k_bias", "v_bias")}


@dataclass(frozen=True)
class Piece:
    """Some rows of one parameter; ``None`` is all of it."""

    parameter: str
    rows: slice | None = None

    def of(self, tensor: Tensor) -> Tensor:
        """The piece of the parameter's value, or of its gradient."""
        return tensor if self.rows is None else tensor[self.rows]


def shares(parameters: Parameters, detail: str) -> Mapping[str, tuple[Piece, ...]]:
    """Every share with its pieces: a partition of the parameters.

    Parameters
    ----------
    parameters
        By name, as `numerics.linearization.measured_function.features_of` has them.
    detail
        ``matrix`` or ``layer``.

    Raises
    ------
    InputError
        For another detail.

    Examples
    --------
    >>> found = shares({"encoder.0.attention.branch.in_proj": torch.zeros(6, 2)}, "matrix")
    >>> list(found), found["encoder.attention.v"][0].rows
    (['encoder.attention.q', 'encoder.attention.k', 'encoder.attention.v'], slice(4, 6, None))
    """
    if detail not in DETAILS[1:]:
        raise nearest(detail, DETAILS[1:], "detail")
    found: dict[str, list[Piece]] = {}
    for name, value in parameters.items():
        last = name.rpartition(".")[2]
        if detail == "layer" or last not in _PACKED:
            share = matrix_kind(name) if detail == "matrix" else block_of(name)
            found.setdefault(share, []).append(Piece(name))
            continue
        height = len(value) // 3
        for number, letter in enumerate(_PACKED[last]):
            rows = slice(number * height, (number + 1) * height)
            found.setdefault(f"{part_of(name)}.{letter}", []).append(Piece(name, rows))
    return {share: tuple(pieces) for share, pieces in found.items()}


def matrix_kind(parameter: str) -> str:
    """Kind of a parameter that is not packed: its part, and what it is within.

    Examples
    --------
    >>> matrix_kind("decoder.3.mlp.branch.w1"), matrix_kind("encoder.0.mlp.norm.bias")
    ('decoder.mlp.w1', 'encoder.mlp.norm')
    >>> matrix_kind("source"), matrix_kind("encoder.0.alpha"), matrix_kind("decoder_norm.weight")
    ('embeddings.source', 'encoder.alpha', 'decoder.norm')
    """
    part = part_of(parameter)
    if part == "embeddings":
        return f"embeddings.{parameter}"
    words = [word for word in parameter.split(".")[3:] if word != "branch"]
    return f"{part}.{words[0]}" if words else part


def block_of(parameter: str) -> str:
    """Part and layer of a parameter; the part alone where no layer owns it.

    Examples
    --------
    >>> block_of("decoder.17.mlp.branch.w1"), block_of("encoder_norm.bias"), block_of("target")
    ('decoder.mlp.17', 'encoder.norm', 'embeddings')
    """
    part, words = part_of(parameter), parameter.split(".")
    owned = len(words) > 2 and words[0] in ("encoder", "decoder") and words[1].isdigit()
    return f"{part}.{words[1]}" if owned else part


def linearize_shares(
    model: Transformer,
    batch: TokenBatch,
    cotangent: Cotangent,
    detail: str,
    *,
    optimizer: str = "sgd",
    inputs: Inputs = "free",
) -> Linearization:
    """J_p s_p and ‖J_pᵀu‖² of every share p.

    Parameters
    ----------
    model
        In evaluation mode; it is not changed.
    batch, cotangent, optimizer, inputs
        As for `numerics.measure.updates.linearize_model`.
    detail
        ``matrix`` or ``layer``.

    Examples
    --------
    >>> from numerics.linearization.measured_function import random_batch
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("tfixup", ModelSpec(1, 1), generator)
    >>> batch = random_batch(model.spec, generator, sequences=1, tokens=2)
    >>> linearize_shares(model, batch, torch.ones_like, "layer").parts[:2]
    ('encoder.attention.0', 'encoder.mlp.0')
    """
    rule = rule_named(optimizer)
    function, parameters = features_of(model, batch, inputs)
    output, slopes = gradient(function, parameters, cotangent)
    steps = {
        name: rule(slope, parameters[name], parameter=name, past=[])
        for name, slope in slopes.items()
    }
    found = shares(parameters, detail)
    groups = list(found.values())
    tangents: list[Tensor] = []
    for first in range(0, len(groups), SIDE_BY_SIDE):
        stacked = _own_steps(groups[first : first + SIDE_BY_SIDE], steps)
        held = {name: parameters[name] for name in stacked}

        def moved(some: Parameters) -> Tensor:
            return function({**parameters, **some})

        def push(step: Parameters, at: Parameters = held) -> Tensor:
            return jvp(moved, (at,), (step,))[1]

        tangents.append(vmap(push)(stacked).detach())
    energies = [
        energy([piece.of(slopes[piece.parameter]) for piece in pieces], like=output)
        for pieces in groups
    ]
    return Linearization(tuple(found), output.detach(), torch.cat(tangents), torch.stack(energies))


def _own_steps(groups: list[tuple[Piece, ...]], steps: Parameters) -> dict[str, Tensor]:
    """Of every parameter in the groups, a stack of steps: each group's own, and 0 elsewhere."""
    stacked: dict[str, Tensor] = {}
    for number, pieces in enumerate(groups):
        for piece in pieces:
            step = steps[piece.parameter]
            if piece.parameter not in stacked:
                stacked[piece.parameter] = step.new_zeros(len(groups), *step.shape)
            piece.of(stacked[piece.parameter][number]).copy_(piece.of(step))
    return stacked


def norms(found: Linearization) -> Float[Tensor, " P"]:
    """‖J_p s_p‖ of every share, in float64."""
    flat_Pf = found.tangents.flatten(1).to(torch.float64)
    # Scaled, because the squares of an exploding model overflow long before its norms do.
    largest_P1 = flat_Pf.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    return ((flat_Pf / largest_P1).norm(dim=1, keepdim=True) * largest_P1)[:, 0]
