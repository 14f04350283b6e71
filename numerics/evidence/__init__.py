"""Measurement and training evidence, attached to claims by id."""
