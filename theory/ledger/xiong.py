"""Xiong et al. 2020: the statements, one row each."""

from theory.claims import Claim

ROWS: tuple[Claim, ...] = ()
