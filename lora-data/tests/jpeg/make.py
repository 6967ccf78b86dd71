"""Writes small JPEG files of many kinds and the pixels that Pillow decodes from them.

    python lora-data/tests/jpeg/make.py      # Pillow 13.0, numpy

Pillow's wheels contain libjpeg-turbo. `pixels.safetensors` has `Image.convert("RGB")` of each file,
[h, w, 3] u8.
"""

import json
import pathlib
import struct

import numpy as np
from PIL import Image, features

HERE = pathlib.Path(__file__).parent


def picture(width, height):
    """Smooth colours with hard edges, so that chroma upsampling shows."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [np.sin(x / 3.1) + np.cos(y / 5), np.cos(x / 4 + y / 3), np.sin(y / 2.3)]
    image = np.stack([(c - c.min()) / (np.ptp(c) + 1e-9) * 255 for c in channels], -1)
    image[height // 3 : height // 2, width // 4 : width // 2] = (250, 10, 30)
    image[:, -1:] = (0, 40, 255)
    return Image.fromarray(image.astype(np.uint8))


def files():
    for width, height in [(48, 40), (37, 23), (1, 1), (2, 3), (5, 2), (17, 33)]:
        for subsampling, name in [(0, "444"), (1, "422"), (2, "420")]:
            settings = {"quality": 85, "subsampling": subsampling}
            yield f"{width}x{height}_{name}", picture(width, height), settings
    for quality in (20, 95):
        settings = {"quality": quality, "subsampling": 2}
        yield f"quality{quality}", picture(40, 40), settings
    progressive = {"quality": 80, "progressive": True}
    yield "progressive_420", picture(45, 37), {**progressive, "subsampling": 2}
    yield "progressive_444", picture(45, 37), {**progressive, "subsampling": 0}
    yield "optimized", picture(33, 31), {"quality": 75, "optimize": True}
    yield "restarts", picture(64, 48), {"quality": 75, "restart_marker_blocks": 2}
    yield "grey", picture(31, 29).convert("L"), {"quality": 75}
    yield "grey_progressive", picture(31, 29).convert("L"), {"quality": 75, "progressive": True}
    cmyk = picture(30, 28).convert("CMYK")
    yield "cmyk", cmyk, {"quality": 85, "subsampling": 0}
    yield "cmyk_420", cmyk, {"quality": 85, "subsampling": 2}
    yield "rgb", picture(30, 28), {"quality": 85, "keep_rgb": True}


def main():
    header, body = (
        {"__metadata__": {"pillow": Image.__version__ if hasattr(Image, "__version__") else ""}},
        b"",
    )
    header["__metadata__"]["libjpeg_turbo"] = features.version("libjpeg_turbo") or ""
    for name, image, settings in files():
        path = HERE / f"{name}.jpg"
        image.save(path, **settings)
        pixels = np.asarray(Image.open(path).convert("RGB"))
        header[path.name] = {
            "dtype": "U8",
            "shape": list(pixels.shape),
            "data_offsets": [len(body), len(body) + pixels.size],
        }
        body += pixels.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (HERE / "pixels.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)


if __name__ == "__main__":
    main()
