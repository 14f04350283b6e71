"""The update operator J Jᵀ of T-Fixup's Eq. 3 and its extreme eigenvalues.

An SGD step of any loss with slope u at the output moves f by −η J Jᵀ u, so λ_max and λ_min of J Jᵀ
are the largest and the smallest ‖Δf‖/η over unit u: a statement "from above and below" about every
direction, where one cotangent tests one. J is never formed: u ↦ J Jᵀu is a reverse pass, then a
forward pass (`torch.func.vjp`, `jvp`), in float64.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor
from torch.func import jvp, vjp, vmap

from numerics.linearization.forward_operations import WrittenOut
from numerics.linearization.measured_function import InputKind, features_of, in_precision
from numerics.linearization.types import Parameters
from numerics.models import Transformer
from numerics.models.tokens import TokenBatch
from theory.errors import InputError

AT_ONCE = 128
"""Up to this size all columns are pushed through together: Lanczos would need about as many."""

Array = NDArray[np.float64]


class UpdateOperator(LinearOperator):
    """The update operator J Jᵀ of f at θ, symmetric, on flattened outputs.

    Parameters
    ----------
    function
        θ ↦ f(θ).
    parameters
        The trainable θ, float64.
    held
        Parameters that f needs and that do not move.

    Raises
    ------
    InputError
        If a parameter is not float64, or there is none.

    Examples
    --------
    >>> theta = {"w": torch.tensor([3.0, 4.0], dtype=torch.float64)}
    >>> operator = UpdateOperator(lambda p: p["w"] ** 2, theta)  # J = diag(6, 8)
    >>> operator.matvec(np.array([1.0, 1.0])).tolist()
    [36.0, 64.0]
    """

    def __init__(
        self,
        function: Callable[[Parameters], Tensor],
        parameters: Parameters,
        held: Parameters | None = None,
    ) -> None:
        if not parameters:
            raise InputError("the update operator needs at least one trainable parameter, got none")
        for name, value in parameters.items():
            if value.dtype is not torch.float64:
                raise InputError(f"parameters must be float64, got {value.dtype} for {name}")
        fixed = dict(held or {})
        self._theta = dict(parameters)
        self._function = lambda theta: function(fixed | theta)
        self._output, self._pull = vjp(self._function, self._theta)[:2]
        size = self._output.numel()
        super().__init__(np.dtype(np.float64), (size, size))

    def _push(self, direction: Mapping[str, Tensor]) -> Tensor:
        with WrittenOut():
            return jvp(self._function, (self._theta,), (dict(direction),))[1]

    def _pulled(self, u: Tensor) -> dict[str, Tensor]:
        (gradients,) = self._pull(u, retain_graph=True)
        return gradients

    def _matvec(self, x: Array) -> Array:
        u = torch.as_tensor(x, dtype=torch.float64, device=self._output.device)
        moved = self._push(self._pulled(u.reshape(self._output.shape)))
        return moved.detach().cpu().numpy().ravel()

    def _matmat(self, X: Array) -> Array:
        columns = torch.as_tensor(X.T, dtype=torch.float64, device=self._output.device)
        u = columns.reshape(-1, *self._output.shape)
        moved = vmap(self._push)(vmap(self._pulled)(u))
        return moved.detach().flatten(1).T.cpu().numpy()

    def _adjoint(self) -> "UpdateOperator":
        return self


@dataclass(frozen=True)
class Spectrum:
    """Both ends of the spectrum of J Jᵀ."""

    largest: float
    """λ_max: the largest ‖Δf‖/η over unit cotangents."""
    smallest: float
    """λ_min: the smallest ‖Δf‖/η over unit cotangents."""


def extreme_eigenvalues(operator: LinearOperator, *, at_once: int = AT_ONCE) -> Spectrum:
    """Both ends of a symmetric operator's spectrum, by Lanczos (`scipy.sparse.linalg.eigsh`).

    Parameters
    ----------
    operator
        Symmetric, n × n.
    at_once
        Up to this n the operator is applied to all n unit vectors together instead.

    Examples
    --------
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> extreme_eigenvalues(aslinearoperator(np.diag([3.0, 1.0, 2.0])))
    Spectrum(largest=3.0, smallest=1.0)
    """
    size = operator.shape[0]
    if size <= at_once:
        return block_spectra(operator, 1)[0]
    start = np.random.default_rng(0).standard_normal(size)
    top, bottom = (
        eigsh(operator, k=1, which=end, v0=start, return_eigenvectors=False, tol=1e-6)
        for end in ("LA", "SA")
    )
    return Spectrum(float(top[0]), float(bottom[0]))


def block_spectra(operator: LinearOperator, blocks: int) -> tuple[Spectrum, ...]:
    """Both ends of the spectrum of each diagonal block of a block-diagonal symmetric operator.

    Raises
    ------
    InputError
        If the size is no multiple of ``blocks``.

    Examples
    --------
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> block_spectra(aslinearoperator(np.diag([3.0, 1.0, 5.0, 4.0])), 2)[1]
    Spectrum(largest=5.0, smallest=4.0)
    """
    total = operator.shape[0]
    if blocks < 1 or total % blocks:
        raise InputError(f"blocks must divide the operator's size {total}, got {blocks}")
    size = total // blocks
    columns: Any = operator.matmat(np.tile(np.eye(size), (blocks, 1)))
    return tuple(_dense(block) for block in columns.reshape(blocks, size, size))


def _dense(matrix: Array) -> Spectrum:
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    return Spectrum(float(values[-1]), float(values[0]))


def model_operator(
    *models: Transformer,
    batch: TokenBatch,
    inputs: InputKind = "free",
    moves: Callable[[str], bool] = lambda _: True,
) -> UpdateOperator:
    """The update operator J Jᵀ of a Transformer over the parameters that ``moves`` accepts by name.

    Raises
    ------
    InputError
        If there is no model, or they differ in specification.
    """
    if len({model.spec for model in models}) != 1:
        raise InputError(
            f"models side by side must have one specification, got {len(models)} models with "
            f"{len({model.spec for model in models})}"
        )
    found = [features_of(in_precision(model, torch.float64), batch, inputs) for model in models]
    function = vmap(found[0][0])
    parameters = {name: torch.stack([held[name] for _, held in found]) for name in found[0][1]}
    chosen = {name: value for name, value in parameters.items() if moves(name)}
    held = {name: value for name, value in parameters.items() if name not in chosen}
    return UpdateOperator(function, chosen, held)
