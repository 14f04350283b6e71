"""``tfixup check``: whether one step of a model of your own grows with its depth or width."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from theory.errors import integer_of, words_of


@dataclass(frozen=True)
class CheckCommand:
    """Measure how far one optimizer step moves your model, over depth or width, with a verdict.

    The factory is called with each size and returns a module, or a module and a batch. The exact
    limit of ‖Δf‖/η is measured on a private copy, in total, by role and by layer. The verdict is
    the law that it follows over the sizes. The exit code is 0 if nothing grows, 1 if something
    does, 2 for bad input.
    """

    model: Positional[str]
    """MODULE:FACTORY or PATH.py:FACTORY; the factory takes the depth (or the width)."""
    over: str = "depth"
    """What the sizes are: depth or width."""
    values: str = "2,4,8,16,32"
    """The sizes, comma-separated: at least three, and four for a law of growth."""
    optimizers: str = "sgd,adamw,muon"
    """Optimizers whose first step is measured, comma-separated: sgd, momentum, sign, adam, adamw,
    radam, lion, lamb, adafactor, muon, muon-match-rms-adamw, muon-spectral. Weight decay and ε
    follow behind colons: adamw:weight_decay=0.01. tfixup list optimizers says what each is."""
    seeds: int = 4
    """Models per size, each drawn under a seeded global generator."""
    lr: float | None = None
    """Learning rate at which the relative change of f in one step is predicted."""
    steps: int = 1
    """If more than 1, this many real steps are taken as well, at the least and the largest size.
    They tell tensors whose gradient is 0 at first from those whose gradient stays 0."""
    depth: int | None = None
    """With --over width: the depth, for a factory of two arguments."""
    width: int | None = None
    """With --over depth: the width, for a factory of two arguments."""
    rates: str | None = None
    """Scheme whose factors on the learning rate, by role, the step has: completep, depth-mup or
    u-mup; --lr is then the rate at the scheme's base size."""
    dtype: str = "auto"
    """Precision of the measurement: auto (float64) or float32. With float16 or bfloat16 the report
    also says which values leave the range of that type."""
    output: str | None = None
    """What f is: features (the input of the head), logits, or an attribute of what the model
    returns."""
    out: Path | None = None
    """Folder for the figure and the JSON document."""
    json: bool = False
    """Print JSON, as --format json does."""
    format: Literal["table", "json", "github"] = "table"
    """What is printed: tables, JSON, or an annotation of GitHub Actions."""
    traceback: bool = False
    """Show the whole traceback when your own code raises an exception."""

    def run(self) -> int:
        """Measure, print, store."""
        from numerics.models.user_code import UserCodeError
        from numerics.own_model.check.check import check
        from numerics.stores.files import require_folder

        if self.out is not None:
            require_folder(self.out)
        try:
            found = check(
                self.model,
                numbers("values", self.values),
                words_of("optimizers", self.optimizers),
                over=self.over,
                seeds=self.seeds,
                lr=self.lr,
                steps=self.steps,
                depth=self.depth,
                width=self.width,
                dtype=self.dtype,
                output=self.output,
                rates=self.rates,
            )
        except UserCodeError as raised:
            if self.traceback:
                print(raised.full, file=sys.stderr)
            raise
        document = found.document()
        # Results are printed before they are stored: a full disk must not cost them.
        self._print(found, document)
        if self.out is not None:
            self._store(found, document)
        return found.exit_code

    def _print(self, found: object, document: dict[str, object]) -> None:
        import json

        from numerics.own_model.check.report import github_lines, print_check
        from numerics.own_model.check.result import Check as Result

        assert isinstance(found, Result)
        if self.json or self.format == "json":
            print(json.dumps(document, indent=1, ensure_ascii=False))
        elif self.format == "github":
            print("\n".join(github_lines(found)))
        else:
            print_check(found)

    def _store(self, found: object, document: dict[str, object]) -> None:
        from numerics.figures.style import save
        from numerics.own_model.check.figure import draw_check
        from numerics.own_model.check.result import Check as Result
        from numerics.stores.folder import ResultFolder
        from numerics.stores.provenance import command_line, provenance
        from numerics.stores.seals import write_sealed

        assert isinstance(found, Result)
        assert self.out is not None
        made = provenance(
            command=command_line(),
            config={**vars(self), "out": str(self.out)},
            seed=0,
            device="cpu",
            dtype=self.dtype,
            seconds=found.seconds,
        )
        names = ("check.json", "check.svg", "check.png")
        with ResultFolder(self.out, names[0], "check", names).exclusively():
            write_sealed(self.out / names[0], {**document, "provenance": made})
            for name in names[1:]:
                save(draw_check(found), self.out / name)


def numbers(name: str, text: str) -> tuple[int, ...]:
    """Comma-separated integers.

    Examples
    --------
    >>> numbers("values", "2, 4,8")
    (2, 4, 8)
    >>> numbers("values", "2,x")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: values must be integers in plain digits, got 'x'
    """
    return tuple(integer_of(name, word) for word in words_of(name, text))
