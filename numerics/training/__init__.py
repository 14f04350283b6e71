"""Training runs: the loop, its records, and the rule that says whether a run trained."""
