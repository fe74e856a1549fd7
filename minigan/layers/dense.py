"""Dense, the layer of matrix products, and the two that only change the shape: Flatten, Reshape."""
import math

import numpy as np

from minigan.backend import pieces
from minigan.initializers import glorot_uniform
from minigan.layers.layer import Layer
from minigan.sums import channel_sum


class Dense(Layer):
    """Every output is a weighted sum of all inputs.

    Shapes    x (N, I) -> y (N, O);  W (I, O), b (O,)
    Forward   y = x W + b
    Backward  dx = dy Wᵀ      dW = xᵀ dy      db = Σₙ dy
    Why       y_no = Σᵢ x_ni W_io + b_o, so ∂y_no/∂x_ni = W_io: each x_ni collects dy_no over o;
              ∂y_no/∂W_io = x_ni: each W_io collects dy_no over n.
    Source    Rumelhart, Hinton & Williams 1986
    """

    smallest_share = 128                       # of fewer rows BLAS' own threads make more (minigan/parallel.py)

    def __init__(self, I, O, bias=True, *, rng=None, dtype="float32", initializer=glorot_uniform):
        self.check_sizes(I=I, O=O)
        self.I, self.O, self.bias = I, O, bias
        self.add_weight("W", (I, O), initializer, rng, dtype)
        if bias:
            self.add_parameter("b", np.zeros(O), dtype)

    def forward(self, x, train=True):
        self.check_input(x, ("N", self.I), self.W.dtype)
        y = x @ self.W                                 # (N, O) = (N, I) @ (I, O)
        if self.bias:
            y += self.b
        return y, x

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        x = cache
        self.check_upstream(dy, (len(x), self.O), x.dtype)
        if param_grads:
            for i in pieces(self.I, 4 * self.O * x.itemsize):      # some rows of dW at a time, which stay in the cache
                self.dW[i] += x[:, i].T @ dy           # (I, O) = (I, N) @ (N, O)
            if self.bias:
                self.db += channel_sum(dy)             # (O,)
        return dy @ self.W.T if input_grad else None   # (N, I) = (N, O) @ (O, I)

    def double_backward(self, v, dy, cache):
        for i in pieces(self.I, 4 * self.O * v.itemsize):
            self.dW[i] += v[:, i].T @ dy               # dx = dy Wᵀ is bilinear: v stands where x stood
        return v @ self.W, None


class Flatten(Layer):
    """All axes but the first as one: the numbers stay, so the gradient only changes its shape back.

    Shapes    x (N, ...) -> y (N, I), with I the product of the sizes
    Forward   y = x, in another shape
    Backward  dx = dy, in the shape of x
    Source    Keras, layer Flatten (channels last)
    """

    smallest_share = 128

    def forward(self, x, train=True):
        self.check_input(x, ("...", "I"))
        return x.reshape(x.shape[0], -1), (x.shape, x.dtype)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        shape, dtype = cache
        self.check_upstream(dy, (shape[0], math.prod(shape[1:])), dtype)
        return dy.reshape(shape) if input_grad else None

    def double_backward(self, v, dy, cache):
        return v.reshape(dy.shape), None


class Reshape(Layer):
    """Every sample in the given shape: how the vector that a Dense layer makes becomes a small image.

    Shapes    x (N, ...) -> y (N, *shape)
    Forward   y = x, in another shape
    Backward  dx = dy, in the shape of x
    Source    Keras, layer Reshape (channels last)
    """

    smallest_share = 128

    def __init__(self, *shape):
        self.check_sizes(**{f"shape[{i}]": size for i, size in enumerate(shape)})
        self.shape = shape

    def forward(self, x, train=True):
        self.check_input(x, ("...", "I"))
        if math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ValueError(f"{self}: expected {math.prod(self.shape)} numbers a sample, to make {self.shape}, "
                             f"got {x.shape}")
        return x.reshape(-1, *self.shape), (x.shape, x.dtype)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        shape, dtype = cache
        self.check_upstream(dy, (shape[0], *self.shape), dtype)
        return dy.reshape(shape) if input_grad else None

    def double_backward(self, v, dy, cache):
        return v.reshape(dy.shape), None
