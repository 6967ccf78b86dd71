#!/usr/bin/env python3
"""Folders of images for benches/data.rs. pip install pillow numpy scikit-image scikit-learn

    benches/reference/images.py OUT [--count 1000] [--scan 0]

Generates OUT/load, JPEG files of about two megapixels for loading, OUT/progressive, a fifth as many
progressive ones, and with `--scan N` OUT/scan, N small images with captions for scanning. They are crops
of the photographs in scikit-image and scikit-learn, and depend only on the arguments. A complete folder
is left unchanged.
"""

import argparse
import concurrent.futures
import functools
import io
import os
import pathlib
import random
import shutil

import numpy as np
import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_images

# Of scikit-image, those in the wheel: the others would be downloaded.
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "retina", "rocket")
PIXELS = 2_000_000
# Width over height, as cameras and painters have them.
ASPECT_RATIOS = (3 / 2, 4 / 3, 16 / 9, 1, 5 / 4, 2 / 3, 3 / 4, 9 / 16)
WORDS = "portrait landscape evening window river stone silver quiet garden light detailed soft colours wide close".split()


def photographs():
    own = [getattr(skimage.data, name)() for name in PHOTOGRAPHS]
    return [Image.fromarray(np.ascontiguousarray(pixels[..., :3])) for pixels in [*own, *load_sample_images().images]]


def cut(photograph, choice, area, aspect):
    """A part of a photograph, resized to about `area` pixels."""
    width, height = photograph.size
    across = min(width, height * aspect) * choice.uniform(0.6, 1.0)
    down = across / aspect
    left, top = choice.uniform(0, width - across), choice.uniform(0, height - down)
    size = (round((area * aspect) ** 0.5), round((area / aspect) ** 0.5))
    return photograph.resize(size, Image.Resampling.BICUBIC, (left, top, left + across, top + down))


def with_grain(image, seed):
    """Upscaled parts are smoother than a camera's images, and so their files smaller."""
    pixels = np.asarray(image, np.float32)
    grain = np.random.default_rng(seed).standard_normal(pixels.shape[:2], np.float32)[..., None]
    return Image.fromarray((pixels + 4 * grain).clip(0, 255).astype(np.uint8))


def image(path, seed, progressive):
    """A JPEG file to load: quality 90 to 95, mostly with chroma at half the width and height."""
    choice = random.Random(seed)
    area, aspect = PIXELS * choice.uniform(0.8, 1.25), choice.choice(ASPECT_RATIOS)
    made = with_grain(cut(choice.choice(SOURCES), choice, area, aspect), seed)
    subsampling = choice.choices(("4:2:0", "4:4:4", "4:2:2"), (8, 1, 1))[0]
    made.save(path, "JPEG", quality=choice.randint(90, 95), subsampling=subsampling, progressive=progressive)


def small_image(seed):
    """The bytes of a file of 2 to 20 kB, and its extension."""
    choice = random.Random(seed)
    kind, extension, area = choice.choices((("JPEG", "jpg", 40_000), ("PNG", "png", 5_000)), (3, 1))[0]
    made = cut(choice.choice(SOURCES), choice, area * choice.uniform(0.5, 1.5), choice.choice(ASPECT_RATIOS))
    file = io.BytesIO()
    made.save(file, kind)
    return file.getvalue(), extension


def small_images(folder, count):
    """A few hundred images, repeated, each in its own file, with captions of 3 to 12 tags."""
    kinds = [small_image(seed) for seed in range(min(count, 300))]
    choice = random.Random(0)
    for index in range(count):
        content, extension = kinds[index % len(kinds)]
        (folder / f"{index:06}.{extension}").write_bytes(content)
        caption = ", ".join(choice.choice(WORDS) for _ in range(choice.randint(3, 12)))
        (folder / f"{index:06}.txt").write_text(caption + "\n")


def images(folder, count, progressive=False):
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        paths = [folder / f"{index:05}.jpg" for index in range(count)]
        list(pool.map(image, paths, range(count), [progressive] * count, chunksize=8))


def fill(folder, extensions, count, make):
    """Creates a folder under a temporary name, so that an existing one is complete."""
    if folder.is_dir() and sum(file.suffix in extensions for file in folder.iterdir()) == count:
        return
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    for path in (folder, unfinished):
        shutil.rmtree(path, ignore_errors=True)
    unfinished.mkdir(parents=True)
    make(unfinished, count)
    unfinished.rename(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=1000, help="images to load")
    parser.add_argument("--scan", type=int, default=0, help="images to scan")
    arguments = parser.parse_args()
    if arguments.count:
        fill(arguments.out / "load", (".jpg",), arguments.count, images)
        progressive = functools.partial(images, progressive=True)
        fill(arguments.out / "progressive", (".jpg",), max(1, arguments.count // 5), progressive)
    if arguments.scan:
        fill(arguments.out / "scan", (".jpg", ".png"), arguments.scan, small_images)


SOURCES = photographs()

if __name__ == "__main__":
    main()
