"""Train LoRA adapters for Stable Diffusion 1.x, 2.x and SDXL.

```python
import lora_trainer as lt

config = lt.TrainConfig("model.safetensors", "images", network_dim=16)
lt.check(config)                       # what a run would do, and what is wrong
history = lt.fit(config)               # trains, with one progress bar
with lt.Trainer(config) as trainer:    # the same, step by step
    for step in trainer:
        print(step.step, step.loss)
lt.generate("model.safetensors", "a photo of a cat", loras={"output/last.safetensors": 0.8})
lt.inspect("output/last.safetensors")  # what a LoRA file holds
```

Training needs no PyTorch and runs on a thread of its own. NumPy, Pillow, tqdm and the packages of notebooks are imported when they are
first used.
"""

from . import _core
from ._callbacks import Callback
from ._core import (
    Adapter,
    Bucket,
    CacheProgress,
    CheckReport,
    ConfigKey,
    DataWait,
    Deleted,
    EpochEnd,
    Event,
    Example,
    LongCaption,
    LoraInfo,
    Notice,
    Option,
    Preview,
    RunLength,
    RunPlan,
    Saved,
    Step,
    Subset,
    Summary,
    TinyImage,
    TrainConfig,
    __version__,
    check,
    inspect,
    options,
)
from ._fit import fit
from ._generate import generate
from ._history import History
from ._signature import ConfigSignature
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
    "Adapter",
    "Bucket",
    "CacheProgress",
    "Callback",
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
    "Example",
    "History",
    "LongCaption",
    "LoraInfo",
    "LoraTrainerError",
    "LossNotFiniteError",
    "Notice",
    "Option",
    "Preview",
    "RunLength",
    "RunPlan",
    "Saved",
    "Step",
    "Subset",
    "Summary",
    "TinyImage",
    "TrainConfig",
    "Trainer",
    "TrainingError",
    "__version__",
    "check",
    "fit",
    "generate",
    "inspect",
    "options",
]
