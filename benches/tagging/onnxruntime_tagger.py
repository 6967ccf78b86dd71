"""Tags a folder like SD-Trainer: onnxruntime on the CPU, one image at a time.

    python benches/tagging/onnxruntime_tagger.py MODEL_FOLDER IMAGES [--threads N] [--limit N]

MODEL_FOLDER has model.onnx and selected_tags.csv. Writes a .txt file next to each image (or into
--output) and prints one line of JSON. Needs onnxruntime, opencv-python-headless, Pillow and numpy.
"""

import argparse
import csv
import json
import pathlib
import resource
import time

import cv2
import numpy as np
import onnxruntime
from PIL import Image

SIDE = 448


def load_image(path, side):
    """RGBA over white, BGR, padded with white to a square of at least `side`, then reduced."""
    image = Image.open(path).convert("RGBA")
    canvas = Image.new("RGBA", image.size, "WHITE")
    canvas.paste(image, mask=image)
    pixels = np.asarray(canvas.convert("RGB"))[:, :, ::-1]
    height, width = pixels.shape[:2]
    square = max(height, width, side)
    top, left = (square - height) // 2, (square - width) // 2
    pixels = cv2.copyMakeBorder(
        pixels,
        top,
        square - height - top,
        left,
        square - width - left,
        cv2.BORDER_CONSTANT,
        value=[255, 255, 255],
    )
    if square > side:
        pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return pixels.astype(np.float32)[None]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=0, help="0: onnxruntime's choice")
    parser.add_argument("--limit", type=int, help="only the first images")
    parser.add_argument("--threshold", type=float, default=0.35)
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()

    start = time.perf_counter()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    if options.threads:
        cv2.setNumThreads(options.threads)
    session = onnxruntime.InferenceSession(
        options.model / "model.onnx", settings, providers=["CPUExecutionProvider"]
    )
    (node,) = session.get_inputs()
    side = node.shape[1] if isinstance(node.shape[1], int) else SIDE
    with open(options.model / "selected_tags.csv", newline="", encoding="utf-8") as file:
        tags = [row["name"] for row in csv.DictReader(file)]
    load = time.perf_counter() - start

    suffixes = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
    paths = sorted(path for path in options.images.iterdir() if path.suffix.lower() in suffixes)
    paths = paths[: options.limit]
    reading = running = 0.0
    start = time.perf_counter()
    for path in paths:
        before = time.perf_counter()
        data = load_image(path, side)
        loaded = time.perf_counter()
        (output,) = session.run(None, {node.name: data})
        reading += loaded - before
        running += time.perf_counter() - loaded
        pairs = list(zip(tags, output[0].tolist()))[4:]
        pairs = [pair for pair in pairs if pair[1] >= options.threshold]
        pairs.sort(key=lambda pair: pair[1], reverse=True)
        text = (options.output or path.parent) / path.with_suffix(".txt").name
        text.write_text(", ".join(tag.replace("_", " ") for tag, _ in pairs), encoding="utf-8")
    seconds = time.perf_counter() - start
    report = {
        "images": len(paths),
        "seconds": round(seconds, 3),
        "images_per_second": round(len(paths) / seconds, 4),
        "load_seconds": round(load, 3),
        "image_seconds": round(reading, 3),
        "run_seconds": round(running, 3),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "threads": options.threads,
        "onnxruntime": onnxruntime.__version__,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
