"""Generates 64 photograph-like JPEG files of 1 to 4 megapixels.

    python benches/tagging/photographs.py FOLDER

Smooth structure, edges and fine texture: files of a size, and so with a decoding time, like those
of photographs. Needs numpy and Pillow.
"""

import pathlib
import sys

import numpy as np
from PIL import Image

COUNT = 64
ASPECTS = [(3, 2), (4, 3), (1, 1), (2, 3), (16, 9), (3, 4)]


def noise(rng, height, width, cell):
    """Random values on a grid of `cell` pixels, interpolated, in -1..1."""
    grid = rng.uniform(-1, 1, (height // cell + 2, width // cell + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def photograph(rng, width, height):
    light = sum(noise(rng, height, width, cell) * cell / 400 for cell in (400, 200, 100, 50))
    edges = np.sign(noise(rng, height, width, 160)) * 0.25
    texture = sum(noise(rng, height, width, cell) * 0.08 for cell in (12, 5, 2))
    gray = light * 0.5 + edges + texture * (0.3 + 0.7 * (noise(rng, height, width, 220) > 0))
    channels = [
        gray + 0.25 * noise(rng, height, width, 300) + rng.normal(0, 0.025, gray.shape)
        for _ in range(3)
    ]
    return np.clip(127 + 105 * np.stack(channels, axis=-1), 0, 255).astype(np.uint8)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    for index in range(COUNT):
        pixels = 1e6 * (1 + 3 * index / (COUNT - 1))
        across, down = ASPECTS[index % len(ASPECTS)]
        width = round((pixels * across / down) ** 0.5)
        height = round(pixels / width)
        image = Image.fromarray(photograph(rng, width, height))
        image.save(folder / f"{index:02}.jpg", quality=90)


if __name__ == "__main__":
    main()
