"""A callback for Lightning that logs what real training steps do to the model's function."""

from typing import Any

from numerics.own_model.measurement.output import Output
from numerics.own_model.workflow.step_watch import StepWatch, WatchedRun
from numerics.structure.default_batch import ModelBatch
from theory.errors import extra


def lightning_watch(batch: ModelBatch, *, every: int = 50, output: Output = None) -> Any:
    """Make a Lightning callback that logs ‖Δf‖/η, norm inputs and coherence every k steps.

    The keys are those of `numerics.own_model.workflow.step_watch`. They go to the trainer's
    loggers, and stand in the callback's ``history``, a list of (step, values). Only the process of
    rank 0 measures. Weights that are spread over processes cannot be measured.

    Parameters
    ----------
    batch
        Arguments of one forward of the `LightningModule`, the same at every measurement.
    every
        Optimizer steps from one measurement to the next.
    output
        What f is, see `numerics.own_model.measurement.output.Output`.

    Returns
    -------
    lightning.pytorch.Callback
        For ``Trainer(callbacks=[…])``.

    Raises
    ------
    InputError
        If Lightning is not installed, or ``every`` is no positive integer.
    """
    run = WatchedRun(StepWatch(batch, every, output))
    base = extra("lightning.pytorch", "callbacks").Callback

    class LightningWatch(base):
        """Measures around the optimizer's step."""

        history = run.history

        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            """Keep the weights, if this step is to be measured."""
            if trainer.is_global_zero:
                run.open(int(trainer.global_step), pl_module, optimizer)

        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            """Measure and log."""
            del outputs, batch, batch_idx
            if found := run.close(pl_module):
                step, values = found
                for logger in trainer.loggers:
                    logger.log_metrics(values, step=step)

    return LightningWatch()
