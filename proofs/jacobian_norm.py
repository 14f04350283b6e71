"""The spectral norm of layer norm's Jacobian (Eq. 1) at given points, enclosed in ball arithmetic.

Column j of the Jacobian is the linear coefficient of LN(x + t e_j), a power series in t with balls
for coefficients. Nothing is typed in but layer norm itself. The singular values are enclosed as
square roots of the eigenvalues of JᵀJ.
"""

from dataclasses import dataclass

from flint import acb_mat, arb, arb_mat, arb_series, ctx

BITS = 200
POINTS = ((1, 2, 4), (3, -1, 0, 5), (2, 7, 1, 8, 2, 8))
"""Inputs of width 3, 4 and 6."""
NEAR = "1e-12"


@dataclass(frozen=True)
class NormCertificate:
    """The Jacobian's norm at a point, as a ball, next to √d/‖x − x̄‖."""

    point: tuple[int, ...]
    norm: str
    claimed: str
    agree: bool
    """Whether the balls overlap and both are narrower than 10⁻¹²."""


def layer_norm(x: list[arb_series]) -> list[arb_series]:
    """Layer norm of power series: √d (x − x̄)/‖x − x̄‖."""
    mean = sum(x, arb_series([0])) / len(x)
    centred = [entry - mean for entry in x]
    squares = sum((entry * entry for entry in centred), arb_series([0]))
    scale = arb_series([arb(len(x)).sqrt()]) / squares.sqrt()
    return [entry * scale for entry in centred]


def jacobian(point: tuple[int, ...]) -> arb_mat:
    """The Jacobian ∂LN/∂x, column by column."""
    columns = []
    for moved in range(len(point)):
        series = [
            arb_series([arb(entry), arb(int(place == moved))], 2)
            for place, entry in enumerate(point)
        ]
        columns.append([entry[1] for entry in layer_norm(series)])
    return arb_mat([[column[row] for column in columns] for row in range(len(point))])


def certificate(point: tuple[int, ...], *, of_deviation: bool = True) -> NormCertificate:
    """Enclose the norm; ``of_deviation=False`` compares with √d/‖x‖, as printed.

    Examples
    --------
    >>> certificate((1, 2, 4)).agree, certificate((1, 2, 4), of_deviation=False).agree
    (True, False)
    """
    precision, cap = ctx.prec, ctx.cap
    ctx.prec, ctx.cap = BITS, 2
    try:
        matrix = jacobian(point)
        values = acb_mat(matrix.transpose() * matrix).eig(multiple=True)
        largest = arb(0)
        for value in values:
            largest = largest.max(value.real)
        norm = largest.sqrt()
        mean = arb(sum(point)) / len(point) if of_deviation else arb(0)
        length = sum(((arb(entry) - mean) ** 2 for entry in point), arb(0)).sqrt()
        claimed = arb(len(point)).sqrt() / length
        narrow = all(bool(item.rad() < arb(NEAR)) for item in (norm, claimed))
        return NormCertificate(point, str(norm), str(claimed), narrow and norm.overlaps(claimed))
    finally:
        ctx.prec, ctx.cap = precision, cap
