"""The update gain of a real attention module: tr J Jᵀ and λ's over (m, q, k, v, w), y held fixed.

G = Σ_h softmax(c y q kᵀ mᵀ) m v w, c = 1/√d', is computed by `numerics.models.attention.Attention`
in float64 and differentiated automatically; nothing here knows the closed forms of
`theory.attention.matrix`. Q̄ and the upper bound are those of `theory.attention.matrix_theorem`,
with norms of Frobenius. Shapes: T queries, n tokens of width d, H heads of width d'.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call, jacrev

from numerics.models.attention import Attention
from theory.errors import InputError, require_positive


@dataclass(frozen=True)
class AttentionPoint:
    """One attention block at a point; the module's convention is (fan_out, fan_in)."""

    module: Attention
    query: Float[Tensor, "T D"]
    memory: Float[Tensor, "n D"]

    @property
    def heads(self) -> int:
        """How many heads there are, H."""
        return self.module.heads

    @property
    def head_width(self) -> int:
        """Width of a head, d' = d/H."""
        return self.query.shape[-1] // self.module.heads

    def split(self) -> Mapping[str, Float[Tensor, "H a b"]]:
        """The matrices by head in the theory's orientation: q, k, v as (H, d, d'), w as (H, d', d).

        Raises
        ------
        InputError
            For attention that is not Eq. 5: grouped heads, QK-norm, another power of d', rotary
            positions, a norm inside.
        """
        _require_eq_5(self.module)
        d, inner = self.query.shape[-1], self.head_width
        stacked = self.module.in_proj.detach().unflatten(0, (3, self.heads, inner))
        q, k, v = (part.transpose(-1, -2) for part in stacked)
        w = self.module.out_proj.detach().T.reshape(self.heads, inner, d)
        return {"q": q, "k": k, "v": v, "w": w}


def _require_eq_5(module: Attention) -> None:
    """The theorem's closed forms are those of Eq. 5."""
    module.require_own_heads("the theorem on attention")
    others = {
        "QK-norm": module.q_norm is not None,
        f"logits times d'^{module.traits.power:g}": module.traits.power != -0.5,
        "rotary positions": module.rotary,
        "a norm before w": module.inner_norm is not None,
    }
    if found := next((name for name, there in others.items() if there), None):
        raise InputError(f"the theorem on attention is that of Eq. 5, got {found}")


def random_point(
    width: int,
    heads: int,
    tokens: int,
    queries: int,
    generator: torch.Generator,
    *,
    scale: float = 1.0,
) -> AttentionPoint:
    """Xavier-sized matrices, v and w times ``scale``; tokens and queries of RMS d^(-1/2).

    Examples
    --------
    >>> point = random_point(4, 2, 3, 2, torch.Generator().manual_seed(0))
    >>> point.head_width, tuple(point.split()["w"].shape)
    (2, (2, 2, 4))
    """
    require_positive(width=width, heads=heads, tokens=tokens, queries=queries)
    if width % heads:
        raise InputError(f"heads must divide the width, got heads={heads}, width={width}")
    module = Attention(width, heads, biases=False).double()

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * width**-0.5

    with torch.no_grad():
        module.in_proj.copy_(drawn(3 * width, width))
        module.in_proj[2 * width :] *= scale
        module.out_proj.copy_(drawn(width, width) * scale)
    return AttentionPoint(module, drawn(queries, width), drawn(tokens, width))


def jacobian(point: AttentionPoint) -> Float[Tensor, "TD P"]:
    """The Jacobian of attention, ∂G/∂(m, q, k, v, w), one row per output coordinate."""
    held = {name: value.detach() for name, value in point.module.named_parameters()}

    def output(theta: Mapping[str, Tensor], memory: Tensor) -> Tensor:
        called = functional_call(point.module, dict(theta), (point.query[None], memory[None]))
        return called.flatten()

    slopes, by_memory = jacrev(output, argnums=(0, 1))(held, point.memory)
    return torch.cat([part.flatten(1) for part in (*slopes.values(), by_memory)], dim=1)


def gain(point: AttentionPoint) -> float:
    """How far a step moves G, as the mean over random directions: tr J Jᵀ."""
    return float(jacobian(point).square().sum())


def q_bar(point: AttentionPoint) -> float:
    """The theorem's expression at a point, Q̄ = T ‖Σ_h v w‖² + Σ_h (‖A m‖² ‖w‖² + d ‖A m v‖²)."""
    part = point.split()
    logits = (point.query @ part["q"]) @ (point.memory @ part["k"]).transpose(-1, -2)
    attended = (logits * point.head_width**-0.5).softmax(-1) @ point.memory
    values = attended @ part["v"]
    whole = (part["v"] @ part["w"]).sum(0)
    each = _squares(attended) * _squares(part["w"]) + point.query.shape[-1] * _squares(values)
    return float(len(point.query) * whole.square().sum() + each.sum())


def upper_bound(point: AttentionPoint) -> float:
    """The theorem's upper bound (H/κ)(1 + 3 c² B⁸) Q̄, with the κ and the B of this point."""
    part = point.split()
    products = part["v"] @ part["w"]
    kappa = float(products.sum(0).square().sum() / products.square().sum())
    rows = torch.cat([point.query, point.memory]).square().sum(-1)
    bound = max(float(rows.max()), *(float(_squares(part[name]).max()) for name in "qk"))
    return point.heads / kappa * (1 + 3 * bound**4 / point.head_width) * q_bar(point)


def _squares(tensor: Float[Tensor, "H a b"]) -> Float[Tensor, " H"]:
    return tensor.square().sum((-1, -2))
