"""Code of users, for `mypy --strict`; it is not run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import lora_trainer as lt

if TYPE_CHECKING:
    import numpy
    from PIL.Image import Image
    from typing_extensions import assert_type


class Stopper:
    def on_step(self, trainer: lt.Trainer, step: lt.Step) -> str | None:
        return "stop" if step.loss < 0.01 else None


def use(image: Image, array: numpy.typing.NDArray[numpy.uint8]) -> None:
    config = lt.TrainConfig(
        "base.safetensors", Path("images"), network_dim=16, optimizer_type="AdamW"
    )
    lt.TrainConfig("base.safetensors", network_dimm=16)  # type: ignore[call-arg]
    lt.TrainConfig("base.safetensors", network_dim="many")  # type: ignore[arg-type]
    lt.TrainConfig("base.safetensors", optimizer_type="Adamw9")  # type: ignore[arg-type]
    config.replace(unet_lr=1e-4)
    config.replace(unet_lr="fast")  # type: ignore[arg-type]
    config.network_dim = 8  # type: ignore[misc]
    assert_type(config.network_dim, int)
    assert_type(config.vae, "str | None")
    lt.check(config, data=[(image, "a"), (array, "b"), ("c.png", "c"), (Path("d.png"), "d")])
    data = [(image, "a"), (image, "b")]
    with lt.Trainer(config, data=data, callbacks=[Stopper()], log_with="wandb") as trainer:
        for step in trainer:
            assert_type(step, lt.Step)
            assert_type(step.loss, float)
        for event in trainer.events():
            match event:
                case lt.Step(loss=loss):
                    assert_type(loss, float)
                case lt.Saved(path):
                    assert_type(path, Path)
        assert_type(trainer.generate("a cat", multiplier=0.5), "Image")
        assert_type(trainer.save(), Path)
    assert_type(lt.fit(config), lt.History)
    assert_type(lt.generate("base.safetensors", "a cat", loras={"cat.safetensors": 0.8}), "Image")
    assert_type(lt.generate(config, ["a cat", "a dog"]), "list[Image]")
    assert_type(lt.check(config).problems, list[str])
    assert_type(lt.inspect("cat.safetensors").metadata, dict[str, str])
    tag(image, array)


def tag(image: Image, array: numpy.typing.NDArray[numpy.uint8]) -> None:
    tagger = lt.Tagger("wd-vit-v3", threads=2)
    assert_type(tagger(image), dict[str, dict[str, float]])
    assert_type(tagger("a.png")["general"]["1girl"], float)
    assert_type(
        tagger([image, array, Path("a.png")], "sd-scripts"), list[dict[str, dict[str, float]]]
    )
    result = lt.tag_folder(
        Path("images"), tagger, threshold=0.4, tag_replacement={"a": "b"}, exclude_tags=["solo"]
    )
    assert_type(result.failed, list[tuple[Path, str]])
    assert_type(result.frequency, dict[str, int])
    lt.tag_folder("images", "wd-vit-v3", style="kohya")  # type: ignore[arg-type]
    lt.tag_folder("images", treshold=0.4)  # type: ignore[call-arg]
    captions = lt.Captions("images", recursive=True)
    for entry in captions.filter(with_=["* hair"], without="solo"):
        assert_type(entry.text, "str | None")
        assert_type(entry.tags, list[str])
    assert_type(captions[0], lt.CaptionEntry)
    assert_type(captions[:2], list[lt.CaptionEntry])
    assert_type(captions.add("smile", first=True)[0].old, "str | None")
    assert_type(captions.move("others", dry_run=True), lt.MovedFiles)
    assert_type(captions.undo(), lt.UndoneCommand)
    captions.sort("size")  # type: ignore[arg-type]
