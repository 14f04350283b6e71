"""Parameters without modules: what is added to the stream has a graph, and no warning is shown."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.own_model.audit.audit import audit


class Bare(nn.Module):
    """A decoder of bare tensors with einsum attention."""

    def __init__(self, layers: int = 2, d: int = 32, heads: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(0.02 * torch.randn(*shape))

        self.table, self.places = drawn(64, d), drawn(8, d)
        self.qkv = nn.ParameterList([drawn(d, 3, heads, d // heads) for _ in range(layers)])
        self.o = nn.ParameterList([drawn(heads, d // heads, d) for _ in range(layers)])

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table[ids] + self.places[: ids.shape[1]]
        for qkv, o in zip(self.qkv, self.o, strict=True):
            y = F.layer_norm(x, x.shape[-1:])
            q, k, v = torch.einsum("btd,dchk->cbhtk", y, qkv)
            weights = torch.einsum("bhtk,bhsk->bhts", q, k).softmax(-1)
            x = x + torch.einsum("bhts,bhsk,hkd->btd", weights, v, o)
        return F.layer_norm(x, x.shape[-1:]) @ self.table.T


def test_bare_parameters_are_audited_without_a_warning() -> None:
    ids = torch.arange(16).reshape(2, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = audit(Bare(), "llama-flat", ids)
    assert found.clean
    roles = [row.place.role for row in found.rows]
    assert [roles.count(r) for r in ("q", "k", "v", "out", "embedding", "head")] == [2] * 4 + [1, 1]
