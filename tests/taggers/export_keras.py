"""Small taggers built with Keras and converted by tf2onnx, like those of v1.4.

An environment of its own, since tensorflow and torch want different packages:

    python -m venv venv
    venv/bin/pip install tensorflow-cpu tf2onnx onnxruntime safetensors
    venv/bin/python tests/taggers/export_keras.py

Inputs are NHWC f32 BGR 0..255, and stay NHWC inside: tf2onnx inserts the transpositions. The
weights are random.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import common
import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers


def gelu(x):
    """By erf, as in Keras 2; tf2onnx does not know the erfc of Keras 3."""
    return 0.5 * x * (1 + tf.math.erf(x / 2**0.5))


class Scaled(layers.Layer):
    """0..255 to -1..1, by plain TensorFlow operations."""

    def call(self, image):
        return image / 127.5 - 1.0


class LayerScale(layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")

    def call(self, x):
        return x * self.factor


class PositionEmbedding(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=shape[-2:], initializer="zeros", name="pos_embed")

    def call(self, x):
        return x + self.table


class ResponseNorm(layers.Layer):
    """ConvNeXt V2's normalization by the response of a channel over the image."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="zeros", name="gamma")
        self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros", name="beta")

    def call(self, x):
        norm = tf.norm(x, axis=(1, 2), keepdims=True)
        relative = norm / (tf.reduce_mean(norm, axis=-1, keepdims=True) + 1e-6)
        return self.gamma * (x * relative) + self.beta + x


class GridAttention(layers.Layer):
    """MOAT's attention in windows: projections by einsum, a bias per relative position."""

    def __init__(self, heads, window):
        super().__init__()
        self.heads, self.window = heads, window

    def build(self, shape):
        width, window = shape[-1], self.window
        head = width // self.heads
        self.projections = [
            (
                self.add_weight(shape=(width, self.heads, head), name=f"kernel_{name}"),
                self.add_weight(shape=(self.heads, head), name=f"bias_{name}"),
            )
            for name in "qkv"
        ]
        self.out = self.add_weight(shape=(self.heads, head, width), name="kernel_out")
        self.out_bias = self.add_weight(shape=(width,), name="bias_out")
        span = 2 * window - 1
        self.position = self.add_weight(shape=(self.heads, span, span), name="pos_embed")
        lookup = np.zeros((window, window, span), np.float32)
        for row in range(window):
            for column in range(window):
                lookup[row, column, column - row + window - 1] = 1
        self.lookup = lookup

    def call(self, x):
        _, height, width, channels = x.shape
        window, rows, columns = self.window, height // self.window, width // self.window
        x = tf.reshape(x, (-1, rows, window, columns, window, channels))
        x = tf.reshape(tf.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, window * window, channels))
        q, k, v = (tf.einsum("bsc,cnk->bsnk", x, w) + bias for w, bias in self.projections)
        scores = tf.einsum("bsnk,btnk->bnst", q * q.shape[-1] ** -0.5, k)
        bias = tf.einsum("nhw,ixh->nixw", self.position, self.lookup)
        bias = tf.einsum("nixw,jyw->nijxy", bias, self.lookup)
        scores += tf.reshape(bias, (self.heads, window * window, window * window))
        y = tf.einsum("bnst,btnk->bsnk", tf.nn.softmax(scores, axis=-1), v)
        y = tf.einsum("bsnk,nkc->bsc", y, self.out) + self.out_bias
        y = tf.reshape(y, (-1, rows, columns, window, window, channels))
        return tf.reshape(tf.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, height, width, channels))


class ShiftedWindows(layers.Layer):
    """Swin V2's attention: cosines in windows that a roll shifts, sizes computed at run time."""

    def __init__(self, heads, window, shift):
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift

    def build(self, shape):
        width, window = shape[-1], self.window
        self.height, self.columns = shape[1], shape[2]
        self.qkv = layers.Dense(3 * width, use_bias=False)
        self.qkv.build((None, None, width))
        self.proj = layers.Dense(width)
        self.proj.build((None, None, width))
        self.bias_q = self.add_weight(shape=(width,), name="bias_q")
        self.scale = self.add_weight(
            shape=(self.heads, 1, 1), initializer=keras.initializers.Constant(2.3), name="scale"
        )
        self.table = keras.Sequential(
            [layers.Dense(24, activation="relu"), layers.Dense(self.heads, use_bias=False)]
        )
        self.table.build((None, None, 2))
        y, x = np.divmod(np.arange(window * window), window)
        self.index = (y[:, None] - y + window - 1) * (2 * window - 1) + x[:, None] - x + window - 1
        steps = np.linspace(-8, 8, 2 * window - 1, dtype=np.float32)
        steps = np.sign(steps) * np.log2(np.abs(steps) + 1) / 3
        self.steps = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(1, -1, 2)
        self.mask = self.shifted_mask() if self.shift else None

    def shifted_mask(self):
        """-100 between the tokens of a window that were not neighbours before the roll."""

        def region(size):
            edges = (np.arange(size) >= size - self.window).astype(np.float32)
            return edges + (np.arange(size) >= size - self.shift)

        ids = region(self.height)[:, None] * 3 + region(self.columns)
        rows, columns = self.height // self.window, self.columns // self.window
        ids = ids.reshape(rows, self.window, columns, self.window).transpose(0, 2, 1, 3)
        ids = ids.reshape(rows * columns, -1)
        return np.where(ids[:, None] != ids[:, :, None], -100.0, 0.0).astype(np.float32)

    def call(self, x):
        window, heads = self.window, self.heads
        size = tf.shape(x)
        batch, height, columns, width = size[0], size[1], size[2], size[3]
        if self.shift:
            x = tf.roll(x, shift=(-self.shift, -self.shift), axis=(1, 2))
        x = tf.reshape(x, (batch, height // window, window, columns // window, window, x.shape[-1]))
        x = tf.transpose(x, (0, 1, 3, 2, 4, 5))
        x = tf.reshape(x, (-1, window * window, width))
        x = tf.ensure_shape(x, (None, window * window, self.proj.units))
        count = tf.shape(x)[0]
        qkv = tf.reshape(self.qkv(x), (count, window * window, 3, heads, -1))
        qkv = tf.transpose(qkv, (2, 0, 3, 1, 4))
        q, k, v = qkv[0], qkv[1], qkv[2]
        q = q + tf.reshape(self.bias_q, (heads, 1, -1))
        k = tf.transpose(tf.math.l2_normalize(k, axis=-1), (0, 1, 3, 2))
        scores = tf.math.l2_normalize(q, axis=-1) @ k
        scores *= tf.exp(tf.minimum(self.scale, tf.math.log(100.0)))
        bias = tf.gather(tf.reshape(self.table(self.steps), (-1, heads)), self.index.reshape(-1))
        bias = tf.reshape(bias, (window * window, window * window, -1))
        scores += tf.expand_dims(16 * tf.sigmoid(tf.transpose(bias, (2, 0, 1))), 0)
        if self.mask is not None:
            windows = self.mask.shape[0]
            shape = (count // windows, windows, heads, window * window, window * window)
            scores = tf.reshape(scores, shape) + self.mask[None, :, None]
            scores = tf.reshape(scores, (-1, heads, window * window, window * window))
        y = tf.transpose(tf.nn.softmax(scores, axis=-1) @ v, (0, 2, 1, 3))
        y = tf.ensure_shape(
            tf.reshape(y, (count, window * window, width)), (None, None, self.proj.units)
        )
        y = tf.reshape(
            self.proj(y), (batch, height // window, columns // window, window, window, width)
        )
        y = tf.reshape(tf.transpose(y, (0, 1, 3, 2, 4, 5)), (batch, height, columns, width))
        if self.shift:
            y = tf.roll(y, shift=(self.shift, self.shift), axis=(1, 2))
        return tf.ensure_shape(y, (None, self.height, self.columns, self.proj.units))


def head(x, tags):
    x = layers.Dense(tags, name="predictions_dense")(x)
    return layers.Activation("sigmoid", name="predictions_sigmoid")(x)


def mlp(x, ratio=4):
    y = layers.Dense(ratio * x.shape[-1], activation=gelu)(x)
    return layers.Dense(x.shape[-1])(y)


def vit(image, tags, width=40, depth=2, patch=8):
    x = layers.Conv2D(width, patch, strides=patch, padding="same")(Scaled()(image))
    x = PositionEmbedding()(layers.Reshape((-1, width))(x))
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        y = layers.MultiHeadAttention(num_heads=4, key_dim=width // 4)(y, y)
        x = layers.Add()([LayerScale()(y), x])
        y = mlp(layers.LayerNormalization()(x))
        x = layers.Add()([LayerScale()(y), x])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return head(x, tags)


def convnext(image, tags, widths=(16, 24, 32)):
    x = layers.Conv2D(widths[0], 4, strides=4, padding="same")(Scaled()(image))
    x = layers.LayerNormalization()(x)
    for stage, width in enumerate(widths):
        if stage > 0:
            x = layers.LayerNormalization()(x)
            x = layers.Conv2D(width, 2, strides=2, padding="same")(x)
        y = layers.ZeroPadding2D(3)(x)
        y = layers.DepthwiseConv2D(7)(y)
        y = layers.LayerNormalization()(y)
        y = layers.Conv2D(4 * width, 1, activation=gelu)(y)
        y = layers.Conv2D(width, 1)(ResponseNorm()(y))
        x = layers.Add()([y, x])
    x = layers.LayerNormalization()(layers.GlobalAveragePooling2D()(x))
    return head(x, tags)


def inverted_residual(x, width, stride, has_squeeze):
    shortcut = x
    if stride == 2:
        shortcut = layers.AveragePooling2D(3, strides=2, padding="same")(shortcut)
    if x.shape[-1] != width:
        shortcut = layers.Conv2D(width, 1)(shortcut)
    y = layers.Conv2D(4 * width, 1, use_bias=False)(layers.BatchNormalization()(x))
    y = layers.Activation(gelu)(layers.BatchNormalization()(y))
    y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(y)
    y = layers.Activation(gelu)(layers.BatchNormalization()(y))
    if has_squeeze:
        scale = layers.Dense(width // 4, activation=gelu)(layers.GlobalAveragePooling2D()(y))
        scale = layers.Dense(4 * width, activation="sigmoid")(scale)
        y = layers.Multiply()([y, scale])
    return layers.Add()([shortcut, layers.Conv2D(width, 1)(y)])


def moat(image, tags, widths=(8, 12, 20, 28)):
    x = layers.Conv2D(widths[0], 3, strides=2, padding="same")(Scaled()(image))
    x = layers.Activation(gelu)(layers.BatchNormalization()(x))
    x = layers.Conv2D(widths[0], 3, padding="same")(x)
    for stage, width in enumerate(widths):
        x = inverted_residual(x, width, 2, has_squeeze=stage < 2)
        if stage >= 2:
            y = GridAttention(heads=width // 4, window=2)(layers.LayerNormalization()(x))
            x = layers.Add()([y, x])
    x = layers.LayerNormalization()(layers.GlobalAveragePooling2D()(x))
    return head(x, tags)


def swinv2(image, tags, width=24, window=4):
    x = layers.Conv2D(width, 4, strides=4)(Scaled()(image))
    x = layers.LayerNormalization()(x)
    for shift in (0, window // 2):
        y = ShiftedWindows(heads=3, window=window, shift=shift)(x)
        x = layers.Add()([layers.LayerNormalization(epsilon=1e-5)(y), x])
        x = layers.Add()([layers.LayerNormalization(epsilon=1e-5)(mlp(x)), x])
    x = layers.GlobalAveragePooling2D()(layers.LayerNormalization()(x))
    return head(x, tags)


def randomise(model, seed):
    """Weights at which every part of the network matters, unlike those at the start of training."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape, path = tuple(variable.shape), variable.path
        name = path.rsplit("/", 1)[-1]
        if variable.dtype != "float32":
            continue
        if name == "scale":
            continue
        if name == "moving_variance":
            value = rng.uniform(0.5, 1.5, shape)
        elif name == "pos_embed":
            value = rng.normal(0, 0.5, shape)
        elif name.startswith("kernel"):
            is_depthwise = "depthwise" in path
            outputs = shape[-1] if not name.startswith("kernel_") or name == "kernel_out" else 0
            if name in ("kernel_q", "kernel_k", "kernel_v"):
                inputs = shape[0]
            elif is_depthwise:
                inputs = np.prod(shape[:2])
            elif "multi_head" in path and "output" not in path:
                inputs = shape[0]
            else:
                inputs = np.prod(shape) / outputs
            value = rng.normal(0, inputs**-0.5, shape)
        elif name in ("gamma", "factor"):
            value = rng.normal(1, 0.2, shape)
        else:
            value = rng.normal(0, 0.2, shape)
        variable.assign(value.astype(np.float32))


def center(model, pixels, seed):
    """Scales the head so that the probabilities of different tags and images differ."""
    rng = np.random.default_rng(seed)
    dense = model.get_layer("predictions_dense")
    kernel, bias = dense.get_weights()
    dense.set_weights([kernel, np.zeros_like(bias)])
    logits = np.concatenate(
        [keras.Model(model.inputs, dense.output)(image[None]).numpy() for image in pixels]
    )
    scale = 1.2 / logits.std(axis=0).mean()
    centers = -0.4 + 1.5 * rng.normal(size=bias.shape)
    dense.set_weights([kernel * scale, centers - scale * logits.mean(axis=0)])


def export(name, network, size, batch):
    folder = common.HERE / name
    folder.mkdir(exist_ok=True)
    seed = sum(name.encode())
    image = keras.Input((size, size, 3), batch_size=batch, name="input_1")
    model = keras.Model(image, network(image, common.WD_TAGS))
    randomise(model, seed)
    center(model, common.images(16, size, seed).astype(np.float32), seed)

    signature = [tf.TensorSpec((batch, size, size, 3), tf.float32, name="input_1")]
    function = tf.function(lambda input_1: {"predictions_sigmoid": model(input_1, training=False)})
    tf2onnx.convert.from_function(
        function,
        input_signature=signature,
        opset=17,
        output_path=str(folder / "model.onnx"),
    )
    pixels = common.images(batch or 2, size, seed + 1)
    expected = model(pixels.astype(np.float32), training=False).numpy()
    common.write_selected_tags(folder)
    common.write_reference(folder, pixels, expected=expected)


# folder: network, image size, fixed batch size
MODELS = {
    "keras-vit": (vit, 64, None),
    "keras-convnext": (convnext, 64, 1),
    "keras-swinv2": (swinv2, 32, None),
    "keras-moat": (moat, 64, 1),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        export(name, *MODELS[name])
