"""The ``tfixup`` command, one file a subcommand."""
