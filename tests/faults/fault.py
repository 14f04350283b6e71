"""What a planted fault is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One mistake that somebody could make, as a change of one place in one file."""

    name: str
    file: str
    """The module, from the root of the checkout."""
    old: str
    """The text that is right; the file must hold it exactly once."""
    new: str
    """The text that is wrong."""
    tests: tuple[str, ...]
    """Tests of which at least one must fail."""


def planted(fault: Fault, text: str) -> str:
    """The module with the fault.

    Raises
    ------
    ValueError
        If the text that is right is not there exactly once: the fault no longer applies.
    """
    count = text.count(fault.old)
    if count != 1:
        raise ValueError(
            f"the fault {fault.name} no longer applies: its text must stand once in {fault.file}, "
            f"stands {count} times"
        )
    return text.replace(fault.old, fault.new)
