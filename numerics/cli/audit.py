"""``tfixup audit``: whether a model of your own has the initialisation that it should have."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from theory.errors import integer_of, require_within, words_of

if TYPE_CHECKING:
    from numerics.own_model.audit.audit import Audit as Result
    from numerics.structure.user_factory import UserFactory

DEPTH = 6
"""Depth with which a factory is called that needs one, where the user gives none."""


@dataclass(frozen=True)
class AuditCommand:
    """Compare every tensor of your model with what an initialisation recipe asks of it.

    A tensor's role is found by tracing, not by its name. The table shows each tensor's role, its
    standard deviation and distribution, what the recipe asks, and the factor between the two.
    Without --recipe the model is compared with the nearest recipe. The exit code is 0 if nothing is
    wrong, 1 if something is, 2 for bad input.
    """

    model: Positional[str]
    """MODULE:FACTORY or PATH.py:FACTORY; the factory takes the depth, or nothing."""
    recipe: str | None = None
    """A recipe of `tfixup list recipes`, such as gpt2 or gpt2:std=0.01, or FILE.py:NAME for one of
    your own; else the nearest."""
    values: str | None = None
    """Depths at which the model is built, comma-separated; 6 unless given, if the factory takes
    one."""
    names: str = ""
    """Parameter names or patterns that a rule of yours scales, comma-separated; those that no
    parameter has are reported."""
    seed: int = 0
    """Seed of the global generators while the factory runs."""
    json: Path | None = None
    """File to which everything is written as JSON."""
    format: Literal["table", "json", "github"] = "table"
    """What is printed: a table, JSON, or annotations of GitHub Actions."""
    traceback: bool = False
    """Show the whole traceback when your own code raises an exception."""

    def run(self) -> int:
        """Build, audit, print."""
        from numerics.models.user_code import UserCodeError
        from numerics.own_model.audit.report import document
        from numerics.recipes import recipe_named
        from numerics.stores.files import require_writable
        from numerics.stores.seals import write_sealed
        from numerics.structure.user_factory import load_factory

        require_within(0, 2**63 - 1, seed=self.seed)
        if self.recipe is not None:
            recipe_named(self.recipe)
        if self.json is not None:
            require_writable(self.json)
        try:
            factory = load_factory(self.model)
            audits = {depth: self._audit(factory, depth) for depth in self._depths(factory)}
        except UserCodeError as raised:
            if self.traceback:
                print(raised.full, file=sys.stderr)
            raise
        documents = [{"depth": depth} | document(found) for depth, found in audits.items()]
        whole = {"model": self.model, "audits": documents}
        # Results are printed before they are stored: a full disk must not cost them.
        self._print(audits, whole)
        if self.json is not None:
            write_sealed(self.json, whole)
        return 0 if all(found.clean for found in audits.values()) else 1

    def _depths(self, factory: "UserFactory") -> list[int | None]:
        if self.values is None:
            return [DEPTH if factory.needs else None]
        depths: list[int | None] = []
        for word in words_of("values", self.values):
            depth = integer_of("values", word)
            require_within(1, 100_000, values=depth)
            depths.append(depth)
        return depths

    def _audit(self, factory: "UserFactory", depth: int | None) -> "Result":
        from dataclasses import replace

        import torch

        from numerics.own_model.audit.audit import audit
        from numerics.own_model.audit.finding import ranked
        from numerics.own_model.audit.written import (
            never_written,
            never_written_findings,
            overwritten,
            overwritten_findings,
        )
        from numerics.structure.user_factory import require_measurable

        def bare() -> object:
            return factory.build(depth, seed=self.seed, with_batch=False, finite=False).model

        unwritten = never_written(bare, seed=self.seed)
        built = factory.build(depth, seed=self.seed, finite=not unwritten, with_batch=False)
        parameters = dict(built.model.named_parameters())
        with torch.no_grad():
            for name in unwritten:
                parameters[name].zero_()  # memory may hold NaN, which would stop the whole audit
        require_measurable(built.model)
        batch = None if built.batch == () else built.batch
        names = words_of("names", self.names) if self.names else ()
        found = audit(built.model, self.recipe, batch, names=names)
        again = overwritten(bare, seed=self.seed)
        findings = ranked(
            (
                *(f for f in found.findings if not f.tensors or set(f.tensors) - set(unwritten)),
                *never_written_findings(unwritten),
                *overwritten_findings(again, built.model),
            )
        )
        notes = []
        if depth == DEPTH and self.values is None:
            notes.append(f"The factory takes a depth, and --values gives none: built at {DEPTH}.")
        return replace(found, findings=findings, notes=(*notes, *found.notes))

    def _print(self, audits: "dict[int | None, Result]", whole: dict[str, object]) -> None:
        import json

        from rich.console import Console

        from numerics.own_model.audit.report import annotations, print_audit

        several = len(audits) > 1
        if self.format == "json":
            print(json.dumps(whole, indent=1, allow_nan=False))
            return
        console = Console(emoji=False)  # a factory may be called :one:
        for depth, found in audits.items():
            if self.format == "github":
                print("\n".join(annotations(found)))
                continue
            title = f"{self.model} at depth {depth}" if several else self.model
            print_audit(console, found, title)
