"""Callbacks for tests."""

from __future__ import annotations

import lora_trainer as lt


class Recorder:
    """Records the calls; can stop or fail at a step."""

    def __init__(self, stop_at: int | None = None, fail_at: int | None = None) -> None:
        self.calls: list[str] = []
        self.stop_at, self.fail_at = stop_at, fail_at

    def on_train_begin(self, trainer: lt.Trainer, plan: lt.RunPlan) -> None:
        self.calls.append(f"begin {plan.total_steps}")

    def on_step(self, trainer: lt.Trainer, step: lt.Step) -> str | None:
        self.calls.append(f"step {step.step}")
        if step.step == self.fail_at:
            raise RuntimeError("enough")
        return "stop" if step.step == self.stop_at else None

    def on_save(self, trainer: lt.Trainer, saved: lt.Saved) -> None:
        self.calls.append(f"save {saved.path.name}")

    def on_train_end(self, trainer: lt.Trainer, history: lt.History) -> None:
        self.calls.append(f"end {len(history)}")


class Fails:
    """Fails in one of its methods."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.ended = False

    def on_train_begin(self, trainer: lt.Trainer, plan: lt.RunPlan) -> None:
        self._maybe("begin")

    def on_step(self, trainer: lt.Trainer, step: lt.Step) -> None:
        self._maybe(f"step {step.step}")

    def on_train_end(self, trainer: lt.Trainer, history: lt.History) -> None:
        self.ended = True
        self._maybe("end")

    def _maybe(self, at: str) -> None:
        if at == self.at:
            raise RuntimeError(at)
