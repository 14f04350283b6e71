"""Whether one step of a user's model grows with depth or width, and what drives it.

In the order of reading: `types`, `sizes` (the models that are measured), `laws` (which law of
growth), `decide` (the verdict), `advice` (what drives it and what to change), `check` (all
together), `report` and `figure`.
"""
