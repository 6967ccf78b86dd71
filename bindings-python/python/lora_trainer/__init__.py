"""Train LoRA adapters for Stable Diffusion."""

from ._core import __version__

__all__ = ["__version__"]
