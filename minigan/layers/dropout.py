"""Dropout: random zeros, so that no output relies on a single input."""
from minigan.backend import asarray
from minigan.engine import fuse, shard_rng
from minigan.layers.random_layer import RandomLayer


@fuse
def drop(x, noise, rate, scale):
    mask = (noise >= rate).astype(x.dtype) * scale
    return mask * x, mask


class Dropout(RandomLayer):
    """In training, every element is dropped with probability `rate`; in evaluation all pass unchanged.

    Shapes    x, y any
    Forward   y = mask · x, with mask = 0 where r < rate, else 1/(1 - rate); r ~ U(0, 1) drawn anew at each call, in float32
    Backward  dx = mask · dy
    Cache     mask; None in evaluation and for rate 0
    Double    u = mask · v, of the same mask      s: none
    Why       the mask is a constant factor for each element. Dividing by 1 - rate in training keeps E[y] = x, so that
              evaluation needs no factor ("inverted" dropout).
    Source    Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014
    """

    def __init__(self, rate, rng=None):
        self.check_numbers(rate=rate)
        if not 0 <= rate < 1:
            raise ValueError(f"{self}: rate must be at least 0 and below 1, got {rate!r}")
        self.rate = float(rate)
        super().__init__(rng)

    def forward(self, x, train=True):
        self.check_input(x, ("...",))
        if not train or self.rate == 0:
            return x, None
        noise = asarray(shard_rng(self.rng).random(x.shape, dtype="float32"))
        return drop(x, noise, self.rate, 1 / (1 - self.rate))

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        mask = cache
        if mask is None or not input_grad:
            return dy if input_grad else None
        self.check_upstream(dy, mask.shape, mask.dtype)
        return mask * dy

    def double_backward(self, v, dy, cache):
        return self.backward(v, cache), None
