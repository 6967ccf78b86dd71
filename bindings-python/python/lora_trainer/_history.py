"""What has happened in a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._core import Deleted, EpochEnd, Event, Notice, Preview, RunPlan, Saved, Step, Summary
from ._figures import smoothed

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from pandas import DataFrame

COLUMNS = ("epoch", "loss", "average_loss", "lr", "grad_norm", "seconds", "it_per_s", "memory")
"""The columns of `History.to_pandas`, before those that not every run has."""


class History:
    """The events of a training that are worth keeping, in their order.

    Attributes:
        plan: What was to be done; `None` before the training began.
        steps: The updates.
        epochs: The ends of epochs.
        previews: The preview images.
        saved: The LoRA files that were written.
        notices: What a user should know.
        summary: The result of a training that came to its end.
        path: The LoRA file that was written last.
        error: What ended the training, if it was an exception.
    """

    def __init__(self) -> None:
        self.plan: RunPlan | None = None
        self.steps: list[Step] = []
        self.epochs: list[EpochEnd] = []
        self.previews: list[Preview] = []
        self.saved: list[Saved] = []
        self.notices: list[Notice] = []
        self.summary: Summary | None = None
        self.path: Path | None = None
        self.error: BaseException | None = None

    def add(self, event: Event) -> None:
        """Keeps an event."""
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
            case Notice():
                self.notices.append(event)
            case Summary(path=path):
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
        return f"<History: {last.step} of {last.total_steps} steps, average loss {last.average_loss:.4f}{path}>"

    def to_pandas(self) -> DataFrame:
        """A table with a row for each update. `validation_loss` stands at the last update of its epoch."""
        import pandas

        rows = [{"step": step.step} | {name: getattr(step, name) for name in COLUMNS} for step in self.steps]
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
        """Draws the loss, raw and smoothed, the loss on images that are kept out of training, and the learning rate.

        Args:
            ax: Where to draw; by default a figure of its own.
        """
        if ax is None:
            from matplotlib import pyplot

            _, ax = pyplot.subplots(figsize=(8, 3.5), layout="constrained")
        steps = [step.step for step in self.steps]
        ax.plot(steps, self.losses, color="tab:blue", alpha=0.25, linewidth=1)
        ax.plot(steps, smoothed(self.losses), color="tab:blue", label="loss, smoothed")
        validation = [(epoch.step, epoch.validation_loss) for epoch in self.epochs if epoch.validation_loss is not None]
        if validation:
            at, losses = zip(*validation, strict=True)
            ax.plot(at, losses, color="tab:red", marker="o", markersize=3, label="validation loss")
        ax.set(xlabel="step", ylabel="loss")
        rates = ax.twinx()
        rates.plot(steps, [step.lr for step in self.steps], color="tab:orange", linewidth=1, label="learning rate")
        rates.set_ylabel("learning rate")
        rates.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        lines = [*ax.get_lines()[1:], *rates.get_lines()]
        ax.legend(handles=lines, loc="upper right")
        return ax

    def _repr_html_(self) -> str:
        from ._views import history_html

        return history_html(self)

    def __getstate__(self) -> dict[str, Any]:
        """All but the exception, whose own copy would have this history."""
        return self.__dict__ | {"error": None}
