"""Finite sums of symbolic length n, brought to a normal form.

SymPy keeps Σ_j (α f_j + β g_j) as it is written. `distribute` splits such a sum into
α Σ_j f_j + β Σ_j g_j and collapses Kronecker deltas, Σ_j δ_ij f_j = f_i for 1 ≤ i ≤ n, so that sums
which are equal look equal, for every n at once.
"""

import sympy as sp


def distribute(expression: sp.Expr) -> sp.Expr:
    """Rewrite every sum in ``expression`` as constants times sums of monomials.

    Examples
    --------
    >>> j, n = sp.symbols("j n", integer=True, positive=True)
    >>> a, m = sp.Symbol("a"), sp.IndexedBase("m")
    >>> distribute(sp.Sum(m[j] * (a + m[j]), (j, 1, n)))
    a*Sum(m[j], (j, 1, n)) + Sum(m[j]**2, (j, 1, n))
    """
    return expression.replace(lambda e: isinstance(e, sp.Sum), _split)


def _split(total: sp.Sum) -> sp.Expr:
    (index, lower, upper) = total.limits[0]
    return sp.Add(
        *(_pull(term, index, lower, upper) for term in sp.Add.make_args(sp.expand(total.function)))
    )


def _pull(term: sp.Expr, index: sp.Symbol, lower: sp.Expr, upper: sp.Expr) -> sp.Expr:
    deltas = [factor for factor in sp.Mul.make_args(term) if isinstance(factor, sp.KroneckerDelta)]
    if deltas:
        other = next(argument for argument in deltas[0].args if argument != index)
        return (term / deltas[0]).subs(index, other)
    constant, varying = term.as_independent(index, as_Add=False)
    if varying == 1:
        return constant * (upper - lower + 1)
    return constant * sp.Sum(varying, (index, lower, upper))
