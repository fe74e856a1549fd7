"""Maxout: a layer that learns the shape of its activation."""
import numpy as np

from minigan.backend import xp
from minigan.engine import channel_sum
from minigan.layers.initializers import glorot_uniform
from minigan.layers.layer import Layer


class Maxout(Layer):
    """Every output is the largest of `pieces` weighted sums of the inputs.

    Shapes    x (N, I) -> y (N, O);  W (I, P·O), b (P·O,) with P = pieces: the columns of W are P blocks W₁ ... W_P of (I, O),
              side by side
    Forward   z_k = x W_k + b_k for k = 1 ... P;   y = max_k z_k, for each sample and each output by itself
    Backward  dz_k = dy where piece k is the largest, else 0      dx = Σ_k dz_k W_kᵀ    dW_k = xᵀ dz_k    db_k = Σₙ dz_k
    Cache     x, and won (N, P, O): whether piece k is the largest
    Double    u = v W_k of the piece that won      dW_k += vᵀ dz_k      s: none, a small change of x changes no winner
    Why       where piece k wins, y is z_k, a Dense layer; the others do not reach y, so no gradient reaches them. A maximum
              of straight lines is convex: with its own pieces each unit learns a ReLU, an absolute value, a parabola ...
              Of equal pieces the first one is taken, so that exactly one gets dy.
    Source    Goodfellow, Warde-Farley, Mirza, Courville & Bengio 2013, arXiv:1302.4389, section 3
    """

    samples = "independent"

    def __init__(self, I, O, pieces=5, *, rng=None, dtype="float32", initializer=glorot_uniform):
        self.check_sizes(I=I, O=O, pieces=pieces)
        self.I, self.O, self.pieces = I, O, pieces

        def draw_pieces(rng, shape):                   # one by one: each is a Dense layer of I inputs and O outputs
            W = np.zeros((I, pieces, O))
            for k in range(pieces):
                W[:, k] = initializer(rng, (I, O))
            return W.reshape(shape)

        self.add_weight("W", (I, pieces * O), draw_pieces, rng, dtype)
        self.add_parameter("b", np.zeros(pieces * O), dtype)

    def forward(self, x, train=True):
        self.check_input(x, ("N", self.I), self.W.dtype)
        z = (x @ self.W + self.b).reshape(-1, self.pieces, self.O)     # (N, P, O): the blocks of columns get an axis
        largest = z.argmax(axis=1)                                     # (N, O)
        won = largest[:, None] == xp.arange(self.pieces)[:, None]      # (N, P, O): true for one piece
        return z.max(axis=1), (x, won)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        x, won = cache
        self.check_upstream(dy, (len(x), self.O), x.dtype)
        dz = (won * dy[:, None]).reshape(len(x), -1)   # (N, P·O)
        if param_grads:
            self.dW += x.T @ dz                        # (I, P·O) = (I, N) @ (N, P·O)
            self.db += channel_sum(dz)                 # (P·O,)
        return dz @ self.W.T if input_grad else None   # (N, I) = (N, P·O) @ (P·O, I)

    def double_backward(self, v, dy, cache):
        x, won = cache
        dz = (won * dy[:, None]).reshape(len(v), -1)
        self.dW += v.T @ dz                            # dx = dz Wᵀ is bilinear, as in Dense: v takes the place of x
        u = won * (v @ self.W).reshape(won.shape)
        return u.sum(axis=1), None
