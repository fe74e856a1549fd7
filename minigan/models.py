"""The networks of the tutorials, by name: each function returns a generator and a discriminator, (G, D).

rng is the host generator of all weights (and of the seeds of the dropout layers): same seed, same networks. G maps noise
(N, latent_dim) to images (N, H, W, channels) in [-1, 1], D images to one logit each, (N, 1). Comments show the image's side.
"""
import inspect
import math
from collections.abc import Sequence

import numpy as np

from minigan.arguments import check_whole
from minigan.backend import rng as device_rng
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Crop,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    Maxout,
    Pack,
    ReLU,
    Reshape,
    Sequential,
    Tanh,
)
from minigan.layers.initializers import glorot_uniform, normal

DCGAN_INIT = normal(0.02)                              # Radford, Metz & Chintala 2016, section 4


def mlp_gan(rng: np.random.Generator, latent_dim: int = 100, image_shape: tuple[int, ...] = (28, 28, 1), *,
            dtype: str = "float32") -> tuple[Sequential, Sequential]:
    """Dense layers only, of 256, 512 and 1,024 units.

    Source    after Goodfellow et al. 2014, arXiv:1406.2661 (there D has maxout and dropout)
    """
    w = dict(rng=rng, dtype=dtype)
    pixels = math.prod(image_shape)
    G = Sequential(
        Dense(latent_dim, 256, **w), ReLU(),
        Dense(256, 512, **w), ReLU(),
        Dense(512, 1024, **w), ReLU(),
        Dense(1024, pixels, **w), Tanh(),
        Reshape(*image_shape), name="G")
    D = Sequential(
        Flatten(),
        Dense(pixels, 1024, **w), ReLU(),
        Dense(1024, 512, **w), ReLU(),
        Dense(512, 256, **w), ReLU(),
        Dense(256, 1, **w), name="D")
    return G, D


def dcgan_28(rng: np.random.Generator, latent_dim: int = 100, channels: int = 1, dropout: float = 0.3, *,
             dtype: str = "float32") -> tuple[Sequential, Sequential]:
    """The DCGAN of TensorFlow's tutorial, 28 x 28 pixels: 5 x 5 kernels, no bias in G, dropout in D.

    Source    TensorFlow tutorial "Deep Convolutional GAN"; weights as in Radford et al. 2016, arXiv:1511.06434
    """
    w = dict(rng=rng, dtype=dtype, initializer=DCGAN_INIT)
    n = dict(dtype=dtype)
    G = Sequential(
        Dense(latent_dim, 7 * 7 * 256, bias=False, **w), BatchNorm(7 * 7 * 256, **n), LeakyReLU(0.3), Reshape(7, 7, 256),
        ConvTranspose2D(256, 128, 5, stride=1, bias=False, **w), BatchNorm(128, **n), LeakyReLU(0.3),              # 7
        ConvTranspose2D(128, 64, 5, stride=2, bias=False, **w), BatchNorm(64, **n), LeakyReLU(0.3),                # 14
        ConvTranspose2D(64, channels, 5, stride=2, bias=False, **w), Tanh(), name="G")                             # 28
    D = Sequential(
        Conv2D(channels, 64, 5, stride=2, **w), LeakyReLU(0.3), Dropout(dropout, rng=_dropout_rng(rng)),           # 14
        Conv2D(64, 128, 5, stride=2, **w), LeakyReLU(0.3), Dropout(dropout, rng=_dropout_rng(rng)),                # 7
        Flatten(), Dense(7 * 7 * 128, 1, **w), name="D")
    return G, D


def dcgan_64(rng: np.random.Generator, latent_dim: int = 100, channels: int = 3, *,
             dtype: str = "float32") -> tuple[Sequential, Sequential]:
    """A DCGAN for 64 x 64 pixels: 4 x 4 kernels, which stride 2 divides: patches overlap evenly.

    Source    Radford et al. 2016, arXiv:1511.06434, made smaller. Common versions end without the tanh that [-1, 1] needs
    """
    w = dict(rng=rng, dtype=dtype, initializer=DCGAN_INIT)
    n = dict(dtype=dtype)
    G = Sequential(
        Dense(latent_dim, 8 * 8 * 128, **w), BatchNorm(8 * 8 * 128, **n), LeakyReLU(0.2), Reshape(8, 8, 128),
        ConvTranspose2D(128, 128, 4, stride=2, **w), BatchNorm(128, **n), LeakyReLU(0.2),                          # 16
        ConvTranspose2D(128, 64, 4, stride=2, **w), BatchNorm(64, **n), LeakyReLU(0.2),                            # 32
        ConvTranspose2D(64, channels, 4, stride=2, **w), Tanh(), name="G")                                         # 64
    D = Sequential(
        Conv2D(channels, 128, 4, stride=2, **w), LeakyReLU(0.2),                                                   # 32
        Conv2D(128, 128, 4, stride=2, **w), LeakyReLU(0.2),                                                        # 16
        Flatten(), Dense(16 * 16 * 128, 1, **w), name="D")
    return G, D


def dcgan_64_stem(rng: np.random.Generator, latent_dim: int = 100, channels: int = 3, *,
                  dtype: str = "float32") -> tuple[Sequential, Sequential]:
    """A DCGAN for 64 x 64 pixels whose noise first goes through four Dense layers. Meant for the LeastSquares loss.

    Source    common in tutorials, with a sigmoid before the squares, which makes the gradient vanish; here without
    """
    w = dict(rng=rng, dtype=dtype, initializer=DCGAN_INIT)
    n = dict(momentum=0.8, dtype=dtype)
    stem = []
    for I, O in ((latent_dim, 128), (128, 128), (128, 1024), (1024, 1024)):
        stem += [Dense(I, O, **w), LeakyReLU(0.2), BatchNorm(O, **n)]
    G = Sequential(
        *stem, Dense(1024, 4 * 4 * 256, **w), ReLU(), Reshape(4, 4, 256),
        ConvTranspose2D(256, 128, 4, stride=2, **w), BatchNorm(128, **n), LeakyReLU(0.2),                          # 8
        ConvTranspose2D(128, 128, 4, stride=2, **w), BatchNorm(128, **n), LeakyReLU(0.2),                          # 16
        ConvTranspose2D(128, 64, 4, stride=2, **w), BatchNorm(64, **n), LeakyReLU(0.2),                            # 32
        ConvTranspose2D(64, channels, 4, stride=2, **w), Tanh(), name="G")                                         # 64
    D = Sequential(
        Conv2D(channels, 64, 4, stride=2, **w), LeakyReLU(0.2),                                                    # 32
        Conv2D(64, 128, 4, stride=2, **w), LeakyReLU(0.2),                                                         # 16
        Conv2D(128, 128, 4, stride=2, **w), LeakyReLU(0.2),                                                        # 8
        Flatten(), Dense(8 * 8 * 128, 1, **w), name="D")
    return G, D


def dcgan(rng: np.random.Generator, latent_dim: int = 100, image_shape: tuple[int, ...] = (28, 28, 1), width: int = 32, *,
          dtype: str = "float32") -> tuple[Sequential, Sequential]:
    """A DCGAN for images of any size: its depth follows from the size, its cost from `width`.

    D halves the image, rounding up, as long as 4 pixels of its shorter side are left: 28, 14, 7, 4; and doubles the channels,
    from `width` up to eight times as many. G doubles, from at least 4 before rounding: 7, 14, 28. What is too much is cut off:
    30 x 30 is the middle of 8, 16, 32. Both go between 64 x 64 and 4 x 4, 40 x 56 and 5 x 7.

    Source    Radford et al. 2016, arXiv:1511.06434; without its BatchNorm in D, which a gradient penalty forbids
    """
    if min(image_shape[:2]) < 8:
        raise ValueError(f"dcgan: expected images of at least 8 x 8 pixels, to be halved once, got {image_shape}")
    (H, W, C), w = image_shape, dict(rng=rng, dtype=dtype, initializer=DCGAN_INIT)
    depth_G = int(math.log2(min(H, W) / 4))            # the largest with min(H, W) / 2^depth >= 4
    depth_D = math.ceil(math.log2(min(H, W) / 3)) - 1  # > 3, which is 4 when it is rounded up
    G_channels, D_channels = ([min(2 ** i, 8) * width for i in range(depth)] for depth in (depth_G, depth_D))  # image first
    h, v, top = -(-H // 2 ** depth_G), -(-W // 2 ** depth_G), G_channels[-1]   # G's first image, h x v
    G = [Dense(latent_dim, h * v * top, bias=False, **w), Reshape(h, v, top), BatchNorm(top, dtype=dtype), LeakyReLU(0.2)]
    for I, O in zip(G_channels[::-1], G_channels[-2::-1]):
        G += [ConvTranspose2D(I, O, 4, stride=2, bias=False, **w), BatchNorm(O, dtype=dtype), LeakyReLU(0.2)]
    crop = [Crop(H, W)] if (h * 2 ** depth_G, v * 2 ** depth_G) != (H, W) else []
    G += [ConvTranspose2D(width, C, 4, stride=2, **w), *crop, Tanh()]
    D = [layer for I, O in zip([C, *D_channels], D_channels) for layer in (Conv2D(I, O, 4, stride=2, **w), LeakyReLU(0.2))]
    last = D_channels[-1] * -(-H // 2 ** depth_D) * -(-W // 2 ** depth_D)
    return Sequential(*G, name="G"), Sequential(*D, Flatten(), Dense(last, 1, **w), name="D")


def toy_mlp(rng: np.random.Generator, latent_dim: int = 2, width: int = 128, depth: int = 2, data_dim: int = 2, *,
            dtype: str = "float32") -> tuple[Sequential, Sequential]:
    """For points in the plane: `depth` hidden layers of `width` units in both networks, linear outputs."""
    check_whole("toy_mlp", 0, depth=depth)
    w = dict(rng=rng, dtype=dtype, initializer=glorot_uniform)

    def network(I, O, name):
        sizes = [I] + [width] * depth
        hidden = [layer for a, b in zip(sizes, sizes[1:]) for layer in (Dense(a, b, **w), LeakyReLU(0.2))]
        return Sequential(*hidden, Dense(sizes[-1], O, **w), name=name)

    return network(latent_dim, data_dim, "G"), network(data_dim, 1, "D")


def pacgan_toy(rng: np.random.Generator, latent_dim: int = 2, packing: int = 1, *,
               dtype: str = "float32") -> tuple[Sequential, Sequential]:
    """The networks of PacGAN's experiments with points in the plane; D looks at `packing` points at once.

    Source    Lin et al. 2018, arXiv:1712.04086, synthetic data; sizes, weights, momentum: https://github.com/fjxmlzn/PacGAN
    """
    w = dict(rng=rng, dtype=dtype, initializer=normal(0.02))
    n = dict(momentum=0.95, eps=1e-4, dtype=dtype)
    hidden = []
    for I in (latent_dim, 400, 400, 400):
        hidden += [Dense(I, 400, bias=False, **w), BatchNorm(400, **n), ReLU()]
    G = Sequential(*hidden, Dense(400, 2, **w), name="G")
    D = Sequential(
        Pack(packing),
        Maxout(2 * packing, 200, pieces=5, **w), Maxout(200, 200, pieces=5, **w), Maxout(200, 200, pieces=5, **w),
        Dense(200, 1, **w), name="D")
    return G, D


MODELS = {model.__name__: model for model in (dcgan, mlp_gan, dcgan_28, dcgan_64, dcgan_64_stem, toy_mlp)}
IMAGE_SIZE = {"dcgan_28": 28, "dcgan_64": 64, "dcgan_64_stem": 64}         # dcgan and mlp_gan take images as they are


def build(name: str, rng: np.random.Generator, sample_shape: Sequence[int], classes: int = 0, packing: int = 1, *,
          latent_dim: int = 0, width: int = 0) -> tuple[Sequential, Sequential]:
    """(G, D) of the model of this name, for samples of this shape: (H, W, channels), or (2,) for points in the plane.

    classes    of a conditional GAN (minigan/gan.py): G takes a longer z, D more channels, for the one-hot label
    packing    the number of samples that D judges at once (layers.Pack)
    latent_dim, width    of the model; 0: its own
    """
    check_whole("models.build", 0, classes=classes, latent_dim=latent_dim, width=width)
    check_whole("models.build", 1, packing=packing)
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; there are {', '.join(MODELS)}")
    size = IMAGE_SIZE.get(name)
    if len(sample_shape) != (1 if name == "toy_mlp" else 3) or size and tuple(sample_shape[:2]) != (size, size):
        wants = "points (N, 2)" if name == "toy_mlp" else f"images (N, {size or 'H'}, {size or 'W'}, channels)"
        raise ValueError(f"the model {name} is for {wants}, not for samples of shape {tuple(sample_shape)}")

    if width and "width" not in inspect.signature(MODELS[name]).parameters:
        raise ValueError(f"the model {name} has no width; dcgan and toy_mlp have")
    def make(latent_dim, channels):
        shape = (*sample_shape[:-1], channels)
        sizes = {"image_shape": shape, "channels": channels, "data_dim": channels} | ({"width": width} if width else {})
        takes = inspect.signature(MODELS[name]).parameters
        return MODELS[name](rng, latent_dim, **{key: size for key, size in sizes.items() if key in takes})

    latent_dim, channels = latent_dim or (2 if name == "toy_mlp" else 100), sample_shape[-1]
    G, D = make(latent_dim + classes, channels)
    _, D = make(latent_dim, packing * (channels + classes)) if classes or packing > 1 else (G, D)
    return G, Sequential(Pack(packing), D, name="D") if packing > 1 else D


def _dropout_rng(rng):
    """A generator on the device whose seed comes from the host generator."""
    return device_rng(int(rng.integers(2 ** 31)))
