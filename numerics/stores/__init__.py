"""Folders of results that can be killed, resumed, raced and damaged without a wrong number.

``files`` writes a file whole or not at all. ``folder`` gives one process at a time the right to
write, and tells its own leftovers from other people's files. ``seals`` notices a changed byte.
Sweeps, training runs and experiments are stored through these three. ``provenance`` says how a
result was made, and ``record_folder`` where the recorded ones lie.
"""

__all__ = [
    "files",
    "folder",
    "seals",
    "provenance",
    "record_folder",
]
