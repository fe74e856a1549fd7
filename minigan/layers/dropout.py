"""Dropout: the one layer that draws random numbers."""
import numpy as np

from minigan.backend import asarray, host_rng, rng_state, set_rng_state
from minigan.backend import rng as device_rng
from minigan.layers.layer import Layer
from minigan.parallel import crew_size, from_first, index


class Dropout(Layer):
    """In training, every element is dropped with probability `rate`; in evaluation all pass unchanged.

    Shapes    x, y any
    Forward   y = mask · x, with mask = 0 (probability rate) or 1/(1 - rate), drawn anew at each call
    Backward  dx = mask · dy
    Why       the mask is a constant factor for each element. Dividing by 1 - rate in training keeps E[y] = x, so that
              evaluation needs no factor ("inverted" dropout).
    Source    Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014
    """

    smallest_share = 128

    def __init__(self, rate, rng=None):
        """rng: a device generator, minigan.backend.rng(seed); without one, that of seed 0. A host generator works too,
        but on a GPU every mask is then copied over."""
        if not 0 <= rate < 1:
            raise ValueError(f"{self}: rate must be at least 0 and below 1, got {rate!r}")
        self.rate = float(rate)
        self.rng = device_rng(0) if rng is None else rng
        if not hasattr(self.rng, "random"):
            raise TypeError(f"{self}: rng must be a generator, minigan.backend.rng(seed), got {rng!r}")

    def forward(self, x, train=True):
        self.check_input(x, ("...",))
        if not train or self.rate == 0:
            return x, None
        kept = asarray(self._share_of_rng().random(x.shape, dtype="float32")) >= self.rate
        mask = kept.astype(x.dtype) * (1 / (1 - self.rate))
        return mask * x, mask

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        mask = cache
        if mask is None or not input_grad:
            return dy if input_grad else None
        self.check_upstream(dy, mask.shape, mask.dtype)
        return mask * dy

    def double_backward(self, v, dy, cache):
        return self.backward(v, cache), None

    def _share_of_rng(self):
        """The generator; where the batch is cut into shares (minigan/parallel.py) one of its own for each, seeded by it."""
        if crew_size() == 1:
            return self.rng
        return host_rng(from_first(lambda: self.rng.integers(2 ** 63, size=crew_size()))[index()])

    def __getstate__(self):
        """For copy.deepcopy and pickle, which cannot look into a generator of CuPy: its state in its place."""
        on_host = isinstance(self.rng, np.random.Generator)
        return vars(self) | {"rng": self.rng if on_host else ("state", rng_state(self.rng))}

    def __setstate__(self, state):
        super().__setstate__(state)
        if isinstance(self.rng, tuple):
            _, saved = self.rng
            self.rng = device_rng(0)
            set_rng_state(self.rng, saved)
