"""The report: one HTML page about runs of the command, which needs no network to be read."""
