"""Parallel text: generated, or a user's own files."""
