"""Tags a folder in turn with lora-trainer and with SD-Trainer's way, and compares speed and memory.

    python benches/tagging/compare.py PROGRAM MODEL_FOLDER IMAGES [--threads N] [--turns N]

Both load the model, decode the images and write the captions into folders of their own. Needs the
packages of onnxruntime_tagger.py.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time


def run(command):
    """Wall seconds and peak memory in MiB of a command."""
    start = time.perf_counter()
    pid = os.posix_spawnp(
        command[0],
        command,
        {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()

    count = len(list(options.images.iterdir()))
    other = pathlib.Path(__file__).with_name("onnxruntime_tagger.py")
    threads = ["--threads", str(options.threads)]
    results = {"lora-trainer": [], "onnxruntime": []}
    for turn in range(options.turns):
        with tempfile.TemporaryDirectory() as folder:
            ours = [options.program, "tag", str(options.images), "--model", options.model]
            theirs = [sys.executable, str(other), options.model, str(options.images)]
            commands = {
                "lora-trainer": [*ours, *threads, "--output-dir", folder],
                "onnxruntime": [*theirs, *threads, "--output", folder],
            }
            for name, command in commands.items():
                seconds, memory = run(command)
                results[name].append((count / seconds, memory))
                print(f"{turn + 1} {name}: {count / seconds:.2f} images/s, {memory:.0f} MiB")
    (ours, ours_memory), (theirs, theirs_memory) = (
        [statistics.median(values) for values in zip(*results[name])] for name in results
    )
    print(f"median ratio: speed {ours / theirs:.2f}, peak memory {ours_memory / theirs_memory:.2f}")


if __name__ == "__main__":
    main()
