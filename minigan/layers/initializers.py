"""Initial weights: drawn on the host from the generator that the caller passes, so that CPU and GPU start equal.

An initializer is a function (rng, shape) -> float64 array. The last two axes of every weight are the channels that it
connects, the axes before them (the K x K taps of a convolution) its receptive field.
"""
import math
from collections.abc import Callable

import numpy as np


def glorot_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """W ~ U(-a, a), a = √(6 / (fan_in + fan_out)): keeps the variance of x forward and of dy backward about equal.

    fan = channels · taps; the sum of the two makes a transposed convolution's limit that of its convolution.
    Source    Glorot & Bengio 2010, eq. 16; the default of Keras
    """
    taps = math.prod(shape[:-2])
    a = math.sqrt(6 / (taps * (shape[-2] + shape[-1])))
    return rng.uniform(-a, a, shape)


def he_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """W ~ N(0, 2 / fan_in), for ReLU networks, which lose half of the variance at each layer.

    fan_in = taps · shape[-2], as Dense and Conv2D store their weights.
    Source    He, Zhang, Ren & Sun 2015, arXiv:1502.01852, eq. 10
    """
    return rng.normal(0.0, math.sqrt(2 / math.prod(shape[:-1])), shape)


def normal(std: float = 0.02) -> Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]:
    """W ~ N(0, std²). With std 0.02: Radford, Metz & Chintala 2016 (DCGAN), arXiv:1511.06434, section 4."""
    def draw(rng, shape):
        return rng.normal(0.0, std, shape)
    return draw
