"""Models, schemes, measurement, training and the ``tfixup`` command."""
