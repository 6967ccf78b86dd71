"""Training in notebooks, with a real Jupyter kernel."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest
from conftest import POSIX_ONLY, SLOW, Script, settings

pytestmark = POSIX_ONLY


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Any]:
    """A Jupyter kernel, as notebooks use it."""
    manager_of = pytest.importorskip("jupyter_client.manager")
    manager, client = manager_of.start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run_cell(
    client: Any, code: str, on_output: Callable[[str], None] = lambda text: None
) -> tuple[str, str, float]:
    """Runs a cell. Returns its output, how it ended, and when."""
    printed: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])
            on_output(message["content"]["text"])

    reply = client.execute_interactive(code, output_hook=hook, timeout=120)
    content = reply["content"]
    return "".join(printed), content.get("ename", content["status"]), time.perf_counter()


def test_the_stop_button_of_a_notebook(kernel: Any, tmp_path: Path, images: Path) -> None:
    manager, client = kernel
    interrupted: list[float] = []

    def interrupt(text: str) -> None:
        if "step 2" in text and not interrupted:
            time.sleep(0.05)
            interrupted.append(time.perf_counter())
            manager.interrupt_kernel()

    given = settings(tmp_path, images)
    setup = f"""
import sys
import lora_trainer as lt
settings = {given!r}
config = lambda **options: lt.TrainConfig(**settings | options)
"""
    assert run_cell(client, setup)[1] == "ok"
    train = f"""
with lt.Trainer(config({SLOW})) as trainer:
    for step in trainer:
        print('step', step.step, step.seconds, flush=True)
"""
    printed, ended, at = run_cell(client, train, interrupt)
    seconds = float(printed.split()[-1])
    assert ended == "KeyboardInterrupt"
    # The current step and 100 ms, plus saving and two passes through the sockets of the kernel.
    assert at - interrupted[0] <= seconds + 0.1 + 0.9
    name = "last-step00000003.safetensors"
    assert [path.name for path in (tmp_path / "output").iterdir()] == [name]
    next_cell = """
print(sys.last_value.path.name, len(sys.last_value.history))
print(len(lt.fit(config(), progress=False)))
"""
    assert run_cell(client, next_cell)[0].split() == [name, "3", "4"]


def test_a_notebook_trains_in_the_background(kernel: Any, tmp_path: Path, images: Path) -> None:
    _, client = kernel
    given = settings(tmp_path, images)
    setup = f"""
import time
import lora_trainer as lt
config = lt.TrainConfig(**{given!r}, sample_prompts='a cat --w 64 --h 64 --s 1')
"""
    assert run_cell(client, setup)[1] == "ok"
    train = """
trainer = lt.Trainer(config)
view = trainer.live()
print(view is not None, trainer.step < 4)
"""
    assert run_cell(client, train)[:2] == ("True True\n", "ok")
    wait = """
history, status = trainer.wait(), view.widget.status
print(len(history), status['state'], status['done'], len(view.widget.previews))
print(view.widget.curve['loss'] == history.losses)
trainer.close()
"""
    printed, ended, _ = run_cell(client, wait)
    assert ended == "ok" and printed.split() == ["4", "done", "4", "1", "True"]
    train = f"""
trainer = lt.Trainer(config.replace({SLOW}))
view = trainer.live()
"""
    assert run_cell(client, train)[1] == "ok"
    # The message that the button of the page sends.
    stop = """
while trainer.step < 2:
    time.sleep(0.01)
view._receive(view.widget, {'type': 'stop'}, [])
history = trainer.wait(60)
"""
    assert run_cell(client, stop)[1] == "ok"
    printed, _, _ = run_cell(
        client, "print(view.widget.status['state'], history.path.is_file(), len(history) >= 2)"
    )
    assert printed.split() == ["stopped", "True", "True"]


def test_background_errors_are_raised_by_wait(kernel: Any, tmp_path: Path, images: Path) -> None:
    _, client = kernel
    given = settings(tmp_path, images)
    cell = f"""
import lora_trainer as lt
class Fails:
    def on_step(self, trainer, step):
        raise RuntimeError("enough")
trainer = lt.Trainer(lt.TrainConfig(**{given!r}), callbacks=[Fails()])
view = trainer.live()
try:
    trainer.wait()
except RuntimeError as error:
    print(error, error.path.is_file(), view.widget.status["state"], view.widget.status["message"])
"""
    printed, ended, _ = run_cell(client, cell)
    assert ended == "ok" and printed == "enough True failed RuntimeError: enough\n"


def test_without_widgets_there_is_a_bar(script: Script) -> None:
    process = script("""
trainer = lt.Trainer(config())
assert trainer.live() is None
trainer.wait()
""")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and "training 4/4" in err and out == ""


def test_the_kernel_uses_the_tested_package() -> None:
    """The kernel runs the interpreter of these tests."""
    code = "import lora_trainer; print(lora_trainer.__file__)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stdout.strip() == lt.__file__
