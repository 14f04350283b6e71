"""A callback for Hugging Face's Trainer that logs what real steps do to the model's function."""

from typing import Any

from numerics.own_model.measurement.output import Output
from numerics.own_model.workflow.step_watch import Opened, StepWatch, learning_rate
from numerics.structure.default_batch import Batch
from theory.errors import extra


def watch_trainer(trainer: Any, batch: Batch, *, every: int = 50, output: Output = None) -> Any:
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
    watch = StepWatch(batch, every, output)
    base = extra("transformers", "callbacks").TrainerCallback

    class TrainerWatch(base):
        """Measures around the optimizer's step."""

        def __init__(self) -> None:
            self.history: list[tuple[int, dict[str, float]]] = []
            self._structure = None
            self._opened: tuple[float, Opened] | None = None

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            """Keep the weights, if this step is to be measured."""
            del args, control
            if state.is_world_process_zero and watch.due(state.global_step):
                opened = watch.before(given["model"], self._structure)
                self._structure = opened.structure
                self._opened = (learning_rate(given["optimizer"]), opened)

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            """Measure and log."""
            del args, control
            if self._opened is None:
                return
            rate, opened = self._opened
            self._opened = None
            values = opened.after(given["model"], rate)
            self.history.append((state.global_step, values))
            trainer.log(values)

    callback = TrainerWatch()
    trainer.add_callback(callback)
    return callback
