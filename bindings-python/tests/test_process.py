"""Signals, forks and memory: training in other processes."""

from __future__ import annotations

import signal
import subprocess
import textwrap
import time
from pathlib import Path

import pytest
from conftest import POSIX_ONLY, SLOW, Script, finish

pytestmark = POSIX_ONLY


def interrupt_in_third_step(process: subprocess.Popen[str]) -> list[str]:
    """Sends SIGINT during the third step. Returns what the process printed before."""
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
print("image", trainer.generate("a cat", num_inference_steps=1).size)
print("next", next(iter(trainer)).step)
trainer.close()
""")
    interrupt_in_third_step(process)
    lines = dict(line.split(maxsplit=1) for line in finish(process).splitlines())
    waited, seconds, has_path = lines["waited"].split()
    assert float(waited) <= float(seconds) + 0.1 and has_path == "False"
    # The third step was finished before the LoRA was saved; its event follows afterwards.
    assert lines["saved"] == "last-step00000003.safetensors True"
    assert lines["image"] == "(64, 64)" and lines["next"] == "3"


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


def test_ctrl_c_while_a_trainer_is_opened(script: Script, images: Path) -> None:
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


def test_a_forked_child_gets_an_error(script: Script) -> None:
    process = script("""
import os, subprocess
with lt.Trainer(config()) as trainer:
    next(iter(trainer))
    # Like `!ls`.
    subprocess.run(["echo", "child"], check=True)
    child = os.fork()
    if child == 0:
        step, check = lambda: next(iter(trainer)), lambda: lt.check(config())
        for use in (step, trainer.save, check, lambda: lt.Trainer(config())):
            try:
                use()
            except lt.TrainingError as error:
                assert "from which this one was forked" in str(error)
                assert error.hint == 'use the start method "spawn"'
            else:
                os._exit(1)
        trainer.close()
        # A normal exit, with all of its cleanup.
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


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_a_closed_trainer_frees_its_memory(script: Script) -> None:
    """Later runs have the same peak memory as the first."""
    process = script("""
import gc, re
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
prompts = "a cat --w 64 --h 64 --s 2"
def train():
    open("/proc/self/clear_refs", "w").write("5")
    with lt.Trainer(config(max_train_steps=6, sample_prompts=prompts)) as trainer:
        for _ in trainer:
            pass
    return peak()
def train_without_close():
    open("/proc/self/clear_refs", "w").write("5")
    trainer = lt.Trainer(config(max_train_steps=6, sample_prompts=prompts))
    for _ in trainer:
        pass
    result = peak()
    del trainer
    gc.collect()
    return result
import PIL.Image, numpy
train()
print(train(), train(), train_without_close(), train())
""")
    peaks = [int(peak) for peak in finish(process).split()]
    assert max(peaks) <= 1.05 * min(peaks), peaks


def test_iterating_is_cheap(script: Script) -> None:
    """Python adds at most 1 ms to the duration of a step that the library measures."""
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
