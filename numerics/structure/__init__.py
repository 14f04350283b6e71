"""The structure of any torch Transformer, found by dataflow from one traced forward."""
