"""Derivatives of this project's Transformer, written out by hand, for measurement and for training.

They give the same numbers as automatic differentiation, which is the oracle of their tests, in less
time and memory. They serve some wirings and elementwise optimizers only. The door to them is
`numerics.linearization.engines.linearize`; besides it, only the estimate of memory and the training
loop may import this package.

Reading order: ``block_weights`` gathers the parameters, ``mlp_and_norm``, ``head_products`` and
``attention`` differentiate the pieces, ``residual_block`` and ``stacks`` put them together,
``gradients`` is what a backward sweep yields, ``response`` makes J s of it, and
``training_gradient`` hands it to an optimizer.
"""

from numerics.linearization.closed_form.memory import tape_numbers
from numerics.linearization.closed_form.response import ClosedGrouping, linearize, serves
from numerics.linearization.closed_form.training_gradient import ClosedGradient

__all__ = ["serves", "ClosedGrouping", "linearize", "ClosedGradient", "tape_numbers"]
