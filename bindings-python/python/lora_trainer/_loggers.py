"""Callbacks for the loggers that people use, each imported when it is used. Names of values are those of sd-scripts' logs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._core import EpochEnd, Preview, RunPlan, Step
    from ._history import History
    from ._trainer import Trainer


def values(step: Step) -> dict[str, float]:
    """What is logged of a step."""
    rates = {f"lr/{group}": rate for group, rate in step.learning_rates.items()}
    return {"loss/current": step.loss, "loss/average": step.average_loss, "grad_norm": step.grad_norm, **rates}


def validation(epoch: EpochEnd) -> dict[str, float]:
    """What is logged of an epoch."""
    return {} if epoch.validation_loss is None else {"loss/validation": epoch.validation_loss}


class _Run:
    """What loggers have in common that have wandb's interface."""

    def _begin(self, trainer: Trainer, name: str, **settings: str) -> None:
        self._module: Any = importlib.import_module(name)
        self._run = self._module.init(name=trainer.config.output_name, config=trainer.config.to_dict(), **settings)

    def on_step(self, trainer: Trainer, step: Step) -> None:
        self._run.log(values(step), step=step.step)

    def on_epoch(self, trainer: Trainer, epoch: EpochEnd) -> None:
        self._run.log({"epoch": epoch.epoch, **validation(epoch)}, step=epoch.step)

    def on_sample(self, trainer: Trainer, preview: Preview) -> None:
        image = self._module.Image(preview.image, caption=preview.prompt)
        self._run.log({f"sample_{preview.index}": image}, step=preview.step)


class Wandb(_Run):
    """Weights & Biases: a run named after the output. Settings come from its own variables, such as WANDB_PROJECT."""

    def on_train_begin(self, trainer: Trainer, plan: RunPlan) -> None:
        self._begin(trainer, "wandb")

    def on_train_end(self, trainer: Trainer, history: History) -> None:
        self._run.finish(exit_code=0 if history.error is None else 1)


class Trackio(_Run):
    """Trackio: a run of the project `lora-trainer`, named after the output."""

    def on_train_begin(self, trainer: Trainer, plan: RunPlan) -> None:
        self._begin(trainer, "trackio", project="lora-trainer")

    def on_train_end(self, trainer: Trainer, history: History) -> None:
        self._run.finish()


class Mlflow:
    """MLflow: a run named after the output, or the run that is active. Settings come from its own, such as MLFLOW_TRACKING_URI."""

    def on_train_begin(self, trainer: Trainer, plan: RunPlan) -> None:
        self._mlflow: Any = importlib.import_module("mlflow")
        self._is_own = self._mlflow.active_run() is None
        if self._is_own:
            self._mlflow.start_run(run_name=trainer.config.output_name)
        self._mlflow.log_params(trainer.config.to_dict())

    def on_step(self, trainer: Trainer, step: Step) -> None:
        self._mlflow.log_metrics(values(step), step=step.step)

    def on_epoch(self, trainer: Trainer, epoch: EpochEnd) -> None:
        self._mlflow.log_metrics({"epoch": epoch.epoch, **validation(epoch)}, step=epoch.step)

    def on_sample(self, trainer: Trainer, preview: Preview) -> None:
        self._mlflow.log_image(preview.image, key=f"sample_{preview.index}", step=preview.step)

    def on_train_end(self, trainer: Trainer, history: History) -> None:
        if self._is_own:
            self._mlflow.end_run("FINISHED" if history.error is None else "FAILED")
