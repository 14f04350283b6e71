"""Questions about a model that somebody else wrote: measure it, check its depth, audit its weights.

``measurement`` gives lim ‖Δf‖/η of any torch module. ``check`` repeats it over depths or widths and
decides whether it grows. ``audit`` compares the weights with what a recipe asks of their roles.
``workflow`` puts these into the tests and the training loops of other projects.
"""

__all__ = ["measurement", "check", "audit", "workflow"]
