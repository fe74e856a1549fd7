"""LayerNorm and InstanceNorm: BatchNorm's formula, with statistics that one sample has for itself.

    x_hat = (x - mean) · inv_std        y = gamma · x_hat + beta        dx = B(gamma · dy)
    B(h)  = inv_std · (h - mean(h) - x_hat · mean(h · x_hat))

is derived as for BatchNorm (batch_norm.py); only `mean` is over other axes. So samples do not mix, the layer does the same
in training and evaluation, and a gradient penalty can go through it.

For the double backward (minigan/penalties.py) let v = ∂P/∂dx: P changes as <v, dx> does, with v held constant. With
g = gamma · dy, for a group of M values,

    <v, dx> = inv_std · Q,    Q = <v, g> - M mean(v) mean(g) - M mean(v · x_hat) mean(g · x_hat)

is symmetric in v and g: <v, B(g)> = <B(v), g>. So ∂P/∂g = B(v), hence u = ∂P/∂dy = gamma · B(v) and ∂P/∂gamma = Σ dy · B(v).
x enters twice. First by x_hat in Q, with

    ∂Q/∂x_hat = - mean(g · x_hat) · v - mean(v · x_hat) · g

From x_hat to x the derivative is again a backward pass of the normalization, which is B. Second by the factor inv_std in front
of Q. From inv_std = (var + eps)^(-1/2) and ∂var/∂x = 2 (x - mean)/M = 2 x_hat / (M inv_std) comes ∂inv_std/∂x =
- inv_std² · x_hat / M; the factor beside it is Q = <v, dx> / inv_std = M mean(v · dx) / inv_std. Together

    s = ∂P/∂x = inv_std · B(∂Q/∂x_hat) - inv_std · x_hat · mean(v · dx)
"""
import math

import numpy as np

from minigan.engine import channel_sum, pairwise_sum
from minigan.layers.layer import Layer
from minigan.layers.statistics import average, centred, inverse_std


class LayerNorm(Layer):
    """Every sample gets mean 0 and, up to eps, standard deviation 1, then each channel a scale and a shift.

    Shapes    x, y (N, ..., C);  gamma, beta (C,);  one mean and variance per sample, over all axes but the first
    Forward   x_hat = (x - mean) / √(var + eps);  y = gamma · x_hat + beta
    Backward  dx = B(gamma · dy)      dgamma = Σ dy · x_hat      dbeta = Σ dy, over all axes but the last
    Cache     x_hat, inv_std = 1/√(var + eps)
    Double    u = gamma · B(v)      dgamma += Σ dy · B(v)      s = inv_std · (B(∂Q/∂x_hat) - x_hat · mean(v · dx))
    Why       B, Q and their derivatives are at the top of this file.
    Source    Ba, Kiros & Hinton 2016, arXiv:1607.06450; in critics, in place of BatchNorm: arXiv:1704.00028. For images this
              is GroupNorm with one group (arXiv:1803.08494). Keras' LayerNormalization takes the last axis only, and
              PyTorch's gamma has an entry for each element
    """

    samples = "independent"

    def __init__(self, C, eps=1e-3, *, rng=None, dtype="float32"):
        self.check_sizes(C=C)
        self.check_numbers(eps=eps)
        if not 0 < eps < float("inf"):
            raise ValueError(f"{self}: eps must be positive, got {eps!r}")
        self.C, self.eps = C, float(eps)
        self.add_parameter("gamma", np.ones(C), dtype)
        self.add_parameter("beta", np.zeros(C), dtype)

    def groups(self, shape):
        """How x is read, (A, M, B): the M values of each of A · B groups share a mean and a variance."""
        return shape[0], math.prod(shape[1:]), 1

    def mean(self, x):
        """The mean over the values of each group, in a shape that broadcasts against x."""
        A, M, B = self.groups(x.shape)
        mean = average(lambda values: pairwise_sum(values.reshape(A, M, B)), x, M)         # (A, B)
        return mean.reshape(A, *[1] * (x.ndim - 2), B)

    def forward(self, x, train=True):
        self.check_input(x, ("...", self.C), self.gamma.dtype)
        if self.groups(x.shape)[1] == 1:
            raise ValueError(f"{self}: one value a group, shape {x.shape}, has no variance; y would not depend on x")
        x_hat, _ = centred(x, self.mean)
        inv_std, _ = inverse_std(x_hat, self.mean, self.eps)
        x_hat *= inv_std
        return self.gamma * x_hat + self.beta, (x_hat, inv_std)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        x_hat, inv_std = cache
        self.check_upstream(dy, x_hat.shape, x_hat.dtype)
        if param_grads:
            self.dgamma += channel_sum(dy * x_hat)
            self.dbeta += channel_sum(dy)
        return self.B(self.gamma * dy, x_hat, inv_std) if input_grad else None

    def B(self, h, x_hat, inv_std):
        return inv_std * (h - self.mean(h) - x_hat * self.mean(h * x_hat))

    def double_backward(self, v, dy, cache):
        x_hat, inv_std = cache
        g, Bv = self.gamma * dy, self.B(v, x_hat, inv_std)
        dx = self.B(g, x_hat, inv_std)
        self.dgamma += channel_sum(dy * Bv)
        dQ = -self.mean(g * x_hat) * v - self.mean(v * x_hat) * g
        return self.gamma * Bv, inv_std * (self.B(dQ, x_hat, inv_std) - x_hat * self.mean(v * dx))


class InstanceNorm(LayerNorm):
    """Every channel of every image gets mean 0 and, up to eps, standard deviation 1 over its pixels, then scale and shift.

    Shapes    x, y (N, H, W, C);  gamma, beta (C,);  one mean and variance per sample and channel, over H and W
    Forward   as LayerNorm, with these means
    Backward  as LayerNorm;  Cache and Double, too
    Why       contrast and brightness of the single image are taken out: what an image translation should not depend on
    Source    Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022
    """

    def groups(self, shape):
        N, H, W, C = shape
        return N, H * W, C

    def forward(self, x, train=True):
        self.check_input(x, ("N", "H", "W", self.C), self.gamma.dtype)
        return super().forward(x, train)
