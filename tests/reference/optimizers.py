"""Trajectories of optimizers that the reference data in tests/golden lacks.

usage: python optimizers.py [OUTPUT_FOLDER]

Needs numpy, safetensors, torch, schedulefree 1.4, dadaptation 3.2, pytorch-optimizer 3.7.0, prodigy-plus-schedule-free 1.9.0.
Each problem is a linear regression y = x W + b with the mean squared error, a fixed new batch in each step. The 8-bit rules of
bitsandbytes, which has no CPU kernels for them, are written out in numpy.
"""
import json
import sys
from importlib.metadata import version
from inspect import signature
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

SEED = 20
TENSORS, ROWS = {}, {}


# --------------------------------------------------------------------------- trajectories of packages

def problem(name, steps, batch, inputs, outputs):
    generator = torch.Generator().manual_seed(SEED)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    data = {"X": normal(steps, batch, inputs), "Y": normal(steps, batch, outputs), "W0": normal(inputs, outputs) * 0.5, "b0": normal(outputs) * 0.1}
    TENSORS.update({f"{name}.{key}": value.numpy() for key, value in data.items()})
    return data


def trajectory(name, problem_name, data, kind, arguments, groups=False):
    """Parameters after each step; the averaged ones after the last of schedule-free rules."""
    w, b = (torch.nn.Parameter(data[key].clone()) for key in ("W0", "b0"))
    optimizer = kind([{"params": [w]}, {"params": [b]}] if groups else [w, b], **arguments)
    if hasattr(optimizer, "train"):
        optimizer.train()
    after, distances = {"W": [], "b": []}, []
    losses = []
    for x, y in zip(data["X"], data["Y"]):
        loss = ((x @ w + b - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        after["W"].append(w.detach().clone())
        after["b"].append(b.detach().clone())
        distances.append(min(float(group.get("d", float("nan"))) for group in optimizer.param_groups))
    TENSORS.update({f"{name}.{key}": torch.stack(values).numpy() for key, values in after.items()})
    TENSORS[f"{name}.loss"] = np.array(losses, np.float32)
    if distances[0] == distances[0]:
        TENSORS[f"{name}.d"] = np.array(distances, np.float64)
    if name.split("_")[0].endswith("ScheduleFree"):
        optimizer.eval()
        TENSORS[f"{name}.W_eval"], TENSORS[f"{name}.b_eval"] = w.detach().numpy().copy(), b.detach().numpy().copy()
    plain = (int, float, bool, str, tuple, list, type(None))
    ROWS[name] = {
        "class": f"{kind.__module__}.{kind.__name__}",
        "problem": problem_name,
        "args": arguments,
        "defaults": {key: of.default for key, of in signature(kind).parameters.items() if isinstance(of.default, plain)},
        # W and b in groups of their own.
        "groups": groups,
    }


def packages():
    import dadaptation
    import schedulefree
    from dadaptation import experimental
    from prodigyplus import ProdigyPlusScheduleFree
    from pytorch_optimizer import CAME

    small = problem("small", 40, 8, 4, 3)
    # Sides of 32 and more, where ProdigyPlus keeps its squares factored; one wide and one tall matrix.
    wide, tall = problem("wide", 10, 8, 6, 40), problem("tall", 10, 8, 40, 6)

    trajectory("CAME", "small", small, CAME, dict(lr=1e-3))
    trajectory("CAME_decay", "small", small, CAME, dict(lr=3e-3, weight_decay=0.1, betas=(0.8, 0.99, 0.995), clip_threshold=0.5))
    trajectory("CAME_fixed_decay", "small", small, CAME, dict(lr=1e-3, weight_decay=0.001, fixed_decay=True))
    trajectory("RAdamScheduleFree", "small", small, schedulefree.RAdamScheduleFree, dict(lr=1e-2))
    trajectory("RAdamScheduleFree_loud", "small", small, schedulefree.RAdamScheduleFree, dict(lr=1e-2, silent_sgd_phase=False, weight_decay=0.1, r=0.5))
    trajectory("AdamWScheduleFree_decay", "small", small, schedulefree.AdamWScheduleFree, dict(lr=1e-2, weight_decay=0.1, r=1.0, weight_lr_power=1.0, betas=(0.95, 0.99)))
    trajectory("SGDScheduleFree", "small", small, schedulefree.SGDScheduleFree, dict(lr=0.1, warmup_steps=5, weight_decay=0.01))
    trajectory("DAdaptation", "small", small, experimental.DAdaptAdamPreprint, dict(lr=1.0))
    trajectory("DAdaptation_decouple", "small", small, experimental.DAdaptAdamPreprint, dict(lr=1.0, decouple=True, weight_decay=0.01))
    trajectory("DAdaptation_coupled", "small", small, experimental.DAdaptAdamPreprint, dict(lr=0.5, weight_decay=0.1, d0=1e-4, growth_rate=1.5))
    trajectory("DAdaptAdan", "small", small, dadaptation.DAdaptAdan, dict(lr=1.0))
    trajectory("DAdaptAdan_no_prox", "small", small, dadaptation.DAdaptAdan, dict(lr=1.0, no_prox=True, betas=(0.9, 0.8, 0.95), growth_rate=2.0))
    trajectory("DAdaptAdanIP", "small", small, experimental.DAdaptAdanIP, dict(lr=1.0))
    trajectory("DAdaptSGD_momentum", "small", small, dadaptation.DAdaptSGD, dict(lr=1.0, momentum=0.9, weight_decay=0.01))
    trajectory("DAdaptAdaGrad_momentum", "small", small, dadaptation.DAdaptAdaGrad, dict(lr=1.0, momentum=0.9, weight_decay=0.01))
    trajectory("DAdaptAdam_corrected", "small", small, dadaptation.DAdaptAdam, dict(lr=1.0, use_bias_correction=True, weight_decay=0.01))
    trajectory("DAdaptLion_decay", "small", small, dadaptation.DAdaptLion, dict(lr=1.0, weight_decay=0.1))

    plus = ProdigyPlusScheduleFree
    for name, arguments in {
        "": {},
        "_decay": dict(weight_decay=0.1, d0=1e-3, d_coef=2.0),
        "_corrected": dict(use_bias_correction=True, d0=1e-2),
        "_speed": dict(use_speed=True, d0=1e-3),
        "_atan2": dict(eps=None, d0=1e-3, weight_decay=0.1, weight_decay_by_lr=False),
        "_cautious": dict(use_cautious=True, d0=1e-2, prodigy_steps=8),
        "_grams": dict(use_grams=True, d0=1e-2, use_stableadamw=False),
        "_adopt": dict(use_adopt=True, d0=1e-2, beta3=0.9),
        "_orthograd": dict(use_orthograd=True, d0=1e-2, factored=False),
    }.items():
        trajectory(f"ProdigyPlusScheduleFree{name}", "wide", wide, plus, dict(lr=1.0, **arguments))
    for name, arguments in {"": {}, "_own": dict(split_groups_mean=False), "_one": dict(split_groups=False)}.items():
        trajectory(f"ProdigyPlusScheduleFree_groups{name}", "wide", wide, plus, dict(lr=1.0, d0=1e-3, **arguments), groups=True)
    trajectory("ProdigyPlusScheduleFree_tall", "tall", tall, plus, dict(lr=1.0, d0=1e-2))
    trajectory("ProdigyPlusScheduleFree_small", "small", small, plus, dict(lr=1.0, d0=1e-3))


def kernels():
    """Convolution kernels, of which factored rules sum over the last two axes: gradients are given, not made."""
    from prodigyplus import ProdigyPlusScheduleFree
    from pytorch_optimizer import CAME

    generator = torch.Generator().manual_seed(SEED + 1)
    for name, shape in {"kernel3": (4, 33, 3, 3), "kernel1": (33, 4, 1, 1)}.items():
        start, gradients = torch.randn(*shape, generator=generator), torch.randn(3, *shape, generator=generator)
        TENSORS.update({f"{name}.start": start.numpy(), f"{name}.gradients": gradients.numpy()})
        for rule, kind, arguments in [("CAME", CAME, dict(lr=1e-2)), ("ProdigyPlusScheduleFree", ProdigyPlusScheduleFree, dict(lr=1.0, d0=1e-2))]:
            p = torch.nn.Parameter(start.clone())
            optimizer, after = kind([p], **arguments), []
            for gradient in gradients:
                p.grad = gradient.clone()
                optimizer.step()
                after.append(p.detach().clone())
            TENSORS[f"{name}.{rule}"] = torch.stack(after).numpy()
            ROWS[f"{name}.{rule}"] = {"class": f"{kind.__module__}.{kind.__name__}", "kernel": name, "args": arguments, "defaults": {}}


# --------------------------------------------------------------------------- bitsandbytes' 8-bit rules

def dynamic_map(signed):
    """Numbers of the 256 codes: seven decades, each cut into twice as many parts as the one below; the parts' centres, 0 and 1."""
    numbers = [0.0, 1.0]
    for decade in range(7):
        edges = np.linspace(0.1, 1.0, 2 ** (decade if signed else decade + 1) + 1)
        for centre in (edges[:-1] + edges[1:]) / 2 * 10.0 ** (decade - 6):
            numbers += [centre, -centre] if signed else [centre]
    assert len(numbers) == 256
    return np.sort(np.array(numbers)).astype(np.float32)


SIGNED, UNSIGNED = dynamic_map(True), dynamic_map(False)


def check_maps():
    """Entries that were read off bitsandbytes 0.46.0."""
    def close(actual, expected):
        assert np.allclose(actual, expected, rtol=2e-6, atol=1e-9), (actual, expected)

    close(SIGNED[:4], [-0.9929688, -0.9789063, -0.9648438, -0.9507812])
    close(SIGNED[124:134], [-7.75e-6, -3.25e-6, -5.5e-7, 0, 5.5e-7, 3.25e-6, 7.75e-6, 2.125e-5, 4.375e-5, 6.625e-5])
    close(SIGNED[-4:], [0.9648438, 0.9789063, 0.9929688, 1.0])
    close(UNSIGNED[:4], [0, 3.25e-7, 7.75e-7, 2.125e-6])
    close(UNSIGNED[-4:], [0.9824219, 0.9894531, 0.9964844, 1.0])


class EightBit:
    """A moment in blocks of 256 values; in f32 where there are fewer than 4096."""

    def __init__(self, size, signed):
        self.numbers, self.signed, self.size = SIGNED if signed else UNSIGNED, signed, size
        self.codes = np.full(size, np.searchsorted(self.numbers, 0), np.uint8)
        self.scales = np.zeros(-(-size // 256), np.float32)
        self.plain = np.zeros(size, np.float32) if size < 4096 else None

    def per_value(self):
        return np.repeat(self.scales, 256)[: self.size]

    def load(self):
        return self.plain if self.plain is not None else self.numbers[self.codes] * self.per_value()

    def store(self, values):
        if self.plain is not None:
            self.plain = values
            return
        blocks = [values[at:at + 256] for at in range(0, self.size, 256)]
        self.scales = np.array([np.abs(block).max() for block in blocks], np.float32)
        scales = self.per_value()
        scaled = np.where(scales > 0, values / np.where(scales > 0, scales, 1), 0).astype(np.float32)
        edges = (self.numbers[:-1] + self.numbers[1:]) / np.float32(2)
        codes = np.searchsorted(edges, scaled, side="left")
        if self.signed:
            flipped = (scaled != 0) & (np.signbit(self.numbers[codes]) != np.signbit(scaled))
            codes = codes + np.where(flipped, np.where(scaled > 0, 1, -1), 0)
        self.codes = codes.astype(np.uint8)


def adamw8bit(p, g, state, step, lr, betas, eps, weight_decay):
    f = np.float32
    usable = np.isfinite(g)
    g = np.where(usable, g, 0)
    m = np.where(usable, state[0].load() * f(betas[0]) + f(1 - betas[0]) * g, 0).astype(f)
    v = np.where(usable, state[1].load() * f(betas[1]) + f(1 - betas[1]) * g * g, 0).astype(f)
    root = np.sqrt(1 - betas[1] ** step)
    step_size = lr * root / (1 - betas[0] ** step)
    stepped = (p - f(step_size) * m / (np.sqrt(v) + f(root * eps))) * f(1 - lr * weight_decay)
    state[0].store(m), state[1].store(v)
    return np.where(usable, stepped, p).astype(f)


def lion8bit(p, g, state, step, lr, betas, weight_decay):
    f = np.float32
    usable = np.isfinite(g)
    g = np.where(usable, g, 0)
    m = state[0].load()
    stepped = p * f(1 - lr * weight_decay) - f(lr) * np.sign(f(betas[0]) * m + f(1 - betas[0]) * g)
    state[0].store(np.where(usable, m * f(betas[1]) + f(1 - betas[1]) * g, 0).astype(f))
    return np.where(usable, stepped, p).astype(f)


def sgd8bit(p, g, state, step, lr, momentum, weight_decay):
    f = np.float32
    usable = np.isfinite(g)
    g = np.where(usable, g + f(weight_decay) * p, 0)
    m = np.where(usable, state[0].load() * f(momentum) + g, 0).astype(f)
    state[0].store(m)
    return np.where(usable, p - f(lr) * m, p).astype(f)


def eight_bit():
    check_maps()
    steps, generator = 3, np.random.default_rng(SEED)
    # The larger one ends in the middle of a block.
    shapes = {"large": (3, 1391), "small": (5, 120)}
    for key, shape in shapes.items():
        # Magnitudes over several decades, so that many codes are used; a block of zeros.
        gradients = generator.standard_normal((steps, *shape)) * 10.0 ** generator.uniform(-5, 0, (steps, *shape))
        gradients = gradients.astype(np.float32)
        gradients.reshape(steps, -1)[:2, 256:512] = 0
        if key == "large":
            gradients.reshape(steps, -1)[1, [3, 40]] = np.nan, np.inf
        TENSORS[f"eight_bit.{key}.start"] = generator.standard_normal(shape).astype(np.float32)
        TENSORS[f"eight_bit.{key}.gradients"] = gradients
    rules = {
        "AdamW8bit": ("bitsandbytes.optim.adamw.AdamW8bit", adamw8bit, 2, dict(lr=1e-3), dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)),
        "AdamW8bit_decay": ("bitsandbytes.optim.adamw.AdamW8bit", adamw8bit, 2, dict(lr=1e-3, betas=(0.8, 0.95), eps=1e-6, weight_decay=1.0), {}),
        "Lion8bit": ("bitsandbytes.optim.lion.Lion8bit", lion8bit, 1, dict(lr=1e-3, weight_decay=0.1), dict(betas=(0.9, 0.99))),
        "SGDNesterov8bit": ("bitsandbytes.optim.sgd.SGD8bit", sgd8bit, 1, dict(lr=1e-2, momentum=0.9, weight_decay=0.1), {}),
    }
    for name, (class_name, rule, moments, arguments, defaults) in rules.items():
        ROWS[name] = {"class": class_name, "eight_bit": list(shapes), "args": arguments, "defaults": defaults}
        for key in shapes:
            p = TENSORS[f"eight_bit.{key}.start"].reshape(-1)
            state = [EightBit(p.size, signed) for signed in (True, False)[:moments]]
            after = []
            for step, g in enumerate(TENSORS[f"eight_bit.{key}.gradients"].reshape(steps, -1), 1):
                p = rule(p, g, state, step, **{**defaults, **arguments})
                after.append(p)
            TENSORS[f"{name}.{key}"] = np.stack(after)
            if state[0].plain is None:
                TENSORS[f"{name}.{key}.codes"] = np.stack([moment.codes for moment in state])


if __name__ == "__main__":
    packages()
    kernels()
    eight_bit()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    save_file({key: np.ascontiguousarray(value) for key, value in TENSORS.items()}, folder / "optimizers.safetensors")
    names = ["torch", "numpy", "schedulefree", "dadaptation", "pytorch-optimizer", "prodigy-plus-schedule-free"]
    about = {"seed": SEED, "versions": {name: version(name) for name in names}, "optimizers": ROWS}
    (folder / "optimizers.json").write_text(json.dumps(about, indent=1) + "\n")
