"""How far one optimizer step moves any torch module, measured on a private copy.

In the order of reading: `private_copy`, `conditions`, `output` and `padding` make a function of the
module; `update_steps` and `noise` turn its gradient into a step; `tangents` and `measure` give the
limit of ‖Δf‖/η by group of parameters; `probe` and `walk` look at sizes and at several steps.
"""
