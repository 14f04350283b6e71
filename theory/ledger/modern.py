"""Statements about initialisations of today's decoder-only models."""

from theory.claims import Claim, Outcome

_GPT2 = ("norm before each branch and at the end", "weights drawn independently", "in mean square")

ROWS = (
    Claim(
        "modern.gpt2-stream",
        "output matrices of std 0.02/√(2N) keep the stream's variance Θ(1) at any depth",
        "Radford et al. 2019, 2.3",
        _GPT2,
        Outcome.HOLDS,
    ),
    Claim(
        "modern.gpt2-update",
        "output matrices of that std keep f's change in one step Θ(η) too, under SGD and signs",
        "the stream's rule, read as one for the update",
        (*_GPT2, "first order in η"),
        Outcome.FAILS,
    ),
)
