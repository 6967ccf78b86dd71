"""Train LoRA adapters for Stable Diffusion 1.x, 2.x and SDXL.

```python
import lora_trainer as lt

config = lt.TrainConfig("model.safetensors", "images", network_dim=16)
lt.check(config)                       # reports the run and all of its problems
history = lt.fit(config)               # trains, with a progress bar
with lt.Trainer(config) as trainer:    # the same, step by step
    for step in trainer:
        print(step.step, step.loss)
lt.generate("model.safetensors", "a photo of a cat", loras={"output/last.safetensors": 0.8})
lt.inspect("output/last.safetensors")  # reads a LoRA file
lt.tag_folder("images", "wd-vit-v3")   # writes captions
lt.Captions("images").remove("solo")   # edits them; undo() restores them
```

Training needs no PyTorch and runs on its own thread. NumPy, Pillow, tqdm and the notebook packages
are imported when they are first used.
"""

from . import _core
from ._callbacks import Callback
from ._caption_changes import CaptionChanges, MovedFiles
from ._captions import Captions, CaptionStats
from ._core import (
    AdapterInfo,
    Bucket,
    CacheProgress,
    CaptionChange,
    CaptionCommand,
    CaptionEntry,
    CheckReport,
    ConfigKey,
    DataWait,
    Deleted,
    EpochEnd,
    Event,
    ExampleImage,
    LongCaption,
    LoraInfo,
    Option,
    Preview,
    RunLength,
    RunPlan,
    Saved,
    Step,
    SubsetReport,
    Summary,
    TinyImage,
    TrainConfig,
    UndoneCommand,
    Warning,
    __version__,
    check,
    inspect,
    options,
)
from ._fit import fit
from ._generate import generate
from ._history import History
from ._signature import ConfigSignature
from ._tag_folder import TagResult, tag_folder
from ._tagger import Tagger
from ._trainer import Trainer
from .errors import (
    CheckpointError,
    ConfigError,
    DatasetError,
    DeviceError,
    LoraTrainerError,
    LossNotFiniteError,
    TrainingError,
)

_core.TrainConfig.__signature__ = ConfigSignature()  # type: ignore[attr-defined]

__all__ = [
    "AdapterInfo",
    "Bucket",
    "CacheProgress",
    "Callback",
    "CaptionChange",
    "CaptionChanges",
    "CaptionCommand",
    "CaptionEntry",
    "CaptionStats",
    "Captions",
    "CheckReport",
    "CheckpointError",
    "ConfigError",
    "ConfigKey",
    "DataWait",
    "DatasetError",
    "Deleted",
    "DeviceError",
    "EpochEnd",
    "Event",
    "ExampleImage",
    "History",
    "LongCaption",
    "LoraInfo",
    "LoraTrainerError",
    "LossNotFiniteError",
    "MovedFiles",
    "Option",
    "Preview",
    "RunLength",
    "RunPlan",
    "Saved",
    "Step",
    "SubsetReport",
    "Summary",
    "TagResult",
    "Tagger",
    "TinyImage",
    "TrainConfig",
    "Trainer",
    "TrainingError",
    "UndoneCommand",
    "Warning",
    "__version__",
    "check",
    "fit",
    "generate",
    "inspect",
    "options",
    "tag_folder",
]
