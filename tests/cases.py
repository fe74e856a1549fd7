"""What the layer tests share: one table of layers, one way to build them, to run them and to check them.

A new layer, or a new variant of an old one, gets a line in CASES; every test then covers it.
"""
from collections import namedtuple

import numpy as np
from hypothesis import strategies as st

from minigan.backend import asarray, host_rng, to_numpy
from minigan.backend import rng as device_rng
from minigan.gradcheck import check_layer
from minigan.layers import (
    BatchNorm,
    Brightness,
    Conv2D,
    ConvTranspose2D,
    Crop,
    Cutout,
    Dense,
    Dropout,
    FillIn,
    Flatten,
    InstanceNoise,
    InstanceNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    Maxout,
    Pack,
    PixelShuffle,
    RandomFlip,
    RandomRotate90,
    RandomShift,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    SpectralNorm,
    Tanh,
    UpSample2D,
)


class Parabola(Layer):
    """y = a·x² + b·x + c, with three numbers a feature to learn: a layer with weights as a reader would write it."""

    samples = "independent"

    def __init__(self, C, dtype="float32"):
        for name in "abc":
            self.add_parameter(name, np.zeros(C), dtype)

    def forward(self, x, train=True):
        return self.a * x * x + self.b * x + self.c, x

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        x = cache
        if param_grads:
            self.da += (dy * x * x).sum(axis=0)
            self.db += (dy * x).sum(axis=0)
            self.dc += dy.sum(axis=0)
        return (2 * self.a * x + self.b) * dy if input_grad else None


class Asked(Dense):
    """A Dense layer that remembers which gradients it was asked for: [(param_grads, input_grad) ...]. Each costs time."""

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        vars(self).setdefault("asked", []).append((param_grads, input_grad))
        return super().backward(dy, cache, param_grads, input_grad)


# name: (constructor, shape of x); the constructor gets w, the keywords rng and dtype of layers with weights
CASES = {
    "Dense": (lambda w: Dense(4, 3, **w), (5, 4)),
    "Dense, no bias": (lambda w: Dense(2, 5, bias=False, **w), (3, 2)),
    "Dense, square": (lambda w: Dense(3, 3, **w), (3, 3)),
    "Dense, one number": (lambda w: Dense(1, 1, **w), (1, 1)),
    "Flatten": (lambda w: Flatten(), (3, 4, 2, 2)),
    "Flatten, flat already": (lambda w: Flatten(), (3, 4)),
    "Reshape": (lambda w: Reshape(2, 3, 2), (4, 12)),
    "Reshape, images": (lambda w: Reshape(6, 2), (2, 3, 2, 2)),
    "LeakyReLU": (lambda w: LeakyReLU(0.2), (3, 4, 2)),
    "LeakyReLU, slope 0": (lambda w: LeakyReLU(0.0), (5, 4)),
    "LeakyReLU, slope 1": (lambda w: LeakyReLU(1), (5, 4)),
    "ReLU": (lambda w: ReLU(), (2, 3, 3, 2)),
    "Tanh": (lambda w: Tanh(), (3, 4, 2)),
    "Sigmoid": (lambda w: Sigmoid(), (5, 4)),
    "Dropout": (lambda w: Dropout(0.3, rng=device_rng(7)), (5, 3, 2)),
    "Dropout, rate 0": (lambda w: Dropout(0.0), (5, 4)),
    "InstanceNoise": (lambda w: InstanceNoise(0.3, rng=device_rng(7)), (5, 3, 2)),
    "InstanceNoise, sigma 0": (lambda w: InstanceNoise(0.0), (5, 4)),
    "RandomFlip": (lambda w: RandomFlip(rng=device_rng(1)), (6, 3, 4, 2)),
    "RandomRotate90": (lambda w: RandomRotate90(rng=device_rng(7)), (8, 3, 3, 2)),
    "RandomShift": (lambda w: RandomShift(2, rng=device_rng(7)), (6, 4, 5, 2)),
    "RandomShift, over the edge": (lambda w: RandomShift(4, rng=device_rng(7)), (6, 3, 2, 1)),
    "Brightness": (lambda w: Brightness(0.5, rng=device_rng(7)), (5, 3, 2, 2)),
    "Cutout": (lambda w: Cutout(0.5, rng=device_rng(7)), (6, 5, 4, 2)),
    "BatchNorm": (lambda w: BatchNorm(3, **w), (6, 3)),
    "BatchNorm, images": (lambda w: BatchNorm(2, momentum=0.8, eps=1e-5, **w), (2, 3, 4, 2)),
    "BatchNorm, two values": (lambda w: BatchNorm(2, eps=0.1, **w), (2, 2)),
    "LayerNorm": (lambda w: LayerNorm(4, **w), (5, 4)),
    "LayerNorm, images": (lambda w: LayerNorm(2, eps=1e-5, **w), (2, 3, 4, 2)),
    "InstanceNorm": (lambda w: InstanceNorm(2, **w), (2, 3, 4, 2)),
    "Maxout": (lambda w: Maxout(4, 3, pieces=3, **w), (5, 4)),
    "Maxout, one piece": (lambda w: Maxout(2, 3, pieces=1, **w), (3, 2)),
    "Pack": (lambda w: Pack(2), (6, 3)),
    "Pack, images": (lambda w: Pack(3), (6, 2, 4, 2)),
    "Pack, in a network": (lambda w: Sequential(Pack(2), Maxout(6, 4, **w), Dense(4, 1, **w)), (6, 3)),
    # u and v have converged (`build`), so they may be held constant.
    "SpectralNorm": (lambda w: SpectralNorm(Dense(4, 3, **w), iterations=3), (5, 4)),
    "SpectralNorm, square": (lambda w: SpectralNorm(Dense(3, 3, bias=False, **w), iterations=3), (5, 3)),
    "SpectralNorm, Conv2D": (lambda w: SpectralNorm(Conv2D(2, 3, 3, stride=2, **w), iterations=3), (2, 4, 5, 2)),
    "SpectralNorm, ConvTranspose2D": (
        lambda w: SpectralNorm(ConvTranspose2D(2, 3, 3, stride=2, **w), iterations=3), (2, 3, 2, 2)),
    "SpectralNorm, in a network": (lambda w: Sequential(
        SpectralNorm(Conv2D(2, 2, 3, **w), iterations=3), LeakyReLU(0.2), Flatten(),
        SpectralNorm(Dense(24, 1, **w), iterations=3)), (2, 3, 4, 2)),
    "Sequential": (lambda w: Sequential(Dense(3, 4, bias=False, **w), BatchNorm(4, **w), Tanh(),
                                        Dropout(0.3, rng=device_rng(7)), Dense(4, 2, **w)), (5, 3)),
    "Sequential, empty": (lambda w: Sequential(), (5, 3)),
    "Sequential, nested": (lambda w: Sequential(
        Sequential(Dense(3, 12, **w), LeakyReLU(0.2)), Reshape(2, 3, 2),
        Sequential(ConvTranspose2D(2, 3, 4, stride=2, **w), Tanh(),
                   Sequential(Conv2D(3, 1, 3, stride=2, **w), Flatten()))),
        (3, 3)),
    "PixelShuffle": (lambda w: PixelShuffle(2), (2, 2, 3, 12)),
    "PixelShuffle, r 3": (lambda w: PixelShuffle(3), (2, 3, 1, 9)),
    "UpSample2D": (lambda w: UpSample2D(2), (2, 2, 3, 2)),
    "UpSample2D, factor 3": (lambda w: UpSample2D(3), (2, 3, 1, 2)),
    "Crop": (lambda w: Crop(2, 3), (2, 5, 3, 2)),
    "Crop, columns": (lambda w: Crop(2, 2), (2, 2, 4, 1)),
    "FillIn": (lambda w: FillIn(Conv2D(3, 2, 3, **w), Tanh()), (2, 3, 4, 3)),
    "Residual": (lambda w: Residual(Dense(4, 4, **w), Tanh(), Dense(4, 4, **w)), (3, 4)),
    "Parabola": (lambda w: Parabola(3, w["dtype"]), (5, 3)),
    "Parabola, in a network": (lambda w: Sequential(Dense(2, 3, **w), Residual(Parabola(3, w["dtype"])),
                                                    Dense(3, 1, **w)), (3, 2)),
    "Residual, in a network": (lambda w: Sequential(Dense(2, 4, **w), Residual(Residual(Dense(4, 4, **w), Tanh())),
                                                    Dense(4, 1, **w)), (3, 2)),
}
CONVOLUTIONS = [                                       # kernel, stride, padding, H, W
    (1, 1, "same", 3, 4), (3, 1, "same", 5, 4), (4, 2, "same", 4, 6), (5, 2, "same", 6, 7), (2, 3, "same", 7, 5),
    (3, 2, "valid", 6, 7), (1, 3, "valid", 7, 4), (5, 1, 2, 3, 4), (3, 3, 1, 5, 7), (2, 1, 3, 7, 6)]
for K, S, padding, H, W in CONVOLUTIONS:
    for convolution in (Conv2D, ConvTranspose2D):
        CASES[f"{convolution.__name__}, K{K} S{S} {padding} {H}x{W}"] = (
            lambda w, layer=convolution, arguments=(2, 3, K, S, padding): layer(*arguments, **w), (2, H, W, 2))
CASES["Conv2D, no bias"] = (lambda w: Conv2D(2, 3, 3, bias=False, **w), (2, 3, 4, 2))
CASES["ConvTranspose2D, no bias"] = (lambda w: ConvTranspose2D(2, 3, 3, bias=False, **w), (2, 3, 4, 2))


def build(name, dtype="float64", seed=100):
    """(layer, x) of a case: the same numbers in every dtype."""
    constructor, shape = CASES[name]
    rng = host_rng(seed)
    layer = randomized(constructor({"rng": rng, "dtype": dtype}), rng)
    for _, part in layer.walk():
        if isinstance(part, SpectralNorm):
            part.power_iteration(part.scaled_kernel()[0], 200)
    return layer, draw(rng, shape, dtype)


def randomized(layer, rng):
    """The layer with random parameters and running statistics. At their first values, b = beta = 0 and gamma = 1, a
    forgotten term would not show."""
    for _, value, _ in layer.parameters():
        value[...] = draw(rng, value.shape, value.dtype)
    for _, value in layer.states():
        value[...] = asarray(rng.uniform(0.5, 2, value.shape).astype(value.dtype))
    return layer


def draw(rng, shape, dtype="float64"):
    """Random numbers that keep a distance of 0.1 from 0, where the ReLUs have their kink."""
    x = rng.standard_normal(shape)
    return asarray((x + 0.1 * np.sign(x)).astype(dtype))


def run(layer, x, train=True, view=lambda array: array):
    """One pass forward and one backward, the upstream gradient drawn: {"y", "dx", "dW" ...} as NumPy arrays.

    view is applied to x and dy: another arrangement of the same numbers in memory.
    """
    layer.zero_grad()
    y, cache = layer.forward(view(x), train)
    dx = layer.backward(view(draw(host_rng(1), y.shape, y.dtype)), cache)
    gradients = {f"d{name}": gradient for name, _, gradient in layer.parameters()}
    return {name: to_numpy(array).copy() for name, array in {"y": y, "dx": dx, **gradients}.items()}


def check(layer, x, train=True, entries=20):
    """The check that every right layer passes and every broken one must fail: gradients and contract."""
    return check_layer(layer, x, train, entries=entries)


# --- what hypothesis draws ---

class Convolution(namedtuple("Convolution", "N H W C F K S padding")):
    """The arguments of a convolution of images (N, H, W, C) to F channels."""

    def layer(self, kind):
        rng = host_rng(101)
        return randomized(kind(*self[3:], rng=rng, dtype="float64"), rng)

    def images(self, rng=None):
        return draw(host_rng(102) if rng is None else rng, self[:4])


def convolutions(kind):
    """Configurations that the layer class `kind` accepts: Conv2D or ConvTranspose2D."""
    def fits(c):
        p = c.padding if isinstance(c.padding, int) else 0
        if c.padding == "same":
            return True
        if kind is Conv2D:
            return min(c.H, c.W) + 2 * p >= c.K
        return (min(c.H, c.W) - 1) * c.S + c.K - 2 * p >= 1

    def numbers(largest):
        return st.integers(1, largest)
    return st.builds(Convolution, N=numbers(2), H=numbers(6), W=numbers(6), C=numbers(2), F=numbers(2), K=numbers(5),
                     S=numbers(3), padding=st.sampled_from(["same", "valid", 0, 1, 2])).filter(fits)
