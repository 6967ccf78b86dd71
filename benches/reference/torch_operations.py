"""The rows of benches/operations in torch, for benches/compare. pip install torch safetensors numpy

Reads the inputs that the other program wrote and does the same work. Adapters are computed like
sd-scripts' modules, which scale the full-width result.
"""

import re

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from serving import serve


def heads(x, count):
    b, l, row = x.shape
    return x.view(b, l, count, row // count).transpose(1, 2)


def attention(q, k, v, count):
    y = F.scaled_dot_product_attention(heads(q, count), heads(k, count), heads(v, count))
    return y.transpose(1, 2).reshape(q.shape)


def geglu(x):
    a, b = x.chunk(2, dim=-1)
    return a * F.gelu(b)


def operation(name):
    """A function of the inputs, and the names of the inputs with a gradient."""
    if name.startswith("conv"):
        return lambda t: F.conv2d(t["x"], t["weight"], padding=t["weight"].shape[2] // 2), ["x"]
    if match := re.match(r"attention_(\d+)x", name):
        return lambda t: attention(t["q"], t["k"], t["v"], int(match[1])), ["q", "k", "v"]
    if name.startswith("linear"):
        return lambda t: F.linear(t["x"], t["weight"], t["bias"]), ["x"]
    if name.startswith("lora_linear"):
        def lora(t):
            return F.linear(t["x"], t["weight"]) + F.linear(F.linear(t["x"], t["down"]), t["up"]) * 0.5

        return lora, ["x", "down", "up"]
    return {
        "softmax": lambda t: F.softmax(t["x"], dim=-1),
        "silu": lambda t: F.silu(t["x"]),
        "geglu": lambda t: geglu(t["x"]),
        "group_norm": lambda t: F.group_norm(t["x"], 32, t["scale"], t["shift"], 1e-5),
        "group_norm_silu": lambda t: F.silu(F.group_norm(t["x"], 32, t["scale"], t["shift"], 1e-5)),
        "layer_norm": lambda t: F.layer_norm(t["x"], t["x"].shape[-1:], t["scale"], t["shift"], 1e-5),
    }[name], ["x"]


def run(function, tracked, inputs):
    gradient = inputs.get("gradient")
    if gradient is None:
        with torch.no_grad():
            return {"y": function(inputs)}
    inputs = {name: x.detach().requires_grad_(name in tracked) for name, x in inputs.items()}
    y = function(inputs)
    y.backward(gradient)
    return {"y": y.detach(), **{name: inputs[name].grad for name in tracked}}


def make(row, folder):
    function, tracked = operation(row.split("/")[1])
    inputs = load_file(folder / "inputs.safetensors")
    return lambda: run(function, tracked, inputs)


if __name__ == "__main__":
    serve(make)
