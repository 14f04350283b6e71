"""The names of the update rules that step a hidden matrix by an orthogonal one.

Muon replaces a gradient g = U Σ Vᵀ by U Vᵀ. The rules differ in the number in front of it
(`numerics.linearization.update_directions` has the three). This file imports nothing, so that a
command's help does not wait for SymPy.
"""

MUONS = ("muon", "muon-match-rms-adamw", "muon-spectral")
"""The original scaling, the one that matches AdamW's root mean square, and the spectral one."""
