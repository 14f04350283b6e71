"""Campaigns that try to break the command: kills, flipped bytes, full disks, nonsense.

``make faults`` runs them all. ``forks`` runs command lines in forks of one process that has
imported everything. ``kills``, ``flips``, ``full_disk`` and ``fuzz`` are the campaigns. Each writes
``results/faults/NAME.json``, and each has a control: a fault made on purpose that the very same
code must find.
"""
