"""Callbacks for experiment loggers. Each logger is imported when it is used.

The names of the logged values are those of sd-scripts' logs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._core import EpochEnd, Preview, RunPlan, Step
    from ._history import History
    from ._trainer import Trainer


def step_values(step: Step) -> dict[str, float]:
    """Returns the logged values of a step."""
    rates = {f"lr/{group}": rate for group, rate in step.learning_rates.items()}
    losses = {"loss/current": step.loss, "loss/average": step.average_loss}
    return {**losses, "grad_norm": step.grad_norm, **rates}


def epoch_values(epoch: EpochEnd) -> dict[str, float]:
    """Returns the logged values of an epoch."""
    loss = epoch.validation_loss
    return {} if loss is None else {"loss/validation": loss}


class _WandbLike:
    """The parts that loggers with the interface of wandb share."""

    def _begin(self, trainer: Trainer, name: str, **settings: str) -> None:
        self._module: Any = importlib.import_module(name)
        self._run = self._module.init(
            name=trainer.config.output_name, config=trainer.config.to_dict(), **settings
        )

    def on_step(self, trainer: Trainer, step: Step) -> None:
        self._run.log(step_values(step), step=step.step)

    def on_epoch(self, trainer: Trainer, epoch: EpochEnd) -> None:
        self._run.log({"epoch": epoch.epoch, **epoch_values(epoch)}, step=epoch.step)

    def on_preview(self, trainer: Trainer, preview: Preview) -> None:
        logged = self._module.Image(preview.image, caption=preview.prompt)
        self._run.log({f"sample_{preview.index}": logged}, step=preview.step)


class Wandb(_WandbLike):
    """Weights & Biases: a run named after `output_name`.

    Its settings come from its own variables, such as WANDB_PROJECT.
    """

    def on_train_begin(self, trainer: Trainer, plan: RunPlan) -> None:
        self._begin(trainer, "wandb")

    def on_train_end(self, trainer: Trainer, history: History) -> None:
        self._run.finish(exit_code=0 if history.error is None else 1)


class Trackio(_WandbLike):
    """Trackio: a run of the project `lora-trainer`, named after `output_name`."""

    def on_train_begin(self, trainer: Trainer, plan: RunPlan) -> None:
        self._begin(trainer, "trackio", project="lora-trainer")

    def on_train_end(self, trainer: Trainer, history: History) -> None:
        self._run.finish()


class Mlflow:
    """MLflow: the active run, or else a new run named after `output_name`.

    Its settings come from its own variables, such as MLFLOW_TRACKING_URI.
    """

    def on_train_begin(self, trainer: Trainer, plan: RunPlan) -> None:
        self._mlflow: Any = importlib.import_module("mlflow")
        self._is_own = self._mlflow.active_run() is None
        if self._is_own:
            self._mlflow.start_run(run_name=trainer.config.output_name)
        self._mlflow.log_params(trainer.config.to_dict())

    def on_step(self, trainer: Trainer, step: Step) -> None:
        self._mlflow.log_metrics(step_values(step), step=step.step)

    def on_epoch(self, trainer: Trainer, epoch: EpochEnd) -> None:
        self._mlflow.log_metrics({"epoch": epoch.epoch, **epoch_values(epoch)}, step=epoch.step)

    def on_preview(self, trainer: Trainer, preview: Preview) -> None:
        self._mlflow.log_image(preview.image, key=f"sample_{preview.index}", step=preview.step)

    def on_train_end(self, trainer: Trainer, history: History) -> None:
        if self._is_own:
            self._mlflow.end_run("FINISHED" if history.error is None else "FAILED")
