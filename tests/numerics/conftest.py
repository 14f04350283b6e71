"""Fixtures of several tests of models."""

import pytest
import torch

from numerics.linearization.closed_form import head_products


@pytest.fixture(params=["packed", "apart"])
def heads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention's heads multiplied together, or one by one, of models however small."""
    if request.param == "apart":
        monkeypatch.setattr(head_products, "FEWEST_ROWS", 1)
        monkeypatch.setattr(head_products, "THINNEST_HEAD", 1)
    shape = head_products.AttentionShape.of(torch.zeros(1, 2, 5, 8), 2)
    assert shape.apart == (request.param == "apart")
