"""Does this Transformer initialisation do what its theory says? The names that users import.

``theory``, ``proofs`` and ``numerics`` hold the work; ``import tfixup`` is the way in. Names are
loaded on first use, so that importing this package is fast and loads neither torch nor SymPy.

Examples
--------
A model is described by a `ModelSpec` and built by a scheme of `SCHEMES`:

>>> import torch, tfixup
>>> isinstance(tfixup.SCHEMES["deepnorm"], tfixup.Scheme)
True
>>> generator = torch.Generator().manual_seed(0)
>>> spec = tfixup.ModelSpec(encoder_layers=2, decoder_layers=2)
>>> model = tfixup.build("tfixup", spec, generator)
>>> isinstance(model, tfixup.Transformer)
True

A scheme of your own names a wiring of `WIRINGS`, and a `Prescription` of what each role is drawn
from: a factor on Xavier's law, or a `WeightDraw`. A `Recipe` does so for any model, by role:

>>> class Narrow(tfixup.Scheme):
...     def prescribe(self, spec):
...         return tfixup.Prescription({}, draws={"encoder.mlp.w2": tfixup.WeightDraw(0.01)})
>>> narrow = tfixup.build(Narrow("narrow", tfixup.WIRINGS["pre-ln"], "mine"), spec, generator)
>>> 0.008 < float(narrow.encoder[0].mlp.branch.w2.detach().std()) < 0.012
True
>>> isinstance(tfixup.RECIPES["gpt2"], tfixup.Recipe)
True

A batch of tokens is a `TokenBatch`. One measurement gives lim ‖Δf‖/η in total and by part, exactly,
as an `UpdateReport`:

>>> batch = tfixup.random_batch(spec, generator)
>>> isinstance(batch, tfixup.TokenBatch)
True
>>> report = tfixup.measure_update(model, batch, generator, optimizer="sgd")
>>> isinstance(report, tfixup.UpdateReport) and report.finite
True
>>> 0 < report.update["decoder.mlp"] < report.update["total"]
True

Several seeds are measured together by `measure_updates`:

>>> seeds = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
>>> models = [tfixup.build("tfixup", spec, seed) for seed in seeds]
>>> batches = [tfixup.random_batch(spec, seed) for seed in seeds]
>>> len(tfixup.measure_updates(models, batches, seeds))
2

The theory predicts the gradient's energy of every part without a fitted number; `compare` puts the
measurement beside it, a `PartComparison` per part:

>>> predicted = tfixup.predict("tfixup", spec)
>>> isinstance(predicted, tfixup.Prediction) and predicted.part("decoder.mlp") > 0
True
>>> [part] = [p for p in tfixup.compare("tfixup", spec, 2) if p.part == "decoder.mlp"]
>>> isinstance(part, tfixup.PartComparison) and abs(part.deviation) < 0.5
True

A sweep measures a grid that a `SweepConfig` and its `SweepSettings` describe, and `exponent_table`
reads the depth exponents off its rows. `power_law` fits one, an `Exponent` with its interval, or
says why there is `NoExponent`:

>>> grid = tfixup.SweepConfig(("tfixup",), ("sgd",), (6, 8, 10), 2, tfixup.SweepSettings())
>>> rows = tfixup.run_sweep(grid)
>>> table = tfixup.exponent_table(rows)
>>> {"part", "exponent", "low", "high"} <= set(table.columns)
True
>>> fit = tfixup.power_law([1, 2, 4, 8], [1.0, 2.0, 4.0, 8.0])
>>> isinstance(fit, tfixup.Exponent) and round(fit.value, 6)
1.0
>>> isinstance(tfixup.power_law([1, 2], [1.0, 2.0]), tfixup.NoExponent)
True

Your own model needs no adapter. `check` calls a factory with several depths and says whether one
step grows with the depth; the result is a `Check`. `audit` compares every tensor with what a recipe
of `RECIPES` asks of its role and gives an `Audit`; `initialize_` draws the tensors so.
`trace_structure` finds the `Structure` from one forward, and `measure_module` is one measurement, a
`ModuleUpdate`:

>>> from torch import nn
>>> def encoder(layers):
...     layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True, norm_first=True)
...     stack = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
...     return stack, torch.randn(2, 4, 16)
>>> found = tfixup.check(encoder, values=(1, 2, 3, 4), optimizers=("sgd",), seeds=2)
>>> isinstance(found, tfixup.Check), found.verdict in ("bounded", "grows", "not decided")
(True, True)
>>> theirs, inputs = encoder(2)
>>> result = tfixup.initialize_(theirs, "gpt2", generator, inputs)
>>> audited = tfixup.audit(theirs, "gpt2", inputs)
>>> isinstance(audited, tfixup.Audit) and audited.clean and "gpt2" in tfixup.RECIPES
True
>>> structure = tfixup.trace_structure(theirs, inputs)
>>> isinstance(structure, tfixup.Structure), structure.depth
(True, 4)
>>> moved = tfixup.measure_module(theirs, inputs, ("sgd",))["sgd"]
>>> isinstance(moved, tfixup.ModuleUpdate) and moved.total > 0
True

What a model's step needs to be alike at every depth, `solve_model` derives: a recipe to draw it by,
with factors on the rates, in a `ModelSolution`. `param_groups` is what an optimizer takes:

>>> solved = tfixup.solve_model(encoder, "adamw", 8, base_layers=2)
>>> isinstance(solved, tfixup.ModelSolution)
True
>>> deep, inputs = encoder(8)
>>> result = tfixup.initialize_(deep, solved.recipe, generator, inputs)
>>> groups = tfixup.param_groups(deep, solved.recipe, 1e-3, batch=inputs)
>>> sorted({group["lr"] for group in groups})
[0.00025, 0.0005]
>>> optimizer = torch.optim.AdamW(groups)

In tests, `assert_depth_bounded` and `assert_initialized` fail with the table, and `assert_constant`
does with any quantity by depth:

>>> tfixup.assert_initialized(theirs, "gpt2", inputs).clean
True
>>> tfixup.assert_depth_bounded.__name__
'assert_depth_bounded'
>>> fit = tfixup.assert_constant({2: 1.0, 4: 1.001, 8: 0.999, 16: 1.0})

During training `lightning_watch` makes a callback for Lightning and `watch_trainer` one for Hugging
Face's trainer. Both log what the real steps do to the function. `StepWatch` does so in a loop of
your own:

>>> opened = tfixup.StepWatch(inputs).before(theirs)
>>> sgd = torch.optim.SGD(theirs.parameters(), lr=0.1)
>>> _ = theirs(inputs).square().mean().backward(), sgd.step()
>>> opened.after(theirs, rate=0.1)["update/total"] > 0
True
>>> tfixup.lightning_watch.__name__, tfixup.watch_trainer.__name__
('lightning_watch', 'watch_trainer')

Scales for a stack and an optimizer come from `solve` as a `Solution`; `architecture` describes the
usual stacks:

>>> solution = tfixup.solve(tfixup.architecture("encoder-decoder", 12, 12), "sgd")
>>> isinstance(solution, tfixup.Solution)
True
>>> scales = {str(name): round(float(value), 4) for name, value in solution.scales.items()}
>>> scales["v_d"], scales["v_e"]
(0.3102, 0.3598)
>>> alone = tfixup.solve(tfixup.architecture("encoder-only", 12, 12), "sgd")
>>> round(float(max(alone.scales.values())), 4)
0.3433

Every statement of the papers is a `Claim` in `LEDGER`. `derive` returns its derivations, and
`verify` its verdict, computed from `Evidence`:

>>> tfixup.LEDGER[0].paper
'tfixup'
>>> isinstance(tfixup.LEDGER[0], tfixup.Claim)
True
>>> derivation = tfixup.derive("tfixup.encoder-scale")[0]
>>> isinstance(derivation, tfixup.Derivation)
True
>>> [found] = tfixup.verify("rezero.isometry")
>>> isinstance(found, tfixup.Verdict), str(found.outcome)
(True, 'holds')
>>> all(isinstance(item, tfixup.Evidence) for item in found.evidence)
True

`train` runs a `TrainConfig` on real or generated text into a folder; `read_run` reads what it left:

>>> import tempfile
>>> from pathlib import Path
>>> config = tfixup.TrainConfig(layers=1, steps=2, pairs=300, vocabulary=200, tokens=256)
>>> with tempfile.TemporaryDirectory() as folder:
...     run = tfixup.train(config, Path(folder) / "run")
...     again = tfixup.read_run(run.path)
>>> isinstance(again, tfixup.RecordedRun) and str(again.outcome)
'stuck'

The runs that come with the project lie in `records`. `read_sweep` reads a sweep as a
`RecordedSweep`, and `read_runs` all training runs below a folder. `plot` draws any result:

>>> recorded = tfixup.read_sweep(tfixup.records() / "sweep")
>>> isinstance(recorded, tfixup.RecordedSweep), "sweep" in recorded.command
(True, True)
>>> runs = tfixup.read_runs(tfixup.records() / "fig4b")
>>> figures = [tfixup.plot(result) for result in (recorded, table, runs, audited)]
>>> len(figures)
4

A rule of use that was broken raises `InputError` with one line:

>>> tfixup.ModelSpec(0, 1)
Traceback (most recent call last):
    ...
theory.errors.InputError: encoder_layers must be an integer of at least 1, got 0
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numerics.measure.report import UpdateReport as UpdateReport
    from numerics.measure.updates import measure_update as measure_update
    from numerics.measure.updates import measure_updates as measure_updates
    from numerics.models import WIRINGS as WIRINGS
    from numerics.models import ModelSpec as ModelSpec
    from numerics.models import Transformer as Transformer
    from numerics.models.tokens import TokenBatch as TokenBatch
    from numerics.models.tokens import random_batch as random_batch
    from numerics.own_model.audit.audit import Audit as Audit
    from numerics.own_model.audit.audit import audit as audit
    from numerics.own_model.check.check import check as check
    from numerics.own_model.check.result import Check as Check
    from numerics.own_model.check.solved_models import solve_model as solve_model
    from numerics.own_model.measurement.measure import ModuleUpdate as ModuleUpdate
    from numerics.own_model.measurement.measure import measure_module as measure_module
    from numerics.own_model.workflow.assertions import assert_constant as assert_constant
    from numerics.own_model.workflow.assertions import assert_depth_bounded as assert_depth_bounded
    from numerics.own_model.workflow.assertions import assert_initialized as assert_initialized
    from numerics.own_model.workflow.lightning_watch import lightning_watch as lightning_watch
    from numerics.own_model.workflow.plot import plot as plot
    from numerics.own_model.workflow.step_watch import StepWatch as StepWatch
    from numerics.own_model.workflow.trainer_watch import watch_trainer as watch_trainer
    from numerics.prediction.compare import PartComparison as PartComparison
    from numerics.prediction.compare import compare as compare
    from numerics.prediction.compare import predict as predict
    from numerics.recipes import RECIPES as RECIPES
    from numerics.recipes import Recipe as Recipe
    from numerics.recipes.initialize import initialize_ as initialize_
    from numerics.recipes.param_groups import param_groups as param_groups
    from numerics.recipes.solved import ModelSolution as ModelSolution
    from numerics.schemes import SCHEMES as SCHEMES
    from numerics.schemes import Prescription as Prescription
    from numerics.schemes import Scheme as Scheme
    from numerics.schemes import build as build
    from numerics.schemes.draws import WeightDraw as WeightDraw
    from numerics.statistics.exponents import Exponent as Exponent
    from numerics.statistics.exponents import NoExponent as NoExponent
    from numerics.statistics.exponents import power_law as power_law
    from numerics.stores.record_folder import records as records
    from numerics.structure.trace import trace_structure as trace_structure
    from numerics.structure.types import Structure as Structure
    from numerics.sweeps.grid import SweepConfig as SweepConfig
    from numerics.sweeps.recorded import RecordedSweep as RecordedSweep
    from numerics.sweeps.recorded import read_sweep as read_sweep
    from numerics.sweeps.run import exponent_table as exponent_table
    from numerics.sweeps.run import run_sweep as run_sweep
    from numerics.sweeps.settings import SweepSettings as SweepSettings
    from numerics.training.config import TrainConfig as TrainConfig
    from numerics.training.loop import run_training as train  # noqa: F401
    from numerics.training.recorded import RecordedRun as RecordedRun
    from numerics.training.recorded import read_run as read_run
    from numerics.training.recorded import read_runs as read_runs
    from numerics.verify import verify as verify
    from theory.arguments import derive as derive
    from theory.claims import Claim as Claim
    from theory.claims import Evidence as Evidence
    from theory.claims import Verdict as Verdict
    from theory.derivations.derivation import Derivation as Derivation
    from theory.errors import InputError as InputError
    from theory.ledger import LEDGER as LEDGER
    from theory.mean_field.predict import Prediction as Prediction
    from theory.scales.architectures import layout_named as architecture  # noqa: F401
    from theory.scales.solver import Solution as Solution
    from theory.scales.solver import solve as solve

_HOMES = {
    # your own model
    "check": "numerics.own_model.check.check",
    "Check": "numerics.own_model.check.result",
    "audit": "numerics.own_model.audit.audit",
    "Audit": "numerics.own_model.audit.audit",
    "RECIPES": "numerics.recipes",
    "Recipe": "numerics.recipes",
    "initialize_": "numerics.recipes.initialize",
    "solve_model": "numerics.own_model.check.solved_models",
    "ModelSolution": "numerics.recipes.solved",
    "param_groups": "numerics.recipes.param_groups",
    "trace_structure": "numerics.structure.trace",
    "Structure": "numerics.structure.types",
    "measure_module": "numerics.own_model.measurement.measure",
    "ModuleUpdate": "numerics.own_model.measurement.measure",
    "assert_depth_bounded": "numerics.own_model.workflow.assertions",
    "assert_initialized": "numerics.own_model.workflow.assertions",
    "assert_constant": "numerics.own_model.workflow.assertions",
    "StepWatch": "numerics.own_model.workflow.step_watch",
    "lightning_watch": "numerics.own_model.workflow.lightning_watch",
    "watch_trainer": "numerics.own_model.workflow.trainer_watch",
    # a model and its measurement
    "SCHEMES": "numerics.schemes",
    "Scheme": "numerics.schemes",
    "Prescription": "numerics.schemes",
    "WeightDraw": "numerics.schemes.draws",
    "WIRINGS": "numerics.models",
    "ModelSpec": "numerics.models",
    "Transformer": "numerics.models",
    "build": "numerics.schemes",
    "TokenBatch": "numerics.models.tokens",
    "random_batch": "numerics.models.tokens",
    "measure_update": "numerics.measure.updates",
    "measure_updates": "numerics.measure.updates",
    "UpdateReport": "numerics.measure.report",
    # its prediction
    "predict": "numerics.prediction.compare",
    "Prediction": "theory.mean_field.predict",
    "compare": "numerics.prediction.compare",
    "PartComparison": "numerics.prediction.compare",
    # sweeps over the depth
    "SweepConfig": "numerics.sweeps.grid",
    "SweepSettings": "numerics.sweeps.settings",
    "run_sweep": "numerics.sweeps.run",
    "exponent_table": "numerics.sweeps.run",
    "read_sweep": "numerics.sweeps.recorded",
    "RecordedSweep": "numerics.sweeps.recorded",
    "power_law": "numerics.statistics.exponents",
    "Exponent": "numerics.statistics.exponents",
    "NoExponent": "numerics.statistics.exponents",
    # scales
    "solve": "theory.scales.solver",
    "Solution": "theory.scales.solver",
    "architecture": "theory.scales.architectures:layout_named",
    # statements
    "LEDGER": "theory.ledger",
    "Claim": "theory.claims",
    "Evidence": "theory.claims",
    "Verdict": "theory.claims",
    "derive": "theory.arguments",
    "Derivation": "theory.derivations.derivation",
    "verify": "numerics.verify",
    # training
    "TrainConfig": "numerics.training.config",
    "train": "numerics.training.loop:run_training",
    "read_run": "numerics.training.recorded",
    "read_runs": "numerics.training.recorded",
    "RecordedRun": "numerics.training.recorded",
    # what was recorded, and figures of any result
    "records": "numerics.stores.record_folder",
    "plot": "numerics.own_model.workflow.plot",
    # what a broken rule raises
    "InputError": "theory.errors",
}
"""Module of each public name, followed by the name there where it differs."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tfixup' has no attribute {name!r}")
    module, _, own = _HOMES[name].partition(":")
    found = getattr(import_module(module), own or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
