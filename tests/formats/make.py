"""Small models in the formats of torch.save and diffusers' save_pretrained, with torch's results.

    pip install torch diffusers transformers peft safetensors
    python tests/formats/make.py

The weights are random. tests/it/formats.rs reads every file and compares with `expected.safetensors`.
"""

import copy
import os
import pathlib
import shutil

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

HERE = pathlib.Path(__file__).resolve().parent
WIDTH = 8
EXPECTED = {}


def text_config(layers, act, projection=None):
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=2,
        hidden_act=act,
        projection_dim=projection or WIDTH,
        eos_token_id=49407,
        bos_token_id=49406,
    )


def unet(**more):
    return UNet2DConditionModel(
        **dict(
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=WIDTH,
            attention_head_dim=2,
        )
        | more
    )


def vae():
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
    )


def half(model):
    """Rounds the weights to f16 and computes in f32, as the reader does."""
    return model.half().float().eval()


def noise(*shape):
    return torch.randn(*shape)


def ids():
    tokens = torch.randint(1000, 40000, (1, 77))
    tokens[0, 0], tokens[0, 20:] = 49406, 49407
    return tokens


def expect(name, model, vae_model, encoders):
    with torch.no_grad():
        tokens = ids()
        EXPECTED[f"{name}.ids"] = tokens
        outputs = [encoder(tokens, output_hidden_states=True) for encoder in encoders]
        added = {}
        if len(encoders) == 1:
            context = outputs[0].last_hidden_state
        else:
            context = torch.cat([output.hidden_states[-2] for output in outputs], -1)
            pooled, sizes = outputs[1].text_embeds, torch.tensor([[64.0, 48.0, 0.0, 8.0, 64.0, 64.0]])
            added = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}
            EXPECTED[f"{name}.pooled"], EXPECTED[f"{name}.sizes"] = pooled, sizes
        latents = noise(1, 4, 8, 8)
        EXPECTED[f"{name}.context"], EXPECTED[f"{name}.latents"] = context, latents
        EXPECTED[f"{name}.prediction"] = model(latents, torch.tensor([500]), context, **added).sample
        EXPECTED[f"{name}.decoded"] = vae_model.decode(latents).sample


def ldm_unet(state):
    """Keys of single-file checkpoints, of two levels with one resnet each."""
    names = [
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("conv_in", "input_blocks.0.0"),
        ("conv_norm_out", "out.0"),
        ("conv_out", "out.2"),
        ("down_blocks.0.resnets.0", "input_blocks.1.0"),
        ("down_blocks.0.attentions.0", "input_blocks.1.1"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks.2.0.op"),
        ("down_blocks.1.resnets.0", "input_blocks.3.0"),
        ("mid_block.resnets.0", "middle_block.0"),
        ("mid_block.attentions.0", "middle_block.1"),
        ("mid_block.resnets.1", "middle_block.2"),
        ("up_blocks.0.resnets.0", "output_blocks.0.0"),
        ("up_blocks.0.resnets.1", "output_blocks.1.0"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.1.1.conv"),
        ("up_blocks.1.resnets.0", "output_blocks.2.0"),
        ("up_blocks.1.attentions.0", "output_blocks.2.1"),
        ("up_blocks.1.resnets.1", "output_blocks.3.0"),
        ("up_blocks.1.attentions.1", "output_blocks.3.1"),
    ]
    inner = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    renamed = {}
    for key, value in state.items():
        new, old = next((new, old) for old, new in names if key.startswith(old + "."))
        rest = key[len(old) + 1 :]
        if "resnets" in old:
            layer, tail = rest.split(".")
            rest = f"{inner[layer]}.{tail}"
        renamed[f"model.diffusion_model.{new}.{rest}"] = value
    assert len(renamed) == len(state)
    return renamed


def ldm_vae(state, prefix=""):
    renamed = {}
    for key, value in state.items():
        new = key
        for level in (0, 1):
            new = new.replace(f"encoder.down_blocks.{level}.resnets.", f"encoder.down.{level}.block.")
            new = new.replace(f"encoder.down_blocks.{level}.downsamplers.0.", f"encoder.down.{level}.downsample.")
            new = new.replace(f"decoder.up_blocks.{level}.resnets.", f"decoder.up.{1 - level}.block.")
            new = new.replace(f"decoder.up_blocks.{level}.upsamplers.0.", f"decoder.up.{1 - level}.upsample.")
        for old, ldm in [
            ("mid_block.resnets.0", "mid.block_1"),
            ("mid_block.resnets.1", "mid.block_2"),
            ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
            ("mid_block.attentions.0.to_q", "mid.attn_1.q"),
            ("mid_block.attentions.0.to_k", "mid.attn_1.k"),
            ("mid_block.attentions.0.to_v", "mid.attn_1.v"),
            ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
            ("conv_norm_out", "norm_out"),
            ("conv_shortcut", "nin_shortcut"),
        ]:
            new = new.replace(old, ldm)
        if "attn_1" in new and new.endswith("weight") and value.dim() == 2:
            value = value[:, :, None, None]
        renamed[prefix + new] = value
    return renamed


def halves(state):
    return {key: value.half().contiguous() for key, value in state.items()}


class Surprise:
    """Runs a command when Python loads it."""

    def __reduce__(self):
        return os.system, ("true",)


def single_files():
    model, autoencoder = half(unet()), half(vae())
    encoder = half(CLIPTextModel(text_config(2, "quick_gelu")))
    expect("sd1", model, autoencoder, [encoder])
    text = {key.removeprefix("text_model."): value for key, value in encoder.state_dict().items()}
    text = {f"cond_stage_model.transformer.text_model.{key}": value for key, value in text.items()}
    state = halves(ldm_unet(model.state_dict()) | ldm_vae(autoencoder.state_dict(), "first_stage_model.") | text)
    # Objects that trainers store next to the weights.
    beside = {"global_step": 7, "epoch": 1, "optimizer_states": [{"exp_avg": torch.zeros(3)}], "loops": None}
    torch.save({"state_dict": state, **beside}, HERE / "sd1.ckpt")
    torch.save(state, HERE / "sd1-legacy.ckpt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": {"weight": torch.zeros(2)}, "surprise": Surprise()}, HERE / "code.ckpt")

    expect("vae", model, autoencoder, [encoder])
    weights = halves(autoencoder.state_dict())
    save_file(halves(ldm_vae(weights)), HERE / "vae-ldm.safetensors")
    torch.save({"state_dict": halves(ldm_vae(weights))}, HERE / "vae-ldm.pt")
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for key, value in weights.items():
        for new, name in old.items():
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{name}.")
        renamed[key] = value
    torch.save(renamed, HERE / "vae-diffusers-old.bin")
    autoencoder.half().save_pretrained(HERE / "vae-diffusers")


def peft_lora(model):
    """A LoRA as diffusers saves it: PEFT's names, alpha in the metadata."""
    context, sizes, latents = noise(1, 77, 2 * WIDTH), torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]]), noise(1, 4, 8, 8)
    added = {"text_embeds": noise(1, WIDTH), "time_ids": sizes}
    config = LoraConfig(r=2, lora_alpha=6, init_lora_weights=False, target_modules=["to_q", "proj_in", "ff.net.0.proj"])
    model.add_adapter(config)
    with torch.no_grad():
        prediction = model(latents, torch.tensor([500]), context, added_cond_kwargs=added).sample
    EXPECTED.update({"peft.context": context, "peft.latents": latents, "peft.prediction": prediction})
    EXPECTED.update({"peft.pooled": added["text_embeds"], "peft.sizes": sizes})
    layers = get_peft_model_state_dict(model)
    metadata = _collate_lora_metadata({"unet": model})
    StableDiffusionXLPipeline.save_lora_weights(
        HERE, unet_lora_layers=layers, weight_name="peft-lora.safetensors", **metadata
    )


def save_pipeline(pipeline, folder, **options):
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.save_pretrained(folder, **options)


def folders():
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction")
    model, autoencoder = half(unet(use_linear_projection=True)), half(vae())
    encoder = half(CLIPTextModel(text_config(3, "gelu")))
    expect("sd2", model, autoencoder, [encoder])
    pipeline = StableDiffusionPipeline(
        autoencoder.half(), encoder.half(), None, model.half(), scheduler, None, None, requires_safety_checker=False
    )
    save_pipeline(pipeline, HERE / "sd2", variant="fp16")

    model, autoencoder = (
        half(
            unet(
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                transformer_layers_per_block=[1, 2],
                cross_attention_dim=2 * WIDTH,
                attention_head_dim=[1, 2],
                use_linear_projection=True,
                addition_embed_type="text_time",
                addition_time_embed_dim=4,
                projection_class_embeddings_input_dim=WIDTH + 24,
            )
        ),
        half(vae()),
    )
    first = half(CLIPTextModel(text_config(2, "quick_gelu")))
    second = half(CLIPTextModelWithProjection(text_config(2, "gelu", WIDTH)))
    expect("sdxl", model, autoencoder, [first, second])
    # A copy, as its layers get other names.
    peft_lora(copy.deepcopy(model))
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    pipeline = StableDiffusionXLPipeline(
        autoencoder.half(), first.half(), second.half(), None, None, model.half(), scheduler
    )
    save_pipeline(pipeline, HERE / "sdxl", max_shard_size="60KB")


if __name__ == "__main__":
    torch.manual_seed(0)
    single_files()
    folders()
    save_file({key: value.contiguous() for key, value in EXPECTED.items()}, HERE / "expected.safetensors")
