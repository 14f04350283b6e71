"""The named baselines: the statements, one row each."""

from theory.claims import Claim

ROWS: tuple[Claim, ...] = ()
