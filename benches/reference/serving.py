"""The counterpart of benches/support/serve.rs: serves `prepare ROW`, `run ROW` and `release ROW`."""

import gc
import os
import pathlib
import sys
import time

import torch
from safetensors.torch import save_file

# The minimum seconds of a turn, as in the other program.
MOMENT = 0.1

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


def status(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak_memory():
    gc.collect()
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def serve(make):
    """`make(row, folder)` returns a function that does the work of a row and returns results by name."""
    folder = pathlib.Path(sys.argv[1])
    work = None
    for line in sys.stdin:
        command, row = line.split()
        if command == "prepare":
            work = None
            work = make(row, folder)
            results = work()
            save_file({name: x.detach().contiguous() for name, x in results.items()}, folder / "results-torch.safetensors")
            del results
            print("ready", flush=True)
            continue
        if command == "release":
            work = None
            gc.collect()
            print("released", flush=True)
            continue
        reset_peak_memory()
        before, begin, best = status("VmRSS:"), time.perf_counter(), float("inf")
        while time.perf_counter() - begin < MOMENT:
            start = time.perf_counter()
            results = work()
            best = min(best, time.perf_counter() - start)
            del results
        peak = status("VmHWM:")
        print(best, max(0, peak - before), peak, flush=True)
