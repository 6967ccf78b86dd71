"""The rows of benches/networks in torch, for benches/compare. pip install torch diffusers transformers safetensors numpy

    benches/compare sd15_step/512 blocks

A training step over diffusers' UNet: rank 32 on the linear layers and 1x1 convolutions of the transformers, as sd-scripts' modules
compute them, AdamW, clipping; latents and encoded captions are inputs; batch 1, f32. Also the forward
passes of the text encoder and the VAE, and reading a checkpoint. Weights come from the other program's
file.
"""

import json

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from serving import serve


def tensors(path, prefix):
    """The tensors of a network, as f32."""
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key).float() for key in file.keys() if key.startswith(prefix)}


class Lora(torch.nn.Module):
    """sd-scripts' replacement of a layer's forward."""

    def __init__(self, layer, rank):
        super().__init__()
        self.base = layer.forward
        if isinstance(layer, torch.nn.Linear):
            self.down = torch.nn.Linear(layer.in_features, rank, bias=False)
            self.up = torch.nn.Linear(rank, layer.out_features, bias=False)
        else:
            self.down = torch.nn.Conv2d(layer.in_channels, rank, 1, bias=False)
            self.up = torch.nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        layer.forward = self.forward

    def forward(self, x, *args, **kwargs):
        return self.base(x) + self.up(self.down(x))


def unet_of(row):
    kinds = ["CrossAttn" if depth else "" for depth in row["depths"]]
    config = dict(
        sample_size=64,
        block_out_channels=row["channels"],
        down_block_types=[f"{kind}DownBlock2D" for kind in kinds],
        up_block_types=[f"{kind}UpBlock2D" for kind in reversed(kinds)],
        layers_per_block=row["resnets"],
        transformer_layers_per_block=[max(depth, 1) for depth in row["depths"]],
        cross_attention_dim=row["context"],
        # Diffusers' name for the number of heads.
        attention_head_dim=row["heads"],
        use_linear_projection=row["linear_projections"],
    )
    if row["label"]:
        config.update(
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=row["label"],
        )
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    weights = tensors(row["checkpoint"], "model.diffusion_model.")
    unet.load_state_dict(convert_ldm_unet_checkpoint(weights, config), assign=True)
    return unet.requires_grad_(False)


def attach(unet, row, factors):
    """The adapters, with these values."""
    modules = dict(unet.named_modules())
    loras = torch.nn.ModuleList()
    position = 0
    for path, _, _ in row["slots"]:
        lora = Lora(modules[path.removeprefix("unet.")], row["rank"])
        for factor in (lora.down, lora.up):
            count = factor.weight.numel()
            factor.weight.data.copy_(factors[position : position + count].view_as(factor.weight))
            position += count
        loras.append(lora)
    assert position == factors.numel()
    return loras


def step(row, inputs):
    unet = unet_of(row)
    loras = attach(unet, row, inputs["factors"])
    if row["gradient_checkpointing"]:
        unet.enable_gradient_checkpointing()
        unet.train()
    optimizer = torch.optim.AdamW(loras.parameters(), lr=row["lr"])
    alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
    timesteps = torch.tensor([row["timestep"]])
    latents, noise = inputs["latents"], inputs["noise"]
    added = {"text_embeds": inputs["pooled"], "time_ids": inputs["sizes"]} if row["label"] else None
    first = True

    def work():
        nonlocal first
        alpha = alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        prediction = unet(noisy, timesteps, inputs["context"], added_cond_kwargs=added).sample
        loss = F.mse_loss(prediction, noise)
        loss.backward()
        results = {}
        if first:
            first = False
            gradients = torch.cat([p.grad.reshape(-1) for p in loras.parameters()])
            results = {"prediction": prediction.detach(), "gradients": gradients}
        torch.nn.utils.clip_grad_norm_(loras.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        return results

    return work


def text_encoder(row):
    config = CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    encoder = CLIPTextModel(config).eval()
    prefix = "cond_stage_model.transformer."
    weights = {key.removeprefix(prefix): x for key, x in tensors(row["checkpoint"], prefix).items() if "position_ids" not in key}
    if not any(key.startswith("text_model.") for key in encoder.state_dict()):
        weights = {key.removeprefix("text_model."): x for key, x in weights.items()}
    encoder.load_state_dict(weights)
    return lambda: {"y": encoder(torch.tensor([row["ids"]])).last_hidden_state}


def vae(row, inputs):
    config = dict(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
    )
    network = AutoencoderKL(**config).eval()
    network.load_state_dict(convert_ldm_vae_checkpoint(tensors(row["checkpoint"], "first_stage_model."), config))
    return lambda: {"y": network.encode(inputs["pixels"]).latent_dist.mean}


def make(name, folder):
    row = json.loads((folder / "row.json").read_text())
    match name:
        case "checkpoint/sd15" | "checkpoint/sdxl":
            def load():
                return {"latent_channels": torch.tensor([float(loaded["model.diffusion_model.input_blocks.0.0.weight"].shape[1])])}

            def work():
                nonlocal loaded
                loaded = None
                loaded = tensors(row["checkpoint"], "model.diffusion_model.")
                return load()

            loaded = None
            return work
        case "sd15_step/text_encoder":
            return torch.no_grad()(text_encoder(row))
        case "sd15_step/vae_encode_512":
            return torch.no_grad()(vae(row, load_file(folder / "inputs.safetensors")))
        case _:
            return step(row, load_file(folder / "inputs.safetensors"))


if __name__ == "__main__":
    serve(make)
