"""Signals, forks, notebooks' kernels and memory: trainings in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lora_trainer as lt
import pytest
from conftest import finish, settings

Script = Callable[[str], "subprocess.Popen[str]"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

SLOW = "max_train_steps=100000, gradient_accumulation_steps=8"
"""Steps that take long enough to be interrupted within one."""


def interrupt_in_third_step(process: subprocess.Popen[str]) -> list[str]:
    """Sends SIGINT while the third step is computed; what the process printed before."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith("step 2"):
            time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            break
    return lines


def test_ctrl_c_in_a_plain_loop(script: Script) -> None:
    process = script(f"""
import time
trainer = lt.Trainer(config({SLOW}))
try:
    for step in trainer:
        print("step", step.step, flush=True)
        before, seconds = time.perf_counter(), step.seconds
except KeyboardInterrupt as interrupt:
    print("waited", time.perf_counter() - before, seconds, hasattr(interrupt, "path"))
path = trainer.save()
print("saved", path.name, path.is_file())
print("drawn", trainer.sample("a cat", num_inference_steps=1).size)
print("goes on", next(iter(trainer)).step)
trainer.close()
""")
    interrupt_in_third_step(process)
    lines = dict(line.split(maxsplit=1) for line in finish(process).splitlines())
    waited, seconds, has_path = lines["waited"].split()
    assert float(waited) <= float(seconds) + 0.1 and has_path == "False"
    # The third step came to its end before the LoRA was saved, and is told afterwards.
    assert lines["saved"] == "last-step00000003.safetensors True"
    assert lines["drawn"] == "(64, 64)" and lines["goes"] == "on 3"


WITH = """
with lt.Trainer(config({slow})) as trainer:
    for step in trainer:
        print("step", step.step, flush=True)
"""

FIT = """
class Printer:
    def on_step(self, trainer, step):
        print("step", step.step, flush=True)
lt.fit(config({slow}), callbacks=[Printer()], progress=False)
"""


@pytest.mark.parametrize("code", [WITH, FIT], ids=["with", "fit"])
def test_ctrl_c_saves(script: Script, code: str) -> None:
    body = textwrap.indent(code.format(slow=SLOW), "    ")
    process = script(f"""
try:
{body}
except KeyboardInterrupt as interrupt:
    print("path", interrupt.path.name, interrupt.path.is_file(), len(interrupt.history))
    print("steps", lt.inspect(interrupt.path).metadata["ss_steps"])
    print("again", len(lt.fit(config(max_train_steps=2), progress=False)))
""")
    interrupt_in_third_step(process)
    lines = dict(
        line.split(maxsplit=1)
        for line in finish(process).splitlines()
        if not line.startswith("step ")
    )
    assert lines == {"path": "last-step00000003.safetensors True 3", "steps": "3", "again": "2"}


def test_ctrl_c_while_waiting_for_the_background(script: Script) -> None:
    process = script(f"""
class Printer:
    def on_step(self, trainer, step):
        print("step", step.step, flush=True)
trainer = lt.Trainer(config({SLOW}), callbacks=[Printer()])
trainer.live()
try:
    trainer.wait()
except KeyboardInterrupt as interrupt:
    print("path", interrupt.path.is_file(), interrupt.history is trainer.history)
trainer.close()
""")
    interrupt_in_third_step(process)
    assert finish(process).splitlines()[-1] == "path True True"


def test_ctrl_c_while_a_trainer_is_made(script: Script, images: Path) -> None:
    from PIL import Image

    for index in range(400):
        Image.effect_noise((900, 900), 80).save(images / f"noise{index}.png", compress_level=1)
    process = script("""
import time
print("begin", flush=True)
started = time.perf_counter()
try:
    lt.Trainer(config())
except KeyboardInterrupt:
    print("interrupted", time.perf_counter() - started)
""")
    assert process.stdout is not None and process.stdout.readline() == "begin\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    word, seconds = finish(process).split()
    assert word == "interrupted" and float(seconds) < 0.5


def test_a_forked_child_is_told(script: Script) -> None:
    process = script("""
import os, subprocess
with lt.Trainer(config()) as trainer:
    next(iter(trainer))
    # As `!ls` does.
    print(subprocess.run(["echo", "child"], capture_output=True, text=True, check=True).stdout.strip(), flush=True)
    child = os.fork()
    if child == 0:
        for use in (lambda: next(iter(trainer)), trainer.save, lambda: lt.check(config()), lambda: lt.Trainer(config())):
            try:
                use()
            except lt.TrainingError as error:
                assert "from which this one was forked" in str(error) and error.hint == 'use the start method "spawn"'
            else:
                os._exit(1)
        trainer.close()
        # Ends as a process of Python, with all that it has.
        raise SystemExit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(len(list(trainer)))
""")
    assert finish(process, timeout=60).split() == ["child", "0", "3"]


def test_a_process_forked_before_the_first_use_trains(script: Script) -> None:
    process = script("""
import os
child = os.fork()
if child == 0:
    print(len(lt.fit(config(), progress=False)), flush=True)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(len(lt.fit(config(), progress=False)))
""")
    assert finish(process).split() == ["4", "4"]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are told by Linux")
def test_a_closed_trainer_frees_its_memory(script: Script) -> None:
    """The second of two trainings peaks where the first did."""
    process = script("""
import gc, re
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
def train():
    open("/proc/self/clear_refs", "w").write("5")
    with lt.Trainer(config(max_train_steps=6, sample_prompts="a cat --w 64 --h 64 --s 2")) as trainer:
        for _ in trainer:
            pass
    return peak()
def forget():
    open("/proc/self/clear_refs", "w").write("5")
    trainer = lt.Trainer(config(max_train_steps=6, sample_prompts="a cat --w 64 --h 64 --s 2"))
    for _ in trainer:
        pass
    found = peak()
    del trainer
    gc.collect()
    return found
import PIL.Image, numpy
train()
print(train(), train(), forget(), train())
""")
    peaks = [int(peak) for peak in finish(process).split()]
    assert max(peaks) <= 1.05 * min(peaks), peaks


def test_iterating_costs_little(script: Script) -> None:
    """What Python adds to a step, at most: the time between what the library measures of each."""
    process = script("""
import time
with lt.Trainer(config(max_train_steps=60)) as trainer:
    steps = iter(trainer)
    for _ in range(5):
        next(steps)
    overheads = []
    for _ in range(40):
        started = time.perf_counter()
        step = next(steps)
        overheads.append(time.perf_counter() - started - step.seconds)
    print(sorted(overheads)[20])
""")
    assert float(finish(process)) <= 0.001


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Any]:
    """A real kernel of Jupyter, as a notebook has it."""
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
    """What a cell printed, how it ended, and when."""
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
    setup = f"import sys\nimport lora_trainer as lt\nsettings = {given!r}\nconfig = lambda **options: lt.TrainConfig(**settings | options)"
    assert run_cell(client, setup)[1] == "ok"
    cell = f"with lt.Trainer(config({SLOW})) as trainer:\n    for step in trainer:\n        print('step', step.step, step.seconds, flush=True)"
    printed, ended, at = run_cell(client, cell, interrupt)
    seconds = float(printed.split()[-1])
    assert ended == "KeyboardInterrupt"
    # The step that was at work and 100 ms; saving and two ways through the kernel's sockets come on top.
    assert at - interrupted[0] <= seconds + 0.1 + 0.9
    assert [path.name for path in (tmp_path / "output").iterdir()] == [
        "last-step00000003.safetensors"
    ]
    next_cell = "print(sys.last_value.path.name, len(sys.last_value.history), len(lt.fit(config(), progress=False)))"
    assert run_cell(client, next_cell)[0].split() == ["last-step00000003.safetensors", "3", "4"]


def test_a_notebook_trains_in_the_background(kernel: Any, tmp_path: Path, images: Path) -> None:
    _, client = kernel
    given = settings(tmp_path, images)
    setup = f"import lora_trainer as lt\nconfig = lt.TrainConfig(**{given!r}, sample_prompts='a cat --w 64 --h 64 --s 1')"
    assert run_cell(client, setup)[1] == "ok"
    cell = "trainer = lt.Trainer(config)\nview = trainer.live()\nprint(view is not None, trainer.step < 4)"
    assert run_cell(client, cell)[:2] == ("True True\n", "ok")
    printed, ended, _ = run_cell(
        client,
        "print(len(trainer.wait()), view.widget.status['state'], view.widget.status['done'], len(view.widget.previews))\n"
        "print(view.widget.curve['loss'] == trainer.history.losses)\ntrainer.close()",
    )
    assert ended == "ok" and printed.split() == ["4", "done", "4", "1", "True"]
    # The page's button: the message that it sends.
    cell = f"trainer = lt.Trainer(config.replace({SLOW}))\nview = trainer.live()\nnext_step = trainer.step + 2"
    assert run_cell(client, cell)[1] == "ok"
    wait = "import time\nwhile trainer.step < 2: time.sleep(0.01)\nview._hear(view.widget, {'type': 'stop'}, [])\nhistory = trainer.wait(60)"
    assert run_cell(client, wait)[1] == "ok"
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


def test_the_kernel_that_is_tested_is_ours() -> None:
    """The fixture's kernel runs the interpreter of these tests, so that it has the package that was built."""
    code = "import lora_trainer, sys; print(lora_trainer.__file__)"
    printed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert printed == lt.__file__
