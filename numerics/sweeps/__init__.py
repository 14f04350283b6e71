"""Grids of measurements that can be interrupted, resumed and spread over machines.

``settings`` and ``grid`` say what is measured, ``task`` measures one point, ``store`` keeps it,
``run`` does a grid, ``recorded`` reads one back.
"""

__all__ = [
    "settings",
    "grid",
    "task",
    "store",
    "memory",
    "run",
    "recorded",
]
