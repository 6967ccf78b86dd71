"""Cache files as sd-scripts writes them, by NumPy. Run in this folder: python3 make.py

Latents count up from 0 in steps of 1/8, so that 16 bits hold them; the mirrored ones are their negatives.
"""

import numpy as np

HEIGHT, WIDTH = 2, 3


def latents(height=HEIGHT, width=WIDTH, dtype=np.float32):
    return (np.arange(4 * height * width) / 8).astype(dtype).reshape(4, height, width)


def mask(height=HEIGHT, width=WIDTH):
    pixels = np.arange(64 * height * width) % 256
    return (pixels / 255).astype(np.float32).reshape(8 * height, 8 * width)


def with_sizes(arrays, suffix="", size=np.array([640, 480])):
    arrays = dict(arrays, original_size=size, crop_ltrb=np.array([0.5, 0, 23.5, 16]))
    return {key + suffix: value for key, value in arrays.items()}


everything = with_sizes({"latents": latents(), "latents_flipped": -latents(), "alpha_mask": mask()})
np.savez("stored.npz", **everything)
np.savez_compressed("deflated.npz", **everything)
np.savez("fortran.npz", **{key: np.asfortranarray(value) for key, value in everything.items()})
np.savez("half.npz", **with_sizes({"latents": latents(dtype=np.float16)}, size=np.array([640, 480], dtype=np.int32)))
np.savez("double.npz", **with_sizes({"latents": latents(dtype=np.float64)}, size=np.array([640.0, 480.0])))
np.savez("big_endian.npz", **with_sizes({"latents": latents(dtype=">f4")}, size=np.array([640, 480], dtype=">i8")))
np.savez("integers.npz", **with_sizes({"latents": latents().astype(np.int64)}))
np.savez("not_finite.npz", **with_sizes({"latents": np.where(latents() == 2, np.nan, latents())}))
np.savez("no_width.npz", **with_sizes({"latents": latents()}, size=np.array([0, 480])))
np.savez("sizes.npz", **with_sizes({"latents": latents()}, "_2x3"), **with_sizes({"latents": latents(4, 5)}, "_4x5"))
np.savez("unrelated.npz", arr_0=np.arange(3))

# (tokens, width of the first and of the second text encoder, projection): 5, 4, 6, 3
text = {
    "hidden_state1": np.arange(20).reshape(5, 4) / 4,
    "hidden_state2": np.arange(30).reshape(5, 6) / 4,
    "pool2": np.arange(3) / 4,
}
np.savez("text.npz", **{key: value.astype(np.float32) for key, value in text.items()})
np.savez("text_half.npz", **{key: value.astype(np.float16) for key, value in text.items()})
