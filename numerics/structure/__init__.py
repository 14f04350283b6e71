"""The structure of any torch Transformer, found by dataflow from one traced forward.

`trace` is the door. It records a forward (`record`, `graph`), finds norms, products and residual
additions (`norms`, `products`, `additions`, `streams`), and tells what each branch and each
parameter is for (`kinds`, `targets`, `views`, `wiring`). The answer is a `types.Structure`.
"""
