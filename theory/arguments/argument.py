"""An argument: a derivation, the reading of a claim that it tests, and what it does to it.

It establishes that reading or refutes it by a counterexample.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from theory.claims import Control, Evidence, Kind, Reading
from theory.derivations.derivation import Derivation, Step


@dataclass(frozen=True)
class Argument:
    """A derivation and what it says about a claim."""

    claim: str
    summary: str
    """What the derivation shows, in one line."""
    build: Callable[[], Derivation]
    refutes: bool = False
    """Whether it shows that the reading is false."""
    reading: Reading = Reading.PRINTED
    reading_text: str = ""
    """The hypothesis added, or the repaired statement."""

    def evidence(self) -> Evidence:
        """Check every step and its altered version.

        If all steps hold the reading passes, or fails where the derivation refutes it. A step that
        does not hold decides nothing: what could not be derived may still be true.
        """
        start = time.perf_counter()
        derivation = self.build()
        checked = tuple(derivation.check())
        controls = [found for item in checked if (found := item.control_rejected) is not None]
        broken = [item.step.because for item in checked if not item.holds]
        failure = f"not established, as this step does not hold: {broken[0]}" if broken else ""
        return Evidence(
            claim=self.claim,
            kind=Kind.DERIVATION,
            passed=None if broken else not self.refutes,
            summary=failure or self.summary,
            control=Control(
                f"{sum(controls)} of {len(controls)} altered steps rejected",
                bool(controls) and all(controls),
            ),
            reading=self.reading,
            reading_text=self.reading_text,
            value=f"{sum(item.holds for item in checked)} of {len(checked)} steps hold",
            expected="all",
            seconds=time.perf_counter() - start,
            details={"derivation": derivation.title},
        )


def of(claim: str, title: str, steps: Callable[[], tuple[Step, ...]]) -> Callable[[], Derivation]:
    """A derivation from a function that returns its steps."""
    return lambda: Derivation(claim, title, steps())
