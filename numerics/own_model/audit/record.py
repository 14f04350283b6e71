"""What an audit found, as plain data: every tensor's numbers beside what the recipe asks."""

from dataclasses import dataclass

from numerics.own_model.audit.comparison import AuditRow
from numerics.own_model.audit.end_findings import UntrainedLoss
from numerics.own_model.audit.finding import Finding, plural
from numerics.own_model.audit.nearest import Nearest, is_drawn
from numerics.recipes.ends import Input
from numerics.recipes.place import ModelSizes
from numerics.recipes.recipe import Recipe
from numerics.structure.types import Structure


@dataclass(frozen=True)
class AuditRecord:
    """A model against a recipe, tensor by tensor, with what was found in words."""

    recipe: Recipe | None
    """The recipe that was asked for, or the nearest; ``None`` where none is near."""
    given: bool
    """Whether the user named the recipe."""
    nearest: Nearest | None
    """The recipe that explains most tensors; ``None`` where nothing is drawn or one was named."""
    rows: tuple[AuditRow, ...]
    """Every view of every parameter, measured and compared."""
    findings: tuple[Finding, ...]
    """What is not as it should be, the gravest first."""
    notes: tuple[str, ...]
    """What was decided, left out or not understood, in sentences."""
    structure: Structure
    setting: ModelSizes
    inputs: tuple[tuple[Input, ...], ...]
    """Per stream its inputs with their shares."""
    loss: UntrainedLoss | None
    """The first loss, where the output is logits."""

    @property
    def clean(self) -> bool:
        """Whether nothing was found that is a fault; remarks may remain."""
        return not self.faults

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that are faults."""
        return tuple(finding for finding in self.findings if finding.fault)

    @property
    def summary(self) -> str:
        """The answer in a sentence."""
        drawn = [row for row in self.rows if is_drawn(row.place, row.sample) and row.asked]
        agree = sum(row.agrees is True for row in drawn)
        against = f"against {self.recipe.name}" if self.recipe else "against no recipe"
        faults, remarks = len(self.faults), len(self.findings) - len(self.faults)
        found = plural(faults, "finding") if faults else "No findings"
        also = f" and {plural(remarks, 'remark')}" if remarks else ""
        frozen = sum(row.place.frozen and is_drawn(row.place, row.sample) for row in self.rows)
        rest = f"; {frozen} frozen are not compared" if frozen else ""
        return f"{found}{also} {against}: {agree} of {len(drawn)} drawn tensors agree{rest}."
