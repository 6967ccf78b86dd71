"""Small taggers in the form of the published ONNX files, with onnxruntime's results.

    pip install torch timm onnx onnxscript onnxruntime safetensors
    python tests/taggers/export.py                   # all files in this folder
    python tests/taggers/export.py --only swinv2
    python tests/taggers/export.py --full vit OUT    # the published size (no reference)

The weights are random; the classes are timm's, and a MOAT of its own. A WD tagger reads NHWC f32
BGR 0..255 and ends in a sigmoid; a CL tagger reads NCHW in -1..1 and returns logits.
"""

import argparse
import functools
import pathlib

import common
import numpy as np
import onnx
import torch
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional

WD_FULL_GENERAL, WD_FULL_CHARACTERS = 8106, 2751


class SqueezeExcite(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.down, self.up = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        scale = self.up(functional.gelu(self.down(x.mean(dim=(2, 3)))))
        return x * torch.sigmoid(scale)[:, :, None, None]


class InvertedResidual(nn.Module):
    """Expand, depthwise, (squeeze-excite,) project; the first block of a stage halves the size."""

    def __init__(self, width_in, width, stride, has_squeeze):
        super().__init__()
        hidden = 4 * width
        self.norm = nn.BatchNorm2d(width_in)
        self.expand = nn.Conv2d(width_in, hidden, 1, bias=False)
        self.norm_expand = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False)
        self.norm_depthwise = nn.BatchNorm2d(hidden)
        self.squeeze = SqueezeExcite(hidden, width // 4) if has_squeeze else nn.Identity()
        self.project = nn.Conv2d(hidden, width, 1)
        self.pool = nn.AvgPool2d(3, 2, 1) if stride == 2 else nn.Identity()
        self.shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x):
        y = functional.gelu(self.norm_expand(self.expand(self.norm(x))))
        y = functional.gelu(self.norm_depthwise(self.depthwise(y)))
        return self.shortcut(self.pool(x)) + self.project(self.squeeze(y))


class RelativeAttention(nn.Module):
    """Attention over a grid of side x side tokens, with a bias per relative position."""

    def __init__(self, width, heads, side):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.bias = nn.Parameter(torch.zeros(heads, (2 * side - 1) ** 2))
        y, x = np.divmod(np.arange(side * side), side)
        index = (y[:, None] - y + side - 1) * (2 * side - 1) + (x[:, None] - x + side - 1)
        self.register_buffer("index", torch.from_numpy(index))

    def forward(self, x):
        batch, width, height, _ = x.shape
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        q, k, v = (
            project(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        scores = torch.einsum("bnsk,bntk->bnst", q, k) * q.shape[-1] ** -0.5
        weights = torch.softmax(scores + self.bias[:, self.index], dim=-1)
        result = self.out(torch.einsum("bnst,bntk->bnsk", weights, v).transpose(1, 2).flatten(2))
        return x + result.transpose(1, 2).unflatten(2, (height, -1))


class Moat(nn.Module):
    """Two stages of inverted residuals, then two in which attention follows each."""

    def __init__(self, img_size, num_classes, widths, depths, head_width):
        super().__init__()
        first = widths[0]
        layers = [nn.Conv2d(3, first, 3, 2, 1), nn.BatchNorm2d(first), nn.GELU()]
        layers += [nn.Conv2d(first, first, 3, 1, 1)]
        side, previous = img_size // 2, first
        for stage, (width, depth) in enumerate(zip(widths, depths)):
            for block in range(depth):
                stride = 2 if block == 0 else 1
                side //= stride
                layers.append(InvertedResidual(previous, width, stride, stage < 2))
                if stage >= 2:
                    layers.append(RelativeAttention(width, width // head_width, side))
                previous = width
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(previous)
        self.head = nn.Linear(previous, num_classes)

    def forward(self, x):
        return self.head(self.norm(self.layers(x).mean(dim=(2, 3))))


class Wd(nn.Module):
    """The interface of a WD tagger: the mean 0.5 and deviation 0.5 are part of the graph."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        x = image.permute(0, 3, 1, 2) / 127.5 - 1.0
        return torch.sigmoid(self.net(x))


class Cl(nn.Module):
    """The interface of a CL tagger; a module of its own hides the optional arguments of timm's."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return self.net(image)


def vit(img_size, num_classes, is_full=False, **more):
    sizes = dict(embed_dim=768, depth=12, num_heads=12) if is_full else more
    patch = 16 if is_full else 8
    options = dict(class_token=False, global_pool="avg", fc_norm=False, act_layer="gelu_tanh")
    return VisionTransformer(img_size, patch, num_classes=num_classes, **options, **sizes)


def convnext(img_size, num_classes, is_full=False):
    depths, dims = ((1, 1, 2, 1), (16, 24, 32, 48))
    if is_full:
        depths, dims = ((3, 3, 27, 3), (128, 256, 512, 1024))
    return ConvNeXt(num_classes=num_classes, depths=depths, dims=dims, act_layer="gelu_tanh")


def swinv2(img_size, num_classes, is_full=False):
    sizes = dict(embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=8)
    if is_full:
        sizes = dict(embed_dim=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32), window_size=14)
    return SwinTransformerV2(img_size, num_classes=num_classes, act_layer="gelu_tanh", **sizes)


def eva02(img_size, num_classes, is_full=False):
    sizes = dict(patch_size=8, embed_dim=48, depth=2, num_heads=4)
    if is_full:
        sizes = dict(patch_size=14, embed_dim=1024, depth=24, num_heads=16)
    options = dict(qkv_fused=False, swiglu_mlp=True, scale_mlp=True, use_rot_pos_emb=True)
    shape = (16, 16) if is_full else (4, 4)
    return Eva(
        img_size,
        num_classes=num_classes,
        mlp_ratio=4 * 2 / 3,
        ref_feat_shape=shape,
        **options,
        **sizes,
    )


def moat(img_size, num_classes, is_full=False):
    if is_full:
        return Moat(img_size, num_classes, (128, 256, 512, 1024), (2, 6, 14, 2), 32)
    return Moat(img_size, num_classes, (8, 12, 20, 28), (1, 1, 2, 1), 4)


def randomise(module, seed):
    """Weights at which every part of the network matters, unlike those at the start of training."""
    rng = torch.Generator().manual_seed(seed)

    def normal(like, mean, deviation):
        like.copy_(mean + deviation * torch.randn(like.shape, generator=rng))

    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            kind = name.rsplit(".", 1)[-1]
            if kind == "running_var":
                value.copy_(0.5 + torch.rand(value.shape, generator=rng))
            elif kind in ("running_mean", "bias", "q_bias", "v_bias", "cls_token"):
                normal(value, 0.0, 0.2)
            elif kind == "pos_embed":
                normal(value, 0.0, 0.5)
            elif kind in ("weight", "gamma") and value.ndim == 1:
                normal(value, 1.0, 0.2)
            elif kind == "weight":
                normal(value, 0.0, (value[0].numel()) ** -0.5)


def center(net, examples, seed, mean=-0.4):
    """Scales the head so that the logits of different tags and images differ."""
    head = getattr(net.head, "fc", net.head)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.bias.zero_()
        logits = net(examples)
        scale = 1.2 / logits.std(dim=0).mean()
        head.weight *= scale
        centers = mean + 1.5 * torch.randn(logits.shape[1], generator=rng)
        head.bias.copy_(centers - scale * logits.mean(dim=0))


def write_onnx(model, example, path, batch, is_dynamo):
    names = dict(input_names=["input"], output_names=["output"])
    is_dynamic = batch is None
    if is_dynamo:
        shapes = {0: torch.export.Dim("batch_size", min=1, max=64)} if is_dynamic else None
        torch.onnx.export(
            model,
            (example.repeat(2, 1, 1, 1) if is_dynamic else example,),
            path,
            dynamo=True,
            external_data=False,
            dynamic_shapes=(shapes,) if is_dynamic else None,
            verbose=False,
            **names,
        )
        strip(path)
        return
    axes = {"input": {0: "batch_size"}, "output": {0: "batch_size"}} if is_dynamic else None
    torch.onnx.export(
        model, example, path, dynamo=False, opset_version=17, dynamic_axes=axes, **names
    )


def strip(path):
    """Removes the exporter's notes, which hold stack traces with the paths of this machine."""
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    for value in model.graph.initializer:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.save(model, path)


# name: network, image size, is it a CL tagger, fixed batch size, dynamo exporter
SMALL = {
    "vit": (functools.partial(vit, embed_dim=48, depth=2, num_heads=3), 64, False, None, False),
    "vit-dynamo": (
        functools.partial(vit, embed_dim=48, depth=2, num_heads=3),
        64,
        False,
        None,
        True,
    ),
    "convnext": (convnext, 96, False, None, False),
    "swinv2": (swinv2, 64, False, None, False),
    "eva02": (eva02, 56, False, None, False),
    "moat": (moat, 64, False, None, False),
    "cl-eva02": (eva02, 64, True, None, False),
    "cl-vit": (functools.partial(vit, embed_dim=40, depth=2, num_heads=2), 64, True, 1, True),
}
FULL = {"vit": vit, "convnext": convnext, "swinv2": swinv2, "eva02": eva02, "moat": moat}


def small(name):
    make, size, is_cl, batch, is_dynamo = SMALL[name]
    folder = common.HERE / name
    folder.mkdir(exist_ok=True)
    seed = sum(name.encode())
    net = make(size, common.CL_COUNT if is_cl else common.WD_TAGS).eval()
    randomise(net, seed)
    examples = torch.from_numpy(common.normalized(common.images(16, size, seed)))
    center(net, examples, seed)

    pixels = common.images(batch or 2, size, seed + 1)
    data = common.normalized(pixels) if is_cl else pixels
    model = (Cl if is_cl else Wd)(net).eval()
    example = torch.from_numpy(data).float()
    write_onnx(model, example[:1], folder / "model.onnx", batch, is_dynamo)
    with torch.no_grad():
        expected = model(example)
        expected = torch.sigmoid(expected) if is_cl else expected
    if is_cl:
        common.write_tag_mapping(folder, is_split=batch is None)
    else:
        common.write_selected_tags(folder)
    common.write_reference(folder, data, is_logits=is_cl, expected=expected.numpy())


def full(name, folder):
    folder.mkdir(parents=True, exist_ok=True)
    general = [f"general_tag_{index}" for index in range(WD_FULL_GENERAL)]
    characters = [f"character_{index}_(series)" for index in range(WD_FULL_CHARACTERS)]
    common.write_selected_tags(folder, general, characters)
    tags = len(common.RATINGS) + len(general) + len(characters)
    net = FULL[name](448, tags, is_full=True).eval()
    randomise(net, 1)
    # at -9, most of the tags stay below the threshold, as with published taggers
    center(net, torch.from_numpy(common.normalized(common.images(2, 448, 1))), 1, mean=-9.0)
    write_onnx(Wd(net).eval(), torch.zeros(1, 448, 448, 3), folder / "model.onnx", None, False)
    count = sum(value.numel() for value in net.parameters())
    print(f"{folder}: {count / 1e6:.1f} M parameters")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=SMALL)
    parser.add_argument("--full", nargs=2, metavar=("NAME", "OUT"))
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.full:
        full(options.full[0], pathlib.Path(options.full[1]))
        return
    for name in [options.only] if options.only else SMALL:
        small(name)


if __name__ == "__main__":
    main()
