"""How a paper's sentence is read: the quantity that stands for it, and against what."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StatementReading:
    """A sentence of a paper and what a verdict takes it to say."""

    claim: str
    """Identifier of the claim in the ledger."""
    sentence: str
    """The sentence as printed, or what it says in our words."""
    quantity: str
    """What is computed or measured in its place."""
    baseline: str
    """What the quantity is compared with."""
    comparator: str
    """When the statement counts as true, and where it says more, when as false."""
    why: str
    """Why this quantity, this baseline and this comparator."""
    left_open: str = ""
    """What the paper leaves open, such as rate, width or steps."""
    quoted: bool = True
    """Whether the sentence is quoted; else it is a paraphrase."""
