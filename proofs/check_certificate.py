"""Checks interval certificates a second time with fractions only: no SymPy, no ball arithmetic.

``tfixup prove --kind interval --json | python proofs/check_certificate.py`` reads the certificates
of roots, of RAdam's variance at integers, and of the cells over which it falls. The exit code is 1
if one does not hold. The norms of Eq. 1 are balls and are not checked here.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction as Q
from itertools import pairwise
from math import prod
from typing import Any

PI = (Q("3.14159265358979323846264338327950"), Q("3.14159265358979323846264338327951"))


def root(it: Mapping[str, Any]) -> bool:
    """Check a root: p(low) < 0 < p(high), and p' > 0 between them, term by term."""
    p, low, high = [Q(c) for c in it["polynomial"]], Q(it["low"]), Q(it["high"])
    ends = [sum(c * x**k for k, c in enumerate(p)) for x in (low, high)]
    rise = sum(k * c * (low if c > 0 else high) ** (k - 1) for k, c in enumerate(p) if k)
    return 0 < low < high and ends[0] < 0 < ends[1] and rise > 0


def variance(it: Mapping[str, Any]) -> bool:
    """Check that ρ/(ρ−2) − (ρ/2) g² lies between the decimals.

    g² = π or 4/π times Π ((k − 1)/k)².
    """
    rho = int(it["rho"])
    product = prod(Q(k - 1, k) ** 2 for k in range(2 + rho % 2, rho, 2))
    squares = [product * (4 / pi if rho % 2 else pi) for pi in PI]
    values = [Q(rho, rho - 2) - Q(rho, 2) * square for square in squares]
    return all(Q(it["low"]) < value < Q(it["high"]) for value in values)


def decrease(it: Mapping[str, Sequence[Mapping[str, str]]]) -> bool:
    """Check that the cells join up from 5 to 500 and that each derivative's bound is negative."""
    cells = it["cells"]
    joined = all(a["right"] == b["left"] for a, b in pairwise(cells))
    covered = (cells[0]["left"], cells[-1]["right"]) == ("5", "500")
    return joined and covered and all(Q(cell["slope_at_most"]) < 0 for cell in cells)


CHECKS = {"root": root, "variance": variance, "decrease": decrease}


def check(document: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """One (statement, kind, holds) for every certificate of a kind that is known here."""
    return [
        (statement["name"], it["kind"], CHECKS[it["kind"]](it))
        for statement in document["statements"]
        for it in statement["details"].get("certificates", ())
        if it["kind"] in CHECKS
    ]


if __name__ == "__main__":
    outcomes = check(json.load(sys.stdin))
    for name, kind, holds in outcomes:
        print("holds" if holds else "FAILS", kind, name)
    sys.exit(0 if outcomes and all(holds for *_, holds in outcomes) else 1)
