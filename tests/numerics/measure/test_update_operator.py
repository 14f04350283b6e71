import numpy as np
import pytest
import torch
from torch.func import jacrev

from numerics.evidence.spectrum import distinct_tokens
from numerics.linearization.measured_function import features_of
from numerics.measure.update_operator import (
    UpdateOperator,
    block_spectra,
    extreme_eigenvalues,
    model_operator,
)
from numerics.models import ModelSpec
from numerics.models.roles import part_of
from numerics.models.tokens import random_batch
from numerics.schemes import build
from tests.numerics.linearized import linearized
from theory.errors import InputError

SPEC = ModelSpec(2, 1, d_model=4, d_ff=6, vocabulary=20)


def _model(seed=0, scheme="tfixup", spec=SPEC, dtype=torch.float64):
    return build(scheme, spec, torch.Generator().manual_seed(seed), dtype=dtype)


def _dense(model, batch, moves=lambda _: True):
    function, parameters = features_of(model, batch)
    jacobian = jacrev(function)(parameters)
    columns = [part.flatten(3).flatten(0, 2) for name, part in jacobian.items() if moves(name)]
    j = torch.cat(columns, dim=1)
    return (j @ j.T).detach().numpy()


@pytest.mark.parametrize("scheme", ["tfixup", "post-ln"])
def test_the_operator_is_the_dense_jacobian_s_product(scheme):
    model, batch = _model(scheme=scheme), distinct_tokens(3)
    operator, dense = model_operator(model, batch=batch), _dense(model, batch)
    x = np.random.default_rng(0).standard_normal((12, 2))
    np.testing.assert_allclose(operator.matvec(x[:, 0]), dense @ x[:, 0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(operator.matmat(x), dense @ x, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(operator.T.matvec(x[:, 0]), dense @ x[:, 0], rtol=1e-10, atol=1e-12)
    ends = np.linalg.eigvalsh(dense)[[0, -1]]
    at_once, lanczos = (extreme_eigenvalues(operator, at_once=n) for n in (128, 0))
    for found in (at_once, lanczos):
        assert [found.smallest, found.largest] == pytest.approx(list(ends), rel=1e-6)


def test_a_choice_of_parameters_is_a_choice_of_columns():
    model, batch = _model(), distinct_tokens(2)

    def is_mlp(name):
        return part_of(name).endswith("mlp")

    operator = model_operator(model, batch=batch, moves=is_mlp)
    np.testing.assert_allclose(
        operator.matmat(np.eye(8)), _dense(model, batch, is_mlp), rtol=1e-9, atol=1e-12
    )
    whole = extreme_eigenvalues(model_operator(model, batch=batch))
    assert extreme_eigenvalues(operator).largest < whole.largest


def test_it_is_what_a_step_of_gradient_descent_does():
    model, batch = _model(), random_batch(SPEC, torch.Generator().manual_seed(1), sequences=2)
    u = torch.randn(2, 16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    step = linearized(model, batch, lambda _: u).tangents.sum(0)
    moved = model_operator(model, batch=batch).matvec(u.numpy().ravel())
    np.testing.assert_allclose(moved, -step.numpy().ravel(), rtol=1e-9, atol=1e-11)


def test_models_side_by_side_are_blocks_of_the_diagonal():
    models, batch = [_model(seed) for seed in range(3)], distinct_tokens(2)
    together = block_spectra(model_operator(*models, batch=batch), 3)
    for model, found in zip(models, together, strict=True):
        alone = extreme_eigenvalues(model_operator(model, batch=batch))
        assert found.largest == pytest.approx(alone.largest, rel=1e-10)
        assert found.smallest == pytest.approx(alone.smallest, rel=1e-8)
    assert len({round(found.largest, 6) for found in together}) == 3


def test_float32_models_are_measured_in_float64():
    model, batch = _model(dtype=torch.float32), distinct_tokens(2)
    found = extreme_eigenvalues(model_operator(model, batch=batch))
    exact = np.linalg.eigvalsh(_dense(model.double(), batch))
    assert found.smallest == pytest.approx(exact[0], rel=1e-8)


def test_equal_tokens_leave_a_direction_that_the_blocks_hardly_move():
    model, batch = _model(), distinct_tokens(2)
    same = type(batch)(batch.source_BS, torch.zeros_like(batch.target_BT))

    def in_blocks(name):
        return part_of(name) != "embeddings"

    apart, alike = (
        extreme_eigenvalues(model_operator(model, batch=b, moves=in_blocks)).smallest
        for b in (batch, same)
    )
    assert alike < 1e-9 < apart


def test_bad_operators_are_refused():
    single = {"w": torch.ones(2)}
    with pytest.raises(InputError, match=r"must be float64, got torch\.float32 for w"):
        UpdateOperator(lambda p: p["w"], single)
    with pytest.raises(InputError, match="at least one trainable parameter"):
        UpdateOperator(lambda p: p["w"], {})
    operator = UpdateOperator(lambda p: p["w"], {"w": torch.ones(4).double()})
    with pytest.raises(InputError, match="divide the operator's size 4, got 3"):
        block_spectra(operator, 3)
    with pytest.raises(InputError, match="one specification, got 2 models with 2"):
        model_operator(
            _model(), _model(spec=ModelSpec(1, 1, d_model=4, d_ff=6)), batch=distinct_tokens(2)
        )
