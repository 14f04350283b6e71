"""The ``tfixup`` command, one file per subcommand."""
