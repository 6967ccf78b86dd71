"""Loads images as sd-scripts does, for benches/data.rs. pip install pillow numpy opencv-python-headless

    load_images.py FOLDER

Two processes, as with `max_data_loader_n_workers = 2`, without the main process and without tensors.
OpenCV uses one thread in each (PyTorch limits only its own threads), since two processors have no room
for more. Buckets are the default ones of SD 1.5, with `bucket_no_upscale` off.

`check` prints size and mean level of each image, `run` the seconds for all images.
"""

import json
import multiprocessing
import pathlib
import sys
import time

import cv2
import numpy as np
from PIL import Image

WORKERS = 2
AREA, LEAST, MOST, STEP = 512 * 512, 256, 1024, 64


def bucket_list():
    side = int(AREA**0.5) // STEP * STEP
    sizes = {(side, side)}
    for width in range(LEAST, MOST + 1, STEP):
        height = min(MOST, AREA // width // STEP * STEP)
        if height >= LEAST:
            sizes |= {(width, height), (height, width)}
    return sorted(sizes)


BUCKETS = bucket_list()
ASPECT_RATIOS = np.array([width / height for width, height in BUCKETS])


def select(width, height):
    """The bucket of an image, and the resized size that covers it."""
    if (width, height) in BUCKETS:
        return (width, height), (width, height)
    aspect = width / height
    bucket = BUCKETS[np.abs(ASPECT_RATIOS - aspect).argmin()]
    scale = bucket[1] / height if aspect > bucket[0] / bucket[1] else bucket[0] / width
    return bucket, (int(width * scale + 0.5), int(height * scale + 0.5))


def load(path):
    with Image.open(path) as image:
        pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"), np.uint8)
    height, width = pixels.shape[:2]
    bucket, resized = select(width, height)
    if (width, height) != resized:
        if width >= resized[0] and height >= resized[1]:
            pixels = cv2.resize(pixels, resized, interpolation=cv2.INTER_AREA)
        else:
            pixels = np.array(Image.fromarray(pixels).resize(resized, Image.Resampling.LANCZOS))
    left, top = ((whole - part) // 2 for whole, part in zip(resized, bucket))
    return pixels[top : top + bucket[1], left : left + bucket[0]]


def work(path):
    load(path)


def describe(path):
    pixels = load(path)
    return [pixels.shape[1], pixels.shape[0], float(pixels.mean())]


def main():
    paths = sorted(path for path in pathlib.Path(sys.argv[1]).iterdir() if path.suffix in (".jpg", ".png"))
    with multiprocessing.Pool(WORKERS, cv2.setNumThreads, (1,)) as pool:
        for line in sys.stdin:
            if line.strip() == "check":
                print(json.dumps(pool.map(describe, paths, chunksize=1)), flush=True)
                continue
            begin = time.perf_counter()
            # One image per task, so that both processes are busy to the end.
            pool.map(work, paths, chunksize=1)
            print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
