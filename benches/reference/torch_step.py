"""A training step of SD 1.5 in torch, as benches/sd15_step does it. pip install torch diffusers transformers safetensors numpy

    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python benches/reference/torch_step.py [SIDE] [--checkpointing] [--steps N]

Full-size random weights, rank 32 on the 192 linear layers and 1x1 convolutions of the UNet's transformers, as sd-scripts' modules
compute them, AdamW, clipping; latents and text outputs cached; batch 1, f32. Prints seconds of each step and the peak memory. With
`--other` it times the text encoder and the VAE's encoder at 512 pixels instead.
"""

import argparse
import gc
import os
import pathlib
import time

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
RANK = 32


class Lora(torch.nn.Module):
    """What sd-scripts puts in the place of a layer's forward."""

    def __init__(self, layer):
        super().__init__()
        self.base = layer.forward
        if isinstance(layer, torch.nn.Linear):
            self.down = torch.nn.Linear(layer.in_features, RANK, bias=False)
            self.up = torch.nn.Linear(RANK, layer.out_features, bias=False)
        else:
            self.down = torch.nn.Conv2d(layer.in_channels, RANK, 1, bias=False)
            self.up = torch.nn.Conv2d(RANK, layer.out_channels, 1, bias=False)
        torch.nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        torch.nn.init.zeros_(self.up.weight)
        layer.forward = self.forward

    def forward(self, x, *args, **kwargs):
        return self.base(x) + self.up(self.down(x))


def attach(unet):
    loras = torch.nn.ModuleList()
    for block in unet.modules():
        if type(block).__name__ != "Transformer2DModel":
            continue
        for layer in block.modules():
            if isinstance(layer, torch.nn.Linear) or isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (1, 1):
                loras.append(Lora(layer))
    assert len(loras) == 192, len(loras)
    return loras


def status(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def steps(side, checkpointing, count):
    unet = UNet2DConditionModel(
        sample_size=64, cross_attention_dim=768, attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280)
    ).requires_grad_(False)
    loras = attach(unet)
    if checkpointing:
        unet.enable_gradient_checkpointing()
        unet.train()
    optimizer = torch.optim.AdamW(loras.parameters(), lr=1e-4)
    alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
    latents, context = torch.randn(1, 4, side // 8, side // 8), torch.randn(1, 77, 768)
    gc.collect()
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        noise, timesteps = torch.randn_like(latents), torch.randint(0, 1000, (1,))
        alpha = alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        loss = F.mse_loss(unet(noisy, timesteps, context).sample, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(loras.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        seconds.append(time.perf_counter() - start)
        print(f"step {seconds[-1]:.2f} s", flush=True)
    print(f"best {min(seconds):.2f} s, peak memory {status('VmHWM:') / 1e9:.2f} GB")


def other():
    text = CLIPTextModel(
        CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    ).eval()
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
    ).eval()
    ids, pixels = torch.randint(0, 49408, (1, 77)), torch.randn(1, 3, 512, 512)
    for name, run in (("text encoder", lambda: text(ids)), ("VAE encode 512", lambda: vae.encode(pixels))):
        best = float("inf")
        with torch.no_grad():
            for _ in range(4):
                start = time.perf_counter()
                run()
                best = min(best, time.perf_counter() - start)
        print(f"{name}: {best * 1e3:.0f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("side", type=int, nargs="?", default=256)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--other", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.other:
        other()
    else:
        steps(arguments.side, arguments.checkpointing, arguments.steps)


if __name__ == "__main__":
    main()
