"""Parallel text for training: generated, from packages or a hub, or a user's own files.

``corpus`` defines the values, ``tokenizer`` and ``batches`` turn them into model inputs.
"""
