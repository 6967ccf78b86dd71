# Made by tools/stubs.py from the library and its option table. Do not edit.
"""The native part of the Python package `lora_trainer`."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, SupportsFloat, SupportsIndex, TypeAlias, TypedDict, final

import numpy
import numpy.typing
from PIL.Image import Image
from typing_extensions import Self, Unpack, disjoint_base

Image: TypeAlias = str | PathLike[str] | Image | numpy.typing.NDArray[numpy.uint8]

__all__ = ["__version__", "Adapter", "Bucket", "CacheProgress", "CheckReport", "ConfigKey", "DataWait", "Deleted", "EpochEnd", "Event", "Example", "LongCaption", "LoraInfo", "Notice", "Option", "Preview", "RunLength", "RunPlan", "Saved", "Step", "Subset", "Summary", "TinyImage", "TrainConfig", "Trainer", "_panic", "check", "generate", "inspect", "options"]

__version__: Final[str]
"""
The version of lora-trainer.
"""

@final
class Adapter:
    """An adapter of a LoRA file."""
    __match_args__: Final = ('name', 'is_unet', 'rank', 'alpha', 'down', 'up')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(name: str, is_unet: bool, rank: SupportsIndex, alpha: SupportsFloat | SupportsIndex, down: Sequence[SupportsIndex], up: Sequence[SupportsIndex]) -> Adapter: ...
    @property
    def alpha(self, /) -> float:
        """The product of its factors is scaled by alpha / rank."""
    @property
    def down(self, /) -> list[int]:
        """The shape of the first factor."""
    @property
    def is_unet(self, /) -> bool:
        """Whether it belongs to the UNet; else to a text encoder."""
    @property
    def name(self, /) -> str:
        """Its name: its keys without what they end in."""
    @property
    def rank(self, /) -> int:
        """The width between its factors."""
    @property
    def up(self, /) -> list[int]:
        """The shape of the second factor."""

@final
class Bucket:
    """A size that images are trained at."""
    __match_args__: Final = ('width', 'height', 'images', 'batches')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(width: SupportsIndex, height: SupportsIndex, images: SupportsIndex, batches: SupportsIndex) -> Bucket: ...
    @property
    def batches(self, /) -> int:
        """Its batches in an epoch."""
    @property
    def height(self, /) -> int:
        """Pixels."""
    @property
    def images(self, /) -> int:
        """Its images in an epoch, repeats counted."""
    @property
    def width(self, /) -> int:
        """Pixels."""

@final
class CacheProgress(Event):
    """An image or caption was encoded once for all epochs."""
    __match_args__: Final = ('what', 'done', 'total', 'reused')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(what: str, done: SupportsIndex, total: SupportsIndex, reused: bool) -> CacheProgress: ...
    @property
    def done(self, /) -> int:
        """How many are done."""
    @property
    def reused(self, /) -> bool:
        """Whether the last one was found as a file of an earlier run."""
    @property
    def total(self, /) -> int:
        """Of how many."""
    @property
    def what(self, /) -> str:
        """`"latents"` or `"text"`."""

@final
class CheckReport:
    """What a run would be, and what is wrong with it. `print` shows all of it; a notebook shows tables and images."""
    def __repr__(self, /) -> str: ...
    def __str__(self, /) -> str: ...
    def _repr_html_(self, /) -> str: ...
    @property
    def buckets(self, /) -> list[Bucket]:
        """The sizes that images are trained at; empty with `enable_bucket=False`."""
    @property
    def duplicates(self, /) -> list[list[Path]]:
        """Files with the same content, in groups."""
    @property
    def examples(self, /) -> list[Example]:
        """A few of the images, as they are trained."""
    @property
    def family(self, /) -> str | None:
        """The base's family, where the checkpoint can be read."""
    @property
    def is_ok(self, /) -> bool:
        """Whether the run is possible."""
    @property
    def keys(self, /) -> list[ConfigKey]:
        """What became of each key of the file that the configuration was read from."""
    @property
    def latent_bytes(self, /) -> int:
        """Bytes of cached latents, in memory or on disk."""
    @property
    def length(self, /) -> RunLength | None:
        """How long the run is; `None` without images."""
    @property
    def long_captions(self, /) -> list[LongCaption]:
        """Captions that are cut because they have more tokens than `max_token_length` allows."""
    @property
    def memory(self, /) -> int | None:
        """About how much memory the steps take, in bytes; `None` where checkpoint or images can't be read."""
    @property
    def problems(self, /) -> list[str]:
        """What makes the run impossible."""
    @property
    def reproduced(self, /) -> list[str]:
        """What is done as in sd-scripts, with `compat="sd-scripts"`."""
    @property
    def subsets(self, /) -> list[Subset]:
        """Folders and lists of images."""
    @property
    def tags(self, /) -> list[tuple[str, int]]:
        """How many images have a tag, the most frequent first."""
    @property
    def text_bytes(self, /) -> int:
        """Bytes of cached captions, in memory or on disk."""
    @property
    def tiny_images(self, /) -> list[TinyImage]:
        """Images with less than a quarter of the training resolution's pixels."""
    @property
    def warnings(self, /) -> list[str]:
        """What may not be meant."""

@final
class ConfigKey:
    """What became of a key of a configuration file."""
    __match_args__: Final = ('key', 'line', 'key_class', 'reason')
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(key: str, line: SupportsIndex | None, key_class: str, reason: str) -> ConfigKey: ...
    @property
    def key(self, /) -> str:
        """The key, as it was spelled."""
    @property
    def key_class(self, /) -> str:
        """`"used"`, `"implied"` (it is always so) or `"ignored"` (it is of no use here). What is unsupported is an error."""
    @property
    def line(self, /) -> int | None:
        """Its line in the file, counted from 1; `None` for an option that was given beside the file."""
    @property
    def reason(self, /) -> str:
        """Why, or as what; may be empty."""

@final
class DataWait(Event):
    """A step waited for its images: loading them took longer than the step before."""
    __match_args__: Final = ('step', 'seconds')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(step: SupportsIndex, seconds: SupportsFloat | SupportsIndex) -> DataWait: ...
    @property
    def seconds(self, /) -> float:
        """How long."""
    @property
    def step(self, /) -> int:
        """The step that waited, counted from 1."""

@final
class Deleted(Event):
    """An older LoRA file of the run was deleted, as `save_last_n_epochs` or `save_last_n_steps` asks for."""
    __match_args__: Final = ('path',)
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(path: str | PathLike[str]) -> Deleted: ...
    @property
    def path(self, /) -> Path:
        """The file that is gone."""

@final
class EpochEnd(Event):
    """The end of an epoch."""
    __match_args__: Final = ('epoch', 'epochs', 'step', 'average_loss', 'validation_loss')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(epoch: SupportsIndex, epochs: SupportsIndex, step: SupportsIndex, average_loss: SupportsFloat | SupportsIndex, validation_loss: SupportsFloat | SupportsIndex | None) -> EpochEnd: ...
    @property
    def average_loss(self, /) -> float:
        """The loss averaged over the epoch's steps."""
    @property
    def epoch(self, /) -> int:
        """The epoch, counted from 1."""
    @property
    def epochs(self, /) -> int:
        """Epochs of the run."""
    @property
    def step(self, /) -> int:
        """Updates so far."""
    @property
    def validation_loss(self, /) -> float | None:
        """The loss on the images that are kept out of training, if there are any."""

class Event:
    """Something that happened in a training. `match` on its class tells what."""

@final
class Example:
    """An image of the data set, as it is trained."""
    __match_args__: Final = ('path', 'caption', 'size', 'bucket', 'image')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(path: str | PathLike[str], caption: str, size: tuple[SupportsIndex, SupportsIndex], bucket: tuple[SupportsIndex, SupportsIndex], image: Any) -> Example: ...
    @property
    def bucket(self, /) -> tuple[int, int]:
        """The size that it is trained at."""
    @property
    def caption(self, /) -> str:
        """Its caption."""
    @property
    def image(self, /) -> Image:
        """The image, cropped and scaled down, a `PIL.Image`."""
    @property
    def path(self, /) -> Path:
        """Its file, or what stands for it, such as `data[3]`."""
    @property
    def size(self, /) -> tuple[int, int]:
        """Width and height, in pixels."""

@final
class LongCaption:
    """A caption that is cut."""
    __match_args__: Final = ('path', 'tokens', 'used')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(path: str | PathLike[str], tokens: SupportsIndex, used: SupportsIndex) -> LongCaption: ...
    @property
    def path(self, /) -> Path:
        """Its image."""
    @property
    def tokens(self, /) -> int:
        """Its tokens."""
    @property
    def used(self, /) -> int:
        """Those that are used."""

@final
class LoraInfo:
    """What a LoRA file holds."""
    def __repr__(self, /) -> str: ...
    def _repr_html_(self, /) -> str: ...
    @property
    def adapters(self, /) -> list[Adapter]:
        """Its adapters, by name."""
    @property
    def bytes(self, /) -> int:
        """Bytes of the file."""
    @property
    def dtypes(self, /) -> list[str]:
        """The number types of its tensors, such as "F16"."""
    @property
    def family(self, /) -> str | None:
        """The family of its base, as far as metadata and names tell."""
    @property
    def metadata(self, /) -> dict[str, str]:
        """Its metadata, without change."""
    @property
    def other_keys(self, /) -> list[str]:
        """Keys that belong to no adapter of this kind."""
    @property
    def parameters(self, /) -> int:
        """Values of all factors."""
    @property
    def path(self, /) -> Path:
        """The file."""
    @property
    def ranks(self, /) -> dict[int, int]:
        """The ranks that occur, each with how many adapters have it."""

@final
class Notice(Event):
    """Something that a user should know; it is also logged as a warning."""
    __match_args__: Final = ('message',)
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(message: str) -> Notice: ...
    @property
    def message(self, /) -> str:
        """What it is."""

@final
class Option:
    """An option of `TrainConfig`."""
    def __repr__(self, /) -> str: ...
    @property
    def aliases(self, /) -> list[str]:
        """Other names that are understood."""
    @property
    def annotation(self, /) -> str:
        """The annotation of its keyword argument."""
    @property
    def default(self, /) -> Any:
        """Its default; `None` where it has none or where it depends on the base."""
    @property
    def defaults(self, /) -> dict[str, Any]:
        """Its defaults by family, where they depend on the base."""
    @property
    def excludes(self, /) -> list[str]:
        """Options that must be off where this one is on."""
    @property
    def families(self, /) -> list[str]:
        """The families that it has an effect for."""
    @property
    def group(self, /) -> str:
        """Where it stands in the documentation."""
    @property
    def help(self, /) -> str:
        """What it does."""
    @property
    def kind(self, /) -> str:
        """Its type and range, in words."""
    @property
    def name(self, /) -> str:
        """Its name, in sd-scripts' spelling."""
    @property
    def needs(self, /) -> list[str]:
        """Options of which at least one must be on where this one is."""
    @property
    def value_annotation(self, /) -> str:
        """The annotation of its value in a configuration."""

@final
class Preview(Event):
    """A preview image was drawn and written."""
    __match_args__: Final = ('path', 'step', 'epoch', 'index', 'prompt', 'seed')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    def _repr_png_(self, /) -> bytes:
        """Shows the image in a notebook."""
    @staticmethod
    def _restore(path: str | PathLike[str], step: SupportsIndex, epoch: SupportsIndex | None, index: SupportsIndex, prompt: str, seed: SupportsIndex) -> Preview: ...
    @property
    def epoch(self, /) -> int | None:
        """The epoch after which it was drawn, 0 before the first; `None` for one that was drawn within an epoch."""
    @property
    def image(self, /) -> Image:
        """The image, a `PIL.Image`, read from its file."""
    @property
    def index(self, /) -> int:
        """Its prompt's number, counted from 0."""
    @property
    def path(self, /) -> Path:
        """Where it was written."""
    @property
    def prompt(self, /) -> str:
        """Its prompt."""
    @property
    def seed(self, /) -> int:
        """The seed that it was drawn with."""
    @property
    def step(self, /) -> int:
        """Updates so far."""

@final
class RunLength:
    """The arithmetic of a run."""
    __match_args__: Final = ('images_per_epoch', 'batches_per_epoch', 'gradient_accumulation_steps', 'steps_per_epoch', 'epochs', 'total_steps')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(images_per_epoch: SupportsIndex, batches_per_epoch: SupportsIndex, gradient_accumulation_steps: SupportsIndex, steps_per_epoch: SupportsIndex, epochs: SupportsIndex, total_steps: SupportsIndex) -> RunLength: ...
    @property
    def batches_per_epoch(self, /) -> int:
        """Batches of an epoch."""
    @property
    def epochs(self, /) -> int:
        """Epochs; the last one may be cut short."""
    @property
    def gradient_accumulation_steps(self, /) -> int:
        """Batches of an update."""
    @property
    def images_per_epoch(self, /) -> int:
        """Images of an epoch, repeats counted."""
    @property
    def steps_per_epoch(self, /) -> int:
        """Updates of an epoch."""
    @property
    def total_steps(self, /) -> int:
        """Updates."""

@final
class RunPlan(Event):
    """Everything was read and checked; this is what will be done. The first event."""
    __match_args__: Final = ('subsets', 'buckets', 'images_per_epoch', 'batches_per_epoch', 'steps_per_epoch', 'epochs', 'total_steps', 'unet_adapters', 'text_encoder_adapters', 'parameters', 'device', 'memory', 'reproduced')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(subsets: Sequence[Subset], buckets: Sequence[Bucket], images_per_epoch: SupportsIndex, batches_per_epoch: SupportsIndex, steps_per_epoch: SupportsIndex, epochs: SupportsIndex, total_steps: SupportsIndex, unet_adapters: SupportsIndex, text_encoder_adapters: SupportsIndex, parameters: SupportsIndex, device: str, memory: SupportsIndex, reproduced: Sequence[str]) -> RunPlan: ...
    @property
    def batches_per_epoch(self, /) -> int:
        """Batches of an epoch."""
    @property
    def buckets(self, /) -> list[Bucket]:
        """The sizes that images are trained at."""
    @property
    def device(self, /) -> str:
        """The device that trains."""
    @property
    def epochs(self, /) -> int:
        """Epochs of the run; the last one may end early."""
    @property
    def memory(self, /) -> int:
        """About how much memory the steps take. Bytes."""
    @property
    def parameters(self, /) -> int:
        """Trained parameters."""
    @property
    def images_per_epoch(self, /) -> int:
        """Images of an epoch, repeats counted."""
    @property
    def reproduced(self, /) -> list[str]:
        """What is done as in sd-scripts, with `compat="sd-scripts"`."""
    @property
    def steps_per_epoch(self, /) -> int:
        """Updates of an epoch."""
    @property
    def subsets(self, /) -> list[Subset]:
        """Folders and lists of images."""
    @property
    def text_encoder_adapters(self, /) -> int:
        """Layers of the text encoders with an adapter."""
    @property
    def total_steps(self, /) -> int:
        """Updates of the run."""
    @property
    def unet_adapters(self, /) -> int:
        """Layers of the UNet with an adapter."""

@final
class Saved(Event):
    """A LoRA file was written, read back and found to be right."""
    __match_args__: Final = ('path', 'step')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(path: str | PathLike[str], step: SupportsIndex) -> Saved: ...
    @property
    def path(self, /) -> Path:
        """Where it was written."""
    @property
    def step(self, /) -> int:
        """Updates so far."""

@final
class Step(Event):
    """An update of the adapters."""
    __match_args__: Final = ('step', 'total_steps', 'epoch', 'epochs', 'loss', 'average_loss', 'lr', 'learning_rates', 'grad_norm', 'd', 'seconds', 'it_per_s', 'eta', 'memory')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(step: SupportsIndex, total_steps: SupportsIndex, epoch: SupportsIndex, epochs: SupportsIndex, loss: SupportsFloat | SupportsIndex, average_loss: SupportsFloat | SupportsIndex, lr: SupportsFloat | SupportsIndex, learning_rates: dict[str, SupportsFloat | SupportsIndex], grad_norm: SupportsFloat | SupportsIndex, d: SupportsFloat | SupportsIndex | None, seconds: SupportsFloat | SupportsIndex, it_per_s: SupportsFloat | SupportsIndex, eta: SupportsFloat | SupportsIndex, memory: SupportsIndex | None) -> Step: ...
    @property
    def average_loss(self, /) -> float:
        """The loss averaged over the steps of one epoch, up to this one."""
    @property
    def d(self, /) -> float | None:
        """What D-Adaptation or Prodigy multiplies the learning rates by."""
    @property
    def epoch(self, /) -> int:
        """The epoch, counted from 1."""
    @property
    def epochs(self, /) -> int:
        """Epochs of the run."""
    @property
    def eta(self, /) -> float:
        """Seconds that the rest of the updates will take."""
    @property
    def grad_norm(self, /) -> float:
        """The global norm of the gradients before clipping."""
    @property
    def it_per_s(self, /) -> float:
        """Updates a second so far, without encoding, previews and saving."""
    @property
    def learning_rates(self, /) -> dict[str, float]:
        """The learning rates of all groups of parameters, by sd-scripts' names."""
    @property
    def loss(self, /) -> float:
        """The loss, averaged over the update's batches."""
    @property
    def lr(self, /) -> float:
        """The learning rate: the UNet's, if it is trained."""
    @property
    def memory(self, /) -> int | None:
        """Bytes of memory that the process has; `None` where the system does not tell."""
    @property
    def seconds(self, /) -> float:
        """Seconds that the update took, with what it waited for images."""
    @property
    def step(self, /) -> int:
        """Its number, counted from 1."""
    @property
    def total_steps(self, /) -> int:
        """Updates of the run."""

@final
class Subset:
    """Figures of a folder or list of images."""
    __match_args__: Final = ('name', 'path', 'is_reg', 'repeats', 'images', 'validation', 'captioned', 'class_tokens', 'uncaptioned')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(name: str, path: str | PathLike[str], is_reg: bool, repeats: SupportsIndex, images: SupportsIndex, validation: SupportsIndex, captioned: SupportsIndex, class_tokens: SupportsIndex, uncaptioned: SupportsIndex) -> Subset: ...
    @property
    def captioned(self, /) -> int:
        """Images with a caption of their own."""
    @property
    def class_tokens(self, /) -> int:
        """Images captioned by class tokens."""
    @property
    def is_reg(self, /) -> bool:
        """Whether it holds regularisation images."""
    @property
    def name(self, /) -> str:
        """Its name."""
    @property
    def path(self, /) -> Path:
        """The folder or list."""
    @property
    def images(self, /) -> int:
        """The number of images, without repeats."""
    @property
    def repeats(self, /) -> int:
        """How often each image appears in an epoch."""
    @property
    def uncaptioned(self, /) -> int:
        """Images without any caption."""
    @property
    def validation(self, /) -> int:
        """Images that are kept out of training, beside these."""

@final
class Summary(Event):
    """The run is complete. The last event."""
    __match_args__: Final = ('path', 'contact_sheet', 'logs', 'steps', 'seconds', 'steps_per_second', 'data_wait_seconds', 'average_loss')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(path: str | PathLike[str], contact_sheet: str | PathLike[str] | None, logs: str | PathLike[str] | None, steps: SupportsIndex, seconds: SupportsFloat | SupportsIndex, steps_per_second: SupportsFloat | SupportsIndex, data_wait_seconds: SupportsFloat | SupportsIndex, average_loss: SupportsFloat | SupportsIndex) -> Summary: ...
    @property
    def average_loss(self, /) -> float:
        """The loss averaged over the last epoch's steps."""
    @property
    def contact_sheet(self, /) -> Path | None:
        """Images before and after training, if previews were drawn before the first and after the last step."""
    @property
    def data_wait_seconds(self, /) -> float:
        """Seconds that steps waited for images."""
    @property
    def logs(self, /) -> Path | None:
        """The folder of TensorBoard's events, if there is one."""
    @property
    def path(self, /) -> Path:
        """The LoRA file."""
    @property
    def seconds(self, /) -> float:
        """Seconds from the first event to the last."""
    @property
    def steps(self, /) -> int:
        """Updates."""
    @property
    def steps_per_second(self, /) -> float:
        """Updates a second, without encoding, previews and saving."""

@final
class TinyImage:
    """An image that is small for the training resolution."""
    __match_args__: Final = ('path', 'size', 'bucket')
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(path: str | PathLike[str], size: tuple[SupportsIndex, SupportsIndex], bucket: tuple[SupportsIndex, SupportsIndex]) -> TinyImage: ...
    @property
    def bucket(self, /) -> tuple[int, int]:
        """The size that it is trained at."""
    @property
    def path(self, /) -> Path:
        """The image."""
    @property
    def size(self, /) -> tuple[int, int]:
        """Width and height, in pixels."""

class _Options(TypedDict, total=False):
    pretrained_model_name_or_path: str | PathLike[str] | None
    train_data_dir: str | PathLike[str] | None
    model_train_type: Literal["sd-lora", "sdxl-lora"] | None
    v2: bool | None
    v_parameterization: bool | None
    vae: str | PathLike[str] | None
    base_dtype: Literal["float", "bf16"] | None
    mixed_precision: Literal["no", "fp16", "bf16"]
    base_weights: Sequence[str | PathLike[str]] | str | None
    base_weights_multiplier: Sequence[float] | float | None
    model_config: Mapping[str, object] | None
    clip_skip: int | None
    max_token_length: int
    reg_data_dir: str | PathLike[str] | None
    in_json: str | PathLike[str] | None
    dataset_config: str | PathLike[str] | None
    dataset_repeats: int
    recursive: bool
    caption_extension: str
    class_tokens: str | None
    strict_captions: bool
    caption_separator: str
    shuffle_caption: bool
    keep_tokens: int
    keep_tokens_separator: str | None
    secondary_separator: str | None
    enable_wildcard: bool
    caption_prefix: str | None
    caption_suffix: str | None
    caption_dropout_rate: float
    caption_dropout_every_n_epochs: int
    caption_tag_dropout_rate: float
    token_warmup_min: int
    token_warmup_step: float
    weighted_captions: bool
    resolution: int | str | Sequence[int] | None
    enable_bucket: bool
    min_bucket_reso: int
    max_bucket_reso: int | None
    bucket_reso_steps: int
    bucket_no_upscale: bool
    resize_interpolation: Literal["lanczos", "nearest", "linear", "cubic", "area"] | None
    flip_aug: bool
    color_aug: bool
    random_crop: bool
    face_crop_aug_range: str | None
    alpha_mask: bool
    alpha_background: str | None
    conditioning_data_dir: str | PathLike[str] | None
    masked_loss: bool | None
    cache_latents: bool | None
    cache_latents_to_disk: bool
    cache_text_encoder_outputs: bool | None
    cache_text_encoder_outputs_to_disk: bool
    cache_info: bool | None
    validation_split: float
    validation_seed: int
    skip_bad_images: bool
    preset: Literal["novice"] | None
    train_batch_size: int
    gradient_accumulation_steps: int
    max_train_epochs: int | None
    max_train_steps: int | None
    seed: int
    gradient_checkpointing: bool
    prior_loss_weight: float
    ema_decay: float | None
    loss_type: Literal["l2", "l1", "huber", "smooth_l1"]
    huber_schedule: Literal["snr", "exponential", "constant"]
    huber_c: float
    huber_scale: float
    min_snr_gamma: float | None
    debiased_estimation_loss: bool
    scale_v_pred_loss_like_noise_pred: bool
    v_pred_like_loss: float | None
    min_timestep: int
    max_timestep: int
    zero_terminal_snr: bool | None
    noise_offset: float | None
    noise_offset_random_strength: bool
    adaptive_noise_scale: float | None
    multires_noise_iterations: int | None
    multires_noise_discount: float
    ip_noise_gamma: float | None
    ip_noise_gamma_random_strength: bool
    device: str
    compat: Literal["none", "sd-scripts"]
    learning_rate: float | None
    unet_lr: float | None
    text_encoder_lr: Sequence[float] | float | None
    loraplus_lr_ratio: float | None
    loraplus_unet_lr_ratio: float | None
    loraplus_text_encoder_lr_ratio: float | None
    optimizer_type: Literal["AdamW", "AdamW8bit", "PagedAdamW8bit", "PagedAdamW", "PagedAdamW32bit", "Adam", "RMSprop", "Lion", "Lion8bit", "PagedLion8bit", "SGDNesterov", "SGDNesterov8bit", "AdaFactor", "Prodigy", "DAdaptation", "DAdaptAdamPreprint", "DAdaptAdam", "DAdaptAdaGrad", "DAdaptAdan", "DAdaptAdanIP", "DAdaptLion", "DAdaptSGD", "AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree", "prodigyplus.ProdigyPlusScheduleFree", "pytorch_optimizer.CAME"]
    optimizer_args: Sequence[str] | Mapping[str, object] | str | None
    max_grad_norm: float
    lr_scheduler: Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt", "cosine_with_min_lr", "warmup_stable_decay", "piecewise_constant"]
    lr_warmup_steps: int | float | str
    lr_decay_steps: int | float | str
    lr_scheduler_num_cycles: int
    lr_scheduler_power: float
    lr_scheduler_timescale: int | None
    lr_scheduler_min_lr_ratio: float | None
    lr_scheduler_args: Sequence[str] | Mapping[str, object] | str | None
    network_module: Literal["networks.lora"]
    network_dim: int
    network_alpha: float | None
    conv_dim: int | None
    conv_alpha: float | None
    network_args: Sequence[str] | Mapping[str, object] | str | None
    network_dropout: float | None
    rank_dropout: float | None
    module_dropout: float | None
    scale_weight_norms: float | None
    block_dims: Sequence[int] | int | None
    block_alphas: Sequence[float] | float | None
    conv_block_dims: Sequence[int] | int | None
    conv_block_alphas: Sequence[float] | float | None
    down_lr_weight: Sequence[float] | str | None
    mid_lr_weight: Sequence[float] | str | None
    up_lr_weight: Sequence[float] | str | None
    block_lr_zero_threshold: float
    include_patterns: Sequence[str | PathLike[str]] | str | None
    exclude_patterns: Sequence[str | PathLike[str]] | str | None
    network_weights: str | PathLike[str] | None
    dim_from_weights: bool
    network_train_unet_only: bool
    network_train_text_encoder_only: bool
    output_dir: str | PathLike[str]
    output_name: str
    save_every_n_epochs: int | None
    save_n_epoch_ratio: int | None
    save_every_n_steps: int | None
    save_last_n_epochs: int | None
    save_last_n_steps: int | None
    save_precision: Literal["float", "fp16", "bf16"]
    logging_dir: str | PathLike[str] | None
    log_prefix: str | None
    no_metadata: bool
    metadata_title: str | None
    metadata_author: str | None
    metadata_description: str | None
    metadata_license: str | None
    metadata_tags: str | None
    training_comment: str | None
    sample_prompts: str | None
    sample_every_n_epochs: int | None
    sample_every_n_steps: int | None
    sample_at_first: bool
    sample_sampler: Literal["ddim", "euler_a"]

@final
class TrainConfig:
    """All options of a run, with sd-scripts' names. It does not change once it is made; `replace` makes another.

    An option that does not exist, a value of the wrong type or out of range, and options at odds raise a ConfigError with all problems at once. `None` is the same as not given.

    Args:
        pretrained_model_name_or_path (str | PathLike[str] | None): The base checkpoint: a .safetensors, .ckpt or .pt file, or a folder in diffusers' layout.
        model_train_type (Literal["sd-lora", "sdxl-lora"] | None): SD-Trainer's word for the base: sd-lora for SD 1.x and 2.x, or sdxl-lora. Not given: the checkpoint tells; given, it must agree.
        v2 (bool | None): Whether the base is SD 2.x. Not given: the checkpoint tells; given, it must agree.
        v_parameterization (bool | None): Whether the base predicts velocities. Not given: the checkpoint tells, for SD 2.x if need be by a trial.
        vae (str | PathLike[str] | None): A file or folder whose VAE is used in place of the checkpoint's.
        base_dtype (Literal["float", "bf16"] | None): The number type that the UNet's weights have in memory: float, or bf16 at half the memory, widened layer by layer. Not given: bf16 with mixed_precision = bf16.
        mixed_precision (Literal["no", "fp16", "bf16"]): The number type of the base: bf16 keeps its weights in bf16, where base_dtype does not say otherwise. Layers compute in f32 in any case, which holds all that fp16 does. Default: 'no'.
        base_weights (Sequence[str | PathLike[str]] | str | None): LoRA files that become a part of the base before training.
        base_weights_multiplier (Sequence[float] | float | None): The strength of each of base_weights; 1 where not given. Takes a list of numbers from -1000 to 1000.
        model_config (Mapping[str, object] | None): What the shapes of the checkpoint's tensors cannot tell.
        clip_skip (int | None): Which layer's output of the text encoder is used, counted from the last, 1. 0 is not given; with compat = sd-scripts: the embeddings. Takes an integer from 0 to 24.
        max_token_length (int): Tokens of a caption that are used. 255 acts as 225. Takes 75, 150, 225 or 255. Default: 225.
        train_data_dir (str | PathLike[str] | None): A folder with images, or with folders named N_name whose images are repeated N times an epoch.
        reg_data_dir (str | PathLike[str] | None): A folder of the same kind with regularisation images.
        in_json (str | PathLike[str] | None): A JSON file that lists images and captions; names in it are relative to train_data_dir.
        dataset_config (str | PathLike[str] | None): A file in sd-scripts' dataset_config form, TOML or JSON, in place of train_data_dir, reg_data_dir and in_json.
        dataset_repeats (int): How often an epoch shows each image that lies directly in train_data_dir or is listed in in_json. Takes an integer of at least 1. Default: 1.
        recursive (bool): Take folders in folders, too. Default: False.
        caption_extension (str): The extension of caption files, with its dot. Default: '.txt'.
        class_tokens (str | None): The caption of images without a caption file, where their folder's name gives none.
        strict_captions (bool): Refuse images without a caption file and caption files without an image. Default: False.
        caption_separator (str): What stands between the tags of a caption. Default: ','.
        shuffle_caption (bool): Give the tags of a caption another order each time. Default: False.
        keep_tokens (int): How many tags keep their place at the start. Takes an integer of at least 0. Default: 0.
        keep_tokens_separator (str | None): The text behind which shuffling begins and, where it stands twice, before which it ends; such as |||.
        secondary_separator (str | None): What joins tags that stay together, such as ;;;.
        enable_wildcard (bool): Choose one of {a|b} each time, and one line of a caption with several. Default: False.
        caption_prefix (str | None): Text before each caption.
        caption_suffix (str | None): Text behind each caption.
        caption_dropout_rate (float): How often a caption is left empty. Takes a number from 0 to 1. Default: 0.0.
        caption_dropout_every_n_epochs (int): Leave all captions empty in each n-th epoch; 0: in none. Takes an integer of at least 0. Default: 0.
        caption_tag_dropout_rate (float): How often each tag that is not kept is left out. Takes a number from 0 to 1. Default: 0.0.
        token_warmup_min (int): How many tags behind the kept ones there are at the start of the warm-up. Takes an integer of at least 0. Default: 1.
        token_warmup_step (float): The step from which on all tags are there; below 1: a part of the run. 0: no warm-up. Takes a number from 0 to 1e30. Default: 0.0.
        weighted_captions (bool): Read weights such as (cat:1.2) in captions. Default: False.
        resolution (int | str | Sequence[int] | None): The training resolution in pixels: with buckets the area, else the exact size. Takes a size in pixels.
        enable_bucket (bool): Keep the aspect ratio of images, in batches of equal size. Default: True.
        min_bucket_reso (int): The shortest side of a bucket; not used with bucket_no_upscale. Takes an integer of at least 1. Default: 256.
        max_bucket_reso (int | None): The longest side of a bucket; not used with bucket_no_upscale. Takes an integer of at least 1.
        bucket_reso_steps (int): Sides of buckets are multiples of this, itself one of 8. Takes an integer of at least 1. Default: 64.
        bucket_no_upscale (bool): Leave small images at their size instead of enlarging them. Default: True.
        resize_interpolation (Literal["lanczos", "nearest", "linear", "cubic", "area"] | None): The filter for resizing. Not given: area for reducing, lanczos for enlarging.
        flip_aug (bool): Mirror half of the images. Default: False.
        color_aug (bool): Shift hue or gamma of a third of the images a little. Default: False.
        random_crop (bool): Crop images at a random place instead of evenly. Default: False.
        face_crop_aug_range (str | None): Crop around the face whose place is in the file's name, this many times (least, greatest) as large as the face. Takes two factors up to 100, the least and the greatest, such as "2.0,4.0".
        alpha_mask (bool): Let transparency weight the loss. Default: False.
        alpha_background (str | None): The colour that transparent pixels show. Not given: that which lies under them. Takes a colour such as "#ffffff".
        conditioning_data_dir (str | PathLike[str] | None): A folder with a mask for each image of train_data_dir; its red channel weights the loss.
        masked_loss (bool | None): Use the masks of conditioning_data_dir. Not given: where there are any.
        cache_latents (bool | None): Encode each image once, before training. Not given: unless an augmentation needs it anew each time.
        cache_latents_to_disk (bool): Keep latents beside the images, for further runs. Default: False.
        cache_text_encoder_outputs (bool | None): Encode each caption once, before training. Not given: where that is possible and takes less than 1 GB.
        cache_text_encoder_outputs_to_disk (bool): Keep encoded captions beside the images, for further runs. Default: False.
        cache_info (bool | None): Keep the sizes of images in their folders, for further runs. Not given: with cache_latents_to_disk.
        validation_split (float): Which share of the images is kept out of training, to measure the loss on after each epoch. Takes a number from 0 to 0.95. Default: 0.0.
        validation_seed (int): Says which images are kept out of training. Takes an integer of at least 0. Default: 0.
        skip_bad_images (bool): Skip and list unreadable images instead of refusing them. Default: False.
        preset (Literal["novice"] | None): A set of values that hold where the file gives none: novice for those of SD-Trainer's novice form.
        train_batch_size (int): Images of a batch. Takes an integer of at least 1. Default: 1.
        gradient_accumulation_steps (int): Batches whose gradients make one update. Takes an integer of at least 1. Default: 1.
        max_train_epochs (int | None): Passes over the images; goes before max_train_steps. 10 where neither is given. Takes an integer of at least 1.
        max_train_steps (int | None): Updates of the whole run. Takes an integer of at least 1.
        seed (int): The seed of every random draw. Takes an integer of at least 0. Default: 1337.
        gradient_checkpointing (bool): Compute blocks again in the backward pass instead of keeping them: less memory, a third more time. Default: False.
        prior_loss_weight (float): What the loss of regularisation images is multiplied by. Takes a number from 0 to 1e30. Default: 1.0.
        ema_decay (float | None): Saved files and previews have a running mean of the adapters, of which each update keeps this share; 0 or not given: none. Takes a number from 0 to below 1.
        loss_type (Literal["l2", "l1", "huber", "smooth_l1"]): The error of a predicted value. Default: 'l2'.
        huber_schedule (Literal["snr", "exponential", "constant"]): How the threshold of huber and smooth_l1 depends on the timestep. Default: 'snr'.
        huber_c (float): The least threshold of huber and smooth_l1. Takes a number from 0.000001 to 1. Default: 0.1.
        huber_scale (float): A factor of constant and exponential thresholds. Takes a number from 0.000001 to 1000. Default: 1.0.
        min_snr_gamma (float | None): Gamma of min-SNR weighting; 5 is usual. 0 or not given: no weighting. Takes a number from 0 to 1e30.
        debiased_estimation_loss (bool): Weight the loss so that all timesteps count alike in the image. Default: False.
        scale_v_pred_loss_like_noise_pred (bool): Of bases that predict velocities: scale the loss to what that of the noise would be. Default: False.
        v_pred_like_loss (float | None): Of bases that predict noise: how much of what the loss of a velocity would be is added. 0 or not given: none. Takes a number from 0 to 1e30.
        min_timestep (int): The first timestep that noise is drawn for. Takes an integer from 0 to 999. Default: 0.
        max_timestep (int): The timestep that draws stay below. Takes an integer from 1 to 1000. Default: 1000.
        zero_terminal_snr (bool | None): Whether the noise schedule ends in pure noise. Not given: the checkpoint tells.
        noise_offset (float | None): Strength of a constant that is added to each channel's noise; 0.05 to 0.1 is usual. 0 or not given: none. Takes a number from 0 to 10.
        noise_offset_random_strength (bool): Draw the strength from 0 to noise_offset each time. Default: False.
        adaptive_noise_scale (float | None): How much the latents' mean adds to noise_offset. Takes a number from -10 to 10.
        multires_noise_iterations (int | None): Levels of coarser noise that are added; 6 to 10 is usual. 0 or not given: none. Takes an integer from 0 to 64.
        multires_noise_discount (float): What each level of multires_noise_iterations counts of the one before. Takes a number from 0 to 1. Default: 0.3.
        ip_noise_gamma (float | None): Strength of further noise that the UNet sees but is not asked to predict; 0.1 is usual. 0 or not given: none. Takes a number from 0 to 10.
        ip_noise_gamma_random_strength (bool): Draw the strength from 0 to ip_noise_gamma each time. Default: False.
        device (str): auto, cpu, cuda, cuda:N, vulkan, metal or rocm. Default: 'auto'.
        compat (Literal["none", "sd-scripts"]): Whose numbers to reproduce where programs differ: none for the released pipelines', or sd-scripts. Default: 'none'.
        learning_rate (float | None): The learning rate of the parts that have none of their own. Takes a number from 0 to 1e30.
        unet_lr (float | None): The learning rate of the UNet's adapters. Not given: learning_rate, else 1e-4, or 1 for DAdapt optimizers and Prodigy. Takes a number from 0 to 1e30.
        text_encoder_lr (Sequence[float] | float | None): The learning rate of the text encoder's adapters, or of each of SDXL's two. Not given: learning_rate, else 1e-5, or 1 for DAdapt optimizers and Prodigy. 0: it gets no adapters. Takes at most 2 numbers from 0 to 1e30.
        loraplus_lr_ratio (float | None): How many times as high the learning rate of lora_up is (LoRA+); 16 is the paper's. Takes a number from 0 to 1e30.
        loraplus_unet_lr_ratio (float | None): The same for the UNet alone; goes before loraplus_lr_ratio. Takes a number from 0 to 1e30.
        loraplus_text_encoder_lr_ratio (float | None): The same for the text encoders alone; goes before loraplus_lr_ratio. Takes a number from 0 to 1e30.
        optimizer_type (Literal["AdamW", "AdamW8bit", "PagedAdamW8bit", "PagedAdamW", "PagedAdamW32bit", "Adam", "RMSprop", "Lion", "Lion8bit", "PagedLion8bit", "SGDNesterov", "SGDNesterov8bit", "AdaFactor", "Prodigy", "DAdaptation", "DAdaptAdamPreprint", "DAdaptAdam", "DAdaptAdaGrad", "DAdaptAdan", "DAdaptAdanIP", "DAdaptLion", "DAdaptSGD", "AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree", "prodigyplus.ProdigyPlusScheduleFree", "pytorch_optimizer.CAME"]): The optimizer. Default: 'AdamW'.
        optimizer_args (Sequence[str] | Mapping[str, object] | str | None): The optimizer's own settings, as its package names them. Takes a list of "key=value".
        max_grad_norm (float): The global norm that gradients are clipped to; 0: not clipped. Takes a number from 0 to 1e30. Default: 1.0.
        lr_scheduler (Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt", "cosine_with_min_lr", "warmup_stable_decay", "piecewise_constant"]): How the learning rate changes over the run. Default: 'cosine_with_restarts'.
        lr_warmup_steps (int | float | str): How long the learning rate rises at the start. Takes a number of steps, a part of the run below 1, or a percentage. Default: 0.
        lr_decay_steps (int | float | str): How long it falls at the end of warmup_stable_decay. Takes a number of steps, a part of the run below 1, or a percentage. Default: 0.
        lr_scheduler_num_cycles (int): Cosines of cosine_with_restarts, cosine_with_min_lr and warmup_stable_decay. Takes an integer of at least 1. Default: 1.
        lr_scheduler_power (float): The exponent of polynomial. Takes a number from 0 to 100. Default: 1.0.
        lr_scheduler_timescale (int | None): The steps after which inverse_sqrt has fallen to about 0.7. Not given: the warm-up's, else 10000. Takes an integer of at least 1.
        lr_scheduler_min_lr_ratio (float | None): The share of the learning rate that cosine_with_min_lr and warmup_stable_decay end at. Takes a number from 0 to 1.
        lr_scheduler_args (Sequence[str] | Mapping[str, object] | str | None): step_rules of piecewise_constant: factors, each with the step up to which it holds, and the last one, such as step_rules=1:100,0.1:200,0.01. Takes a list of "key=value" with the keys step_rules.
        network_module (Literal["networks.lora"]): The kind of adapter. Default: 'networks.lora'.
        network_dim (int): The rank of adapters of linear layers and 1x1 convolutions. Takes an integer from 1 to 4096. Default: 32.
        network_alpha (float | None): Alpha of these; they are scaled by alpha / rank. 0 or not given: the rank. Takes a number from 0 to 1e30.
        conv_dim (int | None): The rank of adapters of 3x3 convolutions. Not given: the layers of the resnets get no adapter. 0: off. Takes an integer from 0 to 4096.
        conv_alpha (float | None): Alpha of 3x3 convolutions. 0: the rank. Not given: 1. Takes a number from 0 to 1e30.
        network_args (Sequence[str] | Mapping[str, object] | str | None): Options of the network in sd-scripts' form, each of which can be given by its own name, too. Takes a list of "key=value" with the keys conv_dim, conv_alpha, dropout, rank_dropout, module_dropout, block_dims, block_alphas, conv_block_dims, conv_block_alphas, down_lr_weight, mid_lr_weight, up_lr_weight, block_lr_zero_threshold, loraplus_lr_ratio, loraplus_unet_lr_ratio, loraplus_text_encoder_lr_ratio.
        network_dropout (float | None): How often a value between the two factors of an adapter is left out. Takes a number from 0 to below 1.
        rank_dropout (float | None): How often one of an adapter's ranks is left out of a sample. Takes a number from 0 to below 1.
        module_dropout (float | None): How often an adapter is left out of a batch. Takes a number from 0 to below 1.
        scale_weight_norms (float | None): The norm that an adapter's product is scaled down to after each update; 1 is usual. 0 or not given: none. Takes a number from 0 to 1e30.
        block_dims (Sequence[int] | int | None): The rank of each block of the UNet, 25 of SD 1.x and 2.x or 23 of SDXL; 0: no adapters. Takes a list of integers from 0 to 4096.
        block_alphas (Sequence[float] | float | None): Alpha of each block. Not given: network_alpha. Takes a list of numbers from 0 to 1e30.
        conv_block_dims (Sequence[int] | int | None): The rank of the 3x3 convolutions of each block; 0: no adapters. Takes a list of integers from 0 to 4096.
        conv_block_alphas (Sequence[float] | float | None): Alpha of the 3x3 convolutions of each block. Not given: conv_alpha. Takes a list of numbers from 0 to 1e30.
        down_lr_weight (Sequence[float] | str | None): What the learning rate of each block on the way down is multiplied by: 12 numbers (9 of SDXL), or sine, cosine, linear, reverse_linear or zeros, and +x behind it to add x; 0: no adapters. Takes numbers with commas between, or sine, cosine, linear, reverse_linear or zeros, with +x to add x.
        mid_lr_weight (Sequence[float] | str | None): The same of the block in the middle: one number, or three for SDXL. Takes numbers with commas between, or sine, cosine, linear, reverse_linear or zeros, with +x to add x.
        up_lr_weight (Sequence[float] | str | None): The same of the blocks on the way up: 12 numbers (9 of SDXL), or a curve as of down_lr_weight. Takes numbers with commas between, or sine, cosine, linear, reverse_linear or zeros, with +x to add x.
        block_lr_zero_threshold (float): Weights of blocks up to this count as 0. Takes a number from 0 to 1e30. Default: 0.0.
        include_patterns (Sequence[str | PathLike[str]] | str | None): Layers that get adapters: patterns of their names, with * and ?. Not given: all.
        exclude_patterns (Sequence[str | PathLike[str]] | str | None): Layers that get none, of those that include_patterns leaves.
        network_weights (str | PathLike[str] | None): A LoRA file to continue from.
        dim_from_weights (bool): Take targets, ranks and alphas from the file of network_weights. Default: False.
        network_train_unet_only (bool): Give adapters to the UNet only. Default: False.
        network_train_text_encoder_only (bool): Give adapters to the text encoder only. Default: False.
        output_dir (str | PathLike[str]): The folder for everything that is written. Default: 'output'.
        output_name (str): The name of the LoRA file without its extension. Default: 'last'.
        save_every_n_epochs (int | None): Save a LoRA after each N epochs; one is always saved at the end. 0: off. Takes an integer of at least 0.
        save_n_epoch_ratio (int | None): Save a LoRA this many times over the run; goes before save_every_n_epochs. 0: off. Takes an integer of at least 0.
        save_every_n_steps (int | None): Save a LoRA after each N updates. 0: off. Takes an integer of at least 0.
        save_last_n_epochs (int | None): Keep the files of the last N epochs; earlier ones are removed. Takes an integer of at least 1.
        save_last_n_steps (int | None): Keep the files of the last N updates; earlier ones are removed. Takes an integer of at least 1.
        save_precision (Literal["float", "fp16", "bf16"]): The number type of saved LoRA files. Default: 'fp16'.
        logging_dir (str | PathLike[str] | None): The folder for TensorBoard's event files. Not given: none are written.
        log_prefix (str | None): What the names of folders in logging_dir start with.
        no_metadata (bool): Cut the file's metadata down to what is needed to load it. Default: False.
        metadata_title (str | None): The title in the metadata. Not given: output_name.
        metadata_author (str | None): The author in the metadata.
        metadata_description (str | None): The description in the metadata.
        metadata_license (str | None): The licence in the metadata.
        metadata_tags (str | None): Tags in the metadata, with commas between.
        training_comment (str | None): A comment in the metadata.
        sample_prompts (str | None): Prompts of preview images: a file with one a line, or the text itself. Drawn at the end of the run, too, where no interval is given.
        sample_every_n_epochs (int | None): Draw previews after each N epochs; goes before sample_every_n_steps. 0: off. Takes an integer of at least 0.
        sample_every_n_steps (int | None): Draw previews after each N updates. 0: off. Takes an integer of at least 0.
        sample_at_first (bool): Draw previews before the first update, too. Default: False.
        sample_sampler (Literal["ddim", "euler_a"]): The sampler of prompts that name none. Default: 'euler_a'.
    """
    def __eq__(self, other: object, /) -> bool: ...

    def __hash__(self, /) -> int: ...
    def __new__(
        cls,
        pretrained_model_name_or_path: str | PathLike[str] | None = None,
        train_data_dir: str | PathLike[str] | None = None,
        *,
        model_train_type: Literal["sd-lora", "sdxl-lora"] | None = None,
        v2: bool | None = None,
        v_parameterization: bool | None = None,
        vae: str | PathLike[str] | None = None,
        base_dtype: Literal["float", "bf16"] | None = None,
        mixed_precision: Literal["no", "fp16", "bf16"] = 'no',
        base_weights: Sequence[str | PathLike[str]] | str | None = None,
        base_weights_multiplier: Sequence[float] | float | None = None,
        model_config: Mapping[str, object] | None = None,
        clip_skip: int | None = None,
        max_token_length: int = 225,
        reg_data_dir: str | PathLike[str] | None = None,
        in_json: str | PathLike[str] | None = None,
        dataset_config: str | PathLike[str] | None = None,
        dataset_repeats: int = 1,
        recursive: bool = False,
        caption_extension: str = '.txt',
        class_tokens: str | None = None,
        strict_captions: bool = False,
        caption_separator: str = ',',
        shuffle_caption: bool = False,
        keep_tokens: int = 0,
        keep_tokens_separator: str | None = None,
        secondary_separator: str | None = None,
        enable_wildcard: bool = False,
        caption_prefix: str | None = None,
        caption_suffix: str | None = None,
        caption_dropout_rate: float = 0.0,
        caption_dropout_every_n_epochs: int = 0,
        caption_tag_dropout_rate: float = 0.0,
        token_warmup_min: int = 1,
        token_warmup_step: float = 0.0,
        weighted_captions: bool = False,
        resolution: int | str | Sequence[int] | None = None,
        enable_bucket: bool = True,
        min_bucket_reso: int = 256,
        max_bucket_reso: int | None = None,
        bucket_reso_steps: int = 64,
        bucket_no_upscale: bool = True,
        resize_interpolation: Literal["lanczos", "nearest", "linear", "cubic", "area"] | None = None,
        flip_aug: bool = False,
        color_aug: bool = False,
        random_crop: bool = False,
        face_crop_aug_range: str | None = None,
        alpha_mask: bool = False,
        alpha_background: str | None = None,
        conditioning_data_dir: str | PathLike[str] | None = None,
        masked_loss: bool | None = None,
        cache_latents: bool | None = None,
        cache_latents_to_disk: bool = False,
        cache_text_encoder_outputs: bool | None = None,
        cache_text_encoder_outputs_to_disk: bool = False,
        cache_info: bool | None = None,
        validation_split: float = 0.0,
        validation_seed: int = 0,
        skip_bad_images: bool = False,
        preset: Literal["novice"] | None = None,
        train_batch_size: int = 1,
        gradient_accumulation_steps: int = 1,
        max_train_epochs: int | None = None,
        max_train_steps: int | None = None,
        seed: int = 1337,
        gradient_checkpointing: bool = False,
        prior_loss_weight: float = 1.0,
        ema_decay: float | None = None,
        loss_type: Literal["l2", "l1", "huber", "smooth_l1"] = 'l2',
        huber_schedule: Literal["snr", "exponential", "constant"] = 'snr',
        huber_c: float = 0.1,
        huber_scale: float = 1.0,
        min_snr_gamma: float | None = None,
        debiased_estimation_loss: bool = False,
        scale_v_pred_loss_like_noise_pred: bool = False,
        v_pred_like_loss: float | None = None,
        min_timestep: int = 0,
        max_timestep: int = 1000,
        zero_terminal_snr: bool | None = None,
        noise_offset: float | None = None,
        noise_offset_random_strength: bool = False,
        adaptive_noise_scale: float | None = None,
        multires_noise_iterations: int | None = None,
        multires_noise_discount: float = 0.3,
        ip_noise_gamma: float | None = None,
        ip_noise_gamma_random_strength: bool = False,
        device: str = 'auto',
        compat: Literal["none", "sd-scripts"] = 'none',
        learning_rate: float | None = None,
        unet_lr: float | None = None,
        text_encoder_lr: Sequence[float] | float | None = None,
        loraplus_lr_ratio: float | None = None,
        loraplus_unet_lr_ratio: float | None = None,
        loraplus_text_encoder_lr_ratio: float | None = None,
        optimizer_type: Literal["AdamW", "AdamW8bit", "PagedAdamW8bit", "PagedAdamW", "PagedAdamW32bit", "Adam", "RMSprop", "Lion", "Lion8bit", "PagedLion8bit", "SGDNesterov", "SGDNesterov8bit", "AdaFactor", "Prodigy", "DAdaptation", "DAdaptAdamPreprint", "DAdaptAdam", "DAdaptAdaGrad", "DAdaptAdan", "DAdaptAdanIP", "DAdaptLion", "DAdaptSGD", "AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree", "prodigyplus.ProdigyPlusScheduleFree", "pytorch_optimizer.CAME"] = 'AdamW',
        optimizer_args: Sequence[str] | Mapping[str, object] | str | None = None,
        max_grad_norm: float = 1.0,
        lr_scheduler: Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt", "cosine_with_min_lr", "warmup_stable_decay", "piecewise_constant"] = 'cosine_with_restarts',
        lr_warmup_steps: int | float | str = 0,
        lr_decay_steps: int | float | str = 0,
        lr_scheduler_num_cycles: int = 1,
        lr_scheduler_power: float = 1.0,
        lr_scheduler_timescale: int | None = None,
        lr_scheduler_min_lr_ratio: float | None = None,
        lr_scheduler_args: Sequence[str] | Mapping[str, object] | str | None = None,
        network_module: Literal["networks.lora"] = 'networks.lora',
        network_dim: int = 32,
        network_alpha: float | None = None,
        conv_dim: int | None = None,
        conv_alpha: float | None = None,
        network_args: Sequence[str] | Mapping[str, object] | str | None = None,
        network_dropout: float | None = None,
        rank_dropout: float | None = None,
        module_dropout: float | None = None,
        scale_weight_norms: float | None = None,
        block_dims: Sequence[int] | int | None = None,
        block_alphas: Sequence[float] | float | None = None,
        conv_block_dims: Sequence[int] | int | None = None,
        conv_block_alphas: Sequence[float] | float | None = None,
        down_lr_weight: Sequence[float] | str | None = None,
        mid_lr_weight: Sequence[float] | str | None = None,
        up_lr_weight: Sequence[float] | str | None = None,
        block_lr_zero_threshold: float = 0.0,
        include_patterns: Sequence[str | PathLike[str]] | str | None = None,
        exclude_patterns: Sequence[str | PathLike[str]] | str | None = None,
        network_weights: str | PathLike[str] | None = None,
        dim_from_weights: bool = False,
        network_train_unet_only: bool = False,
        network_train_text_encoder_only: bool = False,
        output_dir: str | PathLike[str] = 'output',
        output_name: str = 'last',
        save_every_n_epochs: int | None = None,
        save_n_epoch_ratio: int | None = None,
        save_every_n_steps: int | None = None,
        save_last_n_epochs: int | None = None,
        save_last_n_steps: int | None = None,
        save_precision: Literal["float", "fp16", "bf16"] = 'fp16',
        logging_dir: str | PathLike[str] | None = None,
        log_prefix: str | None = None,
        no_metadata: bool = False,
        metadata_title: str | None = None,
        metadata_author: str | None = None,
        metadata_description: str | None = None,
        metadata_license: str | None = None,
        metadata_tags: str | None = None,
        training_comment: str | None = None,
        sample_prompts: str | None = None,
        sample_every_n_epochs: int | None = None,
        sample_every_n_steps: int | None = None,
        sample_at_first: bool = False,
        sample_sampler: Literal["ddim", "euler_a"] = 'euler_a',
    ) -> TrainConfig: ...
    def __reduce__(self, /) -> tuple[Any, tuple[Any, ...]]: ...
    def __repr__(self, /) -> str:
        """Valid Python: the call that makes it."""
    def _repr_html_(self, /) -> str: ...
    @staticmethod
    def _restore(options: dict[str, Any], keys: list[ConfigKey]) -> TrainConfig: ...
    @staticmethod
    def from_toml(path: str | PathLike[str], **options: Unpack[_Options]) -> TrainConfig:
        """
        Reads a configuration file: this program's, SD-Trainer's or one of sd-scripts. Options that are given beside override the file's.
        `keys` then tells what became of each key.
        """
    @property
    def keys(self, /) -> list[ConfigKey]:
        """What became of each key of the file that it was read from; empty where it was not read from one."""
    def replace(self, /, **options: Unpack[_Options]) -> TrainConfig:
        """This configuration with other values of these options."""
    def to_dict(self, /) -> dict[str, Any]:
        """The options that are not at their defaults, as keyword arguments."""
    def to_toml(self, /) -> str:
        """The text of a configuration file with the options that are not at their defaults, each with a comment."""
    @property
    def pretrained_model_name_or_path(self, /) -> str | None:
        """The base checkpoint: a .safetensors, .ckpt or .pt file, or a folder in diffusers' layout."""
    @property
    def train_data_dir(self, /) -> str | None:
        """A folder with images, or with folders named N_name whose images are repeated N times an epoch."""
    @property
    def model_train_type(self, /) -> Literal["sd-lora", "sdxl-lora"] | None:
        """SD-Trainer's word for the base: sd-lora for SD 1.x and 2.x, or sdxl-lora. Not given: the checkpoint tells; given, it must agree."""
    @property
    def v2(self, /) -> bool | None:
        """Whether the base is SD 2.x. Not given: the checkpoint tells; given, it must agree."""
    @property
    def v_parameterization(self, /) -> bool | None:
        """Whether the base predicts velocities. Not given: the checkpoint tells, for SD 2.x if need be by a trial."""
    @property
    def vae(self, /) -> str | None:
        """A file or folder whose VAE is used in place of the checkpoint's."""
    @property
    def base_dtype(self, /) -> Literal["float", "bf16"] | None:
        """The number type that the UNet's weights have in memory: float, or bf16 at half the memory, widened layer by layer. Not given: bf16 with mixed_precision = bf16."""
    @property
    def mixed_precision(self, /) -> Literal["no", "fp16", "bf16"]:
        """The number type of the base: bf16 keeps its weights in bf16, where base_dtype does not say otherwise. Layers compute in f32 in any case, which holds all that fp16 does."""
    @property
    def base_weights(self, /) -> list[str] | None:
        """LoRA files that become a part of the base before training."""
    @property
    def base_weights_multiplier(self, /) -> list[float] | None:
        """The strength of each of base_weights; 1 where not given."""
    @property
    def model_config(self, /) -> dict[str, object] | None:
        """What the shapes of the checkpoint's tensors cannot tell."""
    @property
    def clip_skip(self, /) -> int | None:
        """Which layer's output of the text encoder is used, counted from the last, 1. 0 is not given; with compat = sd-scripts: the embeddings."""
    @property
    def max_token_length(self, /) -> int:
        """Tokens of a caption that are used. 255 acts as 225."""
    @property
    def reg_data_dir(self, /) -> str | None:
        """A folder of the same kind with regularisation images."""
    @property
    def in_json(self, /) -> str | None:
        """A JSON file that lists images and captions; names in it are relative to train_data_dir."""
    @property
    def dataset_config(self, /) -> str | None:
        """A file in sd-scripts' dataset_config form, TOML or JSON, in place of train_data_dir, reg_data_dir and in_json."""
    @property
    def dataset_repeats(self, /) -> int:
        """How often an epoch shows each image that lies directly in train_data_dir or is listed in in_json."""
    @property
    def recursive(self, /) -> bool:
        """Take folders in folders, too."""
    @property
    def caption_extension(self, /) -> str:
        """The extension of caption files, with its dot."""
    @property
    def class_tokens(self, /) -> str | None:
        """The caption of images without a caption file, where their folder's name gives none."""
    @property
    def strict_captions(self, /) -> bool:
        """Refuse images without a caption file and caption files without an image."""
    @property
    def caption_separator(self, /) -> str:
        """What stands between the tags of a caption."""
    @property
    def shuffle_caption(self, /) -> bool:
        """Give the tags of a caption another order each time."""
    @property
    def keep_tokens(self, /) -> int:
        """How many tags keep their place at the start."""
    @property
    def keep_tokens_separator(self, /) -> str | None:
        """The text behind which shuffling begins and, where it stands twice, before which it ends; such as |||."""
    @property
    def secondary_separator(self, /) -> str | None:
        """What joins tags that stay together, such as ;;;."""
    @property
    def enable_wildcard(self, /) -> bool:
        """Choose one of {a|b} each time, and one line of a caption with several."""
    @property
    def caption_prefix(self, /) -> str | None:
        """Text before each caption."""
    @property
    def caption_suffix(self, /) -> str | None:
        """Text behind each caption."""
    @property
    def caption_dropout_rate(self, /) -> float:
        """How often a caption is left empty."""
    @property
    def caption_dropout_every_n_epochs(self, /) -> int:
        """Leave all captions empty in each n-th epoch; 0: in none."""
    @property
    def caption_tag_dropout_rate(self, /) -> float:
        """How often each tag that is not kept is left out."""
    @property
    def token_warmup_min(self, /) -> int:
        """How many tags behind the kept ones there are at the start of the warm-up."""
    @property
    def token_warmup_step(self, /) -> float:
        """The step from which on all tags are there; below 1: a part of the run. 0: no warm-up."""
    @property
    def weighted_captions(self, /) -> bool:
        """Read weights such as (cat:1.2) in captions."""
    @property
    def resolution(self, /) -> str | None:
        """The training resolution in pixels: with buckets the area, else the exact size."""
    @property
    def enable_bucket(self, /) -> bool:
        """Keep the aspect ratio of images, in batches of equal size."""
    @property
    def min_bucket_reso(self, /) -> int:
        """The shortest side of a bucket; not used with bucket_no_upscale."""
    @property
    def max_bucket_reso(self, /) -> int | None:
        """The longest side of a bucket; not used with bucket_no_upscale."""
    @property
    def bucket_reso_steps(self, /) -> int:
        """Sides of buckets are multiples of this, itself one of 8."""
    @property
    def bucket_no_upscale(self, /) -> bool:
        """Leave small images at their size instead of enlarging them."""
    @property
    def resize_interpolation(self, /) -> Literal["lanczos", "nearest", "linear", "cubic", "area"] | None:
        """The filter for resizing. Not given: area for reducing, lanczos for enlarging."""
    @property
    def flip_aug(self, /) -> bool:
        """Mirror half of the images."""
    @property
    def color_aug(self, /) -> bool:
        """Shift hue or gamma of a third of the images a little."""
    @property
    def random_crop(self, /) -> bool:
        """Crop images at a random place instead of evenly."""
    @property
    def face_crop_aug_range(self, /) -> str | None:
        """Crop around the face whose place is in the file's name, this many times (least, greatest) as large as the face."""
    @property
    def alpha_mask(self, /) -> bool:
        """Let transparency weight the loss."""
    @property
    def alpha_background(self, /) -> str | None:
        """The colour that transparent pixels show. Not given: that which lies under them."""
    @property
    def conditioning_data_dir(self, /) -> str | None:
        """A folder with a mask for each image of train_data_dir; its red channel weights the loss."""
    @property
    def masked_loss(self, /) -> bool | None:
        """Use the masks of conditioning_data_dir. Not given: where there are any."""
    @property
    def cache_latents(self, /) -> bool | None:
        """Encode each image once, before training. Not given: unless an augmentation needs it anew each time."""
    @property
    def cache_latents_to_disk(self, /) -> bool:
        """Keep latents beside the images, for further runs."""
    @property
    def cache_text_encoder_outputs(self, /) -> bool | None:
        """Encode each caption once, before training. Not given: where that is possible and takes less than 1 GB."""
    @property
    def cache_text_encoder_outputs_to_disk(self, /) -> bool:
        """Keep encoded captions beside the images, for further runs."""
    @property
    def cache_info(self, /) -> bool | None:
        """Keep the sizes of images in their folders, for further runs. Not given: with cache_latents_to_disk."""
    @property
    def validation_split(self, /) -> float:
        """Which share of the images is kept out of training, to measure the loss on after each epoch."""
    @property
    def validation_seed(self, /) -> int:
        """Says which images are kept out of training."""
    @property
    def skip_bad_images(self, /) -> bool:
        """Skip and list unreadable images instead of refusing them."""
    @property
    def preset(self, /) -> Literal["novice"] | None:
        """A set of values that hold where the file gives none: novice for those of SD-Trainer's novice form."""
    @property
    def train_batch_size(self, /) -> int:
        """Images of a batch."""
    @property
    def gradient_accumulation_steps(self, /) -> int:
        """Batches whose gradients make one update."""
    @property
    def max_train_epochs(self, /) -> int | None:
        """Passes over the images; goes before max_train_steps. 10 where neither is given."""
    @property
    def max_train_steps(self, /) -> int | None:
        """Updates of the whole run."""
    @property
    def seed(self, /) -> int:
        """The seed of every random draw."""
    @property
    def gradient_checkpointing(self, /) -> bool:
        """Compute blocks again in the backward pass instead of keeping them: less memory, a third more time."""
    @property
    def prior_loss_weight(self, /) -> float:
        """What the loss of regularisation images is multiplied by."""
    @property
    def ema_decay(self, /) -> float | None:
        """Saved files and previews have a running mean of the adapters, of which each update keeps this share; 0 or not given: none."""
    @property
    def loss_type(self, /) -> Literal["l2", "l1", "huber", "smooth_l1"]:
        """The error of a predicted value."""
    @property
    def huber_schedule(self, /) -> Literal["snr", "exponential", "constant"]:
        """How the threshold of huber and smooth_l1 depends on the timestep."""
    @property
    def huber_c(self, /) -> float:
        """The least threshold of huber and smooth_l1."""
    @property
    def huber_scale(self, /) -> float:
        """A factor of constant and exponential thresholds."""
    @property
    def min_snr_gamma(self, /) -> float | None:
        """Gamma of min-SNR weighting; 5 is usual. 0 or not given: no weighting."""
    @property
    def debiased_estimation_loss(self, /) -> bool:
        """Weight the loss so that all timesteps count alike in the image."""
    @property
    def scale_v_pred_loss_like_noise_pred(self, /) -> bool:
        """Of bases that predict velocities: scale the loss to what that of the noise would be."""
    @property
    def v_pred_like_loss(self, /) -> float | None:
        """Of bases that predict noise: how much of what the loss of a velocity would be is added. 0 or not given: none."""
    @property
    def min_timestep(self, /) -> int:
        """The first timestep that noise is drawn for."""
    @property
    def max_timestep(self, /) -> int:
        """The timestep that draws stay below."""
    @property
    def zero_terminal_snr(self, /) -> bool | None:
        """Whether the noise schedule ends in pure noise. Not given: the checkpoint tells."""
    @property
    def noise_offset(self, /) -> float | None:
        """Strength of a constant that is added to each channel's noise; 0.05 to 0.1 is usual. 0 or not given: none."""
    @property
    def noise_offset_random_strength(self, /) -> bool:
        """Draw the strength from 0 to noise_offset each time."""
    @property
    def adaptive_noise_scale(self, /) -> float | None:
        """How much the latents' mean adds to noise_offset."""
    @property
    def multires_noise_iterations(self, /) -> int | None:
        """Levels of coarser noise that are added; 6 to 10 is usual. 0 or not given: none."""
    @property
    def multires_noise_discount(self, /) -> float:
        """What each level of multires_noise_iterations counts of the one before."""
    @property
    def ip_noise_gamma(self, /) -> float | None:
        """Strength of further noise that the UNet sees but is not asked to predict; 0.1 is usual. 0 or not given: none."""
    @property
    def ip_noise_gamma_random_strength(self, /) -> bool:
        """Draw the strength from 0 to ip_noise_gamma each time."""
    @property
    def device(self, /) -> str:
        """auto, cpu, cuda, cuda:N, vulkan, metal or rocm."""
    @property
    def compat(self, /) -> Literal["none", "sd-scripts"]:
        """Whose numbers to reproduce where programs differ: none for the released pipelines', or sd-scripts."""
    @property
    def learning_rate(self, /) -> float | None:
        """The learning rate of the parts that have none of their own."""
    @property
    def unet_lr(self, /) -> float | None:
        """The learning rate of the UNet's adapters. Not given: learning_rate, else 1e-4, or 1 for DAdapt optimizers and Prodigy."""
    @property
    def text_encoder_lr(self, /) -> list[float] | None:
        """The learning rate of the text encoder's adapters, or of each of SDXL's two. Not given: learning_rate, else 1e-5, or 1 for DAdapt optimizers and Prodigy. 0: it gets no adapters."""
    @property
    def loraplus_lr_ratio(self, /) -> float | None:
        """How many times as high the learning rate of lora_up is (LoRA+); 16 is the paper's."""
    @property
    def loraplus_unet_lr_ratio(self, /) -> float | None:
        """The same for the UNet alone; goes before loraplus_lr_ratio."""
    @property
    def loraplus_text_encoder_lr_ratio(self, /) -> float | None:
        """The same for the text encoders alone; goes before loraplus_lr_ratio."""
    @property
    def optimizer_type(self, /) -> Literal["AdamW", "AdamW8bit", "PagedAdamW8bit", "PagedAdamW", "PagedAdamW32bit", "Adam", "RMSprop", "Lion", "Lion8bit", "PagedLion8bit", "SGDNesterov", "SGDNesterov8bit", "AdaFactor", "Prodigy", "DAdaptation", "DAdaptAdamPreprint", "DAdaptAdam", "DAdaptAdaGrad", "DAdaptAdan", "DAdaptAdanIP", "DAdaptLion", "DAdaptSGD", "AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree", "prodigyplus.ProdigyPlusScheduleFree", "pytorch_optimizer.CAME"]:
        """The optimizer."""
    @property
    def optimizer_args(self, /) -> list[str] | None:
        """The optimizer's own settings, as its package names them."""
    @property
    def max_grad_norm(self, /) -> float:
        """The global norm that gradients are clipped to; 0: not clipped."""
    @property
    def lr_scheduler(self, /) -> Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt", "cosine_with_min_lr", "warmup_stable_decay", "piecewise_constant"]:
        """How the learning rate changes over the run."""
    @property
    def lr_warmup_steps(self, /) -> int | float | str:
        """How long the learning rate rises at the start."""
    @property
    def lr_decay_steps(self, /) -> int | float | str:
        """How long it falls at the end of warmup_stable_decay."""
    @property
    def lr_scheduler_num_cycles(self, /) -> int:
        """Cosines of cosine_with_restarts, cosine_with_min_lr and warmup_stable_decay."""
    @property
    def lr_scheduler_power(self, /) -> float:
        """The exponent of polynomial."""
    @property
    def lr_scheduler_timescale(self, /) -> int | None:
        """The steps after which inverse_sqrt has fallen to about 0.7. Not given: the warm-up's, else 10000."""
    @property
    def lr_scheduler_min_lr_ratio(self, /) -> float | None:
        """The share of the learning rate that cosine_with_min_lr and warmup_stable_decay end at."""
    @property
    def lr_scheduler_args(self, /) -> list[str] | None:
        """step_rules of piecewise_constant: factors, each with the step up to which it holds, and the last one, such as step_rules=1:100,0.1:200,0.01."""
    @property
    def network_module(self, /) -> Literal["networks.lora"]:
        """The kind of adapter."""
    @property
    def network_dim(self, /) -> int:
        """The rank of adapters of linear layers and 1x1 convolutions."""
    @property
    def network_alpha(self, /) -> float | None:
        """Alpha of these; they are scaled by alpha / rank. 0 or not given: the rank."""
    @property
    def conv_dim(self, /) -> int | None:
        """The rank of adapters of 3x3 convolutions. Not given: the layers of the resnets get no adapter. 0: off."""
    @property
    def conv_alpha(self, /) -> float | None:
        """Alpha of 3x3 convolutions. 0: the rank. Not given: 1."""
    @property
    def network_args(self, /) -> list[str] | None:
        """Options of the network in sd-scripts' form, each of which can be given by its own name, too."""
    @property
    def network_dropout(self, /) -> float | None:
        """How often a value between the two factors of an adapter is left out."""
    @property
    def rank_dropout(self, /) -> float | None:
        """How often one of an adapter's ranks is left out of a sample."""
    @property
    def module_dropout(self, /) -> float | None:
        """How often an adapter is left out of a batch."""
    @property
    def scale_weight_norms(self, /) -> float | None:
        """The norm that an adapter's product is scaled down to after each update; 1 is usual. 0 or not given: none."""
    @property
    def block_dims(self, /) -> list[int] | None:
        """The rank of each block of the UNet, 25 of SD 1.x and 2.x or 23 of SDXL; 0: no adapters."""
    @property
    def block_alphas(self, /) -> list[float] | None:
        """Alpha of each block. Not given: network_alpha."""
    @property
    def conv_block_dims(self, /) -> list[int] | None:
        """The rank of the 3x3 convolutions of each block; 0: no adapters."""
    @property
    def conv_block_alphas(self, /) -> list[float] | None:
        """Alpha of the 3x3 convolutions of each block. Not given: conv_alpha."""
    @property
    def down_lr_weight(self, /) -> str | None:
        """What the learning rate of each block on the way down is multiplied by: 12 numbers (9 of SDXL), or sine, cosine, linear, reverse_linear or zeros, and +x behind it to add x; 0: no adapters."""
    @property
    def mid_lr_weight(self, /) -> str | None:
        """The same of the block in the middle: one number, or three for SDXL."""
    @property
    def up_lr_weight(self, /) -> str | None:
        """The same of the blocks on the way up: 12 numbers (9 of SDXL), or a curve as of down_lr_weight."""
    @property
    def block_lr_zero_threshold(self, /) -> float:
        """Weights of blocks up to this count as 0."""
    @property
    def include_patterns(self, /) -> list[str] | None:
        """Layers that get adapters: patterns of their names, with * and ?. Not given: all."""
    @property
    def exclude_patterns(self, /) -> list[str] | None:
        """Layers that get none, of those that include_patterns leaves."""
    @property
    def network_weights(self, /) -> str | None:
        """A LoRA file to continue from."""
    @property
    def dim_from_weights(self, /) -> bool:
        """Take targets, ranks and alphas from the file of network_weights."""
    @property
    def network_train_unet_only(self, /) -> bool:
        """Give adapters to the UNet only."""
    @property
    def network_train_text_encoder_only(self, /) -> bool:
        """Give adapters to the text encoder only."""
    @property
    def output_dir(self, /) -> str:
        """The folder for everything that is written."""
    @property
    def output_name(self, /) -> str:
        """The name of the LoRA file without its extension."""
    @property
    def save_every_n_epochs(self, /) -> int | None:
        """Save a LoRA after each N epochs; one is always saved at the end. 0: off."""
    @property
    def save_n_epoch_ratio(self, /) -> int | None:
        """Save a LoRA this many times over the run; goes before save_every_n_epochs. 0: off."""
    @property
    def save_every_n_steps(self, /) -> int | None:
        """Save a LoRA after each N updates. 0: off."""
    @property
    def save_last_n_epochs(self, /) -> int | None:
        """Keep the files of the last N epochs; earlier ones are removed."""
    @property
    def save_last_n_steps(self, /) -> int | None:
        """Keep the files of the last N updates; earlier ones are removed."""
    @property
    def save_precision(self, /) -> Literal["float", "fp16", "bf16"]:
        """The number type of saved LoRA files."""
    @property
    def logging_dir(self, /) -> str | None:
        """The folder for TensorBoard's event files. Not given: none are written."""
    @property
    def log_prefix(self, /) -> str | None:
        """What the names of folders in logging_dir start with."""
    @property
    def no_metadata(self, /) -> bool:
        """Cut the file's metadata down to what is needed to load it."""
    @property
    def metadata_title(self, /) -> str | None:
        """The title in the metadata. Not given: output_name."""
    @property
    def metadata_author(self, /) -> str | None:
        """The author in the metadata."""
    @property
    def metadata_description(self, /) -> str | None:
        """The description in the metadata."""
    @property
    def metadata_license(self, /) -> str | None:
        """The licence in the metadata."""
    @property
    def metadata_tags(self, /) -> str | None:
        """Tags in the metadata, with commas between."""
    @property
    def training_comment(self, /) -> str | None:
        """A comment in the metadata."""
    @property
    def sample_prompts(self, /) -> str | None:
        """Prompts of preview images: a file with one a line, or the text itself. Drawn at the end of the run, too, where no interval is given."""
    @property
    def sample_every_n_epochs(self, /) -> int | None:
        """Draw previews after each N epochs; goes before sample_every_n_steps. 0: off."""
    @property
    def sample_every_n_steps(self, /) -> int | None:
        """Draw previews after each N updates. 0: off."""
    @property
    def sample_at_first(self, /) -> bool:
        """Draw previews before the first update, too."""
    @property
    def sample_sampler(self, /) -> Literal["ddim", "euler_a"]:
        """The sampler of prompts that name none."""

@disjoint_base
class Trainer:
    """A training run: the native part of `lora_trainer.Trainer`."""
    def __new__(cls, /, config: TrainConfig, *, data: Iterable[tuple[Image, str]] | None = None) -> Self: ...
    def claim_event(self, /) -> Event | None:
        """The event that an interrupted `next_event` has not told, once it has happened; `None` where there is none."""
    def close(self, /) -> None:
        """Ends the run after the step that it is at, and frees its memory. Nothing is saved. To close it again changes nothing."""
    @property
    def config(self, /) -> TrainConfig:
        """The options of the run."""
    def draw(self, /, prompt: str, negative_prompt: str, *, width: int | None, height: int | None, num_inference_steps: int, guidance_scale: float, seed: int | None, sampler: str | None, strength: float) -> Image:
        """Draws an image with the LoRA as it is now; `Trainer.sample` has the convenient form."""
    @property
    def is_closed(self, /) -> bool:
        """Whether it was closed."""
    @property
    def is_complete(self, /) -> bool:
        """Whether all updates are made and the LoRA is saved."""
    def next_event(self, /) -> Event | None:
        """
        Does the next piece of work and tells what happened; `None` at the end of the run. After Ctrl-C, the next call tells what the
        interrupted one would have told.
        """
    def save(self, /, path: str | PathLike[str] | None = None, *, precision: Literal["fp16", "bf16", "float"] | None = None) -> Path:
        """
        Saves the LoRA as it is now and returns the file's path.

        Args:
            path: The file; by default it has the output name with the step's number, in the output folder.
            precision: "fp16", "bf16" or "float"; by default that of the options.
        """
    def state_dict(self, /) -> dict[str, numpy.typing.NDArray[numpy.float32]]:
        """The tensors of the LoRA file as it would be saved now, as NumPy arrays of `float32` by sd-scripts' keys."""
    @property
    def step(self, /) -> int:
        """Updates so far."""
    @property
    def total_steps(self, /) -> int:
        """Updates of the run; 0 before its plan was told."""

def _panic() -> None:
    """Panics, so that a test sees what becomes of a bug."""

def check(config: TrainConfig, *, data: Iterable[tuple[Image, str]] | None = None) -> CheckReport:
    """
    Says what a run would be and all that is wrong with it.

    It reads everything that a training would read, decodes every image, and trains nothing. What is wrong is collected in the report instead
    of being raised.

    Args:
        config: The options.
        data: Images beside those of the options: a list of `(image, caption)`, where an image is a path, a `PIL.Image` or an array
            `[h, w, 3]` of `uint8`.

    >>> report = lt.check(config)
    >>> report.is_ok, report.length.total_steps
    (True, 4)
    """

def generate(config: TrainConfig, prompts: list[str], negative_prompt: str, loras: dict[Any, float], *, width: int | None, height: int | None, num_inference_steps: int, guidance_scale: float, seed: int, sampler: str | None) -> list[Image]:
    """Draws images with a base model and LoRA files, as previews are drawn; `lora_trainer.generate` has the convenient form."""

def inspect(path: str | PathLike[str], /) -> LoraInfo:
    """
    Reads what a LoRA file holds, whatever program wrote it: adapters, ranks, alphas and metadata.

    >>> info = lt.inspect(lt.fit(config, progress=False).path)
    >>> list(info.ranks), info.metadata["ss_network_dim"]
    ([4], '4')
    """

def options() -> list[Option]:
    """All options, in the order of the documentation."""
