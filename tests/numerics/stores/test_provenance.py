"""How a result was made is asked of git without touching the user's checkout."""

import subprocess

from numerics.stores import provenance


def test_git_takes_no_lock_that_a_kill_could_leave(monkeypatch):
    """A process killed while git held the index's lock would block every later commit."""
    asked = []
    real = subprocess.run

    def watched(command, **options):
        asked.append(command)
        return real(command, **options)

    monkeypatch.setattr(provenance.subprocess, "run", watched)
    provenance.commit()
    assert asked
    assert all(command[:2] == ["git", "--no-optional-locks"] for command in asked)
