"""Dense: the layer of matrix products."""
import numpy as np

from minigan.engine import add_product, channel_sum
from minigan.layers.initializers import glorot_uniform
from minigan.layers.layer import Layer


class Dense(Layer):
    """Every output is a weighted sum of all inputs.

    Shapes    x (N, I) -> y (N, O);  W (I, O), b (O,)
    Forward   y = x W + b
    Backward  dx = dy Wᵀ      dW = xᵀ dy      db = Σₙ dy
    Cache     x
    Double    u = v W      dW += vᵀ dy      s: none, dx does not depend on x
    Why       y_no = Σᵢ x_ni W_io + b_o, so ∂y_no/∂x_ni = W_io: each x_ni collects dy_no over o;
              ∂y_no/∂W_io = x_ni: each W_io collects dy_no over n. In dx = dy Wᵀ dy takes the place of y and dx that of x,
              so the double backward has v in the place of x.
    Source    Rumelhart, Hinton & Williams 1986
    """

    samples = "independent"

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
            add_product(self.dW, x.T, dy)              # dW += xᵀ dy: (I, O) = (I, N) @ (N, O)
            if self.bias:
                self.db += channel_sum(dy)             # (O,)
        return dy @ self.W.T if input_grad else None   # (N, I) = (N, O) @ (O, I)

    def double_backward(self, v, dy, cache):
        add_product(self.dW, v.T, dy)                  # (I, O) = (I, N) @ (N, O)
        return v @ self.W, None                        # (N, O) = (N, I) @ (I, O)
