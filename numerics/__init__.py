"""Models, schemes, measurement, training and the ``tfixup`` command; users import `tfixup`.

The wings in the order of imports, each above those that it uses: results on disk, statistics, where
tasks run; the model and its linearisation; schemes; what is measured, predicted and drawn; sweeps;
other people's models, their structure and recipes; training; checks of those models; evidence,
verdicts and the command.
"""

__all__ = [
    "stores",
    "statistics",
    "executors",
    "models",
    "linearization",
    "schemes",
    "measure",
    "signals",
    "prediction",
    "figures",
    "sweeps",
    "structure",
    "recipes",
    "data",
    "training",
    "own_model",
    "evidence",
    "verify",
    "report",
    "cli",
]
