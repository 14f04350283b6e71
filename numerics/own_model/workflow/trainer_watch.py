"""A callback for Hugging Face's Trainer that logs what real steps do to the model's function."""

from typing import Any

from numerics.own_model.measurement.output import Output
from numerics.own_model.workflow.step_watch import StepWatch, WatchedRun
from numerics.structure.default_batch import ModelBatch
from theory.errors import extra


def watch_trainer(
    trainer: Any, batch: ModelBatch, *, every: int = 50, output: Output = None
) -> Any:
    """Have a Hugging Face `Trainer` log ‖Δf‖/η, norm inputs and coherence every k steps.

    The keys are those of `numerics.own_model.workflow.step_watch`. They go where the trainer's own
    numbers go, through ``trainer.log``, and stand in the callback's ``history``, a list of (step,
    values). Only the process of rank 0 measures. Weights that are spread over processes cannot be
    measured.

    Parameters
    ----------
    trainer
        A `transformers.Trainer` that has not begun.
    batch
        Arguments of one forward of the model, the same at every measurement.
    every
        Optimizer steps from one measurement to the next.
    output
        What f is, see `numerics.own_model.measurement.output.Output`.

    Returns
    -------
    transformers.TrainerCallback
        It is added to the trainer already.

    Raises
    ------
    InputError
        If transformers is not installed, or ``every`` is no positive integer.
    """
    run = WatchedRun(StepWatch(batch, every, output))
    base = extra("transformers", "callbacks").TrainerCallback

    class TrainerWatch(base):
        """Measures around the optimizer's step."""

        history = run.history

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            """Keep the weights, if this step is to be measured."""
            del args, control
            if state.is_world_process_zero:
                run.open(state.global_step, given["model"], given["optimizer"])

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            """Measure and log."""
            del args, state, control
            if found := run.close(given["model"]):
                trainer.log(found[1])

    callback = TrainerWatch()
    trainer.add_callback(callback)
    return callback
