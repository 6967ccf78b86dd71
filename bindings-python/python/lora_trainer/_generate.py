"""Generating images without a trainer."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, TypedDict, overload

from . import _core
from .errors import _wrong_argument

if TYPE_CHECKING:
    from PIL.Image import Image
    from typing_extensions import Unpack

    from ._core import Sampler


class ImageSettings(TypedDict, total=False):
    """The settings of a generated image, named as in diffusers."""

    negative_prompt: str
    width: int | None
    height: int | None
    num_inference_steps: int
    guidance_scale: float
    seed: int | None
    sampler: Sampler | None


@overload
def generate(
    base: str | PathLike[str] | _core.TrainConfig,
    prompt: str,
    *,
    loras: Mapping[str, float] | Mapping[PathLike[str], float] | None = None,
    **settings: Unpack[ImageSettings],
) -> Image: ...
@overload
def generate(
    base: str | PathLike[str] | _core.TrainConfig,
    prompt: list[str],
    *,
    loras: Mapping[str, float] | Mapping[PathLike[str], float] | None = None,
    **settings: Unpack[ImageSettings],
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
    seed: int | None = 0,
    sampler: Sampler | None = None,
) -> Image | list[Image]:
    """Generates an image with a base model and LoRA files, like the previews of a training run.

    The same arguments give the same image. Each call loads the base model, so pass several prompts
    as a list.

    Args:
        base: The base model: a path, or a `TrainConfig` of which the model options are used.
        prompt: The prompt, with weights such as `(cat:1.2)`. A list gives a list of images.
        loras: The paths of LoRA files, each with its multiplier.
        negative_prompt: The negative prompt.
        width: The width in pixels, a multiple of 8. Default: the resolution of the base model.
        height: The height in pixels, a multiple of 8. Default: the resolution of the base model.
        num_inference_steps: The number of sampling steps.
        guidance_scale: The scale of classifier-free guidance. Values up to 1 disable the guidance
            and the negative prompt.
        seed: The seed of the noise.
        sampler: The sampler. Default: the option `sample_sampler`.

    >>> image = lt.generate(config, "a photo of a cat", seed=1, num_inference_steps=2)
    >>> image.size
    (64, 64)
    """
    config = base if isinstance(base, _core.TrainConfig) else _core.TrainConfig(base)
    if not (loras is None or isinstance(loras, Mapping)):
        raise _wrong_argument("loras", loras, "a dict of multipliers by path")
    settings: ImageSettings = {
        "negative_prompt": negative_prompt,
        "width": width,
        "height": height,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "seed": seed,
        "sampler": sampler,
    }
    prompts = [prompt] if isinstance(prompt, str) else prompt
    images: list[Image] = _core.generate(config, prompts, dict(loras or {}), settings)
    return images[0] if isinstance(prompt, str) else images
