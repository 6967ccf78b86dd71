"""The history of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._core import Deleted, EpochEnd, Event, Preview, RunPlan, Saved, Step, Summary, Warning
from ._figures import smoothed

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from pandas import DataFrame

COLUMNS = (
    "epoch",
    "loss",
    "average_loss",
    "lr",
    "grad_norm",
    "seconds",
    "steps_per_second",
    "memory",
)
"""The columns of `History.to_pandas` that every run has. Others may follow."""


class History:
    """The events of a training run, by kind and in order.

    Attributes:
        plan: The plan of the run; `None` before training begins.
        steps: The updates.
        epochs: The ends of the epochs.
        previews: The preview images.
        saved: The LoRA files.
        warnings: The warnings.
        summary: The result of the run; `None` unless it is complete.
        path: The LoRA file that was written last.
        error: The exception that ended the run, if any.
    """

    def __init__(self) -> None:
        self.plan: RunPlan | None = None
        self.steps: list[Step] = []
        self.epochs: list[EpochEnd] = []
        self.previews: list[Preview] = []
        self.saved: list[Saved] = []
        self.warnings: list[Warning] = []
        self.summary: Summary | None = None
        self.path: Path | None = None
        self.error: BaseException | None = None

    def add(self, event: Event) -> None:
        """Adds an event."""
        match event:
            case Step():
                self.steps.append(event)
            case RunPlan():
                self.plan = event
            case EpochEnd():
                self.epochs.append(event)
            case Preview():
                self.previews.append(event)
            case Saved(path=path):
                self.saved.append(event)
                self.path = path
            case Deleted(path=path):
                self.saved = [saved for saved in self.saved if saved.path != path]
            case Warning():
                self.warnings.append(event)
            case Summary(lora=path):
                self.summary = event
                self.path = path
            case _:
                pass

    @property
    def losses(self) -> list[float]:
        """The loss of each update."""
        return [step.loss for step in self.steps]

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        if not self.steps:
            return "<History: no steps yet>"
        last = self.steps[-1]
        path = "" if self.path is None else f", {self.path}"
        loss = f"average loss {last.average_loss:.4f}"
        return f"<History: {last.step} of {last.total_steps} steps, {loss}{path}>"

    def to_pandas(self) -> DataFrame:
        """Returns a table with one row per update.

        `validation_loss` is in the row of the last update of its epoch.
        """
        import pandas

        rows = [
            {"step": step.step} | {name: getattr(step, name) for name in COLUMNS}
            for step in self.steps
        ]
        table: DataFrame = pandas.DataFrame(rows, columns=["step", *COLUMNS]).set_index("step")
        for group in sorted({group for step in self.steps for group in step.learning_rates}):
            table[f"lr/{group}"] = [step.learning_rates.get(group) for step in self.steps]
        if any(step.d is not None for step in self.steps):
            table["d"] = [step.d for step in self.steps]
        if any(epoch.validation_loss is not None for epoch in self.epochs):
            losses = {epoch.step: epoch.validation_loss for epoch in self.epochs}
            table["validation_loss"] = [losses.get(step) for step in table.index]
        return table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plots the loss (raw and smoothed), the validation loss and the learning rate.

        Args:
            ax: The axes to plot on. Default: a new figure.
        """
        if ax is None:
            from matplotlib import pyplot

            _, ax = pyplot.subplots(figsize=(8, 3.5), layout="constrained")
        steps = [step.step for step in self.steps]
        ax.plot(steps, self.losses, color="tab:blue", alpha=0.25, linewidth=1)
        ax.plot(steps, smoothed(self.losses), color="tab:blue", label="loss, smoothed")
        validation = [
            (epoch.step, epoch.validation_loss)
            for epoch in self.epochs
            if epoch.validation_loss is not None
        ]
        if validation:
            at, losses = zip(*validation, strict=True)
            ax.plot(at, losses, color="tab:red", marker="o", markersize=3, label="validation loss")
        ax.set(xlabel="step", ylabel="loss")
        rates = ax.twinx()
        rates.plot(
            steps,
            [step.lr for step in self.steps],
            color="tab:orange",
            linewidth=1,
            label="learning rate",
        )
        rates.set_ylabel("learning rate")
        rates.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        lines = [*ax.get_lines()[1:], *rates.get_lines()]
        ax.legend(handles=lines, loc="upper right")
        return ax

    def _repr_html_(self) -> str:
        from ._views import history_html

        return history_html(self)

    def __getstate__(self) -> dict[str, Any]:
        """Returns everything except the exception, which holds this history itself."""
        return self.__dict__ | {"error": None}
