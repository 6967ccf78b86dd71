"""Images without a trainer."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, overload

from . import _core
from .errors import _refused

if TYPE_CHECKING:
    from PIL.Image import Image


@overload
def generate(
    base: str | PathLike[str] | _core.TrainConfig,
    prompt: str,
    *,
    loras: Mapping[str, float] | Mapping[PathLike[str], float] | None = None,
    negative_prompt: str = "",
    width: int | None = None,
    height: int | None = None,
    num_inference_steps: int = 30,
    guidance_scale: float = 7.5,
    seed: int = 0,
    sampler: str | None = None,
) -> Image: ...
@overload
def generate(
    base: str | PathLike[str] | _core.TrainConfig,
    prompt: list[str],
    *,
    loras: Mapping[str, float] | Mapping[PathLike[str], float] | None = None,
    negative_prompt: str = "",
    width: int | None = None,
    height: int | None = None,
    num_inference_steps: int = 30,
    guidance_scale: float = 7.5,
    seed: int = 0,
    sampler: str | None = None,
) -> list[Image]: ...
def generate(
    base: str | PathLike[str] | _core.TrainConfig,
    prompt: str | list[str],
    *,
    loras: Mapping[str, float] | Mapping[PathLike[str], float] | None = None,
    negative_prompt: str = "",
    width: int | None = None,
    height: int | None = None,
    num_inference_steps: int = 30,
    guidance_scale: float = 7.5,
    seed: int = 0,
    sampler: str | None = None,
) -> Image | list[Image]:
    """Draws an image with a base model and LoRA files, as a training draws its previews.

    The same arguments give the same image. The base is read anew for each call: give several prompts in a list.

    Args:
        base: The base model: a path, or a `TrainConfig` whose options of the base count.
        prompt: What to draw, with weights such as `(cat:1.2)`; a list gives a list of images.
        loras: LoRA files, each with its strength.
        negative_prompt: What to avoid.
        width: Pixels, a multiple of 8; by default those that the base was made for.
        height: Pixels, a multiple of 8; by default those that the base was made for.
        num_inference_steps: Steps of the sampler.
        guidance_scale: How much the prompt counts; at most 1 leaves the negative prompt out.
        seed: The seed of the noise.
        sampler: "ddim" or "euler_a"; by default that of the options, "euler_a".

    >>> image = lt.generate(config, "a photo of a cat", seed=1, num_inference_steps=2)
    >>> image.size
    (64, 64)
    """
    config = base if isinstance(base, _core.TrainConfig) else _core.TrainConfig(base)
    if not (loras is None or isinstance(loras, Mapping)):
        raise _refused("loras", loras, "a dict of strengths by path")
    images: list[Image] = _core.generate(
        config,
        [prompt] if isinstance(prompt, str) else prompt,
        negative_prompt,
        dict(loras or {}),
        width=width,
        height=height,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        seed=seed,
        sampler=sampler,
    )
    return images[0] if isinstance(prompt, str) else images
