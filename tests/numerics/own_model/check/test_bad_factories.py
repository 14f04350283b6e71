"""A factory that ignores its depth is refused, and one whose layers share weights is not."""

import pytest
import torch
from torch import Tensor, nn

from numerics.own_model.check.check import check
from theory.errors import InputError

D = 16


class Shared(nn.Module):
    """One layer, used n times."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.layer = nn.TransformerEncoderLayer(D, 2, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.n):
            x = self.layer(x)
        return x


def test_layers_that_share_their_weights_have_a_depth() -> None:
    found = check(lambda n: (Shared(n), torch.randn(2, 5, D)), (2, 3, 4), ("sgd",), seeds=1)
    assert found.sizes == (2, 3, 4)
    assert "Post-LN" in found.wiring
    assert any("shared across depth" in note for note in found.notes)


def test_an_ignored_depth_is_refused() -> None:
    def ignores(n: int) -> tuple[nn.Module, Tensor]:
        del n
        return Shared(3), torch.randn(2, 5, D)

    with pytest.raises(InputError, match="must use its depth, and gives the same model at 2 and"):
        check(ignores, (2, 3, 4), ("sgd",), seeds=1)

    own = torch.Generator()  # whose draws differ from one call to the next

    def draws(n: int) -> tuple[nn.Module, Tensor]:
        del n
        model = Shared(3)
        for p in model.parameters():
            nn.init.normal_(p, 0.0, 0.02, generator=own)
        return model, torch.randn(2, 5, D)

    with pytest.raises(InputError, match="must use its depth"):
        check(draws, (2, 3, 4), ("sgd",), seeds=1)
